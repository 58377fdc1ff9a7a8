"""A project with programs that take part in a run, and a look at what a run leaves behind.

        +--reading--> sink    a program that goes wrong
sensor -+                       each answers with a pong
        +--reading--> other   a program that does not
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import Project, until_none

PROGRAM = Path(__file__).parent / "participants" / "program.py"

MODELS = """
import os


def sensor(node):
    for name in node.config.get("remove", ()):
        os.remove(name)
    while True:
        yield node.sleep("1ms")
        load = "x" * node.config.get("load", 0)
        node.send("sink", "reading", {"load": load})
        node.send("other", "reading", {"load": load})
"""

SCENARIO = """
simcore: 1
name: outsiders
duration: 10ms
nodes:
  sensor: {model: models.py:sensor}
  sink:
    implementation: process
    command: [python, program.py]
  other:
    implementation: process
    command: [python, program.py]
"""

WINDOWS = """
simcore: 1
name: windows
duration: 10ms
nodes:
  sensor: {model: models.py:sensor}
  sink:
    implementation: process
    command: [python, program.py, good, free_running]
    kind: free_running
  other:
    implementation: process
    command: [python, program.py, good, free_running]
    kind: free_running
network:
  model: latency
  links:
    - {between: [sensor, sink], delay: 500us}
    - {between: [sensor, other], delay: 500us}
"""


@contextmanager
def outsiders(folder: Path) -> Iterator[Project]:
    """The project, with a folder for temporary files whose name is short, as sockets need it."""
    temporary = tempfile.mkdtemp(prefix="s")
    path = os.environ["PATH"]
    project = Project(
        folder,
        {
            "TMPDIR": temporary,
            "XDG_RUNTIME_DIR": "",
            "PYTHONDONTWRITEBYTECODE": "1",
            # The `python` of the scenario is the one that runs the tests.
            "PATH": f"{Path(sys.executable).parent}:{path}",
        },
    )
    project.write("models.py", MODELS)
    project.write("scenario.yaml", SCENARIO)
    project.write("windows.yaml", WINDOWS)
    shutil.copy(PROGRAM, folder / "program.py")
    try:
        yield project
        until_none(lambda: os.listdir(temporary), "nothing private is left")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def left_of(process: int) -> list[int]:
    """Processes that carry the mark of a run of a simcore, given by its process number."""
    mark = re.compile(rb"\0SIMCORE_RUN=(?:[^\0]*:)?%d-" % process)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = b"\0" + (entry / "environ").read_bytes()
            except OSError:
                continue
            if mark.search(environment):
                found.append(int(entry.name))
    return found
