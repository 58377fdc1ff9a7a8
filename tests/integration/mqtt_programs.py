"""Random programs for brokers: clients that do all that clients do, and some things they must not.

The model and a real Mosquitto are driven side by side; what clients do next depends on what they
have been sent, so both have to say the same at each instant. `Counts` says what came to pass.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from simcore_backends.mqtt.broker import Answer, Broker, Event, Lost, Opened, Received
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    Will,
    decode,
)
from simcore_backends.mqtt.topics import matches

Counts = Counter[str]

SECOND = 1_000_000_000
LEVELS = [0, 1, 2, 2]
CLIENTS = ["ada", "bob", "cy", "dee", "eve"]
TOPICS = [
    "a",
    "a/b",
    "a/b/c",
    "a/c",
    "b",
    "b/c",
    "/a",
    "a/",
    "a//b",
    "$x",
    "$x/y",
    "$SYS/x",
    "$CONTROL/x",
    "$share/g/a",
]
FILTERS = [
    "a",
    "a/b",
    "a/c",
    "b/c",
    "+",
    "+/b",
    "a/+",
    "+/+",
    "a/b/+",
    "#",
    "a/#",
    "a/b/#",
    "+/#",
    "/+",
    "/#",
    "+/+/b",
    "$x/y",
    "$x/#",
    "$x/+",
    "$SYS/#",
    "$share/g/a",
    "$share/g/a/+",
    "$share/h/#",
]
BROKEN = [
    bytes((0xC0, 1, 0)), bytes((0x90, 3, 0, 1, 0)), bytes((0x82, 2, 0, 1)), bytes((0x30, 3, 0, 1, ord("#"))),
    b"\x30\x03\x00\x01\x07", b"\x82\x0b\x00\x01\x00\x06$share\x00", b"\x30\xff\xff\xff\xff", b"\xf0\x00",
]  # fmt: skip


@dataclass
class Client:
    """One connection as its client sees it."""

    connection: int
    packet: Connect
    accepted: bool = False
    owed: list[Packet] = field(default_factory=list)
    """Answers that it has not sent yet."""


@dataclass
class Memory:
    """What a client keeps from connection to connection."""

    unacknowledged: dict[int, Publish] = field(default_factory=dict)
    unreleased: list[int] = field(default_factory=list)
    filters: dict[str, int] = field(default_factory=dict)
    last: int = 0

    def number(self) -> int:
        self.last = self.last % 65_535 + 1
        return self.last


class Program:
    """One program.

    Args:
        seed: which one.
        brokers: what is driven: all have to answer alike.
        counts: is told what comes to pass.
        window: the broker's, which clients keep to most of the time.
    """

    def __init__(self, seed: int, brokers: list[Broker], counts: Counts, window: int) -> None:
        self.random = Random(seed)
        self.brokers = brokers
        self.counts = counts
        self.window = window
        self.now = 0
        self.opened = 0
        self.operations = 0
        self.clients: dict[int, Client] = {}
        self.memories: dict[str, Memory] = {}
        self.retained: set[str] = set()
        self.trace: list[str] = []

    def run(self, operations: int) -> None:
        """Go on until so many operations have been done."""
        while self.operations < operations:
            events: list[Event] = []
            for _ in range(self.random.choice([1, 1, 1, 2, 3, 6])):
                events += self._act()
                self.operations += 1
            self._advance(events)
            if self.random.random() < 0.2:
                self._pass_time()

    # Time.

    def _pass_time(self) -> None:
        until = self.now + self.random.choice([1, SECOND // 10, SECOND, 3 * SECOND, 20 * SECOND])
        while (due := self.brokers[0].next) is not None and due <= until:
            self.now = due
            for client in self.clients.values():
                if client.packet.will is not None:
                    self.counts["silence with a will"] += 1
            self._advance([])
        self.now = until

    def _advance(self, events: list[Event]) -> None:
        self.trace.append(f"{self.now}: {'; '.join(map(_short, events))}")
        said = [broker.advance(self.now, events) for broker in self.brokers]
        for each in said[1:]:
            if each != said[0]:
                raise AssertionError(self._difference(said[0], each))
        assert len({broker.next for broker in self.brokers}) == 1
        self.trace.append(f"    -> {_told(said[0])}")
        for answer in said[0]:
            self._hear(answer)

    def _difference(self, model: list[Answer], real: list[Answer]) -> str:
        lines = [*self.trace[-60:], f"first:  {_told(model)}", f"second: {_told(real)}"]
        return "\n".join(lines)

    # What a client hears.

    def _hear(self, answer: Answer) -> None:
        client = self.clients.get(answer.connection)
        if answer.packet is None:
            self.counts["closed by the broker"] += 1
            self.clients.pop(answer.connection, None)
            return
        packet = decode(answer.packet)
        self.counts[f"sent {type(packet).__name__}"] += 1
        if client is None:
            return
        memory = self._memory(client)
        match packet:
            case Connack(present, code):
                client.accepted = code == 0
                self.counts["session present"] += present
                self.counts["refused"] += code > 0
                if not present:
                    memory.filters.clear()
                    memory.unreleased.clear()
            case Publish():
                self._note(memory, packet)
                if packet.qos:
                    reply = Puback if packet.qos == 1 else Pubrec
                    client.owed.append(reply(packet.identifier))
            case Pubrel():
                client.owed.append(Pubcomp(packet.identifier))
            case Pubrec():
                if memory.unacknowledged.pop(packet.identifier, None) is not None:
                    memory.unreleased.append(packet.identifier)
            case Puback():
                memory.unacknowledged.pop(packet.identifier, None)
            case Pubcomp(identifier) if identifier in memory.unreleased:
                memory.unreleased.remove(identifier)

    def _note(self, memory: Memory, packet: Publish) -> None:
        counts = self.counts
        counts[f"delivered with QoS {packet.qos}"] += 1
        counts["sent again with DUP"] += packet.dup
        counts["retained message delivered"] += packet.retain
        counts["$-topic delivered"] += packet.topic.startswith("$")
        leading = [text for text in memory.filters if matches(text, packet.topic)]
        counts["by + delivered"] += any("+" in text for text in leading)
        counts["by # delivered"] += any("#" in text for text in leading)
        counts["overlapping subscriptions"] += len(leading) > 1

    # What clients do.

    def _act(self) -> list[Event]:
        draw = self.random
        ready = [client for client in self.clients.values() if client.accepted]
        if not ready or draw.random() < 0.08:
            return self._connect()
        client = draw.choice(ready)
        if client.owed and draw.random() < 0.4:
            return self._pay(client)
        acts = [self._publish, self._subscribe, self._unsubscribe, self._release, self._repeat, self._leave, self._ping, self._misbehave]  # fmt: skip
        act = draw.choices(acts, [40, 16, 4, 16, 5, 6, 3, 2])[0]
        return act(client)

    def _memory(self, client: Client) -> Memory:
        name = client.packet.client_id or f"nameless {client.connection}"
        return self.memories.setdefault(name, Memory())

    def _send(self, client: Client, *packets: Packet) -> list[Event]:
        data = b"".join(packet.encode() for packet in packets)
        if self.random.random() < 0.02:
            self.counts["packet with a wrong bit"] += 1
            at, bit = self.random.randrange(len(data)), self.random.randrange(8)
            data = data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
        if len(data) > 2 and self.random.random() < 0.1:
            self.counts["packet in parts"] += 1
            cut = self.random.randrange(1, len(data))
            return [
                Received(client.connection, data[:cut]),
                Received(client.connection, data[cut:]),
            ]
        return [Received(client.connection, data)]

    def _connect(self) -> list[Event]:
        draw, counts = self.random, self.counts
        name = draw.choice([*CLIENTS, *CLIENTS, ""])
        clean = draw.random() < 0.4
        will = None
        if draw.random() < 0.5:
            topic = draw.choice(TOPICS[:11])
            will = Will(topic, draw.choice([b"", b"gone"]), draw.randrange(3), draw.random() < 0.3)
        packet = Connect(name, clean, draw.choice([0, 0, 1, 2, 10]), will)
        counts["clean session" if clean else "persistent session"] += 1
        counts["with a will"] += will is not None
        if any(client.packet.client_id == name for client in self.clients.values() if name):
            counts["duplicate client id"] += 1
        self.opened += 1
        client = self.clients[self.opened] = Client(self.opened, packet)
        return [Opened(self.opened), *self._send(client, packet)]

    def _publish(self, client: Client) -> list[Event]:
        draw, counts, memory = self.random, self.counts, self._memory(client)
        topic, qos, retain = draw.choice(TOPICS), draw.choice(LEVELS), draw.random() < 0.3
        payload = draw.choice([b"", b"x", b"y", b"some more", bytes(3000)])
        busy = len(memory.unacknowledged) + len(memory.unreleased)
        if qos and busy >= self.window and draw.random() < 0.9:
            qos = 0
        counts["beyond the client's window"] += qos == 2 and busy >= self.window
        if retain:
            counts["retained message deleted" if not payload else "retained message replaced" if topic in self.retained else "retained message set"] += 1  # fmt: skip
            (self.retained.add if payload else self.retained.discard)(topic)
        packet = Publish(topic, payload, qos, retain, memory.number() if qos else 0)
        if qos:
            memory.unacknowledged[packet.identifier] = packet
        counts[f"published with QoS {qos}"] += 1
        return self._send(client, packet)

    def _subscribe(self, client: Client) -> list[Event]:
        memory = self._memory(client)
        wanted = {
            self.random.choice(FILTERS): self.random.choice(LEVELS)
            for _ in range(self.random.choice([1, 1, 2, 4]))
        }
        memory.filters.update(wanted)
        self.counts["shared subscription"] += any(text.startswith("$share") for text in wanted)
        return self._send(client, Subscribe(memory.number(), tuple(wanted.items())))

    def _unsubscribe(self, client: Client) -> list[Event]:
        memory = self._memory(client)
        text = self.random.choice([*memory.filters, *FILTERS[:3]])
        memory.filters.pop(text, None)
        return self._send(client, Unsubscribe(memory.number(), (text,)))

    def _pay(self, client: Client) -> list[Event]:
        """Send what is owed: one answer, not always the oldest, or all."""
        owed = client.owed
        if self.random.random() < 0.5:
            client.owed = []
            return self._send(client, *owed)
        index = self.random.choice([0, 0, 0, self.random.randrange(len(owed))])
        self.counts["acknowledged out of turn"] += index > 0
        return self._send(client, owed.pop(index))

    def _release(self, client: Client) -> list[Event]:
        memory = self._memory(client)
        if not memory.unreleased:
            return self._publish(client)
        return self._send(client, Pubrel(self.random.choice(memory.unreleased)))

    def _repeat(self, client: Client) -> list[Event]:
        """Send again what has not been acknowledged."""
        memory = self._memory(client)
        if not memory.unacknowledged:
            return self._ping(client)
        packet = self.random.choice(list(memory.unacknowledged.values()))
        self.counts["published again with DUP"] += 1
        again = Publish(
            packet.topic, packet.payload, packet.qos, packet.retain, packet.identifier, dup=True
        )
        return self._send(client, again)

    def _leave(self, client: Client) -> list[Event]:
        with_will = client.packet.will is not None
        del self.clients[client.connection]
        if self.random.random() < 0.4:
            self.counts["DISCONNECT"] += 1
            self.counts["DISCONNECT with a will"] += with_will
            return self._send(client, Disconnect())
        self.counts["lost"] += 1
        self.counts["lost with a will"] += with_will
        return [Lost(client.connection)]

    def _ping(self, client: Client) -> list[Event]:
        return self._send(client, Pingreq())

    def _misbehave(self, client: Client) -> list[Event]:
        draw = self.random
        self.counts["protocol broken"] += 1
        self.counts["protocol broken with a will"] += client.packet.will is not None
        kind = draw.randrange(6)
        if kind == 0:
            return [Received(client.connection, draw.choice(BROKEN))]
        if kind == 1:
            self.counts["second CONNECT"] += 1
            return self._send(client, client.packet)
        if kind == 2:
            reply = draw.choice([Puback, Pubrec, Pubcomp, Pubrel])
            return self._send(client, reply(draw.choice([1, 2, 3, 77])))
        if kind == 3:
            other = [Connect("late", will=Will("a")).encode()[:-1] + b"!!", Pingreq().encode()]
            self.opened += 1
            return [Opened(self.opened), Received(self.opened, draw.choice(other))]
        if kind == 4:
            self.opened += 1
            level = Connect("other").encode().replace(b"MQTT\x04", b"MQTT\x05")
            return [Opened(self.opened), Received(self.opened, level)]
        # A message with QoS 2, sent three times.
        memory = self._memory(client)
        packet = Publish("a", b"thrice", 2, identifier=memory.number())
        return self._send(client, packet, packet, packet)


def _told(answers: list[Answer]) -> str:
    return "; ".join(
        f"{connection} {'closed' if packet is None else _short(decode(packet))}"
        for connection, packet in answers
    )


def _short(thing: object) -> str:
    return re.sub(r"(\\x00){30,}", "...", repr(thing))
