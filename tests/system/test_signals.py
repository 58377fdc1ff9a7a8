"""Ctrl-C, SIGTERM and SIGKILL at known points of a run.

        sensor --reading, every ms--> sink

The model says where it is; no test waits for time to pass.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from support import Project, Started
from trouble import MODELS, SCENARIO

from simcore import open_run

SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
signals = pytest.mark.parametrize(("number", "code", "reason"), SIGNALS)


def happening(what: str, at: int) -> list[str]:
    return [f"--set=nodes.sensor.config.at={at}", f"--set=nodes.sensor.config.happens={what}"]


def start(project: Project, *options: str) -> Started:
    return project.start("scenario.yaml", "--out", "run", *options)


def manifest(project: Project) -> Any:
    return json.loads((project.path / "run" / "manifest.json").read_text(encoding="utf-8"))


def rows(path: Path) -> list[Any]:
    with open_run(path) as run:
        order = "ORDER BY at, source, number"
        messages = run.connection.execute(f"SELECT * FROM messages {order}").fetchall()
        return [*messages, *run.connection.execute("SELECT * FROM measurements ORDER BY at")]


def left(project: Project) -> list[str]:
    """Names of everything in the project and in its folder for temporary files."""
    temporary = Path(project.environment["TMPDIR"])
    return sorted(str(p.relative_to(project.path)) for p in project.path.rglob("*")) + [
        str(p) for p in temporary.iterdir()
    ]


COMPLETE = ["models.py", "run", "run/logs", "run/manifest.json",
            "run/run.sqlite", "scenario.yaml"]  # fmt: skip


@signals
def test_first_signal_ends_the_run_at_the_next_instant(
    project: Project, number: int, code: int, reason: str
) -> None:
    with start(project, *happening("waits", 5000)) as run:
        run.until("reached")
        run.send(number)
        run.go()
        ended = run.end()
    assert ended.code == code
    assert "stopping at the next instant; once more stops at once" in ended.err
    assert f"results so far are in run (exit reason: {reason})" in ended.err
    assert "Traceback" not in ended.err
    written = manifest(project)
    assert written["exit"]["reason"] == reason and written["exit"]["code"] == code
    assert written["digest"] is None
    assert left(project) == COMPLETE
    with open_run(project.path / "run") as opened:
        [count] = opened.connection.execute("SELECT count(*) FROM message").fetchone()
    assert 5000 <= count < 10_000


@signals
def test_signal_during_a_paced_run(project: Project, number: int, code: int, reason: str) -> None:
    # At this pace the model would sleep for 9,000 wall seconds: the wait must be given up.
    model = "--set=nodes.sensor={model: models.py:sleeps}"
    with start(project, model, "--realtime", "0.001") as run:
        run.until("reached")
        run.send(number)
        ended = run.end()
    assert ended.code == code
    assert manifest(project)["exit"]["reason"] == reason
    assert left(project) == COMPLETE


@signals
def test_second_signal_stops_a_model_that_never_returns(
    project: Project, number: int, code: int, reason: str
) -> None:
    with start(project, *happening("blocks", 3000)) as run:
        run.until("reached")
        run.send(number)
        assert "once more stops at once" in run.next_line()
        run.go()
        run.send(number)
        ended = run.end()
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert manifest(project)["exit"]["reason"] == reason
    assert left(project) == COMPLETE
    with open_run(project.path / "run") as opened:
        numbers = opened.connection.execute("SELECT value FROM measurement ORDER BY at").fetchall()
    assert numbers == [(n,) for n in range(3000)]


def test_second_signal_stops_a_service_that_never_returns(project: Project) -> None:
    with start(project, "--set=nodes.sink={service: models.py:Stubborn}") as run:
        run.until("reached")
        run.send(signal.SIGINT)
        run.next_line()
        run.send(signal.SIGINT)
        ended = run.end()
    assert ended.code == 130
    assert manifest(project)["exit"]["reason"] == "interrupted"


@signals
def test_signal_while_model_files_are_imported(
    project: Project, number: int, code: int, reason: str
) -> None:
    project.write(
        "slow.py",
        "import models\n"
        "try:\n    models.blocks(None)\nexcept Exception:\n    pass\n"
        "def model(node):\n    yield\n",
    )
    with start(project, "--set=nodes.sensor.model=slow.py:model") as run:
        run.until("reached")
        run.send(number)
        ended = run.end()
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert left(project) == ["models.py", "scenario.yaml", "slow.py"], "nothing was started"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """All rows of the run that the killed ones were to become."""
    project = Project(tmp_path_factory.mktemp("whole"))
    project.write("models.py", MODELS)
    project.write("scenario.yaml", SCENARIO)
    assert project.simcore("scenario.yaml", "--out", "run", "--quiet").code == 0
    return rows(project.path / "run")


@signals
def test_signal_inside_an_exec_keeps_its_code(
    project: Project, number: int, code: int, reason: str
) -> None:
    """What Python's own library executes as text, as for a dataclass, may be what is met."""
    text = f"import signal; signal.raise_signal({int(number)})"
    project.write("models.py", MODELS + f"\nexec({text!r})\n")
    ended = project.simcore("scenario.yaml", "--out", "run")
    assert ended.code == code
    assert ended.err.count("simcore: stopped by") == 1
    assert left(project) == ["models.py", "scenario.yaml"]


@signals
def test_signals_after_the_end_change_nothing(
    project: Project, number: int, code: int, reason: str
) -> None:
    """Who presses Ctrl-C once more while the process takes leave."""
    leave = "import atexit\natexit.register(lambda: waits(None))\n"
    project.write("models.py", MODELS + leave)
    with start(project, *happening("waits", 3)) as run:
        run.until("reached")
        run.send(number)
        run.go()
        run.until("reached")
        run.send(number)
        run.go()
        ended = run.end()
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert manifest(project)["exit"]["reason"] == reason


@pytest.mark.parametrize("at", [0, 1, 3000, 7777])
def test_killed_run_is_readable_and_a_prefix(
    project: Project, uninterrupted: list[Any], at: int
) -> None:
    with start(project, *happening("waits", at)) as run:
        run.until("reached")
        run.send(signal.SIGKILL)
        assert run.end().code == -signal.SIGKILL
    assert manifest(project)["exit"] == {"reason": "running", "code": None, "message": None}
    found = rows(project.path / "run")
    whole = set(uninterrupted)
    assert set(found) <= whole
    # What was written is what came first, but for what was held in the buffer.
    messages = [row for row in found if len(row) == len(found[0])]
    assert messages == uninterrupted[: len(messages)]
    assert at - 4096 <= len(messages) <= at
    extra = {"run/.reserve", "run/run.sqlite-wal", "run/run.sqlite-shm"}
    assert set(left(project)) - extra == set(COMPLETE), "nothing but the run directory is left"


def test_killed_while_it_writes(project: Project, uninterrupted: list[Any]) -> None:
    with start(project, *happening("says", 6000)) as run:
        run.until("reached")
        run.send(signal.SIGKILL)
        assert run.end().code == -signal.SIGKILL
    found = rows(project.path / "run")
    assert set(found) <= set(uninterrupted)


def test_killed_while_model_files_are_imported(project: Project) -> None:
    project.write("slow.py", "import models\nmodels.waits(None)\ndef model(node):\n    yield\n")
    with start(project, "--set=nodes.sensor.model=slow.py:model") as run:
        run.until("reached")
        run.send(signal.SIGKILL)
        run.end()
    assert manifest(project)["exit"]["reason"] == "running"
    assert rows(project.path / "run") == []


def test_summary_of_a_killed_run_says_so(project: Project) -> None:
    with start(project, *happening("waits", 5000)) as run:
        run.until("reached")
        run.send(signal.SIGKILL)
        run.end()
    ended = project.simcore("report", "run")
    assert ended.code == 0, ended.err


@signals
def test_signal_to_verify_ends_its_runs_and_leaves_nothing(
    project: Project, number: int, code: int, reason: str
) -> None:
    arguments = ["verify", "scenario.yaml", *happening("waits", 10)]
    with project.start(*arguments) as run:
        run.until("reached")
        run.send(number)
        ended = run.end()
    assert ended.code == code
    assert left(project) == ["models.py", "scenario.yaml"]
