"""The environment of a run that brings none of its own.

A wake of the calendar is the most frequent event by far, and there is one at a time. This
environment keeps it beside SimPy's queue instead of in it, at the very place that it would
have there (time, priority, number of the event), so the order of everything is the same as
on a plain environment; only the cost is lower. A user's own environment stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from simpy import Environment
from simpy.core import Infinity, SimTime
from simpy.events import URGENT


class Clock(Environment):
    """A SimPy environment, in integer nanoseconds from 0, with a place for one calendar."""

    def __init__(self) -> None:
        super().__init__()
        self._wake: tuple[int, int, int] | None = None
        self._handle: Callable[[int], None] | None = None

    def attach(self, handle: Callable[[int], None]) -> Callable[[int], None]:
        """Register what a wake calls; returns what schedules the next one, in place of it."""
        self._handle = handle
        return self._schedule_wake

    def _schedule_wake(self, time: int) -> None:
        self._wake = (time, URGENT, next(self._eid))

    def peek(self) -> SimTime:
        """Time of the next event, a wake included."""
        queued = self._queue[0][0] if self._queue else Infinity
        return queued if self._wake is None else min(queued, self._wake[0])

    def step(self) -> None:
        """Process the next event, and all wakes that come before the one after it."""
        queue, handle = self._queue, self._handle
        wake = self._wake
        if wake is None or handle is None or (queue and queue[0][:3] < wake):
            Environment.step(self)
            return
        while wake is not None and not (queue and queue[0][:3] < wake):
            self._wake = None
            self._now = wake[0]
            handle(wake[0])
            wake = self._wake
