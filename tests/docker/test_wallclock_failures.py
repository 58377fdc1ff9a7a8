"""Unmodified programs in containers that go wrong: one report says all that is known of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from boxed import container_of
from docker import DockerClient
from engine import left
from realtime import SERVED, answers, realtime, run
from reports import report_of
from support import Project

from simcore import ParticipantError, open_run


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    with realtime(tmp_path, base_image, duration_ms=60_000) as made:
        yield made


def failed(project: Project, *overrides: str) -> ParticipantError:
    with pytest.raises(ParticipantError) as caught:
        run(project, *overrides)
    assert "Traceback (most recent call last):" not in str(caught.value)
    assert caught.value.participant == "sink"
    return caught.value


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
    command = f"nodes.sink.command=[python3, lines.py, {mode}]"
    error = failed(project, command, "nodes.sink.limits={memory: 64MiB}")
    assert error.rule == rule
    assert str(error).startswith(says)
    assert error.pending is not None and error.pending.startswith("ADVANCE ")
    with open_run(project.path / "run") as found:
        assert found.connection.execute("SELECT count(*) FROM message").fetchone()[0] >= 1


BEFORE = {
    "no program": (["nodes.sink.command=[nothing]"], "process-ended", "exited with code 127"),
    "no port": (
        [*SERVED, "nodes.sink.command=[python3, server.py, 127.0.0.1]"],
        "participant-error",
        "sink: nobody listens at its port 8080, where the program has to listen at all addresses",
    ),
    "no health": (
        ["nodes.sink.health={command: ['false']}"],
        "health",
        "its health command 'false' did not",
    ),
}


@pytest.mark.parametrize("case", BEFORE)
def test_program_that_does_not_get_ready(project: Project, case: str) -> None:
    overrides, rule, says = BEFORE[case]
    soon = [] if rule == "process-ended" else ["nodes.sink.start_timeout=1s"]
    # In a process of its own: a health command that nobody waits for any more goes on for a while.
    options = [f"--set={each}" for each in (*overrides, *soon)]
    ended = project.simcore("scenario.yaml", "--out", "run", *options)
    assert ended.code == 3, ended.err
    report = report_of(project, ended)
    assert report.rule == rule
    assert says in report.first
    assert report.pending == "no ADVANCE"


def test_container_that_is_killed(project: Project, engine: DockerClient) -> None:
    option = "--set=nodes.sensor.config.waits_at=2"
    with project.start("scenario.yaml", "--out", "run", option) as started:
        started.until("reached")
        container_of(engine, "sink", started.process.pid).kill()
        started.go()
        ended = started.end()
    assert ended.code == 3
    report = report_of(project, ended)
    assert report.rule == "process-ended"
    assert report.first.startswith("sink exited with code 137 (SIGKILL) before it answered")


def test_program_that_never_answers(project: Project) -> None:
    run(project, "nodes.sink.command=[python3, lines.py, mute]", "duration=200ms")
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
    with project.start("scenario.yaml", "--out", "run", *options) as started:
        started.until("reached")
        started.go()
        # The first may come when all that is left to do is to wait for the end of the window.
        while started.process.poll() is None:
            started.send(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                started.process.wait(1.0)
        ended = started.end()
    assert ended.code == 130, ended.err


def test_simcore_killed_while_a_container_is_held(project: Project, engine: DockerClient) -> None:
    option = "--set=nodes.sensor.config.waits_at=2"
    with project.start("scenario.yaml", "--out", "run", option) as started:
        started.until("reached")
        assert container_of(engine, "sink", started.process.pid)
        started.send(signal.SIGKILL)
        started.process.communicate()
    assert left(engine) == []
