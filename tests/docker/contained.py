"""A project with containers: what tests of features share."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import Ended, Project, until_none

CLIENT = """
def client(node):
    number = 0
    while True:
        yield node.sleep(round(node.random.expovariate(1 / 1e6)))
        node.send("service", "ask", {"number": number, "data": bytes([number % 256])})
        number += 1
"""
"""A model that asks a service, at random times."""


@contextmanager
def contained(folder: Path) -> Iterator[Project]:
    """A project, with a folder for temporary files whose name is short, as sockets need it."""
    temporary = tempfile.mkdtemp(prefix="s")
    environment = {"TMPDIR": temporary, "XDG_RUNTIME_DIR": "", "PYTHONDONTWRITEBYTECODE": "1"}
    folder.chmod(0o755)  # else all would be copied, which is slower
    project = Project(folder, environment)
    project.write("models.py", CLIENT)
    try:
        yield project
        until_none(lambda: os.listdir(temporary), "nothing private is left")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run(project: Project, *options: object, out: str = "run") -> Ended:
    """A run that succeeds, in a folder that is empty before."""
    shutil.rmtree(project.path / out, ignore_errors=True)
    ended = project.simcore("scenario.yaml", "--out", out, *options)
    assert ended.code == 0, ended.err
    return ended


def digest_of(project: Project, out: str = "run") -> str:
    return str(manifest_of(project, out)["digest"])


def manifest_of(project: Project, out: str = "run") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.path / out / "manifest.json").read_text())
    return found


def log_of(project: Project, name: str, out: str = "run") -> str:
    """What a container printed."""
    file = project.path / out / "logs" / f"{name}.log"
    return file.read_text() if file.exists() else ""


def choice_of(ended: Ended) -> str:
    """How simcore said that containers connect."""
    [found] = re.findall(r"^docker: engine .*; containers connect over (.*)$", ended.err, re.M)
    return str(found)
