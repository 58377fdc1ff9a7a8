"""The federation's own calendar, in integer nanoseconds.

SimPy's queue orders equal times by the order of scheduling, and its clock is a float as soon
as a user says so. Neither may decide what happens in a run. So everything of a federation
stands in this calendar, under keys that depend on the scenario alone, and one urgent event
of the environment wakes it; it then handles all that is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from math import ulp
from typing import Any

from simpy import Environment
from simpy.core import Infinity, SimTime
from simpy.events import Event

from simcore.clock import FIRST, NEVER, Clock

# At one instant: what others did until then is collected, then what changes the world, then
# arrivals, then what was announced for this instant (answers whose computing ends), then timers.
BOUNDARY, CONTROL, ARRIVAL, RELEASE, TIMER = range(5)

Entry = tuple[int, int, int, int, int, Callable[[Any], None], Any]
"""(time, rank, stamp, order, number, action, argument); the first five are unique."""

_WAKING = -1


_SWEEP = 1000
"""Deadlines that may be called off before it is worth looking for them."""


class Deadline:
    """When a `receive()` gives up; called off, it is swept from the calendar in time.

    Attributes:
        moment: what gives up; None once called off.
    """

    __slots__ = ("moment",)

    def __init__(self, moment: Event) -> None:
        self.moment: Event | None = moment


def _is_off(what: Any) -> bool:
    return type(what) is Deadline and what.moment is None


def tells_nanoseconds(start: SimTime, scale: int, span: int) -> bool:
    """Whether an environment's clock can tell the nanoseconds of a run apart.

    Args:
        start: its time at the beginning.
        scale: nanoseconds per unit of its time.
        span: duration of the run, ns.
    """
    if scale == 1 and type(start) is int:
        return True  # whole numbers, or floats that hold them, below 2^53
    return ulp(abs(start) + span / scale) * scale < 0.5


class _Wake(Event):
    """An event that succeeds when its time comes, and can be scheduled again."""

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None


class Calendar:
    """Entries in virtual time, and the wakes that make the environment reach them.

    Args:
        env: a plain SimPy environment; its present time becomes virtual time 0.
        scale: nanoseconds per unit of the environment's time.
        on_instant: called after all entries of one instant were handled, if `busy` was set.

    Attributes:
        now: the instant being handled, or the last one that was, in ns.
        heap: the entries.
        end: entries at or after this time (ns) are never handled.
        waking: whether entries are being handled by a wake.
        busy: have `on_instant` called after the present or next instant.
        armed_for: the instant that the next wake is for, ns; `NEVER` if there is none.
        armed_as: number of that wake among the events of a `Clock`.
    """

    def __init__(self, env: Environment, scale: int, on_instant: Callable[[], None]) -> None:
        self.env = env
        self.scale = scale
        self.heap: list[Entry] = []
        self.now = 0
        self.end = NEVER
        self.waking = False
        self.busy = False
        self._on_instant = on_instant
        self._origin = env.now
        self._called_off = 0
        self._seen: SimTime = env.now
        self.armed_for = NEVER
        self.armed_as = 0
        self._wake: _Wake | None = None
        self._spare: _Wake | None = None
        self._handler = self._handle
        self.clock = env if isinstance(env, Clock) and scale == 1 and env.attach(self) else None

    def current(self) -> int:
        """Virtual time in ns, also for code that the environment runs between two wakes."""
        if self.waking:
            return self.now
        seen = self.env.now
        if seen != self._seen:
            elapsed = seen - self._origin
            exact = round(elapsed * self.scale)
            # A float clock may sit a hair before or after an entry that it belongs to.
            if self.heap and self.heap[0][0] < self.end:
                exact = min(exact, self.heap[0][0])
            self.now = max(self.now, exact)
            self._seen = seen
        return self.now

    def push(self, entry: Entry) -> None:
        """Add an entry; its time must not lie before the present instant.

        Where a call per message matters, callers do these two steps themselves.
        """
        heappush(self.heap, entry)
        if entry[0] < self.armed_for:
            self.arm(entry[0])

    def arm(self, time: int) -> None:
        """Have a wake at `time` (ns), which is earlier than the next one."""
        if time < self.end:
            self.armed_for = time
            self._schedule(time)

    def _schedule(self, time: int) -> None:
        """Have the environment wake the calendar: by a SimPy event, unless it is a `Clock`."""
        if self.clock is not None:
            self.armed_as = self.clock.number()
            return
        wake = self._spare or _Wake(self.env)
        self._spare = None
        wake.callbacks = [self._handler]
        self._wake = wake
        delay = self.env_time(time) - self.env.now
        self.env.schedule(wake, FIRST, delay if delay > 0 else 0)

    def _handle(self, event: Event) -> None:
        if event is not self._wake:
            return  # an earlier entry came up after this wake was scheduled
        self._spare = self._wake
        self.handle_instant(self.armed_for)

    def handle_instant(self, now: int) -> None:
        """Handle all entries of an instant that a plain environment has reached."""
        heap = self.heap
        self.armed_for = _WAKING
        self.now = now
        self.waking = True
        try:
            while heap and heap[0][0] == now:
                entry = heappop(heap)
                entry[5](entry[6])
            if self.busy:
                self.busy = False
                self._on_instant()
        finally:
            self.waking = False
            self.armed_for = NEVER
            if heap:
                self.arm(heap[0][0])

    def handle_instants(self, clock: Clock, queue: Sequence[tuple[Any, ...]]) -> None:
        """Handle instants of a `Clock` until an event in its queue comes first.

        While the queue is empty, one instant only: nothing else would end the run.
        """
        heap, time, number = self.heap, self.armed_for, self.armed_as
        self.armed_for = _WAKING
        self.waking = True
        try:
            while True:
                # The clock and the instant are set, and the entries handled, right here: most
                # instants have a single entry, and a call would cost as much again.
                clock._now = self.now = time
                while heap and heap[0][0] == time:
                    entry = heappop(heap)
                    entry[5](entry[6])
                if self.busy:
                    self.busy = False
                    self._on_instant()
                if not heap:
                    break
                time = heap[0][0]
                number = clock.number()
                if time >= self.end or not queue:
                    break
                first = queue[0]
                if first[0] <= time and (first[0] < time or first[1:3] < (FIRST, number)):
                    break
        finally:
            self.waking = False
            self.armed_for = heap[0][0] if heap and heap[0][0] < self.end else NEVER
            self.armed_as = number

    def call_off(self, deadline: Deadline | None) -> None:
        """Forget a deadline; its entry is swept once half of all entries are such."""
        if deadline is None or deadline.moment is None:
            return
        deadline.moment = None
        self._called_off += 1
        if self._called_off > max(_SWEEP, len(self.heap) // 2):
            self._called_off = 0
            self.heap[:] = [entry for entry in self.heap if not _is_off(entry[6])]
            heapify(self.heap)

    def at_this_instant(self, time: SimTime) -> bool:
        """Whether a time of the environment stands for the present nanosecond, or before."""
        if time == Infinity:
            return False
        return self.time_of(time) <= self.now

    def handle_due(self) -> None:
        """Handle what was entered for the present instant after its wake."""
        heap, now = self.heap, self.now
        while heap and heap[0][0] == now:
            entry = heappop(heap)
            entry[5](entry[6])

    def is_due(self) -> bool:
        """Whether an entry stands at the present instant."""
        return bool(self.heap) and self.heap[0][0] == self.now

    def following(self) -> int:
        """The next instant (ns) at which the environment or this calendar has anything to do."""
        time = self.env.peek()
        queued = NEVER if time == Infinity else self.time_of(time)
        return min(queued, self.heap[0][0]) if self.heap else queued

    def time_of(self, time: SimTime) -> int:
        """The virtual time (ns) that a time of the environment stands for."""
        return round((time - self._origin) * self.scale)

    def env_time(self, time: int) -> SimTime:
        """The environment's time at a virtual time (ns)."""
        return time + self._origin if self.scale == 1 else time / self.scale + self._origin
