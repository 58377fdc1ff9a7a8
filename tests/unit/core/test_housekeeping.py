"""What the thread beside a run may say about it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from support import PATIENCE

from simcore.errors import ExitCode
from simcore.housekeeping import Housekeeper


def housekeeper_of_nothing() -> Housekeeper:
    """One of a run that does not go."""
    federation: Any = SimpleNamespace(
        network=object(),
        scenario=SimpleNamespace(base=Path()),
        calendar=SimpleNamespace(busy=False, now=0),
    )
    return Housekeeper(federation)


def test_a_share_takes_fifty_samples() -> None:
    housekeeper = housekeeper_of_nothing()
    housekeeper.own, housekeeper.samples = 31, 49
    assert housekeeper.share is None
    housekeeper.samples = 50
    assert housekeeper.share == 0.62


def test_a_signal_may_come_while_the_run_begins_to_wait() -> None:
    """Its handler runs in the thread that waits, at any point: also where that holds the lock."""
    with housekeeper_of_nothing() as housekeeper:

        def waits() -> None:
            with housekeeper.woken._cond:  # type: ignore[attr-defined]
                housekeeper.request_stop(ExitCode.TERMINATED)

        thread = threading.Thread(target=waits, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert housekeeper.woken.wait(PATIENCE)
        assert housekeeper.stop_with == ExitCode.TERMINATED
