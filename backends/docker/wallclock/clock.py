"""The clock of a container in real time: it goes while the container runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RunningClock:
    """Virtual time as one container has it. Any thread may look at it.

    Whatever a window was overrun by is part of it, so the next one is shorter by that, and the
    container's time never drifts away from that of the run.

    Args:
        begin: virtual time at which it begins, ns; it stands still at first.
        wall: tells wall time, ns.
    """

    def __init__(self, begin: int, wall: Callable[[], int] = time.monotonic_ns) -> None:
        self._shown = begin
        self._since: int | None = None
        self._wall = wall
        self._lock = threading.Lock()

    def time(self) -> int:
        """Virtual time, ns."""
        with self._lock:
            return self._time()

    def _time(self) -> int:
        return self._shown if self._since is None else self._shown + self._wall() - self._since

    def go(self) -> None:
        """The container runs from now on."""
        with self._lock:
            if self._since is None:
                self._since = self._wall()

    def stop(self) -> int:
        """The container is held from now on; when that is (virtual ns)."""
        with self._lock:
            self._shown, self._since = self._time(), None
            return self._shown
