"""The stream under MQTT: all arrives once and in turn, or the stream ends.

client (c) ---- a network that loses, repeats, delays ---- broker (b)
"""

from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcore_backends.mqtt import packets
from simcore_backends.mqtt.segments import kind_of, weight
from simcore_backends.mqtt.timing import Estimator, Tuning
from simcore_backends.mqtt.transport import End
from wires import MS, SECOND, Wire


def kinds(wire, source=None):
    """All segments that were sent, as texts."""
    return [
        f"{time // MS} {by} {kind}" + ("" if number is None else f" {number}")
        + (" lost" if arrival is None else "")
        for time, by, kind, number, arrival in wire.log
        if source in (None, by)
    ]  # fmt: skip


def losing(*numbers):
    """Ten milliseconds for all but these segments, counted from 1, which are lost."""
    return lambda now, source, number: [] if number in numbers else [10 * MS]


# -- the course of things


def test_a_stream_opens_in_three_segments_and_acknowledgements_ride_along():
    wire = Wire()
    wire.greeting = b"connect"
    wire.open()
    wire.run(10 * MS)
    assert not wire.broker.established
    wire.run(20 * MS)
    assert wire.client.established
    wire.run(30 * MS)
    assert wire.broker.established
    assert wire.got["b"] == [(30 * MS, b"connect")]
    wire.run()
    assert kinds(wire) == [
        "0 c tcp.syn 0",
        "10 b tcp.synack 0",
        "20 c packet 1",  # no tcp.ack of its own
        "30 b tcp.ack",
    ]


def test_an_answer_at_the_same_instant_carries_the_acknowledgement():
    wire = Wire().opened()
    wire.log.clear()
    stream = wire.broker
    original = wire.flush

    def answer(source):
        if source == "b" and len(wire.got["b"]) == 2 and not wire.data("c"):
            stream.send(wire.now, b"answer")
            wire.flush = original
        original(source)

    wire.flush = answer
    wire.send("c", b"question")
    wire.run()
    assert kinds(wire) == ["50 c packet 2", "60 b packet 1", "70 c tcp.ack"]


def test_a_lost_packet_is_sent_again_after_the_timeout_and_not_before():
    wire = Wire().opened()
    sent = wire.now
    wire.weather = losing(wire._segments + 1)
    wire.send("c", b"again")
    wire.run()
    # A round trip of 20 ms was measured twice, so the least timeout counts.
    assert wire.got["b"][-1] == (sent + 200 * MS + 10 * MS, b"again")
    assert wire.client.sent_again == 1


def test_a_lost_acknowledgement_has_the_packet_sent_again_and_passed_over():
    wire = Wire().opened()
    wire.weather = losing(wire._segments + 2)
    wire.send("c", b"once")
    wire.run()
    assert wire.data("b") == [b"connect", b"once"]
    assert [line.split(" ", 1)[1] for line in kinds(wire)[-4:]] == [
        "c packet 2",
        "b tcp.ack lost",
        "c packet 2",
        "b tcp.ack",
    ]
    assert wire.client.deadline is None


def test_what_overtakes_a_lost_packet_waits_for_it():
    wire = Wire().opened()
    begun = wire.now
    wire.weather = losing(wire._segments + 1)
    for data in (b"1", b"2", b"3"):
        wire.send("c", data)
    wire.run()
    at = begun + 210 * MS
    assert wire.got["b"][1:] == [(at, b"1"), (at, b"2"), (at, b"3")]


def test_what_came_early_still_names_the_segment_that_brought_it():
    wire = Wire().opened()
    wire.weather = losing(wire._segments + 1)
    for data in (b"1", b"2"):
        wire.send("c", data)
    wire.run()
    assert [each.payload["d"] for each in wire.causes["b"][1:]] == [b"1", b"2"]


def test_a_segment_that_is_sent_again_has_the_cause_of_the_first():
    wire = Wire().opened()
    wire.weather = losing(wire._segments + 1)
    wire.send("c", b"1", cause="reading")
    wire.send("c", b"2", cause="other")
    wire.run()
    assert [each.cause for each in wire.causes["b"][1:]] == ["reading", "other"]


def test_of_several_lost_packets_one_timeout_is_paid_and_then_a_round_trip_each():
    wire = Wire().opened()
    begun, first = wire.now, wire._segments
    wire.weather = losing(first + 1, first + 2, first + 4)
    for data in (b"1", b"2", b"3", b"4", b"5"):
        wire.send("c", data)
    wire.run()
    ends = [(time - begun) // MS for time, _ in wire.got["b"][1:]]
    assert ends == [210, 230, 230, 250, 250]
    assert wire.client.sent_again == 3


def test_three_acknowledgements_of_the_same_have_a_lost_packet_sent_again_at_once():
    wire = Wire().opened()
    begun, first = wire.now, wire._segments
    wire.weather = losing(first + 1)
    for data in (b"1", b"2", b"3", b"4", b"5"):
        wire.send("c", data)
    wire.run()
    # They arrive at 10 ms, their acknowledgements at 20 ms, the copy at 30 ms.
    assert [(time - begun) // MS for time, _ in wire.got["b"][1:]] == [30] * 5
    assert wire.client.sent_again == 1


def test_two_of_the_same_are_not_enough():
    wire = Wire().opened()
    begun = wire.now
    wire.weather = losing(wire._segments + 1)
    for data in (b"1", b"2", b"3"):
        wire.send("c", data)
    wire.run()
    assert wire.got["b"][-1][0] - begun == 210 * MS


def test_the_others_that_are_missing_follow_one_in_a_round_trip():
    wire = Wire().opened()
    begun, first = wire.now, wire._segments
    wire.weather = losing(first + 1, first + 2, first + 4)
    for number in range(8):
        wire.send("c", str(number).encode())
    wire.run()
    ends = [(time - begun) // MS for time, _ in wire.got["b"][1:]]
    assert ends == [30, 50, 50, 70, 70, 70, 70, 70]
    assert wire.client.sent_again == 3


def test_a_copy_that_is_lost_as_well_waits_for_its_timeout():
    wire = Wire().opened()
    begun, first = wire.now, wire._segments
    # The copy is the tenth: five packets, four acknowledgements.
    wire.weather = losing(first + 1, first + 10)
    for number in range(5):
        wire.send("c", str(number).encode())
    wire.run()
    assert wire.client.sent_again == 2
    assert wire.got["b"][-1][0] - begun == (20 + 200 + 10) * MS


def test_what_is_out_of_order_only_is_sent_again_in_vain_and_arrives_once():
    wire = Wire().opened()
    first = wire._segments
    wire.weather = lambda now, source, number: [50 * MS if number == first + 1 else 10 * MS]
    for number in range(5):
        wire.send("c", str(number).encode())
    wire.run()
    assert wire.data("b")[1:] == [str(number).encode() for number in range(5)]
    assert wire.client.sent_again == 1


def test_timeouts_double_up_to_the_longest():
    wire = Wire(tuning=Tuning(rto_max=2 * SECOND)).opened()
    begun = wire.now
    wire.weather = lambda now, source, number: []
    wire.send("c", b"lost")
    wire.run(begun + 8 * SECOND)
    times = [
        (time - begun) // MS for time, by, _, number, _ in wire.log if by == "c" and number == 2
    ]
    assert times == [0, 200, 600, 1400, 3000, 5000, 7000]


def test_a_stream_is_given_up_after_so_many_tries():
    wire = Wire(tuning=Tuning(retries=3)).opened()
    begun = wire.now
    wire.weather = lambda now, source, number: []
    wire.send("c", b"lost")
    wire.run()
    assert wire.client.end is End.GIVEN_UP
    assert wire.client.over
    assert wire.now - begun == (200 + 400 + 800 + 1600) * MS
    assert wire.client.sent_again == 3


def test_an_opening_that_nobody_answers_is_given_up():
    wire = Wire(lambda now, source, number: [], Tuning(syn_retries=2))
    wire.open()
    wire.run()
    assert kinds(wire) == ["0 c tcp.syn 0 lost", "1000 c tcp.syn 0 lost", "3000 c tcp.syn 0 lost"]
    assert (wire.now, wire.client.end) == (7 * SECOND, End.GIVEN_UP)


@pytest.mark.parametrize("number", [1, 2])
def test_a_lost_opening_is_repeated_and_the_timeout_is_three_seconds_then(number):
    wire = Wire(losing(number))
    wire.open()
    wire.run(1100 * MS)
    assert wire.client.established
    wire.weather = lambda now, source, number: []
    wire.send("c", b"late")
    begun = wire.now
    wire.run(begun + 3 * SECOND)
    times = [time - begun for time, by, _, number, _ in wire.log if by == "c" and number == 1]
    assert times == [0, 3 * SECOND]  # RFC 6298, 5.7


def test_an_opening_that_comes_twice_opens_one_stream():
    wire = Wire(lambda now, source, number: [10 * MS, 12 * MS] if number == 1 else [10 * MS])
    wire.open()
    wire.run(25 * MS)
    wire.send("c", b"connect")
    wire.run()
    assert wire.data("b") == [b"connect"]
    assert wire.client.established and wire.broker.established


# -- its end


def test_a_stream_closes_in_order_and_what_was_sent_before_arrives():
    wire = Wire().opened()
    wire.log.clear()
    wire.weather = losing(wire._segments + 1)
    wire.send("c", b"last")
    wire.client.close(wire.now)
    wire.flush("c")
    wire.run()
    assert wire.data("b") == [b"connect", b"last"]
    assert wire.client.over and wire.broker.over
    assert wire.broker.end is End.CLOSED
    assert [line.split(" ", 1)[1] for line in kinds(wire)] == [
        "c packet 2 lost",
        "c tcp.fin 3",
        "b tcp.ack",
        "c packet 2",
        "b tcp.fin 1",
        "c tcp.ack",
    ]


def test_when_the_last_acknowledgement_is_lost_the_other_end_learns_by_a_reset():
    wire = Wire().opened()
    wire.log.clear()
    wire.weather = losing(wire._segments + 3)
    wire.client.close(wire.now)
    wire.flush("c")
    wire.run()
    assert [line.split(" ", 1)[1] for line in kinds(wire)] == [
        "c tcp.fin 2",
        "b tcp.fin 1",
        "c tcp.ack lost",
        "b tcp.fin 1",
        "c tcp.rst",
    ]
    assert wire.client.over and wire.broker.over


def test_both_may_close_at_once():
    wire = Wire().opened()
    for source in ("c", "b"):
        wire.ends[source].close(wire.now)
        wire.flush(source)
    wire.run()
    assert wire.client.over and wire.broker.over


def test_who_has_closed_is_sent_nothing_more():
    wire = Wire().opened()
    wire.send("b", b"crossing")
    wire.client.close(wire.now)
    wire.flush("c")
    wire.run()
    assert wire.data("c") == []
    assert wire.client.over and wire.broker.over
    wire.send("c", b"nothing")
    assert wire.log[-1][2] != "packet"


def test_closing_before_it_is_open_sends_nothing():
    wire = Wire()
    wire.open()
    wire.client.close(wire.now)
    wire.flush("c")
    wire.run()
    assert kinds(wire) == ["0 c tcp.syn 0", "10 b tcp.synack 0", "20 c tcp.rst"]
    assert wire.client.over and wire.broker.over


def test_an_abort_ends_both_ends_at_once():
    wire = Wire().opened()
    wire.send("c", b"passed over")
    wire.client.abort()
    wire.flush("c")
    wire.run()
    assert wire.broker.end is End.RESET
    assert wire.client.over and wire.broker.over
    assert not wire.broker.flush()


@pytest.mark.parametrize("who", ["c", "b"])
def test_an_end_that_has_crashed_answers_with_a_reset(who):
    other = "b" if who == "c" else "c"
    wire = Wire().opened()
    wire.crash(who)
    wire.send(other, b"anybody?")
    wire.run()
    assert wire.ends[other].end is End.RESET
    assert [line.split(" ", 1)[1] for line in kinds(wire)[-2:]][1] == f"{who} tcp.rst"


def test_a_late_opening_at_a_broker_that_has_crashed_ends_the_stream():
    # The broker's new life takes the repeated tcp.syn for a new stream; the client knows better.
    wire = Wire(lambda now, source, number: [10 * MS, 200 * MS] if number == 1 else [10 * MS])
    wire.opened()
    wire.send("b", b"connack")
    wire.run(wire.now + 30 * MS)
    wire.crash("b")
    wire.run(250 * MS)
    wire.send("c", b"publish")
    wire.run()
    assert wire.client.over
    assert wire.broker.over
    assert wire.data("b") == [b"connect"]


def test_nothing_arrives_from_a_stream_that_is_over():
    wire = Wire().opened()
    wire.client.abort()
    assert wire.client.take(wire.now, "mqtt.publish", {"c": 1, "n": 1, "a": 2, "d": b"x"}) == []


# -- sizes and times


@pytest.mark.parametrize(
    ("data", "bytes_"), [(1, 41), (1460, 1500), (1461, 1541), (2920, 3000), (14_600, 15_000)]
)
def test_a_packet_weighs_a_header_for_each_segment_that_it_would_take(data, bytes_):
    assert weight(bytes(data)) == bytes_


def test_segments_say_what_they_weigh():
    wire = Wire().opened()
    wire.client.send(wire.now, b"\x30" + bytes(1999), "why")
    (segment,) = wire.client.flush()
    assert (segment.kind, segment.size, segment.cause) == ("mqtt.publish", 2080, "why")
    assert segment.payload == {"c": 1, "n": 2, "a": 1, "d": b"\x30" + bytes(1999)}
    stream = Wire(tuning=Tuning(rto_min=300 * MS)).client
    stream.open(0)
    (segment,) = stream.flush()
    assert segment.payload == {"c": 1, "n": 0, "t": [300 * MS, SECOND, 60 * SECOND, 15, 6]}
    assert segment.size == 40


def test_the_timeout_follows_rfc_6298():
    estimator = Estimator(Tuning(rto_min=0))
    assert estimator.rto == SECOND  # 2.1

    def measured(time):
        estimator.measured(time)
        estimator.acknowledged()

    measured(400 * MS)  # 2.2: SRTT = R, RTTVAR = R / 2
    assert estimator.rto == (400 + 4 * 200) * MS
    measured(800 * MS)  # 2.3: RTTVAR = 3/4 200 + 1/4 400, then SRTT = 7/8 400 + 1/8 800
    assert estimator.rto == (450 + 4 * 250) * MS
    estimator.back_off()  # 5.5
    assert estimator.rto == 2 * (450 + 4 * 250) * MS
    measured(450 * MS)  # a measurement ends the doubling; 3/4 250 + 1/4 0
    assert estimator.rto == 450 * MS + 4 * 187_500_000
    for _ in range(100):
        measured(450 * MS)
    assert estimator.rto == 451 * MS  # never less than a granularity above the mean
    bounded = Estimator(Tuning())
    bounded.measured(3 * MS)
    bounded.acknowledged()
    assert bounded.rto == 200 * MS
    for _ in range(20):
        bounded.back_off()
    assert bounded.rto == 60 * SECOND  # 2.5


def test_a_segment_that_was_sent_twice_measures_nothing():
    wire = Wire().opened()
    rto = wire.client._timer.rto
    wire.weather = lambda now, source, number: [900 * MS]
    wire.send("c", b"slow")
    wire.run()
    assert wire.data("b")[-1] == b"slow"
    # Sent again after 200, 600 and 1400 ms; its round trip of 1800 ms may be that of any copy.
    assert wire.client.sent_again == 3
    assert wire.client._timer.rto == rto  # the doubling ends with the acknowledgement


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
def test_latency_under_loss_is_what_retransmission_says(loss):
    """A packet alone waits RTO (2^k - 1) if k copies are lost: RTO loss / (1 - 2 loss) on average."""
    rng, wire = random.Random(7), Wire().opened()
    wire.weather = lambda now, source, number: [] if rng.random() < loss else [10 * MS]
    waited = []
    for index in range(20_000):
        begun = wire.now
        wire.send("c", str(index).encode())
        wire.run()  # until it is acknowledged
        waited.append((wire.got["b"][-1][0] - begun - 10 * MS) / (200 * MS))
    assert wire.data("b")[1:] == [str(index).encode() for index in range(20_000)]
    counts = Counter(waited)
    assert set(counts) <= {2**lost - 1 for lost in range(15)}
    for lost in range(4):
        share, expected = counts[2**lost - 1] / 20_000, loss**lost * (1 - loss)
        assert share == pytest.approx(expected, abs=4 * (expected / 20_000) ** 0.5)
    assert statistics.mean(waited) == pytest.approx(loss / (1 - 2 * loss), rel=0.1)


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (packets.Connect("me"), "connect"),
        (packets.Publish("a", b"", 1, identifier=1, dup=True), "publish"),
        (packets.Pubrel(1), "pubrel"),
        (packets.Disconnect(), "disconnect"),
    ],
)
def test_a_segments_kind_says_what_it_carries(packet, kind):
    assert kind_of(packet.encode()) == f"mqtt.{kind}"


# -- whatever happens

FATES = st.lists(st.sampled_from(["lost", 0, 1, 5, 30, 250, 2000, "twice"]), max_size=60)


@settings(deadline=None, max_examples=300)
@given(
    fates=FATES,
    sends=st.lists(st.tuples(st.sampled_from("cb"), st.integers(0, 3000)), max_size=30),
    closer=st.sampled_from(["c", "b", None]),
)
def test_all_arrives_in_turn_and_once_whatever_the_network_does(fates, sends, closer):
    def weather(now, source, number):
        fate = fates[number - 1] if number <= len(fates) else 10
        if fate == "lost":
            return []
        return [3 * MS, 400 * MS] if fate == "twice" else [fate * MS]

    wire = Wire(weather, Tuning(retries=60, syn_retries=60))
    wire.greeting = b"connect"
    wire.open()
    wire.run()
    assert wire.client.established and wire.broker.established
    sent = {"c": [b"connect"], "b": []}
    begun = wire.now
    for index, (source, after) in enumerate(sorted(sends, key=lambda each: each[1])):
        data = f"{index}".encode()
        sent[source].append(data)
        wire.at(begun + after * MS, lambda source=source, data=data: wire.send(source, data))
    wire.run()
    if closer is not None:
        wire.ends[closer].close(wire.now)
        wire.flush(closer)
        wire.run()
        assert wire.client.over and wire.broker.over
    assert wire.data("b") == sent["c"]
    assert wire.data("c") == sent["b"]
    assert wire.client.deadline is None and wire.broker.deadline is None


@settings(deadline=None, max_examples=200)
@given(loss=st.floats(0.5, 1.0), seed=st.integers(0, 2**32), retries=st.integers(0, 4))
def test_what_arrives_before_a_stream_is_given_up_is_a_beginning_of_what_was_sent(
    loss, seed, retries
):
    rng = random.Random(seed)
    wire = Wire(tuning=Tuning(retries=retries, syn_retries=retries)).opened()
    wire.weather = lambda now, source, number: (
        [] if rng.random() < loss else [rng.randrange(500) * MS]
    )
    sent = [str(index).encode() for index in range(10)]
    for index, data in enumerate(sent):
        wire.at(wire.now + index * 50 * MS, lambda data=data: wire.send("c", data))
    wire.run()
    found = wire.data("b")[1:]
    assert found == sent[: len(found)]
    assert wire.client.end is End.GIVEN_UP or found == sent
