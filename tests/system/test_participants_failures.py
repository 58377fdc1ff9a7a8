"""Whatever a program does wrong ends in one report that says all that is known of it.

Each test is a run in which the program behind `sink` does one thing wrong (see
`participants/program.py`). The report names the participant and the rule, what was pending, its
last answer, what became of its process, its last words, and who was waiting; results so far are
kept, and nothing is left behind.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outsiders import left_of, outsiders
from reports import Report, report_of
from support import Project, until_none

from simcore import open_run


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with outsiders(tmp_path) as made:
        yield made


def failed(project: Project, *options: str, file: str = "scenario.yaml", **more: Any) -> Report:
    """A run that fails, and the report of it."""
    with project.start(file, "--out", "run", *options, **more) as started:
        ended = started.end()
    assert ended.code == 3, ended.err
    assert "Traceback (most recent call last):" not in ended.err
    assert left_of(started.process.pid) == []
    return report_of(project, ended)


def sink(mode: str, **keys: str) -> list[str]:
    """Options that have the program go wrong."""
    options = [f"--set=nodes.sink.command=[python, program.py, {mode}]"]
    return options + [f"--set=nodes.sink.{key}={value}" for key, value in keys.items()]


# mode: rule, what the first line says, what became of the process
AT_ADVANCE = {
    "exits": ("process-ended", "sink exited with code 3 before it answered", "exited with code 3"),
    "exits_in_the_middle_of_a_line": (
        "process-ended",
        "sink exited with code 3 before it answered",
        "exited with code 3",
    ),
    "killed": ("process-ended", "sink was killed by SIGSEGV", "was killed by SIGSEGV"),
    "invalid_json": ("invalid-json", "DONE was expected, and no JSON came", "is running"),
    "not_utf8": ("invalid-json", "DONE was expected, and no JSON came", "is running"),
    "not_a_number": ("invalid-json", "DONE was expected, and no JSON came", "is running"),
    "wrong_sequence": ("sequence", "seq is 17, that of the ADVANCE is 3", ""),
    "old_sequence": ("unasked-frame", "seq is 1, which was answered before", ""),
    "done_unasked": ("unasked-frame", "came unasked after the answer", "is running"),
    "wrong_now": ("now", "now is 3000001, ADVANCE said until 3000000", ""),
    "next_in_the_past": ("next", "next is 2999999, before now (3000000)", ""),
    "output_in_the_past": ("output-time", "outputs[0].at is 2999999: it must be 3000000", ""),
    "measure_in_the_past": ("measure-time", "measures[0].at is 1: it must be 3000000", ""),
    "unknown_destination": (
        "unknown-destination",
        "outputs[0].dst: there is no node 'sensr' (did you mean 'sensor'?)",
        "",
    ),
    "foreign_source": ("unknown-node", "'sensor' is no node of this participant", ""),
    "unknown_cause": ("unknown-cause", "outputs[0].cause: 'sensor/99' is none of the inputs", ""),
    "bad_payload": ("payload", "outputs[0]: payload.image: '$b64' does not hold base64", ""),
    "deep_payload": ("payload", "is nested deeper than 64 levels", ""),
    "misspelt": ("frame-shape", "DONE: outputs[0]: ", ""),
    "another_frame": ("frame-order", "DONE was expected, and BYE came", ""),
    "long_line": ("line-too-long", "sink sent more than 16 MiB without a newline", "is running"),
    "stops_sending": (
        "connection",
        "sink closed the direction in which it sends, before it answered",
        "is running",
    ),
    "closes": ("connection", "sink closed its connection, before it answered", "is running"),
    "leaves_a_grandchild": (
        "process-ended",
        "sink exited with code 5 before it answered",
        "exited with code 5",
    ),
    "gives_up": ("participant-error", "sink: the sensor is on fire", ""),
    "gives_up_later": ("participant-error", "sink burnt down", ""),
}


@pytest.mark.parametrize("mode", AT_ADVANCE)
def test_program_that_goes_wrong_at_an_advance(project: Project, mode: str) -> None:
    rule, says, process = AT_ADVANCE[mode]
    report = failed(project, *sink(mode))
    assert report.rule == rule
    assert says in report.first and report.first.startswith("sink")
    assert process in report.process
    assert report.pending.startswith("ADVANCE 3 until 0.003s with 1 input (sensor/5), sent ")
    assert report.last == "DONE 2 for 0.002s with 1 output"
    assert report.waiting == (
        "the run, at 0.003s, waits for sink to answer; let go as well and not asked yet: other"
    )
    assert f"    started as {mode}\n    advance 1\n    advance 2\n    advance 3\n" in report.text
    assert "  at virtual time 0.003s, node sink" in report.text
    assert_earlier_results(project)


def assert_earlier_results(project: Project) -> None:
    """The database holds what had happened: readings and pongs of the first two milliseconds."""
    with open_run(project.path / "run") as run:
        found = run.connection.execute(
            "SELECT at, source, destination FROM messages WHERE at < 3000000 ORDER BY at, source"
        ).fetchall()
    assert len(found) == 8


HANGING = {
    "hangs": ("sink sent nothing within 10 s", "is running"),
    "stopped": ("sink sent nothing within 10 s", "is stopped (SIGSTOP)"),
    "late": ("sink sent nothing within 10 s", "is running"),
    "slow_line": ("bytes without a newline within 10 s", "is running"),
}


@pytest.mark.parametrize("mode", HANGING)
def test_program_that_does_not_answer_in_time(project: Project, mode: str) -> None:
    says, process = HANGING[mode]
    report = failed(project, *sink(mode, timeout="10s"))
    assert report.rule == "deadline"
    assert says in report.first
    assert report.process == process
    assert report.pending.startswith("ADVANCE 3 until 0.003s with 1 input (sensor/5)")
    assert report.last == "DONE 2 for 0.002s with 1 output"
    assert "    advance 3\n" in report.text
    assert_earlier_results(project)


def test_program_that_stops_reading(project: Project) -> None:
    report = failed(project, *sink("stops_reading"))
    assert report.rule == "connection"
    assert "sink closed the direction in which it reads" in report.first
    assert report.pending.startswith("ADVANCE 4 until 0.004s")
    assert report.last == "DONE 3 for 0.003s with 1 output"


def test_program_that_is_killed_between_two_exchanges(project: Project) -> None:
    report = failed(project, *sink("killed_after_its_answer"))
    assert report.rule == "process-ended"
    assert report.first.startswith("sink was killed by SIGKILL before it ")
    assert report.process == "was killed by SIGKILL"
    assert report.pending.startswith("ADVANCE 4 until 0.004s")
    assert report.last == "DONE 3 for 0.003s with 1 output"


def test_program_that_never_reads(project: Project) -> None:
    # More than the buffers of a socket hold, so that it is the sending that comes to its end.
    load = "--set=nodes.sensor.config={load: 4000000}"
    report = failed(project, *sink("never_reads", timeout="10s"), load)
    assert report.rule == "deadline"
    assert "waits for sink to take the ADVANCE" in report.waiting
    assert re.search(r"sink did not read within 10 s: \d+ of 40\d+ bytes were taken", report.first)
    assert report.pending.startswith("ADVANCE 4 until 0.004s")


def test_endless_line_takes_no_memory(project: Project) -> None:
    # With 1 GiB of address space, simcore could not hold the 1 GiB that comes.
    limited = ["sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh"]
    report = failed(project, *sink("endless_line"), prefix=limited)
    assert report.rule == "line-too-long"
    assert "sink sent more than 16 MiB without a newline: b'xxx" in report.first
    assert_earlier_results(project)


FREE_RUNNING = {
    "output_outside_the_window": "outputs[0].at is 1500000: it must be 1000000 to 1499999",
    "output_before_the_window": "outputs[0].at is 1: it must be 1000000 to 1499999",
}


@pytest.mark.parametrize("mode", FREE_RUNNING)
def test_free_running_program_outside_its_window(project: Project, mode: str) -> None:
    command = f"--set=nodes.sink.command=[python, program.py, {mode}, free_running]"
    report = failed(project, command, file="windows.yaml")
    assert report.rule == "output-time"
    assert FREE_RUNNING[mode] in report.first
    assert report.pending.startswith("ADVANCE 3 until 0.0015s with 0 inputs")
    assert "let go as well and not asked yet: other" in report.waiting


AT_START = {
    "exits_at_once": ("process-ended", "sink exited with code 7 before it was ready"),
    "exits_before_ready": ("process-ended", "sink exited with code 0 before it was ready"),
    "never_connects": ("deadline", "sink did not connect within 20 s"),
    "another_kind": ("kind", "READY: kind is 'network', the scenario has it as 'reactive'"),
    "grain_of_a_reactive": ("grain", "READY: grain is for free-running participants only"),
    "misspelt_ready": ("frame-shape", "READY: "),
}


@pytest.mark.parametrize("mode", AT_START)
def test_program_that_does_not_get_ready(project: Project, mode: str) -> None:
    rule, says = AT_START[mode]
    soon = {"start_timeout": "20s"} if rule == "deadline" else {}
    report = failed(project, *sink(mode, **soon))
    assert report.rule == rule
    assert says in report.first
    assert report.pending == "no ADVANCE"
    assert report.last == "none"
    step = "to connect" if mode in ("exits_at_once", "never_connects") else "to be ready"
    assert report.waiting.startswith(f"the run, at 0s, waits for sink {step}")
    assert f"    started as {mode}\n" in report.text
    with open_run(project.path / "run") as run:
        assert run.connection.execute("SELECT count(*) FROM message").fetchone() == (0,)


OVER_STDIO = {
    "echo ready when you are; exec sleep 1000": (
        "invalid-json",
        "sink: HELLO was expected, and no JSON came",
        "is running",
    ),
    "exit 7": (
        "process-ended",
        "sink exited with code 7 before it was ready",
        "exited with code 7",
    ),
}


@pytest.mark.parametrize("script", OVER_STDIO)
def test_program_that_says_something_else_over_stdio(project: Project, script: str) -> None:
    rule, says, process = OVER_STDIO[script]
    command = f"--set=nodes.sink.command=[sh, -c, '{script}']"
    report = failed(project, command, "--set=nodes.sink.transport=stdio")
    assert report.rule == rule
    assert says in report.first
    assert report.process == process


def test_free_running_program_that_names_an_instant(project: Project) -> None:
    command = "--set=nodes.sink.command=[python, program.py, next_of_a_free_running, free_running]"
    report = failed(project, command, file="windows.yaml")
    assert report.rule == "next"


# Between the static check and the start, a model that is imported takes something away.
TAKING_AWAY = {
    "is not executable": "os.chmod('tool', 0o644)",
    "does not exist": "os.remove('tool')",
    "is to be run by /no/such/interpreter, which cannot be started": (
        "open('tool', 'w').write('#!/no/such/interpreter\\n')"
    ),
    "is no program for this machine": "open('tool', 'w').write('just text')",
    "there is no such working directory": "os.rmdir('folder')",
}


@pytest.mark.parametrize("says", TAKING_AWAY)
def test_program_that_cannot_be_started(project: Project, says: str) -> None:
    project.write("tool", "#!/bin/sh\n").chmod(0o755)
    (project.path / "folder").mkdir()
    models = (project.path / "models.py").read_text()
    project.write("models.py", f"{models}\n{TAKING_AWAY[says]}\n")
    command = ["--set=nodes.sink.command=[./tool]", "--set=nodes.sink.directory=folder"]
    report = failed(project, *command)
    assert report.rule == "start"
    assert report.first.startswith("sink cannot be started: ")
    assert says in report.first
    assert report.process == "was not started"
    assert report.pending == "no ADVANCE"


AT_END = {
    "ends_badly": ("exit", "sink said BYE and then exited with code 4", "exited with code 4"),
    "never_ends": ("exit", "sink said BYE and did not end within 10 s", "is running"),
    "no_bye": ("process-ended", "sink exited with code 0 before it said BYE", "exited with code 0"),
    "done_instead_of_bye": ("frame-order", "BYE was expected, and DONE came", "is running"),
}


@pytest.mark.parametrize("mode", AT_END)
def test_program_that_does_not_end_in_order(project: Project, mode: str) -> None:
    rule, says, process = AT_END[mode]
    soon = {"timeout": "10s"} if mode == "never_ends" else {}
    report = failed(project, *sink(mode, **soon))
    assert report.rule == rule
    assert says in report.first
    assert report.process == process
    assert report.last == "DONE 9 for 0.009s with 1 output"
    step = "to end" if rule == "exit" else "to say BYE"
    assert report.waiting.startswith(f"the run, at 0.01s, waits for sink {step}")
    with open_run(project.path / "run") as run:  # the run itself was complete
        assert run.connection.execute("SELECT count(*) FROM message").fetchone() == (36,)


def test_wrong_token_alone_is_refused(project: Project) -> None:
    report = failed(project, *sink("wrong_token", start_timeout="20s"))
    assert report.rule == "deadline"
    refused = "HELLO: no participant 'sink' with this token"
    assert f"  refused: {refused}" in report.text
    assert refused in logged(project, report.text)


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("wrong_token_first", "HELLO: no participant 'sink' with this token"),
        ("long_hello", "HELLO is longer than 4096 bytes"),
        ("connects_and_says_nothing", None),
    ],
)
def test_strangers_do_not_end_a_run(project: Project, mode: str, says: str | None) -> None:
    plain = project.simcore("scenario.yaml", "--out", "plain")
    with project.start("scenario.yaml", "--out", "run", *sink(mode)) as started:
        ended = started.end()
    assert ended.code == 0, ended.err
    assert left_of(started.process.pid) == []
    digests = [line for line in (plain.out + ended.out).splitlines() if "digest" in line]
    assert digests[0].split("digest")[1] == digests[1].split("digest")[1]
    if says is not None:
        assert says in logged(project, ended.err)


def logged(project: Project, shown: str) -> str:
    """What was shown, and what stands in the log."""
    log = project.path / "run/logs/simcore.log"
    return shown + (log.read_text() if log.exists() else "")


def test_flood_of_output_is_cut(project: Project) -> None:
    ended = project.simcore("scenario.yaml", "--out", "run", *sink("floods", log="64KiB"))
    assert ended.code == 0, ended.err
    log = (project.path / "run/logs/sink.log").read_text()
    assert len(log) <= 64 * 1024
    assert log.startswith("started as floods\nadvance 1\n")
    assert re.search(r"\n\.\.\. \d+ bytes left out \.\.\.\n", log)
    assert log.endswith("advance 8\nadvance 9\n")


def test_interrupt_while_a_program_hangs(project: Project) -> None:
    with project.start("scenario.yaml", "--out", "run", *sink("hangs")) as started:
        started.until("reached")
        started.send(signal.SIGINT)
        ended = started.end()
    assert ended.code == 130, ended.err
    assert "results so far are in run (exit reason: interrupted)" in ended.err
    assert "Traceback" not in ended.err
    assert left_of(started.process.pid) == []
    assert_earlier_results(project)


def test_interrupt_while_a_program_does_not_end(project: Project) -> None:
    with project.start("scenario.yaml", "--out", "run", *sink("never_ends")) as started:
        started.until("reached")
        started.send(signal.SIGINT)
        assert "once more stops at once" in started.next_line()
        started.send(signal.SIGINT)
        ended = started.end()
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    until_none(lambda: left_of(started.process.pid), "no process is left")


def test_interrupt_while_a_program_starts(project: Project) -> None:
    project.write("slow.py", "import program\nprogram.say('reached')\nprogram.hang()\n")
    command = "--set=nodes.sink.command=[python, slow.py]"
    with project.start("scenario.yaml", "--out", "run", command) as started:
        started.until("reached")
        started.send(signal.SIGTERM)
        ended = started.end()
    assert ended.code == 143, ended.err
    assert "Traceback" not in ended.err
    assert left_of(started.process.pid) == []
