"""What a participant needs of the program behind it, whatever runs it: a process, a container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from simcore.launch import Status
from simcore.protocol.pipes import Pipes


class Running(Protocol):
    """A program that was started, as `simcore.launch.Child`."""

    @property
    def pid(self) -> int | None:
        """Its process number, if it has one."""

    def status(self) -> Status:
        """What it does at the moment.

        Raises:
            LaunchError: it was still being started when `launch` returned, and that failed.
        """

    def describe(self) -> str:
        """What it does, as the end of a sentence."""

    def tail(self, lines: int = 10) -> list[str]:
        """The last lines that it wrote."""

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; whether it has ended."""

    def end(self, grace_s: float = 0.0) -> Status:
        """Have it end, by force if it must be."""

    def kill(self) -> Status:
        """End it at once."""


class Launcher(Protocol):
    """Starts the program of a participant."""

    @property
    def command(self) -> Sequence[str]:
        """What is started, for the record: program and arguments."""

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Running:
        """Start it, or begin to.

        Args:
            environment: what it has to find in its environment, beside all else.
            stdio: its side of the pipes, if it is spoken with over its standard input and output.

        Raises:
            LaunchError: it cannot be started.
        """
