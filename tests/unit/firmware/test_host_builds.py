"""Prebuilt programs for a host without a compiler do what the same sources do when they are built here."""

from __future__ import annotations

import platform
import random
from pathlib import Path
from typing import Any

import pytest
from devices import device
from firmware_builds import PREBUILT, native
from support import unavailable

MS = 1_000_000
HOST = f"{platform.machine().lower()}-{platform.system().lower()}"
CONFIG = {"uart": {"usart2": {}, "usart3": {"baud": 9600, "mode": "raw", "peer": "modem"}}}
WORDS = ["period 20", "mode local", "mode raw", "report", "next 7", "é", 5, "x" * 300, b"\xff"]


def life(program: Path, folder: Path) -> list[Any]:
    """All that a device says and logs in a second, spoken to at random."""
    chance = random.Random(1)
    folder.mkdir()
    with device(program, folder) as subject:
        said = [subject.init(CONFIG), subject.advance(0)]
        for at in sorted(chance.choices(range(1, 1000 * MS), k=60)):
            said += subject.settle(at - 1)
            source = chance.choice(["hub", "modem"])
            said.append(subject.advance(at, *chance.choices(WORDS, k=2), src=source))
        said += subject.settle(2000 * MS)
        said.append(subject.end())
        said.append(subject.log)
    return said


@pytest.mark.parametrize("app", ["meter", "bridge"])
def test_a_prebuilt_program_is_like_one_that_is_built(tmp_path: Path, app: str) -> None:
    prebuilt = PREBUILT / f"{app}-{HOST}"
    if not prebuilt.is_file():
        unavailable(f"there is no prebuilt {app} for {HOST}")
    said = life(prebuilt, tmp_path / "prebuilt")
    assert said == life(native(tmp_path / "build", app=app), tmp_path / "built")
    assert len(said) > 100
