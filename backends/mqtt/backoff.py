"""How long a client waits before it connects again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .keepalive import SECOND


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a client waits before it connects again. Times are in ns.

    Args:
        first: after the first failure.
        factor: by how much longer after each further one.
        most: the longest.
        jitter: which part of it is drawn, so that many clients do not come at once: 0 to 1.
    """

    first: int = SECOND
    factor: float = 2.0
    most: int = 60 * SECOND
    jitter: float = 0.0

    def wait(self, failures: int, random: Random | None) -> int:
        """How long to wait after so many failures in a row."""
        wait = min(self.first * self.factor ** min(failures - 1, 64), self.most)
        if random is not None:
            wait *= 1 - self.jitter * random.random()
        return round(wait)
