"""What tests of the real command line share: projects, processes, and what a machine offers."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import pytest

PATIENCE = 300
"""Seconds of wall time before a test gives up on a process: a backstop, never a measure."""

ROOT = Path(__file__).parents[1]

_PROGRESS = re.compile(r"\S+: (starting|.* of .*, \S+x real time, \d+ s left)\n")


def without_progress(said: str) -> str:
    """What a command has said, but for how far it is.

    It says that every ten seconds, and some machines are slower than others.
    """
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if not _PROGRESS.fullmatch(line))


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


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port of the loopback where nobody listens, and that nobody else is given meanwhile.

    Who is told it may listen there, though, if it sets SO_REUSEADDR as Mosquitto does.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def until_none(left: Callable[[], list[Any]], what: str) -> None:
    """Wait until nothing is left: where simcore was stopped at once, its guard ends the rest."""
    deadline = time.monotonic() + PATIENCE
    while found := left():
        assert time.monotonic() < deadline, (what, found)
        time.sleep(0.01)


def heeding_modes() -> list[str]:
    """What to put before a command that is to heed file modes.

    Nothing, unless we are root: who then gives up the right not to heed them.
    """
    if os.geteuid() != 0:
        return []
    powers = "-dac_override,-dac_read_search"
    prefix = [require("setpriv"), f"--bounding-set={powers}", f"--inh-caps={powers}"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        unavailable("root cannot give up CAP_DAC_OVERRIDE here")
    return prefix


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    out: str
    err: str


class Started:
    """A command that is under way, in a session of its own.

    The program finds the names of two pipes in its environment: what it writes to READY reaches
    `until`, and a read from GO blocks until `go` is called. So neither waits for time to pass.
    """

    def __init__(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], **options: Any
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        names = [str(Path(self._folder.name) / name) for name in ("ready", "go")]
        for name in names:
            os.mkfifo(name)
        self._ready, self._go = (os.open(name, os.O_RDWR | os.O_NONBLOCK) for name in names)
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environment, "READY": names[0], "GO": names[1]},
            start_new_session=True,
            **options,
        )

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        os.close(self._ready)
        os.close(self._go)
        self._folder.cleanup()

    def until(self, word: str) -> None:
        """Wait for a word of the program's."""
        found, deadline = "", time.monotonic() + PATIENCE
        while word not in found:
            if select.select([self._ready], [], [], 0.5)[0]:
                found += os.read(self._ready, 4096).decode()
            elif self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"no {word!r} came, only {found!r}: {self.process.communicate()}")

    def go(self) -> None:
        """Let the program go on that reads from GO."""
        os.write(self._go, b"go\n")

    def next_line(self) -> str:
        """The next line that the program says on its standard error, but for how far it is."""
        assert self.process.stderr is not None
        lines: Iterator[str] = filter(without_progress, self.process.stderr)
        return next(lines, "")

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
