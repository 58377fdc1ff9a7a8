"""Signals: what a handler does in the middle of anything else."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from simcore.errors import ExitCode
from simcore.stopping import Stopping

UNHEARD = [
    pytest.param(RuntimeError("reentrant call"), id="the program writes a line itself"),
    pytest.param(OSError(5, "Input/output error"), id="its terminal has gone"),
]


def raising(error: Exception) -> Callable[[str], None]:
    def say(line: str) -> None:
        raise error

    return say


@pytest.mark.parametrize("error", UNHEARD)
def test_a_run_ends_in_order_though_nobody_can_be_told(error: Exception) -> None:
    asked: list[ExitCode] = []
    stopping = Stopping(raising(error))
    with stopping.orderly(asked.append, "stopping"):
        stopping.handle(signal.SIGTERM, None)
    assert asked == [ExitCode.TERMINATED]
