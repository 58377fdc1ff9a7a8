"""A reliable stream over a network that loses, repeats and reorders: TCP, without its bytes.

Both ends of an MQTT connection hold a `Stream`. It is told what arrives and when, and says which
segments to send and when it wants to be woken; it knows no clock and no network. A segment carries
one whole MQTT packet, and weighs what its bytes would weigh in as many TCP segments as they take.

```text
  client                        broker
    | tcp.syn        0            |       opening: three segments, the last one with the CONNECT
    |---------------------------->|
    |            tcp.synack   0   |
    |<----------------------------|
    | mqtt.connect   1, acks 1    |
    |---------------------------->|
    |           mqtt.connack  1   |       an acknowledgement rides on what is sent at that instant,
    |<----------------------------|       or else goes alone (tcp.ack)
    | tcp.ack                     |
    |---------------------------->|
```

Segments are numbered one by one. One is sent again when its timeout passes (`timing`), or when
three acknowledgements in a row say that later ones have come and it has not (RFC 5681, 3.2); each
that comes too early is acknowledged by itself. Whatever else was sent before then and is still
missing follows as acknowledgements come, one in a round trip (RFC 6582). After so many timeouts the
stream is given up. There is no congestion control, no limit of what is under way, and no delayed
acknowledgement.

A stream ends by `tcp.fin` from both ends, or at once by `tcp.rst`, which also answers what belongs
to no stream: its other end has crashed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from .segments import ACK, FIN, HEADERS, RST, SYN, SYNACK, Segment, kind_of, reset, weight
from .timing import Estimator, Tuning

DUPLICATES = 3
"""Acknowledgements of what was acknowledged before that tell of a loss."""


class Brought(NamedTuple):
    """A packet that has arrived, and in turn.

    Attributes:
        data: its bytes.
        cause: what was given as its cause: the message that brought it.
    """

    data: bytes
    cause: Any


class End(Enum):
    """Why a stream has ended."""

    CLOSED = auto()
    """In order, by the other end; or by this one, and the other has agreed."""
    RESET = auto()
    """By the other end, at once; or that knows nothing of it."""
    GIVEN_UP = auto()
    """Nobody answers."""


class _Unanswered:
    """A segment that is not acknowledged yet."""

    __slots__ = ("again", "cause", "data", "kind", "number", "sent")

    def __init__(self, number: int, kind: str, data: bytes | None, cause: Any, sent: int) -> None:
        self.number = number
        self.kind = kind
        self.data = data
        self.cause = cause
        self.sent = sent
        self.again = False
        """Whether its round trip tells nothing: a segment was sent again meanwhile."""


class Stream:
    """One end of a connection.

    Args:
        connection: its number, which the client gives; used once.
        tuning: of its timer.
        active: whether this end opens it: the client's.

    Attributes:
        connection: as given.
        established: whether the other end is known to have it open.
        end: why it has ended for whoever uses it: nothing more will arrive, and `send` does
            nothing. The stream may still have to tell the other end.
        deadline: when it wants `timeout` to be called, ns; None: never.
        sent_again: how many segments were sent again.
    """

    def __init__(self, connection: int, tuning: Tuning, *, active: bool) -> None:
        self.connection = connection
        self.established = False
        self.end: End | None = None
        self.deadline: int | None = None
        self.sent_again = 0
        self._tuning = tuning
        self._active = active
        self._timer = Estimator(tuning)
        self._unanswered: deque[_Unanswered] = deque()
        self._number = 0
        self._expected = 0
        self._held: dict[int, tuple[bytes | None, Any]] = {}
        self._tries = 0
        self._recover = -1
        self._duplicates = 0
        self._opened_late = False
        self._closing = False
        self._other_closed = False
        self._dead = False
        self._ready: list[_Unanswered] = []
        self._resetting: Segment | None = None
        self._acknowledge = False
        self._early = 0
        self._heard: Any = None

    @property
    def over(self) -> bool:
        """Whether it can be forgotten, once what `flush` gives has been sent."""
        return self._dead

    # -- what its user does

    def open(self, now: int, cause: Any = None) -> None:
        """Begin, from the client's end, at an instant (ns)."""
        self._put(now, SYN, None, cause)

    def send(self, now: int, data: bytes, cause: Any = None) -> None:
        """Send a packet: it arrives once and in turn, or the stream ends."""
        if self.end is None and not self._closing:
            self._put(now, kind_of(data), data, cause)

    def close(self, now: int, cause: Any = None) -> None:
        """End it in order: what was sent before arrives first; what still comes is passed over."""
        if self._dead or self._closing:
            return
        self.end = self.end or End.CLOSED
        if not self.established and self._active:
            self._die()
            return
        self._closing = True
        self._put(now, FIN, None, cause)

    def abort(self, cause: Any = None) -> None:
        """End it at once, and tell the other end."""
        if not self._dead:
            self.end = self.end or End.CLOSED
            self._die()
            self._resetting = reset(self.connection, cause)

    # -- what happens to it

    def take(
        self, now: int, kind: str, payload: Mapping[str, Any], cause: Any = None
    ) -> list[Brought]:
        """Take a segment that arrives.

        Args:
            now: when, ns.
            kind: of the message.
            payload: of the message.
            cause: what may come of it names this as its cause.

        Returns:
            The packets that are there in turn now.
        """
        if self._dead:
            return []
        if kind == RST:
            self._finish(End.RESET)
            return []
        self._heard = cause
        if kind == SYN:
            self._take_syn(now, cause)
            return []
        if kind == SYNACK and not self.established:
            self._expected = 1
        if not self._acknowledged(now, payload["a"], alone=kind == ACK):
            return []
        if kind == SYNACK:
            self._acknowledge = True
        if kind in (ACK, SYNACK):
            return []
        return self._take_numbered(now, kind, payload, cause)

    def timeout(self, now: int) -> None:
        """Do what is due at an instant (ns): send again, or give up."""
        if self.deadline is None or now < self.deadline:
            return
        self._tries += 1
        first = self._unanswered[0]
        opening = first.number == 0
        if self._tries > (self._tuning.syn_retries if opening else self._tuning.retries):
            self._finish(End.GIVEN_UP)
            return
        self._opened_late |= opening
        self._timer.back_off()
        self._recover_from(now)

    def flush(self) -> list[Segment]:
        """The segments to be sent now, in order; to be called when an instant's work is done."""
        segments = [self._segment(each) for each in self._ready]
        self._ready.clear()
        if self._resetting is None:
            # One for each that came too early, so that the other end can count them.
            alone = self._early if self._held else 0
            if self._acknowledge and not segments and not alone:
                alone = 1
            if alone:
                payload = {"c": self.connection, "a": self._expected}
                segments += [Segment(ACK, payload, HEADERS, self._heard)] * alone
        if self._resetting is not None:
            segments.append(self._resetting)
        self._acknowledge, self._heard, self._resetting, self._early = False, None, None, 0
        return segments

    # -- sending

    def _put(self, now: int, kind: str, data: bytes | None, cause: Any) -> None:
        entry = _Unanswered(self._number, kind, data, cause, now)
        self._number += 1
        self._unanswered.append(entry)
        self._ready.append(entry)
        if self.deadline is None:
            self.deadline = now + self._timer.rto

    def _recover_from(self, now: int) -> None:
        """Send the first segment again, and the others that are missing as it is answered."""
        self._recover = self._number - 1
        for each in self._unanswered:
            each.again = True  # its round trip may include the wait for this one
        self._repeat(self._unanswered[0])
        self.deadline = now + self._timer.rto

    def _repeat(self, entry: _Unanswered) -> None:
        entry.again = True
        if entry not in self._ready:
            self.sent_again += 1
            self._ready.append(entry)

    def _segment(self, entry: _Unanswered) -> Segment:
        payload: dict[str, Any] = {"c": self.connection, "n": entry.number}
        size = HEADERS
        if entry.kind == SYN:
            if self._tuning != Tuning():
                payload["t"] = list(self._tuning)  # the other end is to be set alike
        else:
            payload["a"] = self._expected
        if entry.data is not None:
            payload["d"] = entry.data
            size = weight(entry.data)
        return Segment(entry.kind, payload, size, entry.cause)

    # -- receiving

    def _take_syn(self, now: int, cause: Any) -> None:
        if not self._number:
            self._expected = 1
            self._put(now, SYNACK, None, cause)
        elif self._unanswered and self._unanswered[0].number == 0:
            self._repeat(self._unanswered[0])  # the answer was lost, or is late
        else:
            self._acknowledge = True

    def _acknowledged(self, now: int, expected: int, *, alone: bool) -> bool:
        """Note what the other end has; whether that can be.

        Args:
            now: when, ns.
            expected: the number that it expects next.
            alone: whether it says nothing else.
        """
        if expected > self._number:
            # Of another stream than this: this end has crashed, and opened it by a late `tcp.syn`.
            self._finish(End.RESET)
            self._resetting = reset(self.connection, self._heard)
            return False
        unanswered, measured = self._unanswered, None
        if alone and unanswered and unanswered[0].number == expected > self._recover:
            self._duplicates += 1
            if self._duplicates == DUPLICATES:
                self._recover_from(now)
        while unanswered and unanswered[0].number < expected:
            entry = unanswered.popleft()
            if not entry.again:
                measured = entry.sent
            if entry in self._ready:
                self._ready.remove(entry)
            self._tries = -1
        if self._tries < 0:
            self._tries = self._duplicates = 0
            self._progress(now, measured)
        if self._closing and self._other_closed and not unanswered:
            self._die()
        return True

    def _progress(self, now: int, measured: int | None) -> None:
        if measured is not None:
            self._timer.measured(now - measured)
        if not self.established:
            self.established = True
            if self._opened_late:
                self._timer.opened_late()
        self._timer.acknowledged()
        unanswered = self._unanswered
        self.deadline = now + self._timer.rto if unanswered else None
        if unanswered and unanswered[0].number <= self._recover:
            self._repeat(unanswered[0])

    def _take_numbered(
        self, now: int, kind: str, payload: Mapping[str, Any], cause: Any
    ) -> list[Brought]:
        number, data = payload["n"], payload.get("d")
        if self._closing and not self._other_closed:
            if kind == FIN:  # what was to come before it is passed over as well
                self._expected = number + 1
                self._acknowledge = self._other_closed = True
                if not self._unanswered:
                    self._die()
            return []
        self._acknowledge = True
        self._early += number > self._expected
        if number >= self._expected:
            self._held.setdefault(number, (data, cause))
        brought = []
        while self._expected in self._held:
            data, cause = self._held.pop(self._expected)
            self._expected += 1
            if data is None:
                self._closed_by_other(now, cause)
                break
            brought.append(Brought(data, cause))
        return brought

    # -- the end

    def _closed_by_other(self, now: int, cause: Any) -> None:
        """The other end reads nothing more: what it has not got is passed over."""
        self._other_closed = self._closing = True
        self.end = self.end or End.CLOSED
        self._unanswered.clear()
        self._ready.clear()
        self._held.clear()
        self.deadline = None
        self._tries = 0
        self._put(now, FIN, None, cause)

    def _finish(self, end: End) -> None:
        self.end = self.end or end
        self._die()

    def _die(self) -> None:
        self._dead = True
        self.deadline = None
        self._unanswered.clear()
        self._held.clear()
        self._ready.clear()
