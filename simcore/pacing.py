"""`--realtime FACTOR`: virtual time follows the wall clock.

Being late is tolerated and reported: a run that cannot keep up goes on as fast as it can. While it
waits for the clock, visitors from outside may come in: an ordinary client of a simulated broker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from simcore.clock import Clock

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.housekeeping import Housekeeper

_PATIENCE = 1.0
"""Wall seconds after which a run that waits attends to its results."""


class Visitors(Protocol):
    """Those who come from outside, as they like, while a run is paced.

    Attributes:
        key: of the scenario, that lets them in.
    """

    key: str

    def open(self, wake: Callable[[], None]) -> None:
        """Let them come; `wake` may be called from any thread when one has."""

    def admit(self, now: int) -> None:
        """Let in who has come, at a virtual time (ns) that is not before the present one."""

    def close(self) -> None:
        """Send all of them away; never raises."""


def run_paced(federation: Federation, factor: float, housekeeper: Housekeeper) -> float:
    """Run to the end of the scenario, `factor` virtual seconds per wall second.

    Returns:
        The greatest lateness, in wall seconds.

    Raises:
        Interrupted: the run was asked to stop.
    """
    env = federation.env
    if isinstance(env, Clock):
        env.singly = True
    end = federation.calendar.env_time(federation.end)
    with ExitStack() as stack:
        for visitors in federation.visitors:
            stack.callback(visitors.close)
            visitors.open(housekeeper.woken.set)
        began, origin, late = time.monotonic(), env.now, 0.0
        while True:
            upcoming = min(env.peek(), end)
            due = began + (upcoming - origin) / 1e9 / factor
            if _woken(due, housekeeper):
                # A run that is late lets them in where it is, not where it should be.
                elapsed = min(int((time.monotonic() - began) * 1e9 * factor), int(upcoming))
                now = min(max(elapsed, federation.calendar.now + 1), federation.end - 1)
                for visitors in federation.visitors:
                    visitors.admit(now)
                continue  # they may have brought something that comes first
            left = due - time.monotonic()
            late = max(late, -left)
            if upcoming >= end:
                env.run(until=end)
                return late
            env.step()


def _woken(due: float, housekeeper: Housekeeper) -> bool:
    """Wait for a time of the wall clock; whether visitors came first."""
    while True:
        left = due - time.monotonic()
        housekeeper.waiting = left > 0
        woken = housekeeper.woken.wait(min(max(left, 0), _PATIENCE))
        housekeeper.waiting = False
        if woken:
            housekeeper.woken.clear()
            housekeeper.attend()
            return True
        if left <= 0:
            return False
        housekeeper.attend()
