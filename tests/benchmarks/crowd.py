"""A thousand participants that wait, all in one process: `implementation: crowd`.

A process for each would measure the machine's memory. To simcore they are participants like any
other: each has its node, its token, its connection, and its exchanges, of which there are none.
Started as a program, this file is their process.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.launch import Child, Status
    from simcore.node import Node
    from simcore.protocol.pipes import Pipes
    from simcore.scenario.model import NodeSpec


class Crowd:
    """The backend, for tests only."""

    name = "crowd"
    determinism = "exact"
    schema: Mapping[str, Any] = {"type": "object"}

    def __init__(self) -> None:
        self._process: Process | None = None

    def check(self, value: Any, path: Any, checker: Any) -> None:
        """There is nothing that can be wrong."""

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make a node with a participant of its own."""
        from simcore.hosting import host
        from simcore.remote import Remote

        if self._process is None:
            self._process = Process(federation)
        process = self._process
        return host(
            federation, spec, lambda life: Remote(federation, spec.name, [spec.name], process)
        )

    def doctor(self) -> tuple[bool, str]:
        """There is nothing to look for."""
        return True, ""


class Process:
    """Launches each participant in one and the same process."""

    command = (sys.executable, __file__)

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._child: Child | None = None
        self._orders: Pipes | None = None

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Member:
        """Tell the process, once it is there, of one more."""
        if self._child is None or self._orders is None:
            from simcore.protocol.pipes import Pipes

            self._orders, theirs = Pipes.pair()
            self._child = self._start(theirs)
            theirs.close()
        keys = ("SIMCORE_ADDRESS", "SIMCORE_TOKEN", "SIMCORE_NAME")
        self._orders.send(" ".join(environment[key] for key in keys).encode() + b"\n")
        return Member(self._child)

    def _start(self, stdio: Pipes) -> Child:
        from pathlib import Path

        from simcore.launch import Child

        outside = self._federation.outside
        return Child.launch(
            self.command,
            environment={},
            directory=Path(__file__).parent,
            log=outside.log_of("crowd"),
            guard=outside.guard,
            stdio=stdio,
        )


class Member:
    """One participant of the process; see `simcore.remote.Running`.

    Its end is waited for when it has said BYE. It has ended then, though the process has not.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._ended: Status | None = None
        self.pid = child.pid

    def status(self) -> Status:
        return self._ended or self._child.status()

    def describe(self) -> str:
        return self.status().describe()

    def tail(self, lines: int = 10) -> list[str]:
        return self._child.tail(lines)

    def wait(self, timeout_s: float) -> bool:
        from simcore.launch import Status

        self._ended = Status("exited", 0)
        return True

    def end(self, grace_s: float = 0.0) -> Status:
        return self.status()

    def kill(self) -> Status:
        return self.status()


class Waiting:
    """A participant that wants nothing."""

    def __init__(self, address: str, token: str, name: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(address.removeprefix("unix:"))
        hello = f'{{"type":"HELLO","protocol":1,"token":"{token}","name":"{name}"}}\n'
        self.sock.sendall(hello.encode())

    def read(self) -> None:
        """Answer what simcore sends; it is one frame at a time."""
        line = self.sock.recv(65536)
        if b'"INIT"' in line:
            self.sock.sendall(b'{"type":"READY","kind":"reactive"}\n')
        elif b'"SHUTDOWN"' in line:
            self.sock.sendall(b'{"type":"BYE"}\n')
        else:
            raise SystemExit(0)  # simcore is gone


def main() -> None:
    """Be the participants that standard input names, until simcore closes the connections."""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    rest = b""
    while True:
        for key, _ in selector.select():
            if key.data is not None:
                key.data.read()
                continue
            *lines, rest = (rest + os.read(0, 65536)).split(b"\n")
            for line in lines:
                waiting = Waiting(*line.decode().split())
                selector.register(waiting.sock, selectors.EVENT_READ, waiting)


if __name__ == "__main__":
    main()
