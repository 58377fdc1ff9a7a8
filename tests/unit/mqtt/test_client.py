"""The client: its connection, its window, and what survives when the connection does not."""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random

import pytest
from simcore_backends.mqtt.actions import (
    Action,
    Arrived,
    Close,
    Down,
    Dropped,
    Open,
    Send,
    Settled,
    Up,
)
from simcore_backends.mqtt.backoff import Backoff
from simcore_backends.mqtt.broker import Broker, Event, Lost, Opened, Received
from simcore_backends.mqtt.client import OWN, Client
from simcore_backends.mqtt.errors import Malformed
from simcore_backends.mqtt.keepalive import SECOND
from simcore_backends.mqtt.model import Model
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    decode,
)

HELLO = Connect("ada", clean=False)


def up(client: Client, now: int = 0, *, present: bool = False) -> list[Action]:
    """Take a client to where the broker has accepted it; what it does then."""
    assert client.connect(now) == [Open()]
    assert client.opened(now) == [Send(client.hello)]
    actions = client.received(now, Connack(present).encode())
    assert actions[0] == Up(present)
    return actions[1:]


def sent(actions: list[Action]) -> list[Packet]:
    return [action.packet for action in actions if isinstance(action, Send)]


def again(client: Client, now: int, *, present: bool) -> list[Action]:
    """Lose the connection and make another one; what the client does then."""
    client.lost(now)
    assert client.next is not None
    assert client.tick(client.next) == [Open()]
    return up_again(client, now, present)


def up_again(client: Client, now: int, present: bool) -> list[Action]:
    assert sent(client.opened(now)) == [client.hello]
    return client.received(now, Connack(present).encode())[1:]


def test_connects_and_leaves() -> None:
    client = Client(HELLO)
    assert up(client) == []
    assert client.up and client.next is None
    assert client.connect(0) == []
    assert client.disconnect(1) == [
        Send(Disconnect()),
        Close(at_once=False),
        Down("it has disconnected", final=True),
    ]
    assert not client.up and client.next is None
    assert client.disconnect(1) == client.lost(1) == client.opened(1) == []


def test_leaves_before_it_is_there() -> None:
    client = Client(HELLO)
    client.connect(0)
    assert client.disconnect(0) == [Close(at_once=True), Down("it has disconnected", final=True)]
    client.connect(0)
    client.opened(0)
    assert sent(client.disconnect(0)) == [Disconnect()]


@pytest.mark.parametrize(
    ("code", "final"), [(1, True), (2, True), (3, False), (4, True), (5, True)]
)
def test_refused(code: int, final: bool) -> None:
    """Only a broker that is not available is asked again."""
    client = Client(HELLO)
    client.connect(0)
    client.opened(0)
    close, down = client.received(0, Connack(code=code).encode())
    assert close == Close(at_once=False)
    assert isinstance(down, Down) and down.final is final
    assert (client.next is None) is final


def test_waits_longer_after_each_failure() -> None:
    client = Client(HELLO, backoff=Backoff(first=SECOND, factor=2, most=5 * SECOND))
    client.connect(0)
    now, waits = 0, []
    for _ in range(5):
        client.lost(now)
        assert client.next is not None
        waits.append((client.next - now) // SECOND)
        now = client.next
        assert client.tick(now - 1) == []
        assert client.tick(now) == [Open()]
    assert waits == [1, 2, 4, 5, 5]
    up_again(client, now, present=False)
    client.lost(now)
    assert client.next == now + SECOND


def test_jitter_is_drawn_from_a_stream_of_its_own() -> None:
    backoff = Backoff(first=SECOND, jitter=0.5)
    waits = [backoff.wait(1, Random(seed)) for seed in range(50)]
    assert waits == [backoff.wait(1, Random(seed)) for seed in range(50)]
    assert SECOND / 2 < min(waits) < max(waits) <= SECOND


def test_without_backoff_it_stays_away() -> None:
    client = Client(HELLO, backoff=None)
    up(client)
    assert client.lost(0) == [Down("the connection is lost", final=True)]
    assert client.next is None


def test_gives_up_on_a_silent_network_or_broker() -> None:
    client = Client(HELLO, patience=3 * SECOND)
    client.connect(0)
    assert client.next == 3 * SECOND
    assert client.tick(client.next)[1] == Down("no answer to the opening of a connection")
    client.tick(client.next)
    client.opened(10 * SECOND)
    assert client.next == 13 * SECOND
    assert client.tick(client.next) == [Close(at_once=True), Down("no answer to a CONNECT")]


def test_keepalive_by_pings() -> None:
    """3.1.2.10: something is sent within each keepalive; an unanswered ping ends the connection."""
    client = Client(Connect("ada", keepalive=10))
    up(client)
    assert client.next == 10 * SECOND
    client.publish(4 * SECOND, "a")
    assert client.next == 14 * SECOND
    assert client.tick(14 * SECOND) == [Send(Pingreq())]
    client.received(15 * SECOND, Pingresp().encode())
    assert client.next == 24 * SECOND
    assert sent(client.tick(24 * SECOND)) == [Pingreq()]
    client.publish(30 * SECOND, "a")
    assert client.next == 34 * SECOND
    assert client.tick(34 * SECOND) == [Close(at_once=True), Down("no answer to a PINGREQ")]


def test_publishes_within_its_window() -> None:
    client = Client(HELLO, window=2)
    up(client)
    tokens = [client.publish(0, "a", b"%d" % n, 1)[0] for n in range(3)]
    # What needs no answer does not wait.
    assert sent(client.publish(0, "b")[1]) == [Publish("b")]
    actions = client.received(0, Puback(1).encode())
    assert actions == [Settled(tokens[0]), Send(Publish("a", b"2", 1, identifier=3))]
    assert client.received(0, Puback(1).encode()) == []


def test_publishes_with_qos_2() -> None:
    """4.3.3, the sender."""
    client = Client(HELLO)
    up(client)
    token, actions = client.publish(0, "a", b"x", 2, retain=True)
    assert sent(actions) == [Publish("a", b"x", 2, retain=True, identifier=1)]
    assert sent(client.received(0, Pubrec(1).encode())) == [Pubrel(1)]
    assert sent(client.received(0, Pubrec(1).encode())) == [Pubrel(1)]
    assert client.received(0, Pubcomp(1).encode()) == [Settled(token)]


def test_receives_each_qos() -> None:
    """4.3, the receiver: with QoS 2, a message that comes again is not handed on again."""
    client = Client(HELLO)
    up(client)
    one = Publish("a", b"1", 1, identifier=5)
    two = Publish("a", b"2", 2, identifier=6)
    assert client.received(0, Publish("a").encode()) == [Arrived(Publish("a"))]
    assert client.received(0, one.encode()) == [Arrived(one), Send(Puback(5))]
    assert client.received(0, two.encode()) == [Arrived(two), Send(Pubrec(6))]
    assert client.received(0, two.encode()) == [Send(Pubrec(6))]
    assert client.received(0, Pubrel(6).encode()) == [Send(Pubcomp(6))]
    assert client.received(0, two.encode()) == [Arrived(two), Send(Pubrec(6))]


def test_sends_again_to_a_broker_that_has_its_session() -> None:
    """MQTT-4.4.0-1: unacknowledged PUBLISH with DUP and PUBREL; 4.6: in their order."""
    client = Client(HELLO)
    up(client)
    for n, qos in enumerate([1, 2, 2, 1]):
        client.publish(0, "a", b"%d" % n, qos)
    client.subscribe(0, ("b", 1))
    client.received(0, Pubrec(2).encode())
    client.received(0, Puback(1).encode())
    assert sent(again(client, 0, present=True)) == [
        Pubrel(2),
        Publish("a", b"2", 2, identifier=3, dup=True),
        Publish("a", b"3", 1, identifier=4, dup=True),
        Subscribe(5, (("b", 1),)),
    ]


def test_starts_anew_with_a_broker_that_has_forgotten_it() -> None:
    client = Client(HELLO)
    up(client)
    client.subscribe(0, ("x", 1), ("y", 0))
    client.received(0, Suback(1, (1, 0)).encode())
    tokens = [client.publish(0, "a", b"%d" % n, 2)[0] for n in range(3)]
    client.received(0, Pubrec(2).encode())
    client.received(0, Publish("m", b"", 2, identifier=9).encode())
    asked, _ = client.subscribe(0, ("y", 2))
    actions = again(client, 0, present=False)
    assert actions == [
        Dropped(tokens[0], "the broker has forgotten the session"),
        Send(Subscribe(6, (("y", 2),))),
        Send(Subscribe(7, (("x", 1),))),
        Send(Publish("a", b"1", 2, identifier=8)),
        Send(Publish("a", b"2", 2, identifier=9)),
    ]
    assert client.received(0, Suback(6, (2,)).encode()) == [Settled(asked, (2,))]
    assert client.received(0, Suback(7, (1,)).encode()) == [Settled(OWN, (1,))]
    # What the broker had sent before has been forgotten, too.
    late = Publish("m", b"", 2, identifier=9)
    assert client.received(0, late.encode())[0] == Arrived(late)


def test_what_is_asked_while_it_is_away_is_sent_later() -> None:
    client = Client(HELLO)
    first, actions = client.publish(0, "a", b"early")
    assert actions == []
    client.publish(0, "a", b"too", 1)
    client.subscribe(0, ("b", 1))
    assert up(client) == [
        Send(Subscribe(1, (("b", 1),))),
        Send(Publish("a", b"early")),
        Settled(first),
        Send(Publish("a", b"too", 1, identifier=2)),
    ]
    client.received(0, Suback(1, (1,)).encode())
    client.lost(1)
    token, actions = client.publish(1, "a")
    assert actions == [Dropped(token, "there is no connection")]
    client.publish(1, "a", b"kept", 1)
    asked, _ = client.unsubscribe(1, "b")
    client.subscribe(1, ("c", 0))
    assert client.next is not None
    client.tick(client.next)
    assert sent(up_again(client, 2, present=True)) == [
        Publish("a", b"too", 1, identifier=2, dup=True),
        Unsubscribe(3, ("b",)),
        Subscribe(4, (("c", 0),)),
        Publish("a", b"kept", 1, identifier=5),
    ]
    assert client.received(2, Unsuback(3).encode()) == [Settled(asked)]


BREACHES = [
    (False, Pingresp().encode()),
    (True, Connack().encode()),
    (True, Subscribe(1, (("a", 0),)).encode()),
    (True, Suback(1, (0,)).encode()),
    (True, Pubcomp(1).encode()),
    (True, Pubrec(2).encode()),
    (True, Pubcomp(2).encode()),
    (True, b"\x30\xff\xff\xff\xff"),
    (True, b"\x36\x05\x00\x01a\x00\x01"),
]


@pytest.mark.parametrize(("accepted", "data"), BREACHES)
def test_broker_that_breaks_the_protocol(accepted: bool, data: bytes) -> None:
    """MQTT-4.8.0-1; the first packet is a CONNACK (MQTT-3.2.0-1), and answers fit (4.3)."""
    client = Client(HELLO)
    if accepted:
        up(client)
        client.publish(0, "a", qos=2)
        client.publish(0, "a", qos=1)
    else:
        client.connect(0)
        client.opened(0)
    close, down = client.received(0, data)
    assert close == Close(at_once=True)
    assert isinstance(down, Down) and "breaks the protocol" in down.why and not down.final


def test_session_that_cannot_be() -> None:
    """MQTT-3.2.2-1."""
    client = Client(Connect("ada", clean=True))
    client.connect(0)
    client.opened(0)
    assert Close(at_once=True) in client.received(0, Connack(session_present=True).encode())


def test_what_cannot_be_asked_is_refused_at_once() -> None:
    client = Client(HELLO)
    for call in (
        lambda: client.publish(0, "a/#"),
        lambda: client.publish(0, "a", qos=3),
        lambda: client.subscribe(0),
        lambda: client.subscribe(0, ("a#", 0)),
        lambda: client.unsubscribe(0, ""),
        lambda: Client(Connect("a", will=Will("#"))),
    ):
        with pytest.raises(Malformed):
            call()


def test_no_number_is_used_twice() -> None:
    """MQTT-2.3.1-2."""
    client = Client(HELLO, window=3)
    up(client)
    client.publish(0, "a", qos=1)
    for number in range(2, 65_536):
        assert sent(client.publish(0, "a", qos=1)[1])[0].encode()[-2:] == number.to_bytes(2, "big")
        client.received(0, Puback(number).encode())
    assert sent(client.publish(0, "a", qos=1)[1]) == [Publish("a", qos=1, identifier=2)]


def test_no_number_is_left() -> None:
    """MQTT-2.3.1-2: messages leave some for requests, and wait; a request cannot."""
    client = Client(HELLO, window=100_000)
    up(client)
    for _ in range(60_001):
        _, actions = client.publish(0, "a", qos=1)
    assert actions == []
    for _ in range(5_535):
        client.unsubscribe(0, "a")
    with pytest.raises(Malformed, match="no packet identifier is free"):
        client.unsubscribe(0, "a")


class World:
    """Two clients, a broker, and connections between them that break at any moment.

    Bytes take a second, in either direction; what is under way when a connection breaks is lost.
    """

    def __init__(self, cuts: list[int]) -> None:
        self.broker = Broker(Model())
        backoff = Backoff(first=SECOND, most=4 * SECOND)
        self.clients = {
            name: Client(Connect(name, clean=False, keepalive=20), window=3, backoff=backoff)
            for name in ("source", "sink")
        }
        self.lines: dict[str, int] = {}
        self.opened = 0
        self.arrived: list[bytes] = []
        self.repeated = 0
        self.calendar: list[tuple[int, int, str, int, object]] = []
        self.entries = 0
        for at in cuts:
            self.note(at, "cut", 0, None)

    def note(self, at: int, what: str, line: int, thing: object) -> None:
        self.entries += 1
        heappush(self.calendar, (at, self.entries, what, line, thing))

    def do(self, now: int, name: str, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open():
                    self.opened += 1
                    self.lines[name] = self.opened
                    self.note(now + SECOND, "open", self.opened, name)
                case Send(packet):
                    self.note(now + SECOND, "to broker", self.lines[name], packet.encode())
                case Close():
                    self.note(now + SECOND, "gone", self.lines.pop(name), None)
                case Arrived(message):
                    self.arrived.append(message.payload)

    def tell(self, now: int, events: list[Event]) -> None:
        for line, packet in self.broker.advance(now, events):
            said = packet and decode(packet)
            self.repeated += isinstance(said, Publish) and said.dup
            self.note(now + SECOND, "to client", line, packet)

    def run(self, until: int) -> None:
        names = {}
        while True:
            due = [
                at
                for at in (self.broker.next, *(each.next for each in self.clients.values()))
                if at is not None
            ]
            now = min([*due, *(entry[0] for entry in self.calendar[:1])], default=until)
            if now >= until:
                return
            if self.calendar and self.calendar[0][0] == now:
                _, _, what, line, thing = heappop(self.calendar)
                name = names.get(line)
                alive = name is not None and self.lines.get(name) == line
                if what == "cut":
                    victim = self.clients["source" if now // SECOND % 2 else "sink"]
                    broken = self.lines.pop(victim.hello.client_id, None)
                    if broken is not None:
                        self.do(now, victim.hello.client_id, victim.lost(now))
                        self.note(now, "gone", broken, None)
                elif what == "open" and self.lines.get(str(thing)) == line:
                    names[line] = str(thing)
                    self.tell(now, [Opened(line)])
                    self.do(now, str(thing), self.clients[str(thing)].opened(now))
                elif what == "gone":
                    self.tell(now, [Lost(line)])
                elif what == "to broker" and (alive or name is None):
                    self.tell(now, [Received(line, thing)])  # type: ignore[arg-type]
                elif what == "to client" and alive:
                    assert name is not None
                    client = self.clients[name]
                    if thing is None:
                        del self.lines[name]
                        self.do(now, name, client.lost(now))
                    else:
                        self.do(now, name, client.received(now, thing))  # type: ignore[arg-type]
                continue
            if self.broker.next == now:
                self.tell(now, [])
            for name, client in self.clients.items():
                if client.next == now:
                    self.do(now, name, client.tick(now))


@pytest.mark.parametrize("qos", [1, 2])
def test_every_message_arrives_through_broken_connections(qos: int) -> None:
    """QoS 1 at least once, QoS 2 exactly once and in order, as long as both sessions last."""
    repeated = 0
    for seed in range(100):
        draw = Random(seed)
        world = World([draw.randrange(20, 80) * SECOND // 2 for _ in range(draw.randrange(8))])
        sink, source = world.clients["sink"], world.clients["source"]
        world.do(0, "sink", sink.subscribe(0, ("a", qos))[1])
        world.do(0, "sink", sink.connect(0))
        world.run(until=10 * SECOND)
        messages = [b"%d" % number for number in range(12)]
        for message in messages:
            source.publish(10 * SECOND, "a", message, qos)
        world.do(10 * SECOND, "source", source.connect(10 * SECOND))
        world.run(until=600 * SECOND)
        if qos == 2:
            assert world.arrived == messages
        assert {*world.arrived} == {*messages}
        assert source.up and sink.up
        repeated += world.repeated
    assert repeated > 100
