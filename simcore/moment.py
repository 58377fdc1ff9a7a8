"""Events that the calendar, not the environment's queue, brings about.

They resume who waits for them at once, in the calendar's order. That saves an event of the
environment each, and keeps SimPy's sequence out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simpy import Environment
from simpy.core import StopSimulation
from simpy.events import PENDING, Event

from simcore.arbiter import arbiter_of
from simcore.calendar import Deadline


class Moment(Event):
    """What `node.sleep()` and `node.receive()` give to a `yield`."""

    # Events of SimPy are made in one way only, and most of what they hold is the same for all.
    _ok = True
    _value = PENDING
    kind: str | None = None
    deadline: Deadline | None = None

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.callbacks = []

    def happen(self, value: Any = None) -> None:
        """Resume who waits, at once; a second time does nothing."""
        callbacks = self.callbacks
        if callbacks is not None:
            self._value = value
            self.callbacks = None  # type: ignore[assignment]  # SimPy's mark of a past event
            try:
                for callback in callbacks:
                    callback(self)
            except StopSimulation as stop:
                self.stop(stop, callbacks, callback)

    def stop(
        self, stop: StopSimulation, callbacks: Sequence[Callable[[Event], None]], stopping: Any
    ) -> None:
        """Go on behind the callback of `env.run(until=event)`, which stops the environment.

        It stops when this instant is over: half an instant is no place to go on from.
        """
        arbiter_of(self.env).stop(self.env, stop)
        for callback in callbacks[callbacks.index(stopping) + 1 :]:
            callback(self)
