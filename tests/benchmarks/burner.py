"""Five milliseconds of CPU time for each window: a free-running participant, or without simcore.

`python burner.py` is the participant; `python burner.py bare COUNT`, behind a gate, lets so many
processes burn at the same time and waits for all: what the machine itself can do.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

BURN = 0.005


def burn() -> None:
    """Compute until so much CPU time is used."""
    end = time.process_time() + BURN
    while time.process_time() < end:
        pass


class Burner:
    """The participant."""

    kind = "free_running"

    def advance(self, peer: Any, until: int, inputs: Any) -> None:
        """Take part in one window."""
        burn()


def bare(count: int) -> None:
    """The same without simcore: a byte there, a byte back."""
    from gate import Gate

    gate = Gate()
    pairs = [socket.socketpair() for _ in range(count)]
    for number, (_, theirs) in enumerate(pairs):
        if os.fork() == 0:
            for each, _ in pairs[: number + 1]:
                each.close()
            while theirs.recv(1):
                burn()
                theirs.sendall(b".")
            os._exit(0)
        theirs.close()
    while gate.open():
        for ours, _ in pairs:
            ours.sendall(b".")
        for ours, _ in pairs:
            ours.recv(1)


if __name__ == "__main__":
    if sys.argv[1:]:
        bare(int(sys.argv[2]))
    else:
        from simcore.protocol.peer import serve

        serve(Burner())
