"""A project with two programs in containers.

        +--reading--> sink    a program that goes wrong
sensor -+                       each answers with a pong
        +--reading--> other   a program that does not
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import DockerClient
from reports import Report, report_of
from support import ROOT, Project, until_none

PROGRAM = ROOT / "tests" / "system" / "participants" / "program.py"

MODELS = """
import os
import signal


def sensor(node):
    number = 0
    while True:
        number += 1
        if number == node.config.get("killed_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if number == node.config.get("waits_at"):
            with open(os.environ["READY"], "w") as ready:
                ready.write("reached")
            with open(os.environ["GO"]) as go:
                go.readline()
        yield node.sleep("1ms")
        for other in ("sink", "other"):
            node.send(other, "reading", {"number": number})
"""

SCENARIO = """
simcore: 1
name: boxed
duration: 10ms
nodes:
  sensor: {model: models.py:sensor, config: {}}
  sink: &box
    implementation: docker
    image: %s
    command: [python3, program.py]
    files: [program.py, more.py]
  other: *box
"""

MORE = '''
"""What a program in a container can do wrong beside the rest."""

import os
import program


def eats_memory(wire, advance, done):
    kept = []
    while True:
        kept.append(b"x" * 2**20)


def closes_its_output(wire, advance, done):
    """And goes on, without another word."""
    nowhere = os.open("/dev/null", os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)


program.AT_ADVANCE += [eats_memory, closes_its_output]
program.main()
'''


@contextmanager
def boxed(folder: Path, image: str) -> Iterator[Project]:
    """The project, with a folder for temporary files whose name is short, as sockets need it."""
    temporary = tempfile.mkdtemp(prefix="s")
    environment = {"TMPDIR": temporary, "XDG_RUNTIME_DIR": "", "PYTHONDONTWRITEBYTECODE": "1"}
    project = Project(folder, environment)
    project.write("models.py", MODELS)
    project.write("more.py", MORE)
    project.write("scenario.yaml", SCENARIO % image)
    shutil.copy(PROGRAM, folder / "program.py")
    try:
        yield project
        until_none(lambda: os.listdir(temporary), "nothing private is left")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sink(*command: str, **keys: str) -> list[str]:
    """Options that change what runs in `sink`, and its keys."""
    options = [f"--set=nodes.sink.command=[{', '.join(('python3', *command))}]"] if command else []
    return options + [f"--set=nodes.sink.{key}={value}" for key, value in keys.items()]


def failed(project: Project, *options: str, **more: Any) -> Report:
    """A run that fails, and the report of it."""
    ended = project.simcore("scenario.yaml", "--out", "run", *options, **more)
    assert ended.code == 3, ended.err
    assert "Traceback (most recent call last):" not in ended.err
    return report_of(project, ended)


def container_of(engine: DockerClient, node: str, process: int) -> Any:
    """The container of a node of the simcore with this process number."""
    labelled = {"label": f"simcore.node={node}"}
    found = engine.containers.list(all=True, filters=labelled, ignore_removed=True)
    [one] = [each for each in found if each.labels["simcore.run"].startswith(f"{process}-")]
    return one
