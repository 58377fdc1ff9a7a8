"""A health command: the run begins once it succeeds, and says so if it does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import contained, log_of, run
from docker import DockerClient
from support import PATIENCE, Project

SERVICES = """
import threading
import time

TRIES = "/tmp/tries"


class Slow:
    '''Its health becomes good with the third question for it.'''

    def start(self, ctx):
        print("the run begins", len(open(TRIES).read().split()), flush=True)


class Plain:
    def start(self, ctx):
        print("the run begins", flush=True)
"""

SCENARIO = """
simcore: 1
duration: 10ms
nodes:
  client: {count: 1, model: models.py:client}
  service: {implementation: docker, image: IMAGE, service: services.py:Plain}
network: {model: latency, links: [{between: [client, service], delay: 1ms}]}
"""


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.write("services.py", SERVICES)
        made.write("scenario.yaml", SCENARIO.replace("IMAGE", base_image))
        yield made


def health(command: str, *more: str) -> list[str]:
    text = f"--set=nodes.service.health={{command: {command}, interval: 10ms}}"
    return [text, *(f"--set=nodes.service.{each}" for each in more)]


def failed(project: Project, *options: str) -> str:
    ended = project.simcore("scenario.yaml", "--out", "run", *options)
    assert ended.code == 3, ended.err
    assert "Traceback" not in ended.err
    assert "the run begins" not in log_of(project, "service")
    return ended.err


def test_good(project: Project) -> None:
    run(project, *health("[test, -d, /scenario]"))
    assert "the run begins" in log_of(project, "service")


def test_good_at_last(project: Project) -> None:
    """It is asked again until then, and the run begins after that."""
    count = 'echo x >> /tmp/tries; test "$(wc -l < /tmp/tries)" -ge 3'
    run(project, *health(f"[sh, -c, '{count}']", "service=services.py:Slow"))
    assert log_of(project, "service") == "the run begins 3\n"


def test_never(project: Project) -> None:
    said = failed(
        project,
        *health("[sh, -c, 'echo first; echo no model yet; exit 4']", "start_timeout=15s"),
    )
    assert (
        "did not succeed within 15 s: at last it exited with code 4 and said 'no model yet' (rule: health)"
        in said
    )
    assert "process: is running" in said


def test_a_command_that_does_not_end(project: Project) -> None:
    said = failed(project, *health("[sleep, '3600']", "start_timeout=15s"))
    assert "service: its health command 'sleep 3600' did not end within 15 s (rule: health)" in said


def test_a_command_that_is_not_there(project: Project) -> None:
    said = failed(project, *health("[no-such-program]", "start_timeout=15s"))
    assert "no-such-program" in said
    assert "(rule: health)" in said


def test_a_container_that_ends_meanwhile(project: Project) -> None:
    """Its init is told to end by its own health command."""
    said = failed(project, *health("[sh, -c, 'kill -9 -1; exit 1']"))
    assert "before its health was good (rule: process-ended)" in said
    assert "exited with code 137 (SIGKILL)" in said


def test_ctrl_c_while_it_is_waited_for(project: Project, engine: DockerClient) -> None:
    with project.start("scenario.yaml", "--out", "run", *health("[sleep, '3600']")) as started:
        deadline = time.monotonic() + PATIENCE
        while not _sleeping(engine, started.process.pid):
            assert time.monotonic() < deadline
        started.send(2)
        ended = started.end()
    assert ended.code == 130, ended.err


def _sleeping(engine: DockerClient, process: int) -> bool:
    """Whether the container of the simcore with this process number runs a health command."""
    labelled = {"label": "simcore.node=service"}
    for each in engine.containers.list(filters=labelled, ignore_removed=True):
        if each.labels["simcore.run"].startswith(f"{process}-"):
            rows = each.top()["Processes"] or ()  # none before it has begun
            return any("sleep 3600" in " ".join(row) for row in rows)
    return False
