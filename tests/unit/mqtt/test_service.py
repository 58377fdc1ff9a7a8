"""The broker's service: streams from its clients, instants for its broker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from simcore_backends.mqtt import packets, service
from simcore_backends.mqtt.service import MqttBroker, settings_of
from simcore_backends.mqtt.settings import Settings
from simcore_backends.mqtt.timing import Tuning
from simcore_backends.mqtt.transport import Stream

from simcore import answers
from simcore.payload import freeze, thaw
from simcore.protocol.service import ServiceHost

MS = 10**6
SECOND = 10**9


class Message(NamedTuple):
    """What the service sees of a message."""

    source: str
    number: int
    kind: str
    payload: Any

    @property
    def id(self) -> str:
        return f"{self.source}/{self.number}"


class Desk:
    """A broker's service, and clients that are streams; messages take no time."""

    def __init__(self, made=MqttBroker, **config):
        self.service = made()
        self.host = ServiceHost(
            self.service, name="broker", seed=1, config=config, base=Path(), freeze=freeze
        )
        self.now = 0
        self.next: int | None = None
        self.streams: dict[str, Stream] = {}
        self.got: dict[str, list[bytes]] = {}
        self.numbers: dict[str, int] = {}
        self.sent: list[tuple[str, str, str | None]] = []
        """All that the service sent: to whom, kind, id of the cause."""

    def advance(self, messages=()):
        done = self.host.advance(self.now, messages)
        self.next = done.next
        for output in done.outputs:
            cause = None if output.cause is None else output.cause.id
            self.sent.append((output.destination, output.kind, cause))
        return done.outputs

    def exchange(self, *names):
        """Bring what clients have to say, and the answers, until nobody has anything left."""
        while True:
            messages = []
            for name in names or self.streams:
                for segment in self.streams[name].flush():
                    self.numbers[name] = number = self.numbers.get(name, 0) + 1
                    payload = thaw(freeze(segment.payload))
                    messages.append(Message(name, number, segment.kind, payload))
            if not messages:
                return
            for output in self.advance(messages):
                stream = self.streams[output.destination]
                brought = stream.take(self.now, output.kind, thaw(output.payload))
                self.got[output.destination] += [each.data for each in brought]

    def connect(self, name, number=1, tuning=None, **keys):
        stream = self.streams[name] = Stream(number, tuning or Tuning(), active=True)
        self.got[name] = []
        stream.open(self.now)
        self.exchange(name)
        assert stream.established
        self.say(name, packets.Connect(name, **keys))

    def say(self, name, *several):
        for packet in several:
            self.streams[name].send(self.now, packet.encode())
        self.exchange()

    def heard(self, name):
        found, self.got[name] = self.got[name], []
        return [packets.decode(data) for data in found]


def test_a_client_is_answered_and_messages_reach_who_has_subscribed():
    desk = Desk()
    desk.connect("a")
    desk.connect("b")
    assert desk.heard("a") == [packets.Connack()]
    desk.say("b", packets.Subscribe(1, (("t/+", 1),)))
    desk.say("a", packets.Publish("t/1", b"x", 1, identifier=3))
    assert desk.heard("a") == [packets.Puback(3)]
    assert desk.heard("b")[-1] == packets.Publish("t/1", b"x", 1, identifier=1)


def test_answers_of_an_instant_go_by_connection_and_name_their_causes():
    desk = Desk()
    for name in "abc":
        desk.connect(name)
        desk.say(name, packets.Subscribe(1, (("#", 0),)))
    desk.sent.clear()
    for name in "cb":
        desk.streams[name].send(desk.now, packets.Publish(name).encode())
    messages = []
    for name in "cb":
        (segment,) = desk.streams[name].flush()
        messages.append(Message(name, 9, segment.kind, segment.payload))
    desk.advance(messages)
    assert desk.sent == [(to, "mqtt.publish", cause) for to in "abc" for cause in ("c/9", "b/9")]


def test_what_is_sent_again_has_the_cause_of_the_first_time_while_that_is_known():
    desk = Desk()
    desk.connect("a")
    desk.connect("b")
    desk.say("b", packets.Subscribe(1, (("#", 0),)))
    desk.streams["a"].send(desk.now, packets.Publish("t").encode())
    (segment,) = desk.streams["a"].flush()
    desk.advance([Message("a", 77, segment.kind, segment.payload)])
    first = desk.sent[-1]
    assert first == ("b", "mqtt.publish", "a/77")
    desk.now = desk.next
    desk.advance()
    assert desk.sent[-1] == first
    # Others come in meanwhile, until it is too long ago to be named.
    for number in range(service._REMEMBERED + 1):
        desk.advance([Message("a", 100 + number, "tcp.ack", {"c": 1, "a": 1})])
    desk.now = desk.next
    desk.advance()
    assert desk.sent[-1] == ("b", "mqtt.publish", None)


def test_causes_are_named_as_long_as_a_participant_may():
    assert service._REMEMBERED == answers.CAUSES


def test_a_broker_is_not_troubled_when_no_packet_comes():
    advanced = []

    class Counting:
        next = None

        def advance(self, now, events):
            advanced.append(list(events))
            return []

    desk = Desk(lambda: MqttBroker(lambda settings: Counting()))
    desk.connect("a")
    assert [len(events) for events in advanced] == [1, 1]  # Opened, CONNECT
    desk.advance([Message("a", 50, "tcp.ack", {"c": 1, "a": 1})])
    desk.now = SECOND
    desk.advance()
    assert len(advanced) == 2


def test_silence_ends_a_connection_in_virtual_time():
    desk = Desk()
    desk.connect("a", keepalive=10)
    desk.exchange()
    assert desk.next == 15 * SECOND
    desk.now = desk.next
    desk.advance()
    assert desk.sent[-1] == ("a", "tcp.fin", None)


def test_segments_of_no_connection_are_answered_with_a_reset_and_resets_with_nothing():
    desk = Desk()
    desk.advance([Message("a", 1, "mqtt.publish", {"c": 4, "n": 2, "a": 1, "d": b"0"})])
    assert desk.sent == [("a", "tcp.rst", "a/1")]
    desk.advance([Message("a", 2, "tcp.rst", {"c": 4})])
    assert len(desk.sent) == 1


def test_a_client_that_resets_is_lost_and_its_will_is_published():
    desk = Desk()
    desk.connect("a", will=packets.Will("gone", b"bye"))
    desk.connect("b")
    desk.say("b", packets.Subscribe(1, (("gone", 0),)))
    desk.streams["a"].abort()
    desk.exchange()
    assert desk.heard("b")[-1] == packets.Publish("gone", b"bye")


def test_a_client_that_leaves_in_order_is_forgotten_on_both_sides():
    desk = Desk()
    desk.connect("a", will=packets.Will("gone", b"bye"))
    desk.connect("b")
    desk.say("b", packets.Subscribe(1, (("gone", 0),)))
    desk.heard("b")
    desk.streams["a"].send(desk.now, packets.Disconnect().encode())
    desk.streams["a"].close(desk.now)
    desk.exchange()
    assert desk.streams["a"].over
    assert desk.heard("b") == []
    assert len(desk.service._lines) == len(desk.service._by_number) == 1


def test_one_connection_too_many_is_closed():
    desk = Desk(max_connections=1)
    desk.connect("a")
    desk.connect("b")
    assert desk.heard("a") == [packets.Connack()]
    assert desk.heard("b") == []
    assert desk.streams["b"].over


def test_the_tuning_of_a_client_is_that_of_the_broker_as_well():
    desk = Desk()
    desk.connect("a", tuning=Tuning(rto_min=700 * MS))
    desk.say("a", packets.Subscribe(1, (("t", 0),)))
    desk.streams["a"].send(desk.now, packets.Publish("t").encode())
    (segment,) = desk.streams["a"].flush()
    desk.advance([Message("a", 77, segment.kind, segment.payload)])
    assert desk.next == 700 * MS


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("hello", None, "a sent 'hello', and a broker understands MQTT only"),
        (
            "mqtt.publish",
            {"topic": "t"},
            "a sent 'mqtt.publish' without being a client: add it to 'clients'",
        ),
    ],
)
def test_what_is_no_segment_is_an_error_that_says_what_to_do(kind, payload, said):
    with pytest.raises(ValueError, match=said):
        Desk().advance([Message("a", 1, kind, payload)])


def test_config_is_in_mosquittos_words():
    config = {
        "max_inflight_messages": 5,
        "allow_duplicate_messages": True,
        "max_connections": 3,
        "max_packet_size": "1kB",
    }
    assert settings_of(config) == Settings(window=5, copies=True, connections=3, packet=1000)
    assert settings_of({}) == Settings()
    assert settings_of({"max_packet_size": "1GB"}) == Settings()
    assert set(MqttBroker.schema["properties"]) >= set(config)
    json.dumps(MqttBroker.schema)
