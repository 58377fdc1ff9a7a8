"""A broker as its node drives it: what arrives at an instant goes in, what it sends comes out.

```text
             opened, bytes, lost                    whole packets, let in
  network ----------------------> Broker (here) ----------------------------> Engine
          <----------------------                <----------------------------
             packets, closed                        packets, closed
```

Here is what is the same whoever does the work: streams are cut into packets, malformed ones end
their connection, so does silence, and there may be a limit of connections. An engine is the model
(`model.Model`) or a real Mosquitto (`mosquitto.Mosquitto`); both answer with the same packets.

Connections are numbers that the caller gives, each used once. An event of a connection that the
broker has closed is passed over: what was on its way when it closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from .errors import Malformed, UnknownLevel
from .framing import Framer
from .intake import Incoming, let_in
from .keepalive import Keepalive
from .packets import REFUSED_LEVEL, Connack, Connect
from .settings import Settings


class Opened(NamedTuple):
    """A network connection has been made to the broker."""

    connection: int


class Received(NamedTuple):
    """Bytes have come on a connection: packets, or parts of them."""

    connection: int
    data: bytes


class Lost(NamedTuple):
    """A connection has ended, from the client's side or because the network gave it up."""

    connection: int


Event = Opened | Received | Lost


class Answer(NamedTuple):
    """A packet for a client; or None: the broker has closed the connection."""

    connection: int
    packet: bytes | None


class Engine(Protocol):
    """What makes the answers: the model, or Mosquitto."""

    def packet(self, connection: int, data: bytes, packet: Incoming) -> None:
        """Take a packet, as bytes and as what they say; the first one of a connection opens it."""

    def lost(self, connection: int) -> None:
        """End a connection without a DISCONNECT: its will is published."""

    def settle(self) -> list[Answer]:
        """What has been sent because of all that since the last call, in order per connection."""

    def close(self) -> None:
        """Let go of everything."""


class _Line:
    """What is known of one connection."""

    __slots__ = ("framer", "greeted")

    def __init__(self) -> None:
        self.framer = Framer()
        self.greeted = False


class Broker:
    """A broker in virtual time.

    Args:
        engine: what makes the answers.
        settings: its limits.
    """

    def __init__(self, engine: Engine, settings: Settings | None = None) -> None:
        self._engine = engine
        self._settings = settings or Settings()
        self._lines: dict[int, _Line] = {}
        self._keepalive = Keepalive()
        self._now = 0
        self._own: list[Answer] = []
        self._gone: set[int] = set()
        self._busy = False

    @property
    def next(self) -> int | None:
        """When it wants to be called though nothing arrives, in ns: the end of a silence."""
        return self._keepalive.next

    def advance(self, now: int, events: Iterable[Event]) -> list[Answer]:
        """Let an instant take place.

        Args:
            now: the instant, in ns: not before the last one, and not after `next`.
            events: what arrives, in order.

        Returns:
            What the broker sends then: by connection, in order for each.

        Raises:
            BrokerError: the engine cannot be used any more.
            ValueError: an instant out of turn.
        """
        if now < self._now or ((due := self.next) is not None and due < now):
            raise ValueError(f"the broker stands at {self._now} ns, and is called at {now} ns")
        self._now = now
        for event in events:
            if isinstance(event, Opened):
                self._open(event.connection)
            elif (line := self._lines.get(event.connection)) is not None:
                if isinstance(event, Lost):
                    self._gone.add(event.connection)
                    self._end(event.connection)
                else:
                    self._receive(event.connection, line, event.data)
        for connection in self._keepalive.due(now):
            self._close(connection)
        return self._answers()

    def close(self) -> None:
        """Let go of everything; wills are not published."""
        self._engine.close()

    def _open(self, connection: int) -> None:
        limit = self._settings.connections
        if limit is not None and len(self._lines) >= limit:
            self._own.append(Answer(connection, None))
            return
        self._lines[connection] = _Line()
        self._keepalive.opened(connection, self._now)

    def _receive(self, connection: int, line: _Line, data: bytes) -> None:
        try:
            for packet in line.framer.feed(data):
                self._take(connection, line, packet)
        except UnknownLevel:
            if not line.greeted:
                refusal = Connack(code=REFUSED_LEVEL).encode()
                self._own.append(Answer(connection, refusal))
            self._close(connection)
        except Malformed:
            self._close(connection)

    def _take(self, connection: int, line: _Line, data: bytes) -> None:
        if len(data) > self._settings.packet:
            raise Malformed("MQTT-4.8", f"a packet of {len(data)} bytes")
        packet = let_in(data)
        if line.greeted:
            self._keepalive.heard(connection, self._now)
        elif isinstance(packet, Connect):
            line.greeted = True
            self._keepalive.connected(connection, self._now, packet.keepalive)
        else:
            raise Malformed("MQTT-3.1.0-1", "the first packet of a client is a CONNECT")
        self._busy = True
        self._engine.packet(connection, data, packet)

    def _close(self, connection: int) -> None:
        """Close a connection from this side."""
        self._own.append(Answer(connection, None))
        self._end(connection)

    def _end(self, connection: int) -> None:
        line = self._lines.pop(connection)
        self._keepalive.closed(connection)
        if line.greeted:
            self._busy = True
            self._engine.lost(connection)

    def _answers(self) -> list[Answer]:
        if not (self._busy or self._own):
            return []
        answers = self._engine.settle() if self._busy else []
        closed = {connection for connection, packet in answers if packet is None}
        for connection in closed:
            if self._lines.pop(connection, None) is not None:
                self._keepalive.closed(connection)
        answers += [own for own in self._own if own.packet or own.connection not in closed]
        if self._gone:
            answers = [each for each in answers if each.packet or each.connection not in self._gone]
            self._gone.clear()
        answers.sort(key=_connection)
        self._own, self._busy = [], False
        return answers


def _connection(answer: Answer) -> int:
    return answer.connection
