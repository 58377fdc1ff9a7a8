"""A project with a device that does what it is told, in any engine, and a look at how a run of it ends.

hub --say, 1 ms--> dev    firmware that says what it is told: tests/unit/firmware/parrot.c
    <--------------
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from firmware_builds import parrot
from outsiders import left_of, outsiders
from support import Ended, Project

from simcore import open_run

ENGINES = ("native", "qemu")
FALLBACK = "`implementation: native` runs the same firmware without QEMU"

MODELS = """
import os
import signal
from pathlib import Path


def strike(name):
    '''Send a signal to all devices.'''
    programs = {os.fsencode(Path.cwd() / name) for name in ("parrot", "parrot.elf")}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(bytes(1))
            except OSError:
                continue
            if programs.intersection(command):
                os.kill(int(entry.name), signal.Signals[name])


def idle(node):
    while True:
        yield node.receive()


def hub(node):
    for at, text in node.config["says"]:
        if at > node.now:
            yield node.sleep(at - node.now)
        if str(text).startswith("SIG"):
            strike(text)
        elif text == "READY":
            with open(os.environ["READY"], "w") as pipe:
                pipe.write("reached")
        else:
            node.send("dev", "say", bytes(text) if isinstance(text, list) else text)
    while True:
        message = yield node.receive()
        node.record(f"heard.{message.kind}", node.now)
"""

SCENARIO = """
simcore: 1
name: device
duration: 50ms
nodes:
  hub:
    model: models.py:hub
    config: {says: []}
  dev:
    implementation: native
    firmware: {native: parrot, elf: parrot.elf}
network:
  model: latency
  links:
    - {between: [hub, dev], delay: 1ms}
"""

Said = Sequence[tuple[int, str | list[int]]]
"""When the hub says what, ns; bytes as numbers; `SIG...` is a signal to all devices,
`READY` a word to the test."""


@pytest.fixture(scope="session")
def parrots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the firmware for both engines."""
    folder = tmp_path_factory.mktemp("parrots")
    shutil.copy(parrot(folder / "build"), folder / "parrot")
    shutil.copy(parrot(folder / "build", "stm32f4"), folder / "parrot.elf")
    return folder


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of what is built on first use: once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(tmp_path: Path, parrots: Path, builds: Path) -> Any:
    with outsiders(tmp_path) as made:
        made.environment["XDG_CACHE_HOME"] = str(builds)
        made.write("models.py", MODELS)
        made.write("scenario.yaml", SCENARIO)
        for name in ("parrot", "parrot.elf"):
            shutil.copy(parrots / name, tmp_path / name)
        yield made


def options(engine: str, says: Said = (), **keys: Any) -> list[str]:
    """Options that choose an engine, what is said, and keys of the device."""
    return [
        f"--set=nodes.dev.implementation={engine}",
        f"--set=nodes.hub.config.says={json.dumps(list(says))}",
        *(f"--set=nodes.dev.{key}={json.dumps(value)}" for key, value in keys.items()),
    ]


@dataclass
class Report:
    """A run that failed, as the user sees it."""

    text: str
    first: str
    rule: str
    process: str
    log: str
    """Of the device, at the end."""
    at: int
    """Virtual time until which there are results, ns."""


def run(project: Project, *more: str) -> Ended:
    """A run, after which nothing is left."""
    shutil.rmtree(project.path / "run", ignore_errors=True)
    with project.start("scenario.yaml", "--out", "run", *more) as started:
        ended = started.end()
    assert left_of(started.process.pid) == []
    assert "Traceback (most recent call last):" not in ended.err, ended.err
    return ended


def completed(project: Project, *more: str) -> str:
    """A run that goes to its end; the log of the device."""
    ended = run(project, *more)
    assert ended.code == 0, ended.err
    return log_of(project)


def failed(project: Project, *more: str) -> Report:
    """A run that fails by a participant, and the report of it."""
    return report_of(project, run(project, *more))


def report_of(project: Project, ended: Ended, name: str = "dev") -> Report:
    """The one report of a run that failed."""
    assert ended.code == 3, ended.err
    found = re.findall(r"^simcore: (.* \(rule: ([a-z-]+)\))$", ended.err, re.M)
    assert len(found) == 1, ended.err
    [(first, rule)] = found
    assert f"waits for {name} " in ended.err
    assert re.search(r"^  at virtual time [0-9.]+s", ended.err, re.M)
    assert "results so far are in run (exit reason: participant_error)" in ended.err
    process = re.search(r"^  process: (.*)$", ended.err, re.M)
    assert process is not None
    written = manifest(project)
    assert written["exit"]["reason"] == "participant_error"
    assert written["exit"]["message"].splitlines()[0] == first
    assert written["digest"] is None
    with open_run(project.path / "run") as opened:
        (at,) = opened.connection.execute("SELECT max(until) FROM exchange").fetchone()
    return Report(ended.err, first, rule, process.group(1), log_of(project), at or 0)


def refused(project: Project, *more: str) -> str:
    """A run that is not started at all; what the user is told."""
    ended = run(project, *more)
    assert ended.code == 2, ended.err
    assert not (project.path / "run").exists()
    return ended.err


def manifest(project: Project) -> Any:
    return json.loads((project.path / "run/manifest.json").read_text(encoding="utf-8"))


def log_of(project: Project) -> str:
    """The log of the device, empty if there is none."""
    file = project.path / "run/logs/dev.log"
    return file.read_text(encoding="ascii") if file.exists() else ""


def heard(project: Project) -> list[tuple[int, str, Any]]:
    """What the device sent: when, kind, payload."""
    with open_run(project.path / "run") as opened:
        rows = opened.connection.execute(
            "SELECT sent, kind, payload FROM messages WHERE source = 'dev' ORDER BY sent, number"
        ).fetchall()
    return [(at, kind, json.loads(payload)) for at, kind, payload in rows]


def measured(project: Project, name: str) -> list[tuple[int, float]]:
    """Values of a measurement of the device, with their times."""
    with open_run(project.path / "run") as opened:
        return opened.connection.execute(
            "SELECT at, value FROM measurement WHERE name = ? ORDER BY at", (name,)
        ).fetchall()


def without(project: Project, *tools: str) -> None:
    """Have a PATH in which some programs are not: links to all others."""
    folder = project.path / "bin"
    folder.mkdir()
    for place in map(Path, project.environment["PATH"].split(os.pathsep)):
        for file in place.iterdir() if place.is_dir() else ():
            link = folder / file.name
            if file.name not in tools and not link.is_symlink():
                link.symlink_to(file)
    project.environment["PATH"] = str(folder)


def program(project: Project, name: str, text: str) -> Path:
    """A shell script that takes the place of a program."""
    file = project.write(name, f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def on_another_machine(project: Project) -> None:
    """Have simcore take this for a machine for which nothing was prebuilt."""
    folder = project.path / "patches"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import platform\nplatform.machine = lambda: 'vax'\n")
    project.environment["PYTHONPATH"] = str(folder)
