"""Whatever goes wrong with a Mosquitto that is a process ends in one report; nothing is left.

The file `tests/docker/test_mosquitto_container.py` is the same with one in a container.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import mosquitto
import pytest
from brokered import WAITS, Brokered, brokered
from simcore_backends.mqtt.settings import DIALECTS, dialect_of

from simcore import open_run

TIMEOUT = "--set=nodes.broker.timeout=10s"


@pytest.fixture
def project() -> Iterator[Brokered]:
    mosquitto.program()
    with brokered("process") as made:
        yield made


def process_of(project: Brokered) -> int:
    """The Mosquitto that runs."""
    running = [look.pid for look, _ in project.ward.processes()]
    [one] = [pid for pid in running if Path(f"/proc/{pid}/comm").read_text() == "mosquitto\n"]
    return one


# -- While it runs


def test_killed(project: Brokered) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        os.kill(process_of(project), signal.SIGKILL)
        run.go()
        report = project.failed(run.end())
    assert report.rule == "process-ended"
    assert report.first.startswith("broker was killed by SIGKILL before it answered")
    assert report.pending.startswith("ADVANCE ") and " inputs (sensor-0/" in report.pending
    assert report.last.startswith("DONE ")
    assert report.waiting.startswith("the run, at 0.3s, waits for broker to answer")
    assert "last lines of run/logs/broker.log:\n" in report.text
    assert project.heard() == 3 * 29


def test_frozen(project: Brokered) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS, TIMEOUT) as run:
        run.until("reached")
        os.kill(process_of(project), signal.SIGSTOP)
        run.go()
        report = project.failed(run.end())
    assert report.rule == "deadline"
    assert report.first.startswith("broker did not answer within 10 s")
    assert report.process == "is stopped (SIGSTOP)"
    assert project.heard() == 3 * 29


def test_frozen_and_let_go_on(project: Brokered) -> None:
    """Virtual time waits for it."""
    undisturbed = project.run(out="first")["digest"]
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        pid = process_of(project)
        os.kill(pid, signal.SIGSTOP)
        run.go()
        os.kill(pid, signal.SIGCONT)
        ended = run.end()
    assert ended.code == 0, ended.err
    with open_run(project.path / "run") as opened:
        assert opened.manifest["digest"] == undisturbed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_user_who_ends_a_run_whose_broker_is_frozen(
    project: Brokered, number: int, code: int
) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        os.kill(process_of(project), signal.SIGSTOP)
        run.go()
        run.send(number)
        ended = run.end()
    assert ended.code == code, ended.err
    assert project.heard() == 3 * 29


def test_killed_when_nothing_more_is_published(project: Brokered) -> None:
    options = ["--set=nodes.sensor.config={waits_at: 99, last: 10}"]
    with project.start("scenario.yaml", "--out", "run", *options) as run:
        run.until("reached")
        os.kill(process_of(project), signal.SIGKILL)
        run.go()
        report = project.failed(run.end())
    assert report.rule == "process-ended"
    assert report.first.startswith("broker was killed by SIGKILL before the run ended")
    assert report.pending == "no ADVANCE"
    assert project.heard() == 3 * 10


def test_simcore_is_killed(project: Brokered) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        process_of(project)
        run.send(signal.SIGKILL)
        run.process.communicate()
        assert project.ward.left() == []


# -- At its start, and how it is


def program(project: Brokered, text: str) -> str:
    """The option that makes a script the broker's program; it is Mosquitto if it is asked."""
    script = (
        f'#!/bin/sh\nif [ "$1" = -h ]; then exec {mosquitto.program()} -h; fi\n'
        f'change() {{ echo "$1" >> mosquitto.conf; exec {mosquitto.program()} -c mosquitto.conf; }}\n'
        f"{text}\n"
    )
    project.write("broker.sh", script).chmod(0o755)
    return "--set=nodes.broker.program=./broker.sh"


SAYS = "echo mosquitto version 2.0.11 starting; "
NONSENSE = """\
import contextlib, socket
print("mosquitto version 2.0.11 starting", flush=True)
with socket.socket(socket.AF_UNIX) as server:
    server.bind("mqtt.sock")
    server.listen()
    while True:
        connection, _ = server.accept()
        with contextlib.suppress(OSError):
            connection.sendall(b"220 mail.example.org ESMTP")
"""

STARTS = {
    "ends at once": (
        "echo no licence; exit 5",
        "process-ended", "broker exited with code 5 before it listened", "no licence\n  advice: it",
    ),
    "cannot read its configuration": (
        "change nonsense",
        "process-ended", "broker exited with code ", "Unknown configuration variable",
    ),
    "never listens": (
        SAYS + "exec sleep 1000",
        "deadline", "broker did not listen within 2 s", "process: is running",
    ),
    "says no version": (
        "exec sleep 1000",
        "deadline", "broker did not listen within 2 s", "log: it printed nothing",
    ),
    "lets nobody in": (
        "change 'allow_anonymous false'",
        "broker", "broker: the broker at ", "it has to allow anonymous clients",
    ),
    "has a limit of its own": (
        "change 'max_connections 3'",
        "broker", "broker: the broker at ", "it has a limit of its own (max_connections",
    ),
    "is none": (
        f"exec {sys.executable} -c '{NONSENSE}'",
        "broker", "broker: what listens at ", "is no broker of MQTT 3.1.1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STARTS)
def test_broker_that(project: Brokered, case: str) -> None:
    text, rule, first, more = STARTS[case]
    soon = ["--set=nodes.broker.start_timeout=2s"] if rule == "deadline" else []
    options = [program(project, text), *soon]
    report = project.failed(project.simcore("scenario.yaml", "--out", "run", *options))
    assert report.rule == rule, report.text
    assert report.first.startswith(first)
    assert more in report.text


def test_program_that_is_no_mosquitto(project: Brokered) -> None:
    options = ["--set=nodes.broker.program=echo"]
    ended = project.simcore("scenario.yaml", "--out", "run", *options)
    assert ended.code == 2
    assert "echo is no Mosquitto: it does not say its version" in ended.err


@cache
def others() -> list[str]:
    """Versions that are not like this machine's Mosquitto."""
    return [name for name, like in DIALECTS.items() if like != mosquitto.dialect()]


def own() -> str:
    """What makes the model one of this machine's Mosquitto, and has no other take part."""
    [name] = set(DIALECTS) - set(others())
    return f"--set=nodes.broker.config.version='{name}'"


def test_another_version_than_is_asked_for(project: Brokered) -> None:
    wanted = f"--set=nodes.broker.config.version='{others()[0]}'"
    report = project.failed(project.simcore("scenario.yaml", "--out", "run", wanted))
    assert report.rule == "version"
    assert f"and its config asks for one like {others()[0]}" in report.first
    parts = project.run(own(), out="second")["parts"]
    assert mosquitto.dialect() == dialect_of(parts["mosquitto of broker"])


# -- Faults of the scenario's

CRASH = "--set=faults=[{at: 300ms, for: 200ms, node: broker, crash: true}]"


def test_crash_and_restart_is_that_of_the_model(project: Brokered) -> None:
    real = project.run(CRASH, own())
    scenario = (project.path / "scenario.yaml").read_text()
    real_one = "implementation: mosquitto, run: process"
    project.write("scenario.yaml", scenario.replace(real_one, "service: mqtt_broker"))
    assert project.run(CRASH, own(), out="model")["digest"] == real["digest"]
    with open_run(project.path / "run") as run:
        query = "SELECT life, exit FROM participant WHERE name = 'broker' ORDER BY life"
        lives = run.connection.execute(query).fetchall()
        query = "SELECT count(*) FROM messages WHERE kind = 'mqtt.connack'"
        assert run.connection.execute(query).fetchone() == (8,)
    assert lives == [(1, "was killed by SIGKILL"), (2, "was killed by SIGKILL")]
    log = (project.path / "run" / "logs" / "broker.log").read_text()
    assert log.count(" starting\n") == 2
    assert project.heard() > 3 * 60
