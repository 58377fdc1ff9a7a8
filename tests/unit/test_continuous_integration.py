"""CI runs what users are told to run, and a test that cannot run there fails."""

from __future__ import annotations

import configparser

import pytest
from support import ROOT, require


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    [command] = [line for line in script if ".venv/bin/tox" in line]
    assert f"$ {command}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_matrix_never_skips_what_is_promised() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    names = tox["tox"]["env_list"]
    assert names.endswith("py311-core"), "its closing line ends the output"
    skipping = tox["testenv:py{311,312,313}-core"]["skip_missing_interpreters"].split("\n")
    assert "py311: false" in skipping


def test_a_missing_tool_skips_for_users_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        require("no-such-tool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        require("no-such-tool")
