"""Where the program is started and let in, and what is left of it when it has gone.

A run would refuse a wrong HELLO and wait for another one. Here whoever connects is taken, so that
what is wrong with its HELLO can be named.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from simcore.contract.plan import Plan
from simcore.ending import GUARD, Proc, runs_of, values_of
from simcore.guard import Guard
from simcore.launch import Child
from simcore.private import PrivateDirectory
from simcore.protocol.channel import SLICE, Channel, DeadlinePassed
from simcore.protocol.pipes import Pipes


class Ground:
    """Where sessions take place; a context manager, after which nothing is left of them."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.directory = PrivateDirectory(self.guard)
        self._sessions = 0

    def __enter__(self) -> Ground:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.directory.remove()
        self.guard.close()

    def number(self) -> int:
        """Of a new session."""
        self._sessions += 1
        return self._sessions


class Door:
    """Starts the program once and lets it in.

    Args:
        ground: where.
        plan: what to start, and how.

    Attributes:
        token: what the program has to show.
        running: the program.
    """

    running: Child

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self.token = secrets.token_hex(16)
        self._ground = ground
        self._plan = plan
        self._number = ground.number()
        self._listening: socket.socket | None = None
        self._stdio: Pipes | None = None

    def launch(self) -> None:
        """Start the program.

        Raises:
            LaunchError: it cannot be started.
        """
        plan, path = self._plan, self._ground.directory.path
        theirs: Pipes | None = None
        address = "stdio"
        if plan.transport == "stdio":
            self._stdio, theirs = Pipes.pair()
        else:
            address = self._listen()
        environment = {
            "PYTHONHASHSEED": "0",
            **plan.environment,
            "SIMCORE_ADDRESS": address,
            "SIMCORE_TOKEN": self.token,
            "SIMCORE_NAME": plan.name,
        }
        program, *arguments = plan.command
        if program == "python" and shutil.which(program) is None:
            program = sys.executable
        try:
            self.running = Child.launch(
                [program, *arguments],
                environment=environment,
                directory=plan.directory,
                log=path / f"{self._number}.log",
                guard=self._ground.guard,
                stdio=theirs,
            )
        finally:
            if theirs is not None:
                theirs.close()

    def _listen(self) -> str:
        if self._plan.transport == "tcp":
            self._listening = socket.create_server(("127.0.0.1", 0))
            return f"tcp:127.0.0.1:{self._listening.getsockname()[1]}"
        place = str(self._ground.directory.path / f"{self._number}.sock")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(place)
        self._listening.listen()
        return f"unix:{place}"

    def let_in(self, idle: Callable[[], None]) -> Channel:
        """Wait until the program connects.

        Args:
            idle: called each tenth of a second; what it raises ends the waiting.

        Raises:
            DeadlinePassed: it does not.
        """
        if self._stdio is not None:
            stdio, self._stdio = self._stdio, None
            return Channel(stdio, "it")
        listening, timeout = self._listening, self._plan.start_timeout
        assert listening is not None
        listening.settimeout(SLICE)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with suppress(TimeoutError):
                return Channel(listening.accept()[0], "it")
            idle()
        raise DeadlinePassed(f"it did not connect within {timeout:g} s")

    def left_behind(self, patience: float) -> list[str]:
        """Processes that the program started and that are still there.

        Args:
            patience: seconds that they have to end.
        """
        deadline = time.monotonic() + patience
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return left

    def _left(self) -> list[str]:
        proc, run, own = Proc(), self._ground.guard.run, self.running.pid
        leader = proc.look(own)  # not waited for yet
        since = 0 if leader is None else leader.start
        found = []
        for pid in proc.pids():
            look = proc.look(pid)
            if look is None or look.over or look.start < since:
                continue
            environment = proc.environment(look) or b""
            marked = run in runs_of(environment) and not values_of(environment, GUARD)
            if marked or own in (look.group, look.session):
                found.append(f"{_command(pid)} (process {pid})")
        return found

    def tail(self) -> list[str]:
        """The last lines that the program printed."""
        return self.running.tail() if hasattr(self, "running") else []

    def close(self) -> None:
        """End the program at once; never raises."""
        for each in (self._listening, self._stdio):
            if each is not None:
                each.close()
        if hasattr(self, "running"):
            self.running.kill()


def _command(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return os.fsdecode(file.read(200).replace(b"\0", b" ").strip())
    return "a process"
