"""Whatever a container does wrong ends in one report that says all that is known of it.

As `test_participants_failures.py` of the system tests, with the same program, in a container: so
what became of it is what the engine says. Results so far are kept, and nothing is left behind.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxed import boxed, container_of, failed, sink
from docker import DockerClient
from reports import report_of
from support import Project

from simcore import open_run


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    tmp_path.chmod(0o755)  # nobody's program reads it
    with boxed(tmp_path, base_image) as made:
        yield made


# mode: rule, what the first line says, what became of the container
AT_ADVANCE = {
    "exits": ("process-ended", "sink exited with code 3 before it answered", "exited with code 3"),
    "killed": ("process-ended", "sink exited with code 139 (SIGSEGV)", "code 139 (SIGSEGV)"),
    "invalid_json": ("invalid-json", "DONE was expected, and no JSON came", "is running"),
    "wrong_now": ("now", "now is 3000001, ADVANCE said until 3000000", ""),
    "misspelt": ("frame-shape", "DONE: outputs[0]: ", ""),
    "long_line": ("line-too-long", "sink sent more than 16 MiB without a newline", "is running"),
    "closes": ("connection", "sink closed its connection, before it answered", "is running"),
    "leaves_a_grandchild": ("process-ended", "sink exited with code 5", "exited with code 5"),
    "gives_up": ("participant-error", "sink: the sensor is on fire", ""),
}


@pytest.mark.parametrize("mode", AT_ADVANCE)
def test_program_that_goes_wrong_at_an_advance(project: Project, mode: str) -> None:
    rule, says, state = AT_ADVANCE[mode]
    report = failed(project, *sink("program.py", mode))
    assert report.rule == rule
    assert says in report.first and report.first.startswith("sink")
    assert state in report.process
    assert report.pending.startswith("ADVANCE 3 until 0.003s with 1 input (sensor/5), sent ")
    assert report.last == "DONE 2 for 0.002s with 1 output"
    if rule == "process-ended":
        assert "last lines of run/logs/sink.log:\n    started as" in report.text
    with open_run(project.path / "run") as run:
        query = "SELECT count(*) FROM messages WHERE source = 'sink'"
        assert run.connection.execute(query).fetchone() == (2,)


def test_more_memory_than_it_may_have(project: Project) -> None:
    report = failed(project, *sink("more.py", "eats_memory", limits="{memory: 64MiB}"))
    assert report.rule == "process-ended"
    assert report.first.startswith("sink ran out of memory (limits: memory is 64 MiB) and exited")
    assert "ran out of memory" in report.process


def test_too_little_memory_to_begin_with(project: Project) -> None:
    """Its rights, of which it is told otherwise, have nothing to do with it."""
    command = "[python3, -c, 'kept = [bytes([1]) * 2**20 for _ in range(200)]']"
    report = failed(project, *sink(command=command, limits="{memory: 64MiB}"))
    assert report.first.startswith("sink ran out of memory (limits: memory is 64 MiB) and exited")
    assert "before it was ready" in report.first and "advice" not in report.text


def test_program_that_closes_its_output_goes_on(project: Project) -> None:
    ended = project.simcore("scenario.yaml", "--out", "run", *sink("more.py", "closes_its_output"))
    assert ended.code == 0, ended.err


def test_nonsense_on_its_standard_output(project: Project) -> None:
    """Which belongs to the protocol there."""
    command = "[sh, -c, echo nonsense; sleep 600]"
    report = failed(project, *sink(transport="stdio", command=command))
    assert report.rule == "invalid-json"
    assert "HELLO was expected, and no JSON came" in report.first
    assert "'nonsense'" in report.first


def test_flood_of_output_is_cut(project: Project) -> None:
    ended = project.simcore(
        "scenario.yaml", "--out", "run", *sink("program.py", "floods", log="100kB")
    )
    assert ended.code == 0, ended.err
    log = (project.path / "run" / "logs" / "sink.log").read_text()
    assert len(log) <= 100_000
    assert log.startswith("started as floods\n") and "advance 9\n" in log
    assert re.search(r"\n\.\.\. \d+ bytes left out \.\.\.\n", log)


BEFORE = {
    "exits_at_once": ("process-ended", "sink exited with code 7 before it was ready"),
    "never_connects": ("deadline", "sink did not connect within 2 s"),
    "exits_before_ready": ("process-ended", "sink exited with code 0 before it was ready"),
    "another_kind": ("kind", "sink"),
}


@pytest.mark.parametrize("mode", BEFORE)
def test_program_that_does_not_get_ready(project: Project, mode: str) -> None:
    rule, says = BEFORE[mode]
    soon = {"start_timeout": "2s"} if rule == "deadline" else {}
    report = failed(project, *sink("program.py", mode, **soon))
    assert report.rule == rule
    assert says in report.first


def test_program_whose_file_was_not_listed(project: Project) -> None:
    report = failed(project, *sink("program.py", "floods", files="[more.py]"))
    assert report.first.startswith("sink exited with code 2 before it was ready")
    assert (
        "advice: program.py of the scenario's folder is not in the container: with "
        "files: [program.py] it is, in /scenario\n" in report.text
    )


def test_image_whose_program_knows_nothing_of_simcore(project: Project) -> None:
    report = failed(project, "--set=nodes.sink.command=[sleep, '600']", *sink(start_timeout="2s"))
    assert report.rule == "deadline"
    assert "advice: its program has to speak simcore's protocol (docs/participants" in report.text


def test_program_that_does_not_answer(project: Project) -> None:
    report = failed(project, *sink("program.py", "late", timeout="1s"))
    assert report.rule == "deadline"
    assert "is running" in report.process


# -- What is done to it from outside -----------------------------------------------------------


def test_container_that_is_killed(project: Project, engine: DockerClient) -> None:
    options = ["--set=nodes.sensor.config.waits_at=4"]
    with project.start("scenario.yaml", "--out", "run", *options) as run:
        run.until("reached")
        container_of(engine, "sink", run.process.pid).kill()
        run.go()
        report = report_of(project, run.end())
    assert report.rule == "process-ended"
    assert report.first.startswith("sink exited with code 137 (SIGKILL)")
    assert report.last == "DONE 2 for 0.002s with 1 output"


def test_container_that_is_removed(project: Project, engine: DockerClient) -> None:
    options = ["--set=nodes.sensor.config.waits_at=4"]
    with project.start("scenario.yaml", "--out", "run", *options) as run:
        run.until("reached")
        container_of(engine, "sink", run.process.pid).remove(force=True)
        run.go()
        report = report_of(project, run.end())
    assert report.rule == "process-ended"
    # The engine kills it first, and may tell of that.
    assert re.match(r"sink (was removed|exited with code 137 \(SIGKILL\)) before", report.first)


def test_container_that_is_paused(project: Project, engine: DockerClient) -> None:
    options = ["--set=nodes.sensor.config.waits_at=4", *sink(timeout="10s")]
    with project.start("scenario.yaml", "--out", "run", *options) as run:
        run.until("reached")
        container = container_of(engine, "sink", run.process.pid)
        container.pause()
        run.go()
        report = report_of(project, run.end())
    assert report.rule == "deadline"
    assert report.process.startswith(f"is paused (docker unpause {container.name} would")


def test_container_that_is_paused_for_a_while(project: Project, engine: DockerClient) -> None:
    """Virtual time waits for it."""
    undisturbed = project.simcore("scenario.yaml", "--out", "first")
    with project.start("scenario.yaml", "--set=nodes.sensor.config.waits_at=4") as run:
        run.until("reached")
        container = container_of(engine, "sink", run.process.pid)
        container.pause()
        run.go()
        container.unpause()
        ended = run.end()
    assert ended.code == 0, ended.err
    digest = re.compile(r"digest ([0-9a-f]+)")
    assert digest.findall(ended.out) == digest.findall(undisturbed.out) != []


# -- What the user does meanwhile --------------------------------------------------------------

SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


@pytest.mark.parametrize(("number", "code", "reason"), SIGNALS)
@pytest.mark.parametrize("paused", [False, True])
def test_signal(
    project: Project, engine: DockerClient, number: int, code: int, reason: str, paused: bool
) -> None:
    with project.start(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.config.waits_at=4"
    ) as run:
        run.until("reached")
        if paused:
            container_of(engine, "sink", run.process.pid).pause()
        run.send(number)
        run.go()
        if paused:
            run.send(number)
        ended = run.end()
    assert ended.code == code, ended.err
    assert f"(exit reason: {reason})" in ended.err
    with open_run(project.path / "run") as opened:
        query = "SELECT count(*) FROM messages WHERE source = 'sink'"
        assert opened.connection.execute(query).fetchone() >= (2,)
