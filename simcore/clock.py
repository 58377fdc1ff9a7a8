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
from simpy.core import SimTime
from simpy.events import URGENT


class Wakes(Protocol):
    """What the environment needs to know of a calendar."""

    armed_for: int
    armed_as: int

    def handle_instant(self, now: int) -> None:
        """Handle all that is due at `now` (ns)."""


class Clock(Environment):
    """A SimPy environment, in integer nanoseconds from 0, with a place for one calendar."""

    _wakes: Wakes

    def attach(self, wakes: Wakes) -> Iterator[int]:
        """Take wakes from a calendar; returns the numbers that it gives them."""
        self._wakes = wakes
        return self._eid

    def peek(self) -> SimTime:
        """Time of the next event, a wake included."""
        return min(super().peek(), self._wakes.armed_for)

    def step(self) -> None:
        """Process the next event, and all wakes that come before it."""
        queue, wakes = self._queue, self._wakes
        while queue:
            time = wakes.armed_for
            first = queue[0]
            if first[0] < time or (first[0] == time and first[1:3] < (URGENT, wakes.armed_as)):
                break
            self._now = time
            wakes.handle_instant(time)
        super().step()
