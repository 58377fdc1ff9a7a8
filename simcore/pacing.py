"""`--realtime FACTOR`: virtual time follows the wall clock.

Being late is tolerated and reported: a run that cannot keep up goes on as fast as it can.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simcore.clock import Clock

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.housekeeping import Housekeeper

_PATIENCE = 1.0
"""Wall seconds after which a run that waits attends to its results."""


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
    began, origin, late = time.monotonic(), env.now, 0.0
    while True:
        upcoming = min(env.peek(), end)
        due = began + (upcoming - origin) / 1e9 / factor
        while (left := due - time.monotonic()) > 0:
            housekeeper.waiting = True
            housekeeper.woken.wait(min(left, _PATIENCE))
            housekeeper.waiting = False
            housekeeper.attend()
        late = max(late, -left)
        if upcoming >= end:
            env.run(until=end)
            return late
        env.step()
