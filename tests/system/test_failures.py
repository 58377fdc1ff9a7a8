"""What a model does wrong ends in one report, a documented exit code, and results so far.

sensor --reading, every ms--> sink
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import Ended, Project

from simcore import open_run


def happening(what: str, at: int = 3000) -> list[str]:
    """Options that have something happen to the sensor at its `at`-th message."""
    return [f"--set=nodes.sensor.config.at={at}", f"--set=nodes.sensor.config.happens={what}"]


def manifest(path: Path) -> Any:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


def failed_run(project: Project, *options: str) -> tuple[Ended, Any]:
    """A run that fails: its process, and the manifest it leaves."""
    ended = project.simcore("scenario.yaml", "--out", "run", *options)
    assert ended.code == 3, ended.err
    written = manifest(project.path / "run")
    assert written["exit"]["code"] == 3
    assert written["digest"] is None
    assert {each.name for each in (project.path / "run").iterdir()} == {
        "logs",
        "manifest.json",
        "run.sqlite",
    }
    assert f"results so far are in run (exit reason: {written['exit']['reason']})" in ended.err
    return ended, written


def test_model_that_raises(project: Project) -> None:
    ended, written = failed_run(project, *happening("raises"))
    assert "the model of sensor raised ValueError: the sensor is on fire" in ended.err
    assert "at virtual time 3.001s, node sensor" in ended.err
    # The traceback is of the user's file alone, from where simcore entered it.
    files = [line for line in ended.err.splitlines() if "File " in line]
    assert len(files) == 2
    assert all(str(project.path / "models.py") in line for line in files)
    assert 'raise ValueError("the sensor is on fire")' in ended.err
    assert written["exit"]["reason"] == "model_error"
    assert "ValueError: the sensor is on fire" in written["exit"]["message"]
    assert written["times"]["virtual_ns"] == 3_001_000_001
    with open_run(project.path / "run") as run:
        numbers = run.connection.execute("SELECT value FROM measurement ORDER BY at").fetchall()
        assert numbers == [(n,) for n in range(3000)]
        assert run.connection.execute("SELECT count(*) FROM message").fetchone() == (3000,)


def test_service_that_raises(project: Project) -> None:
    sink = "--set=nodes.sink={service: models.py:Broken}"
    ended, written = failed_run(project, sink)
    assert "the service of sink raised KeyError: 'weights'" in ended.err
    assert "at virtual time 2.501s, node sink" in ended.err
    assert f'File "{project.path / "models.py"}"' in ended.err
    assert "participant.py" not in ended.err
    assert written["exit"]["reason"] == "model_error"
    with open_run(project.path / "run") as run:
        assert run.connection.execute("SELECT count(*) FROM message").fetchone() == (2501,)


@pytest.mark.parametrize(
    ("text", "node", "said", "reason"),
    [
        (
            "class Quitter:\n    def on_message(self, ctx, msg): sys.exit(0)",
            "sink={service: quits.py:Quitter}",
            "the service of sink raised SystemExit: 0",
            "model_error",
        ),
        (
            "def quitter(node):\n    node.at(10**9, lambda: sys.exit(0))\n    yield node.sleep('2s')",
            "sink={model: quits.py:quitter}",
            "the run was ended by SystemExit: 0",
            "failed",
        ),
    ],
)
def test_what_ends_the_program_fails_as_any_other_error(
    project: Project, text: str, node: str, said: str, reason: str
) -> None:
    (project.path / "quits.py").write_text(f"import sys\n{text}\n")
    ended, written = failed_run(project, f"--set=nodes.{node}")
    assert said in ended.err
    assert written["exit"]["reason"] == reason


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            "misspells",
            "sensor cannot send to 'snik': there is no such node (did you mean 'sink'?)",
        ),
        ("sends_a_set", "sensor cannot send 'reading' to sink: payload.numbers is a builtins.set"),
    ],
)
def test_message_that_cannot_be_sent(project: Project, what: str, said: str) -> None:
    ended, written = failed_run(project, *happening(what, 5))
    assert said in ended.err
    assert "at virtual time 0.006s, node sensor" in ended.err
    assert written["exit"]["reason"] == "send_error"
    with open_run(project.path / "run") as run:
        assert run.connection.execute("SELECT count(*) FROM message").fetchone() == (5,)


def test_yield_of_what_is_no_event(project: Project) -> None:
    ended, _ = failed_run(project, "--set=nodes.sensor.model=models.py:yields_a_number")
    assert "sensor yielded what is no event of SimPy" in ended.err
    assert f'File "{project.path / "models.py"}", line ' in ended.err
    assert 'Invalid yield value "5"' in ended.err
    assert "Traceback" not in ended.err


def test_process_that_only_simpy_knows_of(project: Project) -> None:
    ended, written = failed_run(project, "--set=nodes.sensor.model=models.py:process_of_its_own")
    assert "ValueError: nobody looks after me" in ended.err
    assert "at virtual time 0.005s" in ended.err
    assert written["exit"]["reason"] == "failed"


def test_model_that_raises_when_it_is_closed_costs_no_results(project: Project) -> None:
    ended, _ = failed_run(project, "--set=nodes.sensor.model=models.py:cannot_close")
    assert "the model of sensor raised ValueError: the port stays open" in ended.err
    with open_run(project.path / "run") as run:
        assert run.connection.execute("SELECT count(*) FROM message").fetchone() == (10_000,)


def test_zero_delay_loop_prints_the_cycle(project: Project) -> None:
    ended, written = failed_run(
        project,
        "--set=nodes.sensor.model=models.py:ping",
        "--set=nodes.sink={model: models.py:pong}",
    )
    assert "sensor --ping--> sink\n" in ended.err
    assert "sink --pong--> sensor\n" in ended.err
    assert "at virtual time 0s" in ended.err
    assert written["exit"]["reason"] == "zero_delay_loop"


def test_import_error_in_a_model_file(project: Project) -> None:
    project.write("broken.py", "import numppy\n\ndef model(node):\n    yield\n")
    ended = project.simcore(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.model=broken.py:model"
    )
    assert ended.code == 2
    assert "importing it raised ModuleNotFoundError: No module named 'numppy'" in ended.err
    assert f'File "{project.path / "broken.py"}", line 1, in <module>' in ended.err
    assert "importlib" not in ended.err and "results so far" not in ended.err
    assert not (project.path / "run").exists(), "nothing was started, nothing is to be left"


def test_import_error_leaves_no_numbered_directory_either(project: Project) -> None:
    project.write("broken.py", "raise SystemExit(0)\n\ndef model(node):\n    yield\n")
    ended = project.simcore("scenario.yaml", "--set=nodes.sensor.model=broken.py:model")
    assert ended.code == 2
    assert "importing it raised SystemExit: 0" in ended.err
    assert list((project.path / "runs").iterdir()) == []


def test_syntax_error_in_a_model_file(project: Project) -> None:
    project.write("broken.py", "def model(node)\n    yield\n")
    ended = project.simcore(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.model=broken.py:model"
    )
    assert ended.code == 2
    assert "broken.py is not valid Python: line 1: expected ':'" in ended.err
    assert "1 problem; nothing was started" in ended.err
    assert not (project.path / "run").exists()


def test_syntax_error_in_a_neighbour_of_a_model_file(project: Project) -> None:
    project.write("neighbour.py", "def f(:\n")
    project.write("outer.py", "import neighbour\n\ndef model(node):\n    yield\n")
    ended = project.simcore(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.model=outer.py:model"
    )
    assert ended.code == 2
    assert f'File "{project.path / "neighbour.py"}", line 1' in ended.err
    assert "SyntaxError" in ended.err


def test_failed_expectation(project: Project) -> None:
    ended = project.simcore(
        "scenario.yaml", "--out", "run", "--set=expect=[delivered >= 1, sent <= 10]"
    )
    assert ended.code == 1
    assert "FAIL" in ended.out and "sent" in ended.out
    written = manifest(project.path / "run")
    assert written["exit"] == {
        "reason": "expectation_failed",
        "code": 1,
        "message": "sent <= 10",
    }
    assert len(written["digest"]) == 64, "the run itself is complete"
    junit = (project.path / "run" / "junit.xml").read_text(encoding="utf-8")
    assert 'tests="2"' in junit and 'failures="1"' in junit
    assert "sent &lt;= 10" in junit
