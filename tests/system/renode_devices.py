"""A project with a device in Renode that does what it is told, for tests of what goes wrong.

hub --says, 1 ms--> dev    firmware that says what it is told
    <--------------

Where SIMCORE_RENODE names no Renode, what stands in for it is `renode` in the project's folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import firmware_builds
import pytest
import renode_machine
from firmware_devices import Report, failed, program
from outsiders import outsiders
from support import Project

MS = 1_000_000

MODELS = """
import os
import signal
from pathlib import Path


def strike(name):
    '''Send a signal to all that was started as Renode.'''
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(bytes(1))
                mine = os.getpid() == int((entry / "stat").read_text().rsplit(")")[-1].split()[1])
            except OSError:
                continue
            if mine and b"--disable-xwt" in words:
                os.kill(int(entry.name), signal.Signals[name])


def idle(node):
    while True:
        yield node.receive()


def hub(node):
    for at, text in node.config["says"]:
        if at > node.now:
            yield node.sleep(at - node.now)
        if text.startswith("SIG"):
            strike(text)
        else:
            node.send("dev", "say", text)
    while True:
        yield node.receive()
"""

SCENARIO = """
simcore: 1
name: device
duration: 50ms
nodes:
  hub:
    model: models.py:hub
    config: {says: []}
  dev:
    implementation: renode
    firmware: {elf: parrot.elf}
network:
  model: latency
  links:
    - {between: [hub, dev], delay: 1ms}
"""

OTHERS = "renode-123"
"""A directory as another Renode makes it, whose process is no more."""


@pytest.fixture(scope="session")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Firmware that says what it is told."""
    folder = tmp_path_factory.mktemp("parrot")
    if renode_machine.REAL:
        return Path(firmware_builds.parrot(folder, "stm32f4"))
    return renode_machine.firmware(folder)


@pytest.fixture
def project(tmp_path: Path, parrot: Path) -> Iterator[Project]:
    """The project; whatever is done with it, nothing is left, and what belongs to others is."""
    with outsiders(tmp_path) as made:
        made.write("models.py", MODELS)
        made.write("scenario.yaml", SCENARIO)
        shutil.copy(parrot, tmp_path / "parrot.elf")
        made.environment["RENODE"] = renode_machine.REAL or str(renode_machine.install(tmp_path))
        with another_renode(Path(made.environment["TMPDIR"])):
            yield made


@contextmanager
def another_renode(temporary: Path) -> Iterator[None]:
    """Renode removes such directories when it starts, from where it finds them."""
    folder = temporary / OTHERS
    folder.mkdir()
    (folder / "state").write_text("of another\n")
    yield
    assert (folder / "state").read_text() == "of another\n"
    shutil.rmtree(folder)


def stand_in(project: Project, **environment: str) -> None:
    """Have the stand-in do something else, as its environment tells it."""
    renode_machine.fake_only()
    names = {f"FAKE_RENODE_{name.upper()}": value for name, value in environment.items()}
    project.environment["RENODE"] = str(renode_machine.install(project.path, **names))


def options(says: Sequence[tuple[int, str]] = (), **keys: Any) -> list[str]:
    """Options that choose what is said, and keys of the device."""
    return [
        f"--set=nodes.hub.config.says={json.dumps(list(says))}",
        *(f"--set=nodes.dev.{key}={json.dumps(value)}" for key, value in keys.items()),
    ]


def says_it_is(project: Project, said: str) -> str:
    """Put a program in the place of Renode that says only what it is; its path."""
    path = str(program(project, "tool", said))
    project.environment["RENODE"] = path
    return path


def refused_by_renode(project: Project, *more: str) -> Report:
    """A run that fails while the machine is made."""
    report = failed(project, *more)
    assert report.rule == "participant-error", report.text
    assert report.at == 0
    return report
