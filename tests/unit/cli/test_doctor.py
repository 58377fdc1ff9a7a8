"""`doctor` names what is missing, what to install, and survives broken plug-ins."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simcore.cli import doctor
from simcore.cli.doctor import Finding
from simcore.plugins import Plugins


class Working:
    def doctor(self) -> tuple[bool, str]:
        return True, "works [here]"


class Absent:
    def doctor(self) -> tuple[bool, str]:
        return False, "no engine"


class Broken:
    def doctor(self) -> tuple[bool, str]:
        raise RuntimeError("probe fell over")


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"backends": {"working": Working(), "absent": Absent(), "broken": Broken()}}
    monkeypatch.setattr(doctor, "Plugins", lambda: Plugins(extra=given))


def invoke() -> Any:
    return CliRunner().invoke(doctor.command, [], standalone_mode=False)


def line(output: str, part: str) -> str:
    (found,) = [line for line in output.splitlines() if line.startswith(part + " ")]
    return " ".join(found.split())


def test_each_plugin_is_asked(plugins: None) -> None:
    output = invoke().output
    assert line(output, "backend working") == "backend working ok works [here]"
    assert line(output, "backend absent") == "backend absent absent no engine"
    assert "RuntimeError: probe fell over" in line(output, "backend broken")


def test_the_core_works_where_the_tests_run() -> None:
    result = invoke()
    assert result.return_value == 0, result.output
    assert line(result.output, "simpy").split()[1] == "ok"
    assert line(result.output, "Python").split()[1] == "ok"


def test_a_missing_core_dependency_is_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    requires = ["simpy>=4", "no-such-package>=1"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires)
    result = invoke()
    assert result.return_value == 3
    assert "MISSING" in line(result.output, "no-such-package")
    assert "cannot run scenarios here: no-such-package" in result.output


def test_an_absent_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    requires = ["simpy>=4", 'no-such.package>=1; extra == "zigbee"', 'x; extra == "dev"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires)
    output = invoke().output
    assert "pip install 'simcore[zigbee]'" in line(output, "extra zigbee")
    assert "extra dev" not in output


def test_results_directory(tmp_path: Path) -> None:
    assert doctor._results(tmp_path / "new" / "runs").ok
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("", encoding="utf-8")
    found = doctor._results(tmp_path / "file" / "runs")
    assert not found.ok and "--out" in found.detail


def test_piped_output_is_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "/".join(["directory"] * 30)
    monkeypatch.setattr(doctor, "findings", lambda results: [Finding("results", True, long)])
    assert long in invoke().output
