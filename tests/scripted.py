"""A participant outside simcore that is the test itself, at the other end of two pipes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipe_end import PipeEnd

from simcore.launch import Status
from simcore.protocol.pipes import Pipes


class Line:
    """The other end: a program that is not there, but for its side of the pipes."""

    pid = None
    command = ("scripted",)

    def __init__(self, ready: Mapping[str, Any]) -> None:
        self.ready = ready
        self.killed = False
        self.state = Status("running")

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Line:
        assert stdio is not None
        self.end = PipeEnd.of(stdio)
        self.file = self.end.reader()
        token, name = environment["SIMCORE_TOKEN"], environment["SIMCORE_NAME"]
        assert environment["SIMCORE_ADDRESS"] == "stdio"
        self.write({"type": "HELLO", "protocol": 1, "token": token, "name": name})
        frame = {"type": "READY", "kind": "reactive"} if "type" not in self.ready else {}
        self.write(frame | self.ready)
        return self

    def write(self, *frames: Mapping[str, Any]) -> None:
        self.end.sendall(b"".join(json.dumps(each).encode() + b"\n" for each in frames))

    def read(self) -> Any:
        return json.loads(self.file.readline())

    # as a running program

    def status(self) -> Status:
        return self.state

    def describe(self) -> str:
        return self.state.describe()

    def tail(self, lines: int = 10) -> list[str]:
        return []

    def wait(self, timeout_s: float) -> bool:
        return self.state.ended

    def end(self, grace_s: float = 0.0) -> Status:
        return self.kill()

    def kill(self) -> Status:
        if not self.killed:
            self.killed = True
            self.file.close()
            self.end.close()
        return self.state


class Dying(Line):
    """A program that dies between closing its pipes and being a zombie, which takes its time."""

    takes = 0.5
    """Seconds."""

    def wait(self, timeout_s: float) -> bool:
        if timeout_s >= self.takes:
            self.state = Status("signalled", 9)
        return self.state.ended
