"""Firmware for the agent's tests."""

from __future__ import annotations

from pathlib import Path

import firmware_builds
import pytest
import renode_machine


@pytest.fixture(scope="session")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Says what it is told, on the UART on which it is told."""
    folder = tmp_path_factory.mktemp("parrot")
    if renode_machine.REAL:
        return str(firmware_builds.parrot(folder, "stm32f4"))
    return str(renode_machine.firmware(folder))


@pytest.fixture
def lamp(tmp_path: Path) -> str:
    """PD12 changes every 100 ms, PD13 follows PA0."""
    renode_machine.fake_only()
    return str(renode_machine.firmware(tmp_path, "fake: lamp"))
