"""What a broker knows of a client: messages on their way to it and from it.

The rules are Mosquitto's (its `database.c`), down to what happens when a client breaks the
protocol: equality with it is tested on random programs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from .packets import Packet, Publish, Pubrel, Will
from .settings import Dialect

Send = Callable[[Packet], None]
"""Sends a packet to the client."""


@dataclass(eq=False, slots=True)
class Message:
    """A message in the broker, shared by all whom it goes to."""

    topic: str
    payload: bytes
    qos: int
    given: set[str] = field(default_factory=set)
    """The clients that have been given it, by their ids."""


class Breach(Exception):
    """A client has broken the protocol: its connection ends."""


class _Step(Enum):
    TO_SEND = auto()
    SENT = auto()
    TO_RELEASE = auto()
    RELEASED = auto()


@dataclass(eq=False, slots=True)
class _Delivery:
    """A message on its way to one client."""

    message: Message
    identifier: int
    qos: int
    retain: bool
    step: _Step = _Step.TO_SEND
    dup: bool = False


@dataclass(eq=False, slots=True)
class _Arrival:
    """A message with QoS 2 that waits for its PUBREL."""

    message: Message
    retain: bool
    repeats: int = 0


class Outgoing:
    """Messages on their way to a client: some in its window, others queued behind them.

    Args:
        window: how many there may be in the window; 0 means any number.
        dialect: in what versions of Mosquitto differ.
    """

    def __init__(self, window: int, dialect: Dialect) -> None:
        self._window = window
        self._dialect = dialect
        self._free = window
        self._last = 0
        self._sent: list[_Delivery] = []
        self._queue: deque[_Delivery] = deque()

    def number(self) -> int:
        """The next packet identifier; it is used up even if nothing is sent with it."""
        self._last = self._last % 65_535 + 1
        return self._last

    def put(self, delivery: _Delivery, connected: bool) -> None:
        """Take a message into the window if there is room, else into the queue."""
        ready = connected and (delivery.qos == 0 or self._ready)
        (self._sent if ready else self._queue).append(delivery)
        if delivery.qos and ready:
            self._take()

    def write(self, send: Send) -> None:
        """Send what is at the end of the window and has not been sent."""
        sent = self._sent
        start = len(sent)
        while start > 0 and sent[start - 1].step is _Step.TO_SEND:
            start -= 1
        self._send(send, sent[start:])

    def write_all(self, send: Send) -> None:
        """Send what is in the window and has not been sent since the client has come back."""
        self._send(send, list(self._sent))

    def fill(self) -> None:
        """Move messages from the queue into the window, as far as it is free."""
        while self._queue and self._ready:
            self._move()

    def acknowledged(self, identifier: int, qos: int) -> None:
        """A PUBACK (QoS 1) or a PUBCOMP (QoS 2) has come.

        Raises:
            Breach: for a message with another QoS, or too early.
        """
        self._free = min(self._free + 1, self._window)
        index = self._strike_off(identifier, qos)
        if self._dialect.fills_window:
            self.fill()
            return
        while self._queue and (not self._window or index < self._window):
            self._move()
            index += 1

    def received(self, identifier: int) -> None:
        """A PUBREC has come.

        Raises:
            Breach: for a message with QoS 1.
        """
        for delivery in self._sent:
            if delivery.identifier == identifier:
                if delivery.qos != 2:
                    raise Breach
                delivery.step = _Step.RELEASED
                return

    def resume(self) -> None:
        """The client is back: what it has not acknowledged is to be sent again."""
        self._free = self._window
        for delivery in self._sent:
            self._take()
            released = delivery.qos == 2 and delivery.step is _Step.RELEASED
            delivery.step = _Step.TO_RELEASE if released else _Step.TO_SEND
        self.fill()

    def _strike_off(self, identifier: int, qos: int) -> int:
        """Remove what is acknowledged; returns how much is in front of it in the window."""
        for at, delivery in enumerate(self._sent):
            if delivery.identifier == identifier:
                if delivery.qos != qos or (qos == 2 and delivery.step is not _Step.RELEASED):
                    raise Breach
                del self._sent[at]
                return at
        if self._dialect.heeds_early:
            for delivery in self._queue:
                if delivery.identifier == identifier:
                    if delivery.qos != qos or qos == 2:
                        raise Breach
                    self._queue.remove(delivery)
                    break
        return len(self._sent)

    @property
    def _ready(self) -> bool:
        return not self._window or self._free > 0

    def _take(self) -> None:
        self._free = max(self._free - 1, 0)

    def _move(self) -> None:
        self._sent.append(self._queue.popleft())
        self._take()

    def _send(self, send: Send, deliveries: list[_Delivery]) -> None:
        for each in deliveries:
            if each.step is _Step.TO_SEND:
                send(_publish(each))
                each.dup, each.step = True, _Step.SENT
                if not each.qos:
                    self._sent.remove(each)
            elif each.step is _Step.TO_RELEASE:
                send(Pubrel(each.identifier))
                each.step = _Step.RELEASED


def _publish(delivery: _Delivery) -> Publish:
    message = delivery.message
    return Publish(
        message.topic,
        message.payload,
        delivery.qos,
        delivery.retain,
        delivery.identifier,
        delivery.dup and delivery.qos > 0,
    )


class Unreleased:
    """Messages with QoS 2 that a client has sent and not yet released.

    Args:
        window: how many there may be; 0 means any number.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._free = window
        self._waiting: dict[int, _Arrival] = {}

    @property
    def ready(self) -> bool:
        """Whether another message is taken; else it is acknowledged, and is lost."""
        return not self._window or self._free > 0

    def known(self, packet: Publish) -> bool:
        """Whether a message waits already: the client has sent it again.

        What waits under the same identifier and is another message is thrown away.

        Raises:
            Breach: it has sent it three times.
        """
        arrival = self._waiting.get(packet.identifier)
        if arrival is None:
            return False
        message = arrival.message
        if (2, message.topic, message.payload) != (packet.qos, packet.topic, packet.payload):
            del self._waiting[packet.identifier]
            return False
        arrival.repeats += 1
        if arrival.repeats > 1:
            raise Breach
        return True

    def take(self, packet: Publish) -> None:
        """Keep a message until it is released."""
        message = Message(packet.topic, packet.payload, packet.qos)
        self._waiting[packet.identifier] = _Arrival(message, packet.retain)
        self._free = max(self._free - 1, 0)

    def release(self, identifier: int) -> tuple[Message, bool] | None:
        """The message that a PUBREL lets go, and whether it is to be retained."""
        arrival = self._waiting.pop(identifier, None)
        return None if arrival is None else (arrival.message, arrival.retain)

    def passed(self) -> None:
        """A message with QoS 1 has been passed on, and is about to be acknowledged."""
        self._free = max(self._free - 1, 0)

    def answered(self) -> None:
        """A PUBACK or a PUBCOMP has been sent."""
        self._free = min(self._free + 1, self._window)

    def resume(self) -> None:
        """The client is back, and may send again what waits."""
        self._free = max(self._window - len(self._waiting), 0)
        for arrival in self._waiting.values():
            arrival.repeats = 0


class Session:
    """A client as the broker knows it, connected or not.

    Args:
        client_id: its id.
        clean: whether it ends with its connection.
        window: how many messages may be on their way, in each direction.
        dialect: in what versions of Mosquitto differ.
    """

    def __init__(self, client_id: str, clean: bool, window: int, dialect: Dialect) -> None:
        self.client_id = client_id
        self.clean = clean
        self.connection: int | None = None
        self.will: Will | None = None
        self.outgoing = Outgoing(window, dialect)
        self.unreleased = Unreleased(window)

    def give(self, message: Message, qos: int, *, retain: bool, copies: bool) -> bool:
        """Put a message on its way to the client; whether there is something to be sent.

        Args:
            message: the message.
            qos: the greatest that it is to have.
            retain: whether it comes from the retained ones.
            copies: whether it may come more than once.
        """
        qos = min(qos, message.qos)
        identifier = self.outgoing.number() if qos else 0
        if not (retain or copies) and self.client_id in message.given:
            return False
        connected = self.connection is not None
        if not (qos or connected):
            return False
        self.outgoing.put(_Delivery(message, identifier, qos, retain), connected)
        if not retain:
            message.given.add(self.client_id)
        return True
