"""What tests of the real command line share: projects, processes, and what a machine offers."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import pytest

PATIENCE = 120
"""Seconds of wall time before a test gives up on a process: a backstop, never a measure."""

ROOT = Path(__file__).parents[1]


def unavailable(reason: str) -> NoReturn:
    """Skip for what this machine lacks; under CI, where everything is to be there, fail."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"{reason} (tests that can run do not skip in CI)")
    pytest.skip(reason)


def require(tool: str) -> str:
    """The path of a program."""
    path = shutil.which(tool)
    if path is None:
        unavailable(f"{tool} is not installed")
    return path


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    out: str
    err: str


class Started:
    """A command that is under way, in a session of its own.

    The program finds two numbers in its environment: what it writes to file READY reaches
    `until`, and a read from file GO blocks until `go` is called. So neither ever waits for time
    to pass.
    """

    def __init__(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], **options: Any
    ) -> None:
        self._ready, ready = os.pipe()
        go, self._go = os.pipe()
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environment, "READY": str(ready), "GO": str(go)},
            pass_fds=(ready, go),
            start_new_session=True,
            **options,
        )
        os.close(ready)
        os.close(go)

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        os.close(self._ready)
        os.close(self._go)

    def until(self, word: str) -> None:
        """Wait for a word of the program's."""
        expected, found = word.encode(), b""
        while expected not in found:
            readable, _, _ = select.select([self._ready], [], [], PATIENCE)
            part = os.read(self._ready, 4096) if readable else b""
            if not part:
                self.process.kill()
                pytest.fail(f"no {word!r} came, only {found!r}: {self.process.communicate()}")
            found += part

    def go(self) -> None:
        """Let the program go on that reads from GO."""
        os.write(self._go, b"go\n")

    def send(self, number: int) -> None:
        """Send a signal to the program, and to no child of it."""
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Wait for the end; nothing of the session may be left."""
        out, err = self.process.communicate(timeout=PATIENCE)
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)
        return Ended(self.process.returncode, out or "", err or "")


@dataclass
class Project:
    """A user's folder: models, data, and one scenario in `scenario.yaml`."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        return path

    def simcore(self, *arguments: object, **options: Any) -> Ended:
        """`python -m simcore ARGUMENTS`, to its end."""
        with self.start(*arguments, **options) as started:
            return started.end()

    def start(self, *arguments: object, prefix: Sequence[str] = (), **options: Any) -> Started:
        """`python -m simcore ARGUMENTS`, under way."""
        command = [*prefix, sys.executable, "-m", "simcore", *map(str, arguments)]
        return Started(command, self.path, self.environment, **options)
