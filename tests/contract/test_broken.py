"""Each deliberately broken participant is caught by the rule that it breaks, and by no other."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from broken import MODES
from participants import KINDS

from simcore.contract.check import check
from simcore.contract.plan import Plan
from simcore.contract.report import Report
from simcore.contract.rules import RULES
from simcore.ending import Proc

HERE = Path(__file__).parent

# Without `site`, and from compiled modules, a program starts twice as fast.
PYTHON = (sys.executable, "-S", "-E", "-c")
PROGRAM = "import sys; from {0} import main; main(sys.argv[1])"


def examined(name: str) -> Report:
    mode = MODES[name]
    options = {"kind": mode.participant.kind, "timeout": 60.0, "start_timeout": 60.0, "pause": 0.02}
    command = (*PYTHON, PROGRAM.format("broken"), name)
    return check(Plan(command, os.environ, HERE, **{**options, **mode.options}))


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """All of them, several at once, those first that only wait."""

    def waits(name: str) -> float:
        return max(
            MODES[name].options.get(key, 0.0) for key in ("start_timeout", "timeout", "pause")
        )

    names = sorted(MODES, key=waits, reverse=True)
    with ThreadPoolExecutor(5) as pool:
        return dict(zip(names, pool.map(examined, names), strict=True))


@pytest.mark.parametrize("name", MODES)
def test_it_is_caught_by_its_rule(name: str, reports: dict[str, Report]) -> None:
    report = reports[name]
    assert set(report.broken) == MODES[name].rules, report.text()
    for rule, finding in report.broken.items():
        assert finding.rule == rule and finding.says
        assert f"broken: {rule}" in report.text()
        assert RULES[rule].sentence in report.text()


def test_nothing_is_left_of_an_examination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    finding = examined("leaves_a_child").broken["left-behind"]
    process = int(finding.says.rpartition("(process ")[2].rstrip(")"))
    look = Proc().look(process)
    assert look is None or look.over
    assert not list(tmp_path.iterdir())


def test_there_are_enough_of_them() -> None:
    assert len(MODES) >= 25


def test_every_rule_is_broken_by_somebody() -> None:
    assert set(RULES) == set().union(*(mode.rules for mode in MODES.values()))


@pytest.mark.parametrize("transport", ["unix", "tcp", "stdio"])
@pytest.mark.parametrize("kind", KINDS)
def test_who_breaks_nothing_is_not_blamed(kind: str, transport: str) -> None:
    command = (*PYTHON, PROGRAM.format("participants"), kind)
    options: dict[str, Any] = {"transport": transport, "timeout": 60.0, "start_timeout": 60.0}
    report = check(Plan(command, os.environ, HERE, **options))
    assert not report.broken and not report.unexamined, report.text()
    assert report.kind == kind
    assert report.rules == [rule.id for rule in RULES.values() if kind in rule.kinds]
