"""The environment of a run that brings none of its own.

A wake of the calendar is the most frequent event by far, and there is one at a time. This
environment takes it from the calendar instead of its own queue, at the very place that it
would have there (time, priority, number of the event), so the order of everything is the same
as on a plain environment; only the cost is lower. A user's own environment stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from simpy import Environment
from simpy.core import Infinity, SimTime
from simpy.events import URGENT

from simcore.units import MAX_TIME

NEVER = MAX_TIME
"""Later than every instant: an `armed_for` that stands for no wake at all."""


class Wakes(Protocol):
    """What the environment needs to know of a calendar."""

    armed_for: int
    armed_as: int

    def handle_instant(self, now: int) -> None:
        """Handle all that is due at `now` (ns)."""


class _Nobody:
    """Stands for the calendar while there is none."""

    armed_for = NEVER
    armed_as = 0

    @staticmethod
    def handle_instant(now: int) -> None:
        """Nothing is ever due."""


class Clock(Environment):
    """A SimPy environment, in integer nanoseconds from 0, with a place for one calendar."""

    _wakes: Wakes | type[_Nobody] = _Nobody

    def attach(self, wakes: Wakes) -> Iterator[int] | None:
        """Take wakes from a calendar, if there is none yet and time has not begun.

        Returns:
            The numbers that the calendar gives its wakes; None: it is to use events.
        """
        if self._wakes is not _Nobody or self._now:
            return None
        self._wakes = wakes
        return self._eid

    def peek(self) -> SimTime:
        """Time of the next event, a wake included."""
        time = self._wakes.armed_for
        return min(super().peek(), time) if time != NEVER else super().peek()

    def step(self) -> None:
        """Process the next event, and all wakes that come before it."""
        queue, wakes = self._queue, self._wakes
        if not queue and wakes.armed_for < NEVER:
            self._now = wakes.armed_for
            wakes.handle_instant(wakes.armed_for)
            return
        while queue:
            time = wakes.armed_for
            first = queue[0]
            if first[0] < time or (first[0] == time and first[1:3] < (URGENT, wakes.armed_as)):
                break
            if time == NEVER:  # what is left may lie beyond it, as a timeout without end
                break
            self._now = time
            wakes.handle_instant(time)
        super().step()
