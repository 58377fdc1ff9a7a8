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
    """All of them at once: most of the time each waits for its program to start."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(MODES, pool.map(examined, MODES), strict=True))


@pytest.mark.parametrize("name", MODES)
def test_it_is_caught_by_its_rule(name: str, reports: dict[str, Report]) -> None:
    report = reports[name]
    assert set(report.broken) == MODES[name].rules, report.text()
    for rule, finding in report.broken.items():
        assert finding.rule == rule and finding.says
        assert f"broken: {rule}" in report.text()
        assert RULES[rule].sentence in report.text()


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
