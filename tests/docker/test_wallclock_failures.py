"""Unmodified programs in containers that go wrong: one report says all that is known of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxed import container_of
from docker import DockerClient
from engine import left
from realtime import SERVED, answers, realtime
from reports import Report, report_of
from support import Project

from simcore import open_run


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    with realtime(tmp_path, base_image, duration_ms=60_000) as made:
        yield made


def failed(project: Project, *options: str) -> Report:
    ended = project.simcore("scenario.yaml", "--out", "run", *options)
    assert ended.code == 3, ended.err
    assert "Traceback (most recent call last):" not in ended.err
    return report_of(project, ended)


MODES = {
    "exits": ("process-ended", "sink exited with code 3 before it answered"),
    "eats memory": (
        "process-ended",
        "sink ran out of memory (limits: memory is 64 MiB) and exited",
    ),
    "without an end": ("participant-error", "sink: it printed or answered more than 10,000 times"),
    "without a line": ("participant-error", "sink: it wrote 1 MiB to its standard output without"),
}


@pytest.mark.parametrize("mode", MODES)
def test_program_that_goes_wrong(project: Project, mode: str) -> None:
    rule, says = MODES[mode]
    command = f"--set=nodes.sink.command=[python3, lines.py, {mode}]"
    report = failed(project, command, "--set=nodes.sink.limits={memory: 64MiB}")
    assert report.rule == rule
    assert report.first.startswith(says)
    assert report.pending.startswith("ADVANCE ")
    with open_run(project.path / "run") as run:
        assert run.connection.execute("SELECT count(*) FROM message").fetchone()[0] >= 1


BEFORE = {
    "no program": (["--set=nodes.sink.command=[nothing]"], "process-ended", "exited with code 127"),
    "no port": (
        [*SERVED, "--set=nodes.sink.command=[python3, server.py, 127.0.0.1]"],
        "participant-error",
        "sink: nobody listens at its port 8080, where the program has to listen at all addresses",
    ),
    "no health": (["--set=nodes.sink.health={command: ['false']}"], "health", "did not succeed"),
}


@pytest.mark.parametrize("case", BEFORE)
def test_program_that_does_not_get_ready(project: Project, case: str) -> None:
    options, rule, says = BEFORE[case]
    report = failed(project, *options, "--set=nodes.sink.start_timeout=3s")
    assert report.rule == rule
    assert says in report.first
    assert report.pending == "no ADVANCE"


def test_container_that_is_killed(project: Project, engine: DockerClient) -> None:
    option = "--set=nodes.sensor.config.waits_at=2"
    with project.start("scenario.yaml", "--out", "run", option) as run:
        run.until("reached")
        container_of(engine, "sink", run.process.pid).kill()
        run.go()
        ended = run.end()
    assert ended.code == 3
    report = report_of(project, ended)
    assert report.rule == "process-ended"
    assert report.first.startswith("sink exited with code 137 (SIGKILL) before it answered")


def test_program_that_never_answers(project: Project) -> None:
    options = ["--set=nodes.sink.command=[python3, lines.py, mute]", "--set=duration=200ms"]
    ended = project.simcore("scenario.yaml", "--out", "run", *options)
    assert ended.code == 0, ended.err
    assert answers(project) == []
    log = (project.path / "run/logs/simcore.log").read_text(encoding="utf-8")
    assert (
        "sink has not answered 3 of the messages that it was sent, the first of them sensor/1"
        in log
    )


def test_interrupted_within_a_long_window(project: Project) -> None:
    """The window is as long as the link's delay, and nothing happens in it."""
    options = [
        "--set=network.links=[{between: [sensor, sink], delay: 60s}]",
        "--set=nodes.sensor.config.waits_at=2",
    ]
    with project.start("scenario.yaml", "--out", "run", *options) as run:
        run.until("reached")
        run.go()
        run.send(signal.SIGINT)
        ended = run.end()
    assert ended.code == 130, ended.err


def test_simcore_killed_while_a_container_is_held(project: Project, engine: DockerClient) -> None:
    option = "--set=nodes.sensor.config.waits_at=2"
    with project.start("scenario.yaml", "--out", "run", option) as run:
        run.until("reached")
        assert container_of(engine, "sink", run.process.pid)
        run.send(signal.SIGKILL)
        run.process.communicate()
    assert left(engine) == []
