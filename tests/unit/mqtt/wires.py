"""Two ends of a stream and a network between them that does what a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

from simcore_backends.mqtt.segments import RST, reset
from simcore_backends.mqtt.timing import Tuning
from simcore_backends.mqtt.transport import Stream

MS = 10**6
SECOND = 10**9

Weather = Callable[[int, str, int], Sequence[int]]
"""What becomes of a segment, from when it is sent, by whom, and its number in all: the delays (ns)
with which it arrives; none if it is lost, several if it is repeated."""


def fair(now: int, source: str, number: int) -> Sequence[int]:
    """Ten milliseconds for all."""
    return [10 * MS]


class Wire:
    """A client ("c") and a broker ("b") with one stream; time passes by `run`.

    Attributes:
        log: all segments, as (when sent, by whom, kind, number or None, when it arrives or None).
        got: what arrived in turn at each end, as (when, data).
        begun: when each end was established.
    """

    def __init__(self, weather: Weather = fair, tuning: Tuning | None = None) -> None:
        self.now = 0
        self.tuning = tuning or Tuning()
        self.weather = weather
        self.log: list[tuple[int, str, str, int | None, int | None]] = []
        self.got: dict[str, list[tuple[int, bytes]]] = {"c": [], "b": []}
        self.causes: dict[str, list[Any]] = {"c": [], "b": []}
        self.begun: dict[str, int] = {}
        self.greeting: bytes | None = None
        """What the client sends as soon as the stream is open."""
        self.ends: dict[str, Stream | None] = {
            "c": Stream(1, self.tuning, active=True),
            "b": None,
        }
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._entries = 0
        self._segments = 0

    @property
    def client(self) -> Stream:
        found = self.ends["c"]
        assert found is not None
        return found

    @property
    def broker(self) -> Stream:
        found = self.ends["b"]
        assert found is not None
        return found

    def at(self, time: int, action: Callable[[], None]) -> None:
        self._entries += 1
        heappush(self._queue, (time, self._entries, action))

    def open(self) -> None:
        self.client.open(self.now)
        self.flush("c")

    def send(self, source: str, data: bytes, cause: Any = None) -> None:
        """Send a packet from one end, once it is established."""
        stream = self.ends[source]
        assert stream is not None
        stream.send(self.now, data, cause)
        self.flush(source)

    def crash(self, source: str) -> None:
        """One end forgets all."""
        self.ends[source] = None

    def flush(self, source: str) -> None:
        stream = self.ends[source]
        if stream is None:
            return
        for segment in stream.flush():
            self._transmit(source, segment)
        if stream.deadline is not None:
            self.at(stream.deadline, lambda: self._wake(source, stream))

    def _transmit(self, source: str, segment: Any) -> None:
        self._segments += 1
        delays = self.weather(self.now, source, self._segments)
        arrival = self.now + delays[0] if delays else None
        kind = segment.kind if segment.kind.startswith("tcp.") else "packet"
        self.log.append((self.now, source, kind, segment.payload.get("n"), arrival))
        other = "b" if source == "c" else "c"
        for delay in delays:
            self.at(self.now + delay, lambda: self._arrive(other, segment))

    def _arrive(self, destination: str, segment: Any) -> None:
        stream = self.ends[destination]
        if stream is None and segment.kind == "tcp.syn":
            stream = self.ends["b"] = Stream(1, self.tuning, active=False)
        if stream is None or stream.over:
            if segment.kind != RST:
                self._transmit(destination, reset(segment.payload["c"]))
            return
        brought = stream.take(self.now, segment.kind, segment.payload, segment)
        if stream.established and destination not in self.begun:
            self.begun[destination] = self.now
            if destination == "c" and self.greeting is not None:
                stream.send(self.now, self.greeting)
        for each in brought:
            self.got[destination].append((self.now, each.data))
            self.causes[destination].append(each.cause)
        self.flush(destination)

    def _wake(self, source: str, stream: Stream) -> None:
        if self.ends[source] is stream and stream.deadline is not None:
            stream.timeout(self.now)
            self.flush(source)

    def run(self, until: int | None = None) -> None:
        """Let time pass, to an instant or until nothing is to come."""
        while self._queue and (until is None or self._queue[0][0] <= until):
            self.now, _, action = heappop(self._queue)
            action()
        if until is not None:
            self.now = until

    def opened(self) -> Wire:
        """Open, and let the three segments pass."""
        self.greeting = b"connect"
        self.open()
        self.run(self.now + 50 * MS)
        return self

    def data(self, source: str) -> list[bytes]:
        """What an end was given, in order."""
        return [data for _, data in self.got[source]]
