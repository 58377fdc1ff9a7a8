"""One core for simcore and the process of ns-3, while they take turns.

Each sleeps while the other works, so a second core is of no use to them; but a scheduler that sees
one idle wakes them there, and to wake a core that sleeps may take longer than an exchange.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from contextlib import suppress

QUICK = 0.0005
"""Seconds of the last exchange beyond which waking does not matter."""

RENEWAL = 0.01
"""Seconds after which the scheduler may choose once more: another core may have become free."""


class SharedCore:
    """Binds another process to the core that this one is on, and this one while it waits.

    A context manager around each exchange. Outside it this process is free, so that nothing that
    it starts is bound.

    Args:
        pid: the other process.
        clock: tells wall time, s.
    """

    def __init__(self, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid, self._clock = pid, clock
        self._current: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
        self._cores = os.sched_getaffinity(0)
        self._possible = len(self._cores) > 1
        self._theirs: int | None = None
        """The core that the other one is bound to."""
        self._bound = self._quick = False
        self._begun = self._renewal = 0.0

    def __enter__(self) -> None:
        if not self._possible:
            return
        self._begun = now = self._clock()
        try:
            if not self._quick or now >= self._renewal:
                self._renewal = now + RENEWAL
                self.free()
                return
            core = self._current()
            if core != self._theirs:
                os.sched_setaffinity(self._pid, (core,))
                self._theirs = core
            os.sched_setaffinity(0, (core,))
            self._bound = True
        except OSError:  # it has ended, or nobody may do this here
            self._possible = False

    def __exit__(self, *error: object) -> None:
        if self._bound:
            self._bound = False
            os.sched_setaffinity(0, self._cores)
        if self._possible:
            self._quick = self._clock() - self._begun < QUICK

    def free(self) -> None:
        """Let the other process run anywhere, for the next exchange."""
        if self._theirs is not None:
            self._theirs = None
            self._cores = os.sched_getaffinity(0)
            with suppress(OSError):
                os.sched_setaffinity(self._pid, self._cores)
