"""The programs that simcore ships keep every rule, on each transport that they speak."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import PATIENCE, ROOT, require

from simcore.contract.check import check
from simcore.contract.plan import Plan, Sample

EXAMPLES = ROOT / "scenarios" / "participants"
CONFIG = {"low": 19, "high": 21.5, "panel": "panel", "period_ms": 250}
READINGS = (
    Sample("reading", {"celsius": 18.5}),
    Sample("reading", {"celsius": 22}),
    Sample("other", None),
)


def python(folder: Path) -> list[str]:
    return [sys.executable, str(EXAMPLES / "thermostat.py")]


def node(folder: Path) -> list[str]:
    return [require("node"), str(EXAMPLES / "thermostat.js")]


def c(folder: Path) -> list[str]:
    program = folder / "thermostat"
    build = [require("gcc"), "-O2", "-o", str(program), str(EXAMPLES / "thermostat.c")]
    subprocess.run(build, check=True, timeout=PATIENCE)
    return [str(program)]


@pytest.mark.parametrize(
    ("command", "transport"),
    [
        (python, "unix"),
        (python, "tcp"),
        (python, "stdio"),
        (node, "unix"),
        (node, "tcp"),
        (c, "stdio"),
    ],
)
def test_the_thermostats_keep_all_rules(
    command: Callable[[Path], list[str]], transport: str, tmp_path: Path
) -> None:
    plan = Plan(
        command(tmp_path),
        os.environ,
        kind="reactive",
        transport=transport,
        peers=("room", "panel"),
        config=CONFIG,
        samples=READINGS,
        timeout=60.0,
        start_timeout=60.0,
        pause=0.02,
    )
    report = check(plan)
    assert not report.broken and not report.unexamined, report.text()


def test_a_service_in_a_process_keeps_all_rules() -> None:
    config = {"service": "simcore_backends.services.echo:Echo", "base": ".", "config": {}}
    command = [sys.executable, "-m", "simcore.protocol.service_main"]
    hosting = {**config, "workers": 1, "queue": None}
    plan = Plan(command, os.environ, config=hosting, timeout=60.0, start_timeout=60.0)
    report = check(plan)
    assert not report.broken, report.text()
    assert list(report.unexamined) == ["keeps-next"]


NOISY = """
import os, sys
from participants import main
print("x" * 100_000, file=sys.stderr, flush=True)
if os.environ["SIMCORE_ADDRESS"] != "stdio":
    print("x" * 100_000, flush=True)
main("reactive")
"""


@pytest.mark.parametrize("transport", ["unix", "stdio"])
def test_what_a_program_prints_breaks_no_rule(transport: str) -> None:
    plan = Plan(
        (sys.executable, "-S", "-E", "-c", NOISY),
        os.environ,
        Path(__file__).parent,
        transport=transport,
        timeout=60.0,
        start_timeout=60.0,
    )
    assert not check(plan).broken
