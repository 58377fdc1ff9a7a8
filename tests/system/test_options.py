"""What the options of `run` do, and the exit codes of what it is not given right."""

from __future__ import annotations

import json
import os
import pty
import select
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, Project, heeding_modes, without_progress

from simcore import open_run
from simcore.errors import ExitCode


def manifest(path: Path) -> Any:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


def run(project: Project, out: str, *options: str) -> Any:
    """The manifest of a run that completes."""
    ended = project.simcore("scenario.yaml", "--out", out, *options)
    assert ended.code == 0, ended.err
    return manifest(project.path / out)


def test_help_names_every_exit_code(project: Project) -> None:
    ended = project.simcore("--help")
    assert ended.code == 0
    lines = ended.out.partition("Exit codes:")[2]
    for code in ExitCode:
        assert f" {int(code)} " in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["validat"], "there is no command 'validat' (did you mean 'validate'?)"),
        (["absent.yaml"], "absent.yaml: there is no such file"),
        (["scenario.yaml", "--frob"], "No such option '--frob'"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["scenario.yaml", "--until", "5"], "'5' has no unit"),
        (["scenario.yaml", "--realtime", "0"], "--realtime"),
        (["scenario.yaml", "--set", "nodes.sensr.count=2"], "did you mean 'sensor'?"),
        (["scenario.yaml", "--seed", "x"], "--seed"),
        (["verify", "runs"], "runs"),
        (["trace", "absent", "sensor/1"], "absent does not exist"),
    ],
)
def test_wrong_usage_starts_nothing(project: Project, arguments: Sequence[str], said: str) -> None:
    ended = project.simcore(*arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err and ended.out == ""
    assert sorted(p.name for p in project.path.iterdir()) == ["models.py", "scenario.yaml"]


def test_invalid_scenario_names_every_problem_and_starts_nothing(project: Project) -> None:
    project.write("bad.yaml", "simcore: 1\nduration: 10\nnodes:\n  a: {model: absent.py:f}\n")
    ended = project.simcore("bad.yaml", "--out", "run")
    assert ended.code == 2
    assert "bad.yaml:2:11: duration: " in ended.err
    assert "bad.yaml:4:" in ended.err
    assert "2 problems; nothing was started" in ended.err
    assert not (project.path / "run").exists()


def test_scenario_that_may_not_be_read(project: Project) -> None:
    (project.path / "scenario.yaml").chmod(0)
    ended = project.simcore("scenario.yaml", prefix=heeding_modes())
    assert ended.code == 2
    assert ended.err.startswith("scenario.yaml: cannot be read: Permission denied\n")


def test_overrides_change_the_run_and_are_kept_with_it(project: Project) -> None:
    plain = run(project, "plain", "--until", "100ms")
    assert plain["duration_ns"] == 100_000_000 == plain["times"]["virtual_ns"]
    assert plain["counts"]["messages"] == 99
    other = run(project, "other", "--until", "100ms", "--seed", "2")
    assert other["seed"] == 2 != plain["seed"]
    assert other["digest"] != plain["digest"]
    more = run(project, "more", "--until", "100ms", "--set", "nodes.sink.count=3",
               "--set", "nodes.sensor.model=models.py:sleeps")  # fmt: skip
    assert more["resolved"]["nodes"]["sink"]["count"] == 3
    assert more["counts"]["messages"] == 0
    with open_run(project.path / "more") as opened:
        assert len(opened.connection.execute("SELECT * FROM node").fetchall()) == 4


def test_runs_are_numbered(project: Project) -> None:
    for number in (1, 2):
        ended = project.simcore("scenario.yaml", "--until", "10ms")
        assert ended.code == 0
        assert f"runs/trouble-{number}" in ended.out
    assert sorted(p.name for p in (project.path / "runs").iterdir()) == ["trouble-1", "trouble-2"]


def test_quiet_prints_nothing_but_errors(project: Project) -> None:
    ended = project.simcore("scenario.yaml", "--quiet", "--until", "10ms")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    ended = project.simcore(
        "scenario.yaml", "--quiet", "--until", "10ms", "--set=expect=[sent < 1]"
    )
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err == "simcore: expectation failed: sent < 1: sent = 9 is not < 1\n"


def test_time_log_lists_every_grant_and_fate_and_is_equal_for_equal_runs(project: Project) -> None:
    lossy = (
        "--set=network={model: latency, links: "
        "[{between: [sensor, sink], delay: {min: 1ms, exponential: 1ms}, loss: 20%}]}"
    )
    options = ["--log-time", "--until", "50ms", "--set=nodes.sink={service: echo}", lossy]
    logs = []
    for out in ("one", "two"):
        run(project, out, *options)
        logs.append((project.path / out / "logs" / "simcore.log").read_text(encoding="utf-8"))
    assert logs[0] == logs[1]
    lines = logs[0].splitlines()
    with open_run(project.path / "one") as opened:
        fates = dict(opened.connection.execute("SELECT fate, count(*) FROM messages GROUP BY fate"))
        [instants] = opened.connection.execute(
            "SELECT count(DISTINCT at) FROM messages WHERE destination = 'sink' "
            "AND fate = 'delivered'"
        ).fetchone()
    assert fates["loss"] > 0
    assert sum(" deliver " in line for line in lines) == fates["delivered"]
    assert sum(" lose (loss) " in line for line in lines) == fates["loss"]
    assert sum(" grant sink, " in line for line in lines) == instants + 1, "one at the start"
    assert lines[0] == "INFO simcore.time: 0s grant sink, 0 inputs"


def test_without_it_there_is_no_log(project: Project) -> None:
    run(project, "run", "--until", "10ms")
    assert list((project.path / "run" / "logs").iterdir()) == []


def test_paced_run_has_the_digest_of_the_unpaced_one(project: Project) -> None:
    options = ["--until", "50ms", "--set=nodes.sink={service: echo}"]
    unpaced = run(project, "unpaced", *options)
    assert "late_s" not in unpaced["times"]
    ended = project.simcore("scenario.yaml", "--out", "paced", "--realtime", "2", *options)
    assert ended.code == 0
    paced = manifest(project.path / "paced")
    assert paced["digest"] == unpaced["digest"]
    assert paced["times"]["late_s"] >= 0
    assert " late" in ended.out


def test_simcores_own_share_is_in_the_manifest(project: Project) -> None:
    project.write(
        "busy.py",
        "def model(node):\n"
        "    for _ in range(400):\n"  # long enough for a share to be told
        "        sum(i * i for i in range(100_000))\n"
        "        yield node.sleep('1ms')\n",
    )
    times = run(project, "run", "--set=nodes.sensor={model: busy.py:model}")["times"]
    # Nearly all of it is the model's: a share, so it does not depend on the machine's speed.
    assert 0 <= times["simcore_s"] < 0.3 * times["wall_s"]


def test_a_pipe_gets_no_bar_and_no_colours(project: Project) -> None:
    ended = project.simcore("scenario.yaml", "--until", "1s")
    assert ended.code == 0
    assert without_progress(ended.err) == ""
    assert "\x1b" not in ended.out
    assert "python -m simcore report runs/trouble-1\n" in ended.out


@pytest.mark.parametrize(
    ("closed", "unbuffered"), [(["stdout"], ""), (["stdout", "stderr"], "1")], ids=["out", "both"]
)
@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["scenario.yaml", "--until", "10ms"], 0),
        (["scenario.yaml", "--until", "10ms", "--set=expect=[sent < 1]"], 1),
        (["--help"], 0),
        (["scenario.yaml", "--set=nodes.sensor.config={at: 5, happens: raises}"], 3),
    ],
)
def test_a_reader_that_leaves_changes_no_exit_code(
    project: Project, options: Sequence[str], code: int, closed: Sequence[str], unbuffered: str
) -> None:
    project.environment["PYTHONUNBUFFERED"] = unbuffered
    reader, writer = os.pipe()
    os.close(reader)  # gone before the first line
    ended = project.simcore(*options, **dict.fromkeys(closed, writer))
    os.close(writer)
    assert ended.code == code
    assert "BrokenPipe" not in ended.err
    assert ("ValueError: the sensor is on fire" in ended.err) == (code == 3 and not unbuffered)


def test_a_terminal_gets_a_bar_with_virtual_time(project: Project) -> None:
    options = ["--set=nodes.sensor.config.at=4999", "--set=nodes.sensor.config.happens=waits"]
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    project.environment.update(environment)
    with project.start("scenario.yaml", *options, stderr=theirs) as started:
        os.close(theirs)
        started.until("reached")
        shown = ""
        while "5 s of 10 s" not in shown:  # shown while the run stands still at 5 s
            assert select.select([ours], [], [], PATIENCE)[0], shown
            shown += os.read(ours, 65536).decode()
        assert "trouble" in shown and "x real time" in shown and "\x1b[" in shown
        started.go()
        assert started.end().code == 0
    os.close(ours)
