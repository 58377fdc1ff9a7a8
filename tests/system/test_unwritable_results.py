"""Where results cannot go: exit code 4, one line, and what was written before stays readable."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import Project, heeding_modes, require, without_progress

from simcore import open_run

MEGABYTE = 1_000_000


def manifest(path: Path) -> Any:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


def limit(size: int) -> Callable[[], None]:
    """Have no file of a process grow beyond a size."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("options", [(), ("--log-time",), ("--log-level", "debug")])
def test_disk_full_in_the_middle(project: Project, options: Sequence[str]) -> None:
    ended = project.simcore(
        "scenario.yaml", "--out", "run", "--set=duration=100s", *options,
        preexec_fn=limit(MEGABYTE),
    )  # fmt: skip
    assert ended.code == 4, ended.err
    assert "Traceback" not in ended.err
    assert len(without_progress(ended.err).splitlines()) <= 3, ended.err
    assert "results so far are in run (exit reason: unwritable)" in ended.err
    written = manifest(project.path / "run")
    assert written["exit"]["reason"] == "unwritable" and written["exit"]["code"] == 4
    assert written["digest"] is None
    with open_run(project.path / "run") as run:
        numbers = run.connection.execute("SELECT value FROM measurement ORDER BY at").fetchall()
    assert numbers == [(n,) for n in range(len(numbers))]
    assert 1000 < len(numbers) < 100_000


def test_disk_full_before_the_start(project: Project) -> None:
    ended = project.simcore("scenario.yaml", "--out", "run", preexec_fn=limit(10_000))
    assert ended.code == 4
    assert ended.err == (
        "simcore: cannot write the run directory run: File too large; name another with --out\n"
    )
    assert not (project.path / "run").exists()


def test_disk_full_for_the_database_before_the_start(project: Project) -> None:
    ended = project.simcore("scenario.yaml", "--out", "run", preexec_fn=limit(70_000))
    assert ended.code == 4
    assert "run/run.sqlite" in ended.err and "Traceback" not in ended.err
    assert not (project.path / "run").exists()


def test_a_model_that_catches_everything_does_not_hide_it(project: Project) -> None:
    project.write(
        "deaf.py",
        "def sensor(node):\n"
        "    for number in range(100_000):\n"
        "        try:\n"
        "            node.record('number', number)\n"
        "        except Exception:\n"
        "            pass\n"
        "        yield node.sleep('1ms')\n",
    )
    ended = project.simcore(
        "scenario.yaml", "--out", "run", "--set=duration=100s",
        "--set=nodes.sensor={model: deaf.py:sensor}", preexec_fn=limit(MEGABYTE),
    )  # fmt: skip
    assert ended.code == 4
    assert manifest(project.path / "run")["digest"] is None


def test_full_file_system(project: Project) -> None:
    """The real thing, on a file system of 2 MB that only this process sees."""
    unshare = require("unshare")
    alone = [unshare, "--mount", "--map-root-user"]
    trial = [*alone, "mount", "-t", "tmpfs", "x", "/mnt"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system of their own")
    script = (
        "mount -t tmpfs -o size=2m simcore-test /mnt && "
        '"$0" -m simcore scenario.yaml --out /mnt/run --set=duration=100s; echo "code $?"; '
        "mkdir run && cp -r /mnt/run/. run"
    )
    done = subprocess.run(
        [*alone, "sh", "-c", script, sys.executable],
        cwd=project.path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("code 4\n")
    assert "Traceback" not in done.stderr
    assert "full" in done.stderr
    assert manifest(project.path / "run")["exit"]["reason"] == "unwritable"
    with open_run(project.path / "run") as run:
        numbers = run.connection.execute("SELECT value FROM measurement ORDER BY at").fetchall()
    assert numbers == [(n,) for n in range(len(numbers))]
    assert len(numbers) > 1000


def test_directory_without_the_right_to_write(project: Project) -> None:
    parent = project.path / "results"
    parent.mkdir()
    parent.chmod(0o555)
    ended = project.simcore("scenario.yaml", "--out", "results/run", prefix=heeding_modes())
    assert ended.code == 4
    assert ended.err == (
        "simcore: cannot write the run directory results/run: Permission denied; "
        "name another with --out\n"
    )
    assert list(parent.iterdir()) == []


def test_no_right_to_make_the_numbered_directory(project: Project) -> None:
    (project.path / "runs").mkdir(mode=0o555)
    ended = project.simcore("scenario.yaml", prefix=heeding_modes())
    assert ended.code == 4
    assert "Permission denied; name another with --out" in ended.err
    assert "Traceback" not in ended.err


def test_path_below_a_file(project: Project) -> None:
    ended = project.simcore("scenario.yaml", "--out", "models.py/run")
    assert ended.code == 4
    assert "cannot write the run directory models.py/run: Not a directory" in ended.err


def test_path_is_a_file(project: Project) -> None:
    before = (project.path / "models.py").read_bytes()
    ended = project.simcore("scenario.yaml", "--out", "models.py")
    assert ended.code == 4
    assert ended.err == "simcore: models.py is a file, not a directory\n"
    assert (project.path / "models.py").read_bytes() == before


def test_occupied_directory_is_left_as_it_is(project: Project) -> None:
    assert project.simcore("scenario.yaml", "--out", "run", "--quiet").code == 0
    files = [path for path in sorted((project.path / "run").rglob("*")) if path.is_file()]
    before = [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    ended = project.simcore("scenario.yaml", "--out", "run", "--seed", "2")
    assert ended.code == 4
    assert ended.err == (
        "simcore: run is not empty: a run never overwrites another; name a new directory with --out\n"
    )
    files = [path for path in sorted((project.path / "run").rglob("*")) if path.is_file()]
    assert [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


def test_empty_directory_of_the_users_stays_when_nothing_starts(project: Project) -> None:
    (project.path / "mine").mkdir()
    project.write("broken.py", "import numppy\ndef model(node):\n    yield\n")
    ended = project.simcore(
        "scenario.yaml", "--out", "mine", "--set=nodes.sensor={model: broken.py:model}"
    )
    assert ended.code == 2
    assert list((project.path / "mine").iterdir()) == []
