"""The environment of a run that brings none of its own.

A wake of the calendar is the most frequent event by far, and there is one at a time. This
environment takes it from the calendar instead of its own queue, at the very place that it
would have there (time, priority, number of the event), so the order of everything is the same
as on a plain environment; only the cost is lower. A user's own environment stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from simpy import Environment
from simpy.core import Infinity, SimTime
from simpy.events import EventPriority

from simcore.units import MAX_TIME

FIRST = EventPriority(-1)
"""Priority of a wake: before every event of a user's, whenever each became known."""

NEVER = MAX_TIME
"""Later than every instant: an `armed_for` that stands for no wake at all."""


class Wakes(Protocol):
    """What the environment needs to know of a calendar."""

    armed_for: int
    armed_as: int

    def handle_instants(self, clock: Clock, queue: Sequence[tuple[Any, ...]]) -> None:
        """Handle the next instant and, while none of the queue comes first, those after it."""


class _Nobody:
    """Stands for the calendar while there is none."""

    armed_for = NEVER
    armed_as = 0

    @staticmethod
    def handle_instants(clock: Clock, queue: Sequence[tuple[Any, ...]]) -> None:
        """Nothing is ever due."""


class Clock(Environment):
    """A SimPy environment, in integer nanoseconds from 0, with a place for one calendar."""

    _wakes: Wakes | type[_Nobody] = _Nobody

    def __init__(self) -> None:
        super().__init__()
        self.singly = False
        """Whether a step handles one instant only, for who looks at the time between steps."""
        self.number: Callable[[], int] = self._eid.__next__
        """Draws the number of the next event."""

    def attach(self, wakes: Wakes) -> bool:
        """Take wakes from a calendar, if there is none yet and time has not begun.

        Returns:
            Whether they are taken; if not, the calendar is to use events.
        """
        if self._wakes is not _Nobody or self._now:
            return False
        self._wakes = wakes
        return True

    def peek(self) -> SimTime:
        """Time of the next event, a wake included."""
        time, queue = self._wakes.armed_for, self._queue
        queued = queue[0][0] if queue else Infinity
        return min(queued, time) if 0 <= time < NEVER else queued  # below 0: it is being handled

    def step(self) -> None:
        """Process the next event, and all wakes that come before it."""
        queue, wakes = self._queue, self._wakes
        time = wakes.armed_for
        if not queue and time < NEVER:
            wakes.handle_instants(self, queue)
            return
        if time < NEVER:
            first = queue[0]
            if first[0] > time or (first[0] == time and first[1:3] > (FIRST, wakes.armed_as)):
                wakes.handle_instants(self, () if self.singly else queue)
                if self.singly:
                    return
        super().step()
