"""A real, unmodified Mosquitto as the engine of a broker, byte for byte and deterministic.

For each simulated connection there is a real one, to an address where others have started a
Mosquitto with `settings.configuration`. What goes in, and what comes out, are the bytes of the
simulated clients, except that

- the keepalive in a CONNECT is set to 0: silence is measured in virtual time, by `broker.Broker`;
- pings of our own pass between theirs, and their answers are not handed on.

Why the result is the same each time. Mosquitto has one thread: it takes one event after the other
from its sockets, deals with it, and writes what follows from it at once. So

1. only one connection has bytes that Mosquitto has not dealt with. Before another one is given any,
   a ping behind the last packet has been answered: a *fence*;
2. a connection that ends is half closed, and read until Mosquitto has closed it, so that what was
   sent before has been dealt with and what follows it comes later. Mosquitto may close a connection
   before it publishes the will; any later fence says that it has;
3. at the end of an instant, what is readable is read. On a Unix socket, what was written before the
   answer to a fence is readable when that has come. What does not fit into the kernel's buffer is
   kept by Mosquitto and written later, behind which a fence on the same connection comes: there is
   one wherever so much has been read that the least buffer that Linux allows could have been full.
   Over TCP, what was written earlier on another connection may still be on its way, so there is a
   fence on every connection;
4. a SUBSCRIBE is not sent before all else on its connection has been read: Mosquitto sends retained
   messages at once only if nothing waits to be written.

An instant at which nothing is sent and no connection ends costs no exchange with Mosquitto.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

from .broker import Answer
from .errors import BrokerError
from .intake import Incoming
from .keepalive import without_keepalive
from .packets import Connack, Connect, Pingreq, Subscribe
from .wire import Address, Wire, named

_LEAST_BUFFER = 4608
"""The least that a socket's send buffer can be set to in Linux (SOCK_MIN_SNDBUF), in bytes."""
_OWN = -1


class Mosquitto:
    """An engine that asks a Mosquitto which others have started.

    Args:
        address: where it listens: the path of a Unix socket, or a host and a port.
        patience: how long it may take to answer, in seconds of wall time.
        idle: called now and then while it is waited for; what it raises ends the waiting.

    Raises:
        BrokerError: it is not there, or does not let us in.
    """

    def __init__(
        self,
        address: Address,
        *,
        patience: float = 10.0,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._address = address
        self._patience = patience
        self._idle = idle
        self._tight = isinstance(address, str)
        self._wires: dict[int, Wire] = {}
        self._current: Wire | None = None
        self._closing = False
        self._answers: list[Answer] = []
        self._over: set[int] = set()
        self._probe = self._greet()
        self._selector = selectors.DefaultSelector()

    def packet(self, connection: int, data: bytes, packet: Incoming) -> None:
        """Take a packet."""
        wire = self._wires.get(connection)
        if wire is None or wire is not self._current:
            self._settle_current()
            if connection in self._over:
                return
            wire = self._wires.get(connection) or self._open(connection)
        if isinstance(packet, Connect):
            data = without_keepalive(data)
        elif isinstance(packet, Subscribe):
            self._fence(wire)
            if not wire.open:
                return
        self._current = wire
        wire.put(data, ping=isinstance(packet, Pingreq))

    def lost(self, connection: int) -> None:
        """End a connection without a DISCONNECT."""
        self._settle_current()
        wire = self._wires.get(connection)
        if wire is not None:
            wire.lose()
            self._forget(wire)

    def settle(self) -> list[Answer]:
        """What Mosquitto has sent since the last call."""
        self._settle_current()
        if self._closing:
            self._fence(self._probe)
        wires = list(self._wires.values())
        if self._tight:
            wires = [key.data for key, _ in self._selector.select(0)]
        for wire in wires:
            wire.drain()
            if wire.load >= _LEAST_BUFFER or not self._tight:
                wire.send_fence()
        for wire in wires:
            wire.await_fence()
            if not wire.open:
                self._closed(wire)
        if self._closing:
            # Each of them may have been closed; or Mosquitto is gone.
            self._fence(self._probe)
        answers, self._answers = self._answers, []
        self._over.clear()
        return answers

    def close(self) -> None:
        """Close all connections."""
        for wire in (*self._wires.values(), self._probe):
            wire.close()
        self._wires.clear()
        self._selector.close()

    def _greet(self) -> Wire:
        """A connection of our own. Mosquitto names it, so that no client can have its name."""
        answers: list[bytes] = []
        wire = self._connect(_OWN, lambda _, packet: answers.append(packet))
        wire.put(Connect("").encode())
        try:
            wire.send_fence()
            wire.await_fence()
        except BrokerError:
            wire.close()
            raise
        if answers != [Connack().encode()] or not wire.open:
            wire.close()
            raise BrokerError(
                f"the broker at {named(self._address)} does not let simcore in: it has to allow "
                "anonymous clients, and any number of connections; see its log"
            )
        return wire

    def _connect(self, connection: int, deliver: Callable[[int, bytes], None]) -> Wire:
        return Wire(connection, self._address, self._patience, deliver, self._idle)

    def _open(self, connection: int) -> Wire:
        wire = self._connect(connection, self._deliver)
        self._wires[connection] = wire
        self._selector.register(wire, selectors.EVENT_READ, wire)
        return wire

    def _deliver(self, connection: int, packet: bytes) -> None:
        self._answers.append(Answer(connection, packet))

    def _settle_current(self) -> None:
        """Have Mosquitto deal with what was put on the last connection."""
        wire, self._current = self._current, None
        if wire is not None:
            self._fence(wire)

    def _fence(self, wire: Wire) -> None:
        """Have Mosquitto deal with all that it has been sent, and read its answers on a wire."""
        wire.send_fence()
        wire.await_fence()
        if wire.open:
            self._closing = False
        elif wire is self._probe:
            raise BrokerError(
                f"the broker at {named(self._address)} has ended, or has closed simcore's own "
                "connection; see its log"
            )
        else:
            self._closed(wire)

    def _closed(self, wire: Wire) -> None:
        """Mosquitto has closed a connection."""
        if not wire.greeted:
            # What it would refuse without a word has not been let in.
            self._fence(self._probe)
            raise BrokerError(
                f"the broker at {named(self._address)} closes a new connection without an answer: "
                "it has a limit of its own (max_connections, open files); see its log"
            )
        self._answers.append(Answer(wire.connection, None))
        self._over.add(wire.connection)
        self._forget(wire)

    def _forget(self, wire: Wire) -> None:
        self._closing = True
        if self._current is wire:
            self._current = None
        del self._wires[wire.connection]
        self._selector.unregister(wire)
        wire.close()
