"""`clean` ends and removes what is left when the guard was killed together with simcore."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from guarded import Ward
from support import Project, Started

GRANDCHILD = """
import os, signal
os.setsid()
with open(os.environ["READY"], "w") as ready:
    ready.write("ready")
signal.pause()
"""
PROGRAM = f"""
import os, signal, sys
from simcore.guard import Guard
from simcore.launch import Child
from simcore.private import PrivateDirectory

guard = Guard()
directory = PrivateDirectory(guard)
hides = ["sh", "-c", 'trap "" TERM; "$0" -c "$1" & wait', sys.executable, {GRANDCHILD!r}]
for command in ["sleep", "3600"], hides:
    Child.launch(command, environment=os.environ, directory=directory.path,
                 log=directory.path / "log", guard=guard)
signal.pause()
"""


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    made = Ward(tmp_path)
    yield made
    made.end()


@pytest.fixture
def project(ward: Ward, tmp_path: Path) -> Project:
    # Without the ward's word: `clean` is none of what is left.
    environment = {key: ward.environment[key] for key in ("TMPDIR", "XDG_RUNTIME_DIR")}
    return Project(tmp_path, environment)


def start(ward: Ward) -> Started:
    """A run; it has started its children."""
    run = Started([sys.executable, "-c", PROGRAM], ward.temporary.parent, ward.environment)
    run.until("ready")
    return run


def guard_of(ward: Ward) -> int:
    (guard,) = [look.pid for look, is_guard in ward.processes() if is_guard]
    return guard


def lose_power(ward: Ward, run: Started) -> None:
    """Kill simcore and its guard, so that the guard has no moment between."""
    guard = guard_of(ward)
    os.kill(guard, signal.SIGSTOP)
    run.send(signal.SIGKILL)
    run.process.wait()
    os.kill(guard, signal.SIGKILL)


def clean(project: Project, mark: str, *options: str) -> list[str]:
    """What `clean` says of our run: other tests may leave something at this moment, too."""
    done = project.simcore("clean", *options)
    assert (done.code, done.err) == (0, "")
    return [line for line in done.out.splitlines() if mark in line]


def run_in(ward: Ward) -> str:
    """The id of the run."""
    (owner,) = ward.temporary.glob("*/owner.json")
    return str(json.loads(owner.read_text(encoding="utf-8"))["run"])


def test_what_simcore_and_guard_left(ward: Ward, project: Project) -> None:
    with start(ward) as run:
        lose_power(ward, run)
        (directory,), mark = ward.temporary.iterdir(), run_in(ward)
        before = {look.pid for look, is_guard in ward.processes() if not is_guard}
        assert len(before) == 3

        planned = clean(project, mark, "--dry-run")
        assert {look.pid for look, _ in ward.processes()} >= before and directory.exists()

        done = clean(project, mark)
        assert ward.processes() == [] and not directory.exists()
        *ended, removed = done
        assert removed == f"removed {directory} of run {mark}"
        assert {line.rpartition(" (")[0] for line in ended} == {
            f"ended process {pid}" for pid in before
        }
        assert any(f" (sleep 3600) of run {mark}" in line for line in ended)
        assert planned == [
            line.replace("ended", "would end").replace("removed", "would remove") for line in done
        ]
    assert clean(project, mark) == []


def test_processes_without_a_directory(ward: Ward, project: Project) -> None:
    """The id of a run tells by itself that its simcore is dead."""
    with start(ward) as run:
        lose_power(ward, run)
        (directory,), mark = ward.temporary.iterdir(), run_in(ward)
        directory.rename(directory.with_name("elsewhere"))
        assert len(clean(project, mark)) == 3
        assert ward.processes() == []


def test_a_run_that_is_alive_is_not_touched(ward: Ward, project: Project) -> None:
    with start(ward) as run:
        before = {look.pid for look, _ in ward.processes()}
        assert clean(project, run_in(ward)) == []
        assert {look.pid for look, _ in ward.processes()} == before
        assert len(list(ward.temporary.iterdir())) == 1
        run.send(signal.SIGKILL)
        run.process.wait()
        assert ward.left() == []


def test_a_guard_that_was_stopped_does_its_work_first(ward: Ward, project: Project) -> None:
    with start(ward) as run:
        mark = run_in(ward)
        os.kill(guard_of(ward), signal.SIGSTOP)
        run.send(signal.SIGKILL)
        run.process.wait()
        assert clean(project, mark) == []
        assert ward.processes() == [] and list(ward.temporary.iterdir()) == []
