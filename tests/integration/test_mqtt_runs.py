"""MQTT in a run: clients beside their nodes, a broker that is a service, links between them.

sensor ---- broker ---- gateway
"""

from __future__ import annotations

import pytest
from mqtt_worlds import MS, S, got, listener, run, segments, texts
from simcore_backends import mqtt
from simcore_backends.mqtt.service import MqttBroker
from worlds import both, one_way, play, world

from simcore import open_run
from simcore.errors import SendError


def publisher(*messages, every="1s", **keys):
    """A model that publishes so many messages, each as (topic, payload, QoS, retain)."""

    def model(node):
        for topic, payload, *rest in messages:
            yield node.sleep(every)
            qos, retain = (*rest, *(0, False)[len(rest) :])
            mqtt.publish(node, topic, payload, qos, retain=retain, **keys)

    return model


TO_ALL = {"gateway": {"subscribe": [{"filter": "#", "qos": 2}]}, "sensor": {}}


def test_the_course_of_a_connection_and_of_each_quality_of_service():
    told = run(
        {
            "sensor": publisher(("t", 0), ("t", 1, 1), ("t", 2, 2)),
            "gateway": listener,
        },
        TO_ALL,
        links=[both("sensor", "broker", "10ms"), both("gateway", "broker", "2ms")],
        lasts="10s",
    )
    assert segments(told, "sensor", "broker") == [
        "0 tcp.syn",
        "20 mqtt.connect",
        "40 tcp.ack",
        "1000 mqtt.publish",
        "2000 mqtt.publish",
        "2020 tcp.ack",
        "3000 mqtt.publish",
        "3020 mqtt.pubrel",
        "3040 tcp.ack",
    ]
    assert segments(told, "broker", "sensor") == [
        "10 tcp.synack",
        "30 mqtt.connack",
        "1010 tcp.ack",
        "2010 mqtt.puback",
        "3010 mqtt.pubrec",
        "3030 mqtt.pubcomp",
    ]
    assert got(told, "gateway") == [
        (1012 * MS, "t 0 0"),
        (2012 * MS, "t 1 1"),
        (3032 * MS, "t 2 2"),  # after the PUBREL
    ]


def test_sizes_are_those_of_the_packets_and_their_headers():
    told = run({"sensor": publisher(("a/b", bytes(3000))), "gateway": None}, TO_ALL, lasts="3s")
    sizes = {(m[3], m[4]) for m in told.messages(to="broker")}
    assert ("tcp.syn", 40) in sizes
    # Fixed header 2, protocol name, level, flags and keepalive 10, client id 2 + 6.
    assert ("mqtt.connect", 2 + 10 + 2 + 6 + 40) in sizes
    # Fixed header 3 (a length of two bytes), topic 2 + 3, content 3000: three segments.
    assert ("mqtt.publish", 3 + 5 + 3000 + 3 * 40) in sizes


def test_a_link_with_a_rate_takes_the_time_of_all_these_bytes():
    told = run(
        {"sensor": publisher(("t", bytes(996))), "gateway": listener},
        TO_ALL,
        links=[both("sensor", "broker", "10ms", rate="8kbit/s"), both("gateway", "broker", "0ms")],
        lasts="10s",
    )
    # 3 + 3 + 996 bytes and a header of 40, at 1 byte in a millisecond.
    assert got(told, "gateway")[0][0] == S + 1042 * MS + 10 * MS


@pytest.mark.parametrize(
    "payload", [17, 1.5, "text", None, True, [1, "a"], {"b": 1, "a": {"x": None}}, {"raw": b"\x00"}]
)
def test_values_arrive_as_they_were(payload):
    seen = []

    def gateway(node):
        message = yield node.receive()
        seen.append(message.payload)

    run({"sensor": publisher(("t", payload)), "gateway": gateway}, TO_ALL, lasts="3s")
    assert seen == [{"topic": "t", "payload": payload, "qos": 0, "retain": False}]


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [(b"\xff\x00", b"\xff\x00"), (b"", b""), (b"23.5", 23.5), (b"NaN", b"NaN"), (b"{", b"{")],
)
def test_bytes_arrive_as_bytes_unless_they_are_json(sent, arrives):
    seen = []

    def gateway(node):
        message = yield node.receive()
        seen.append(message.payload["payload"])

    run({"sensor": publisher(("t", sent)), "gateway": gateway}, TO_ALL, lasts="3s")
    assert seen == [arrives]


def test_wildcards_and_a_subscription_by_a_command():
    def gateway(node):
        mqtt.subscribe(node, "plant/+/reading", 1)
        yield node.process(listener(node))

    told = run(
        {
            "sensor": publisher(
                ("plant/1/reading", 1, 1), ("plant/1/other", 2, 1), ("plant/2/reading", 3, 0)
            ),
            "gateway": gateway,
        },
        lasts="5s",
    )
    assert texts(told, "gateway") == ["plant/1/reading 1 1", "plant/2/reading 3 0"]


def test_a_subscription_ends_by_a_command():
    def gateway(node):
        node.process(listener(node))
        yield node.sleep("1500ms")
        mqtt.unsubscribe(node, "#")

    told = run({"sensor": publisher(("t", 1), ("t", 2)), "gateway": gateway}, TO_ALL, lasts="5s")
    assert texts(told, "gateway") == ["t 1 0"]


def test_retained_messages_come_to_who_subscribes_later():
    def gateway(node):
        node.process(listener(node))
        yield node.sleep("5s")
        mqtt.subscribe(node, "a/#")

    told = run(
        {
            "sensor": publisher(
                ("a/1", "old", 0, True), ("a/1", "new", 1, True), ("a/2", "gone", 0, True),
                ("a/2", b"", 0, True),
            ),
            "gateway": gateway,
        },
        lasts="8s",
    )  # fmt: skip
    assert texts(told, "gateway") == ["a/1 new 0 kept"]


def test_a_service_uses_it_as_a_model_does():
    class Gateway:
        def start(self, ctx):
            mqtt.subscribe(ctx, "question", 2)

        def on_message(self, ctx, msg):
            assert msg.kind == "mqtt.message"
            ctx.compute("5ms")
            mqtt.publish(ctx, "answer", 2 * msg.payload["payload"], 1)

    def sensor(node):
        mqtt.subscribe(node, "answer")
        yield node.sleep("1s")
        mqtt.publish(node, "question", 21, 1)
        yield node.process(listener(node))

    told = run({"sensor": sensor, "gateway": Gateway}, lasts="3s")
    # 10 ms there, 10 ms on, 5 ms of computing, 10 ms and 10 ms back.
    assert got(told, "sensor") == [(S + 45 * MS, "answer 42 0")]


def test_the_computing_of_a_service_is_part_of_what_it_publishes(tmp_path):
    class Gateway:
        def start(self, ctx):
            mqtt.subscribe(ctx, "t")
            ctx.set_timer("tick", "3s")

        def on_message(self, ctx, msg):
            ctx.compute("5ms")
            mqtt.publish(ctx, "answer", msg.payload["payload"], 1)

        def on_timer(self, ctx, name):
            ctx.compute("7ms")
            mqtt.publish(ctx, "tick")

    def sensor(node):
        yield node.sleep("1s")
        mqtt.publish(node, "t", 1)
        mqtt.publish(node, "t", 2)

    clients = {"sensor": {}, "gateway": {}}
    run({"sensor": sensor, "gateway": Gateway}, clients, lasts="3010ms", out=tmp_path / "run")
    with open_run(tmp_path / "run") as opened:
        query = """SELECT sent, waited, computed, origin FROM messages
                   WHERE source = 'gateway' AND kind = 'mqtt.publish' ORDER BY sent LIMIT 2"""
        rows = [tuple(row) for row in opened.connection.execute(query)]
        query = "SELECT waited, computed, cause FROM messages WHERE sent = 3007000000"
        ticks = [tuple(row) for row in opened.connection.execute(query)]
    assert rows == [
        (S + 25 * MS, 0, 5 * MS, S),
        (S + 30 * MS, 5 * MS, 5 * MS, S),
    ]
    assert ticks == [(0, 7 * MS, None)]


def test_a_message_is_traced_from_sensor_to_gateway_and_back(tmp_path):
    def sensor(node):
        mqtt.subscribe(node, "answer", 1)
        yield node.sleep("1s")
        mqtt.publish(node, "reading", 21, 1)
        message = yield node.receive("mqtt.message")
        node.record("origin", message.origin)
        node.send("gateway", "thanks", cause=message)

    def gateway(node):
        mqtt.subscribe(node, "reading", 1)
        message = yield node.receive()
        mqtt.publish(node, "answer", 42, 1, cause=message)

    scenario = world(
        {"sensor": sensor, "gateway": gateway, "broker": MqttBroker},
        [both(a, b, "10ms") for a, b in [("sensor", "broker"), ("gateway", "broker"), ("sensor", "gateway")]],
        lasts="3s",
        extensions={"mqtt": {"broker": "broker", "clients": {"sensor": {}, "gateway": {}}}},
    )  # fmt: skip
    told = play(scenario, out=tmp_path / "run")
    assert texts(told, "sensor", "origin") == [S]
    with open_run(tmp_path / "run") as run:
        query = "SELECT id, source, kind, destination, cause FROM messages"
        rows = {row[0]: row[1:] for row in run.connection.execute(query)}
    cause = next(id for id, row in rows.items() if row[1] == "thanks")
    chain = []
    while cause is not None:
        *words, cause = rows[cause]
        chain.append(" ".join(words))
    assert chain[::-1] == [
        "sensor mqtt.publish broker",
        "broker mqtt.publish gateway",
        "gateway mqtt.publish broker",
        "broker mqtt.publish sensor",
        "sensor thanks gateway",
    ]


def test_a_persistent_session_gets_what_came_meanwhile():
    def gateway(node):
        node.process(listener(node))
        yield node.sleep("1500ms")
        mqtt.disconnect(node)
        yield node.sleep("2s")
        mqtt.connect(node)

    messages = [("t", number, 1) for number in range(5)]
    for clean, expected in [(False, [0, 1, 2, 3, 4]), (True, [0, 3, 4])]:
        clients = {
            "sensor": {},
            "gateway": {"clean": clean, "subscribe": [{"filter": "t", "qos": 1}]},
        }
        told = run({"sensor": publisher(*messages), "gateway": gateway}, clients, lasts="8s")
        assert texts(told, "gateway") == [f"t {number} 1" for number in expected]


def test_a_client_that_leaves_in_order_has_no_will():
    def sensor(node):
        yield node.sleep("1s")
        mqtt.disconnect(node)

    clients = {
        "sensor": {"will": {"topic": "gone/{node}", "payload": "bye"}},
        "gateway": TO_ALL["gateway"],
    }
    told = run({"sensor": sensor, "gateway": listener}, clients, lasts="3s")
    assert texts(told, "gateway") == []
    assert segments(told, "sensor", "broker")[-3:] == [
        "1000 mqtt.disconnect",
        "1000 tcp.fin",
        "1020 tcp.ack",
    ]
    assert "1010 tcp.fin" in segments(told, "broker", "sensor")


def test_a_client_connects_by_a_command_and_what_it_publishes_before_waits():
    def sensor(node):
        mqtt.publish(node, "t", "early", 0)
        yield node.sleep("2s")
        mqtt.connect(node)

    clients = {"sensor": {"connect": False}, "gateway": TO_ALL["gateway"]}
    told = run({"sensor": sensor, "gateway": listener}, clients, lasts="5s")
    assert got(told, "gateway") == [(2 * S + 60 * MS, "t early 0")]
    (message,) = [m for m in told.messages(to="broker") if m[3] == "mqtt.publish"]
    assert message[1] == "sensor/5"  # commands are counted, too


def test_what_waits_in_the_window_counts_as_queued(tmp_path):
    def sensor(node):
        yield node.sleep("1s")
        for number in range(25):  # five more than the window holds
            mqtt.publish(node, "t", number, 1)

    scenario = world(
        {"sensor": sensor, "broker": MqttBroker},
        [both("sensor", "broker", "10ms")],
        lasts="3s",
        extensions={"mqtt": {"broker": "broker", "clients": {"sensor": {}}}},
    )
    play(scenario, out=tmp_path / "run")
    with open_run(tmp_path / "run") as run:
        query = (
            "SELECT sent, waited, origin FROM messages WHERE kind = 'mqtt.publish' ORDER BY sent"
        )
        rows = [tuple(row) for row in run.connection.execute(query)]
    assert rows == [(S, 0, S)] * 20 + [(S + 20 * MS, 20 * MS, S)] * 5


def test_events_tell_of_connections():
    def gateway(node):
        node.process(listener(node))
        yield node.sleep("1s")
        mqtt.disconnect(node)

    told = run({"gateway": gateway}, {"gateway": {"events": True}}, lasts="2s")
    assert got(told, "gateway", "event") == [
        (40 * MS, "mqtt.connected {'session_present': False}"),
        (1 * S, "mqtt.lost {'final': True, 'why': 'it has disconnected'}"),
    ]


def test_without_delay_all_of_it_happens_at_one_instant():
    told = run(
        {"sensor": publisher(("t", 1, 2)), "gateway": listener},
        TO_ALL,
        network={"model": "direct"},
        lasts="2s",
    )
    assert got(told, "gateway") == [(S, "t 1 2")]
    assert {message[0] for message in told.messages()} == {0, S}


def test_a_client_that_is_one_too_many_is_sent_away():
    told = run(
        {"sensor": None, "gateway": None},
        broker={"does": MqttBroker, "config": {"max_connections": 1}},
        lasts="5s",
    )
    assert texts(told, "sensor", "mqtt.lost") == []
    assert texts(told, "gateway", "mqtt.lost")[0] == "the broker has closed the connection"


# -- mistakes


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("reading", {"v": 1}, "a broker understands MQTT only; its clients send it mqtt.publish, "),
        ("mqtt.publish", {"payload": 1}, "its payload lacks 'topic'"),
        ("mqtt.publish", [1], "its payload is to have the fields topic, payload, qos, retain"),
        ("mqtt.publish", {"topic": "t", "qos": 3}, "QoS is 0, 1 or 2, not 3"),
        ("mqtt.publish", {"topic": "t", "qos": "1"}, "its 'qos' is '1', and that is no number"),
        (
            "mqtt.publish",
            {"topic": "t", "retain": 1},
            "its 'retain' is 1, and that is no truth value",
        ),
        ("mqtt.publish", {"topic": "t/#"}, "a topic to publish on has no wildcard: 't/#'"),
        (
            "mqtt.publish",
            {"topic": "t", "colour": 1},
            "it has no field 'colour'; mqtt.publish has topic, payload, qos, retain",
        ),
        ("mqtt.connect", {"clean": True}, "it has no field 'clean'; mqtt.connect has none"),
        ("mqtt.publish", {"topic": 5}, "its 'topic' is 5, and that is no text"),
        ("mqtt.subscribe", {"filter": "a/#/b"}, "'#' is the last level: 'a/#/b'"),
        ("mqtt.subscribe", {}, "its payload lacks 'filter'"),
        ("mqtt.puback", None, "a broker understands MQTT only"),
    ],
)
def test_a_command_that_is_none_is_an_error_that_says_why(kind, payload, said):
    def sensor(node):
        yield node.sleep("1s")
        node.send("broker", kind, payload)

    with pytest.raises(SendError) as caught:
        run({"sensor": sensor}, lasts="3s")
    assert str(caught.value).startswith(f"sensor cannot send {kind!r} to broker: {said}")
    assert (caught.value.node, caught.value.now) == ("sensor", S)


def test_who_is_no_client_is_told_so():
    def stranger(node):
        yield node.sleep("1s")
        node.send("broker", "mqtt.publish", {"topic": "t"})

    with pytest.raises(SendError) as caught:
        run({"sensor": None, "stranger": stranger}, {"sensor": {}}, lasts="3s")
    assert str(caught.value) == (
        "stranger cannot send 'mqtt.publish' to broker: it is no client of this MQTT broker; add it "
        "to the scenario's mqtt.clients, as in stranger: {}"
    )


def test_a_way_that_is_not_there_is_an_error_of_the_client():
    with pytest.raises(SendError) as caught:
        run({"sensor": None}, links=[one_way("broker", "sensor")], lasts="1s")
    assert str(caught.value) == ("sensor cannot send to broker: no links lead there from sensor")
