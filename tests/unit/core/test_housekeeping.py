"""What the thread beside a run may say about it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from simcore.housekeeping import Housekeeper


def test_a_share_takes_fifty_samples() -> None:
    federation: Any = SimpleNamespace(network=object(), scenario=SimpleNamespace(base=Path()))
    housekeeper = Housekeeper(federation)
    housekeeper.own, housekeeper.samples = 31, 49
    assert housekeeper.share is None
    housekeeper.samples = 50
    assert housekeeper.share == 0.62
