"""A gate between turns: a measured program does so many cycles when it is told to, and says how
long they took.

So subjects that are under way at the same time can take turns of a few milliseconds, and a machine
whose speed changes from second to second changes it for all of them. Between its turns a subject
is blocked and costs nothing.
"""

from __future__ import annotations

import os
import time


class Gate:
    """What a subject passes before each cycle: `while gate.open(): ...`.

    Numbers of cycles come on standard input, one a line; the end of the input closes the gate. A
    line with the wall time (seconds) goes to standard output after each turn.
    """

    def __init__(self) -> None:
        # Nothing else may be read or written there, by this program or what it starts.
        self._orders = os.fdopen(os.dup(0))
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        self._left = 0
        self._begun: float | None = None

    def open(self) -> bool:
        """Before each cycle: wait for the next turn if this one is over; False: that was all."""
        if self._left:
            self._left -= 1
            return True
        return self._next_turn()

    def _next_turn(self) -> bool:
        if self._begun is not None:
            self._answers.write(f"{time.perf_counter() - self._begun!r}\n")
        order = self._orders.readline()
        if not order:
            return False
        self._left = int(order) - 1
        self._begun = time.perf_counter()
        return True
