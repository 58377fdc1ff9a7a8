"""Benchmarks end in one table and one JSON file."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from compare import Figures
from rich.console import Console
from rich.table import Table

_figures = pytest.StashKey[Figures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bench-json", default="build/bench.json", help="where the figures are written"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_figures] = Figures()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where a benchmark notes what it measured."""
    return request.config.stash[_figures]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    figures = config.stash[_figures]
    if not figures.rows:
        return
    table = Table(title="simcore's speed: medians of subjects that take turns")
    for heading in ("measure", "median", "target", "", "runs"):
        table.add_column(heading, overflow="fold")
    for row in figures.rows:
        verdict = "" if row.met is None else "met" if row.met else "MISSED"
        table.add_row(row.measure, row.value, row.target or "stated", verdict, row.spread)
    for line in figures.skipped:
        table.add_row(line, "-", "stated", "skipped", "")
    terminalreporter.ensure_newline()
    terminalreporter.write_line("")
    Console(file=sys.stdout, width=max(terminalreporter._tw.fullwidth, 110)).print(table)
    path = Path(config.getoption("--bench-json", default="build/bench.json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("simcore", "simpy", "msgspec", "numpy")},
        **{name: version(name) for name in ("mosaik", "helics") if find_spec(name) is not None},
    }
    path.write_text(json.dumps({"versions": machine, **figures.as_json()}, indent=2) + "\n")
    terminalreporter.write_line(f"written to {path}")
