"""MQTT when things go wrong: losses, blackouts, crashes of clients and of the broker, take-overs.

sensor (x n) ---- broker ---- gateway
"""

from __future__ import annotations

from collections import Counter
from statistics import mean

import pytest
from mqtt_worlds import MS, S, got, listener, run, segments, texts
from simcore_backends import mqtt
from simcore_backends.mqtt.service import MqttBroker
from worlds import both

from simcore import open_run

WILL = {"topic": "status/{node}", "payload": "gone", "qos": 1, "retain": True}
WATCHES = {"subscribe": [{"filter": "#", "qos": 2}]}


def publishing(qos, number, every="500ms", begin="0s"):
    """A model that publishes so many numbered messages."""

    def model(node):
        yield node.sleep(begin)
        for index in range(number):
            yield node.sleep(every)
            mqtt.publish(node, f"t/{node.name}", index, qos)

    return model


def lossy(loss, **keys):
    """Links of 10 ms that lose a share of what enters them."""
    return [
        both("sensor", "broker", "10ms", loss=loss, **keys),
        both("gateway", "broker", "10ms", loss=loss, **keys),
    ]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_with_a_fifth_lost_every_message_arrives_and_once(qos):
    clients = {"sensor": {"keepalive": "0s"}, "gateway": {**WATCHES, "keepalive": "0s"}}
    told = run(
        {"sensor": {"does": publishing(qos, 200, begin="1min"), "count": 5}, "gateway": listener},
        clients,
        links=lossy("20%"),
        lasts="20min",
        seed=3,
    )
    # The transport loses nothing, so even QoS 0 arrives as long as the connection lasts.
    expected = [f"t/sensor-{i} {index} {qos}" for i in range(5) for index in range(200)]
    assert Counter(texts(told, "gateway")) == Counter(expected)
    assert not texts(told, "gateway", "mqtt.lost")
    lost = sum(message[-1] == "loss" for message in told.messages())
    assert 0.18 < lost / len(told.messages()) < 0.22


def test_each_sensors_messages_arrive_in_the_order_in_which_they_were_published():
    told = run(
        {"sensor": {"does": publishing(1, 100, "50ms", "1min"), "count": 3}, "gateway": listener},
        {"sensor": {"keepalive": "0s"}, "gateway": {**WATCHES, "keepalive": "0s"}},
        links=lossy("20%"),
        lasts="10min",
    )
    for name in ("sensor-0", "sensor-1", "sensor-2"):
        found = [text for text in texts(told, "gateway") if name in text]
        assert found == [f"t/{name} {index} 1" for index in range(100)]


def test_latency_grows_as_retransmission_says():
    """A packet alone waits RTO (2^k - 1) if k copies are lost: RTO loss / (1 - 2 loss) on average."""
    loss, number = 0.2, 3000

    def sensor(node):
        for _ in range(number):
            yield node.sleep("10min")  # long enough for whatever a message needs
            mqtt.publish(node, "t", node.now)

    delays = []

    def gateway(node):
        while True:
            message = yield node.receive("mqtt.message")
            delays.append(node.now - message.payload["payload"] - 11 * MS)

    run(
        {"sensor": sensor, "gateway": gateway},
        {"sensor": {"keepalive": "0s"}, "gateway": {**WATCHES, "keepalive": "0s"}},
        links=[both("sensor", "broker", "10ms", loss=loss), both("gateway", "broker", "1ms")],
        lasts=(number + 2) * 600 * S,
    )
    assert len(delays) == number
    shares = Counter(delays)
    assert set(shares) <= {200 * MS * (2**lost - 1) for lost in range(16)}
    for lost in range(3):
        expected = loss**lost * (1 - loss)
        assert shares[200 * MS * (2**lost - 1)] / number == pytest.approx(expected, abs=0.03)
    assert mean(delays) == pytest.approx(200 * MS * loss / (1 - 2 * loss), rel=0.25)


def test_a_client_that_crashes_is_mourned_after_its_keepalive_and_comes_back():
    told = run(
        {"sensor": publishing(0, 100), "gateway": listener},
        {"sensor": {"keepalive": "4s", "will": WILL}, "gateway": WATCHES},
        faults=[{"at": "3200ms", "for": "10s", "node": "sensor", "crash": True}],
        lasts="16s",
    )
    # The last packet comes at 3.01 s; half as long again as the keepalive after that is 9.01 s.
    assert (9020 * MS, "status/sensor gone 1") in got(told, "gateway")
    before = [text for at, text in got(told, "gateway") if at < 9 * S]
    assert before == [f"t/sensor {index} 0" for index in range(6)]
    assert got(told, "gateway")[-1][0] > 15 * S


def test_a_client_that_is_back_soon_takes_over_from_its_former_life():
    told = run(
        {"sensor": publishing(0, 100), "gateway": listener},
        {"sensor": {"keepalive": "60s", "will": WILL}, "gateway": WATCHES},
        faults=[{"at": "3200ms", "for": "1s", "node": "sensor", "crash": True}],
        lasts="6s",
    )
    # SYN at 4.2 s, CONNECT at 4.22 s, which ends the old connection and publishes its will.
    assert (4240 * MS, "status/sensor gone 1") in got(told, "gateway")
    assert "4230 tcp.fin" in segments(told, "broker", "sensor")
    assert "4240 tcp.rst" in segments(told, "sensor", "broker")
    assert texts(told, "gateway")[-1] == "t/sensor 2 0"


def test_a_blackout_ends_in_keepalive_and_will_and_then_in_a_new_connection():
    told = run(
        {"sensor": publishing(1, 40), "gateway": listener},
        {"sensor": {"keepalive": "4s", "will": WILL}, "gateway": WATCHES},
        faults=[{"at": "3200ms", "for": "17s", "link": ["sensor", "broker"], "down": True}],
        lasts="60s",
    )
    found = got(told, "gateway")
    assert (9020 * MS, "status/sensor gone 1") in found  # the last packet came at 3.01 s
    assert not [at for at, _ in found if 9020 * MS < at < 20_200 * MS]
    # With QoS 1 all of them come in the end, also those that were published meanwhile.
    sent = [text for _, text in found if text.startswith("t/")]
    assert [*dict.fromkeys(sent)] == [f"t/sensor {index} 1" for index in range(40)]
    assert texts(told, "sensor", "mqtt.lost")[0] == "no answer to a PINGREQ"


def test_a_short_blackout_is_only_a_delay():
    told = run(
        {"sensor": publishing(0, 10), "gateway": listener},
        {"sensor": {"keepalive": "60s", "will": WILL}, "gateway": WATCHES},
        faults=[{"at": "990ms", "for": "500ms", "link": ["sensor", "broker"], "down": True}],
        lasts="10s",
    )
    # Published at 1 s; sent again at 1.2 s and, with success, at 1.6 s.
    assert got(told, "gateway")[1] == (1620 * MS, "t/sensor 1 0")
    assert texts(told, "gateway") == [f"t/sensor {index} 0" for index in range(10)]


def test_with_qos_0_and_no_connection_messages_are_dropped_and_that_is_recorded():
    told = run(
        {"sensor": publishing(0, 40), "gateway": listener},
        {"sensor": {"keepalive": "2s"}, "gateway": WATCHES},
        faults=[{"at": "3200ms", "for": "10s", "link": ["sensor", "broker"], "down": True}],
        lasts="40s",
    )
    dropped = got(told, "sensor", "mqtt.dropped")
    assert dropped and {why for _, why in dropped} == {"there is no connection"}
    assert {text.split()[1] for text in texts(told, "gateway")} >= {"0", "39"}
    assert len(texts(told, "gateway")) < 40 - len(dropped)  # what was under way is lost as well


@pytest.mark.parametrize("qos", [1, 2])
def test_a_broker_that_crashes_forgets_all_and_clients_come_back(qos):
    told = run(
        {"sensor": publishing(qos, 20), "gateway": listener},
        {"sensor": {"clean": False}, "gateway": {**WATCHES, "clean": False}},
        faults=[{"at": "3100ms", "for": "2s", "node": "broker", "crash": True}],
        lasts="40s",
    )
    # Its first word to a client is that it knows nothing of the connection.
    assert texts(told, "sensor", "mqtt.lost") == [
        "the broker's node knows nothing of the connection"
    ]
    found = Counter(texts(told, "gateway"))
    numbers = {int(text.split()[1]) for text in found}
    assert numbers >= set(range(5))
    if qos == 2:
        assert set(found.values()) == {1}


def test_a_gateway_that_only_listens_learns_of_the_brokers_crash_by_its_keepalive():
    told = run(
        {"gateway": listener},
        {"gateway": {"keepalive": "5s", **WATCHES}},
        faults=[{"at": "7s", "for": "1s", "node": "broker", "crash": True}],
        lasts="20s",
    )
    # Pings at 5.04 and 10.04 s; the second is answered with a reset, and a second later it connects.
    assert got(told, "gateway", "mqtt.lost") == [
        (10_060 * MS, "the broker's node knows nothing of the connection")
    ]
    assert "11060 tcp.syn" in segments(told, "gateway", "broker")


def test_reconnecting_waits_longer_and_longer():
    told = run(
        {"sensor": None},
        {"sensor": {"reconnect": {"min": "500ms", "max": "2s"}}},
        broker={"does": MqttBroker, "config": {"max_packet_size": "5B"}},  # no CONNECT is so short
        lasts="10s",
    )
    opened = [line for line in segments(told, "sensor", "broker") if "tcp.syn" in line]
    # Each attempt takes 40 ms.
    assert opened == [f"{time} tcp.syn" for time in (0, 540, 1580, 3620, 5660, 7700, 9740)]


def test_two_clients_with_one_id_put_each_other_out():
    told = run(
        {"sensor": {"does": None, "count": 2}, "gateway": listener},
        {
            "sensor": {"client_id": "same", "reconnect": {"min": "1s", "max": "1s"}},
            "gateway": WATCHES,
        },
        links=[both("sensor", "broker", "10ms"), both("gateway", "broker")],
        lasts="4s",
    )
    reasons = [*texts(told, "sensor-0", "mqtt.lost"), *texts(told, "sensor-1", "mqtt.lost")]
    assert len(reasons) >= 3
    assert set(reasons) == {"the broker has closed the connection"}


def test_a_node_of_its_own_options_is_not_the_groups():
    told = run(
        {"sensor": {"does": None, "count": 2}},
        {"sensor": {"connect": False}, "sensor-1": {}},
        lasts="1s",
    )
    assert segments(told, "sensor-0", "broker") == []
    assert segments(told, "sensor-1", "broker")[0] == "0 tcp.syn"


def test_the_tuning_of_a_scenario_counts_on_both_ends():
    def gateway(node):
        yield node.sleep("5s")

    told = run(
        {"sensor": publishing(0, 1, "2s"), "gateway": gateway},
        {"sensor": {}, "gateway": WATCHES},
        transport={"rto_min": "700ms", "retries": 2},
        faults=[
            {"at": "1500ms", "link": [a, "broker"], "down": True} for a in ("sensor", "gateway")
        ],
        lasts="20s",
    )
    again = [line for line in segments(told, "sensor", "broker") if "mqtt.publish" in line]
    assert again == [f"{time} mqtt.publish link_down" for time in (2000, 2700, 4100)]
    assert got(told, "sensor", "mqtt.lost")[0] == (6900 * MS, "nothing was acknowledged any more")


def test_what_is_sent_again_has_the_cause_of_the_first_time(tmp_path):
    told = run(
        {"sensor": publishing(0, 1, "1s"), "gateway": listener},
        {"sensor": {}, "gateway": WATCHES},
        faults=[
            {"at": "995ms", "for": "100ms", "link": ["sensor", "broker"], "down": True},
            {"at": "1205ms", "for": "100ms", "link": ["gateway", "broker"], "down": True},
        ],
        lasts="5s",
        out=tmp_path / "run",
    )
    with open_run(tmp_path / "run") as opened:
        query = (
            "SELECT id, sent / 1000000, fate, cause, origin / 1000000 FROM messages "
            "WHERE kind = 'mqtt.publish' ORDER BY sent"
        )
        rows = opened.connection.execute(query).fetchall()
    first, second, third, fourth = (row[0] for row in rows)
    assert rows == [
        (first, 1000, "link_down", None, 1000),
        (second, 1200, "delivered", None, 1000),  # its chain began when it was published
        (third, 1210, "link_down", second, 1000),
        (fourth, 1410, "delivered", second, 1000),
    ]
    assert got(told, "gateway") == [(1420 * MS, "t/sensor 0 0")]
