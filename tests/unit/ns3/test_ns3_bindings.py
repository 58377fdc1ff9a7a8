"""ns-3's Python bindings: whose they have to be, and what they must not look at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from simcore_netmodels.ns3 import bindings
from simcore_netmodels.ns3.building import Impossible


def test_those_of_another_wheel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Impossible, match="the ns-3 that Python finds is not that in"):
        bindings.load(tmp_path, None)


def test_no_other_folder_is_searched_while_they_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/somewhere/with/another/ns-3")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    before = Path.cwd()
    with bindings._nothing_else(tmp_path):
        assert "PATH" not in os.environ
        assert Path.cwd() == tmp_path
    assert os.environ["PATH"] == "/somewhere/with/another/ns-3"
    assert "LD_LIBRARY_PATH" not in os.environ
    assert Path.cwd() == before
