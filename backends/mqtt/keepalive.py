"""When a broker gives up a connection that is silent: keepalive in virtual time (3.1.2.10)."""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace

from .packets import LEVEL

SECOND = 1_000_000_000
PATIENCE = 90 * SECOND
"""How long a connection may last without a CONNECT, in ns: as long as Mosquitto allows."""


class Keepalive:
    """The instants at which connections end unless something comes. Times are in ns."""

    def __init__(self) -> None:
        self._until: dict[int, int] = {}
        self._allowed: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def opened(self, connection: int, now: int) -> None:
        """A connection begins; a CONNECT has to follow."""
        self._allow(connection, now, PATIENCE)

    def connected(self, connection: int, now: int, keepalive: int) -> None:
        """A CONNECT has come with a keepalive in seconds; 0 means that silence is allowed."""
        if keepalive:
            self._allow(connection, now, keepalive * 3 * SECOND // 2)
        else:
            self.closed(connection)

    def heard(self, connection: int, now: int) -> None:
        """A packet has come (MQTT-3.1.2-24)."""
        if (allowed := self._allowed.get(connection)) is not None:
            self._until[connection] = now + allowed

    def closed(self, connection: int) -> None:
        """A connection is no longer watched."""
        self._until.pop(connection, None)
        self._allowed.pop(connection, None)

    @property
    def next(self) -> int | None:
        """The earliest instant at which a connection ends if nothing comes."""
        heap = self._heap
        while heap:
            at, connection = heap[0]
            until = self._until.get(connection)
            if until == at:
                return at
            # Instants only move on, so an entry is put right when it has come to the front.
            if until is None:
                heappop(heap)
            else:
                heapreplace(heap, (until, connection))
        return None

    def due(self, now: int) -> list[int]:
        """The connections whose time is over, which are no longer watched then."""
        found = []
        while (at := self.next) is not None and at <= now:
            _, connection = heappop(self._heap)
            self.closed(connection)
            found.append(connection)
        return found

    def _allow(self, connection: int, now: int, allowed: int) -> None:
        self._allowed[connection] = allowed
        self._until[connection] = now + allowed
        heappush(self._heap, (now + allowed, connection))


def without_keepalive(data: bytes) -> bytes:
    """A CONNECT, which is well-formed, with a keepalive of 0."""
    at = 1
    while data[at] & 128:
        at += 1
    at += 2 + len(LEVEL)
    return data[:at] + bytes(2) + data[at + 2 :]
