"""One container of a run: created, started and removed in the background, watched in between.

Starting one takes the engine a quarter of a second and removing it a tenth, so all of a run do so
side by side. What is attached before the start gives its output, and its end is known by the end
of that stream.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.launch import LaunchError, Status, tail_of
from simcore.protocol.pipes import Pipes

from .engine import EngineError, failures, is_status
from .streams import Streams, socket_of

if TYPE_CHECKING:
    from docker import APIClient

    from .fleet import Fleet

_CODES = {
    126: "the image has the program, and it cannot be executed",
    127: "the image has no such program",
    # As a shell does, whatever stands between the engine and the program counts from 128.
    **{128 + number: number.name for number in signal.Signals},
}
_LOST = "was lost sight of: the Docker Engine does not answer"
_NEVER = "0001-02"
"""After the time that the engine gives for what has not happened: the beginning of year 1."""
_DYING = 1.0
"""Seconds that a container may take to end once its output has."""


class Container:
    """A container that is started, runs or has ended; see `simcore.programs.Running`.

    Args:
        fleet: of its run.
        name: of the container, which no other has.
        config: what the engine is asked to create.
        log: the file that its output is appended to.
        stdio: its standard input and output, if it is spoken with over them.
        copies: archives of files that it is given, by the folder that they are unpacked in.

    Attributes:
        starved: whether it ended for lack of memory.
    """

    pid = None

    def __init__(
        self,
        fleet: Fleet,
        name: str,
        config: Mapping[str, Any],
        log: Path,
        stdio: Pipes | None,
        copies: Mapping[str, bytes] | None = None,
    ) -> None:
        self.name = name
        self._fleet = fleet
        self._engine = fleet.engine
        self._config = config
        self._log = log
        self._copies = copies or {}
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._log_file = os.open(log, flags, 0o644)
        self._stdio = None if stdio is None else (os.dup(stdio.receiving), os.dup(stdio.sending))
        self._id: str | None = None
        self._asked_to_start = False
        self._final: Status | None = None
        self._words = ""
        self.starved = False
        self._ended = threading.Event()
        self._removal: Future[None] | None = None
        fleet.enter(name, self)
        self._start: Future[None] = fleet.pool.submit(self._launch)

    @property
    def api(self) -> APIClient:
        """The engine's client."""
        return self._engine.api

    # -- starting

    def _launch(self) -> None:
        stream = None
        try:
            self._id = self._engine.create(self.name, self._config)
            for folder in self._copies:
                self._engine.ask(f"copy files into {self.name}", partial(self._copy, folder))
            stream = self._engine.ask(f"attach to the container {self.name}", self._attach)
            self._engine.ask(f"start the container {self.name}", self._begin)
        except EngineError as error:
            self._close_files()
            if stream is not None:
                socket_of(stream).close()
            raise LaunchError("docker", _reason(error)) from None
        streams = Streams(stream, self._log_file, self._stdio)
        threading.Thread(target=self._watch, args=(streams,), daemon=True).start()

    def _copy(self, folder: str) -> None:
        self.api.put_archive(self._id, folder, self._copies[folder])

    def _attach(self) -> Any:
        wanted = {"stdout": 1, "stderr": 1, "stream": 1, "stdin": int(self._stdio is not None)}
        return self.api.attach_socket(self._id, wanted)

    def _begin(self) -> None:
        # An answer that was lost may have been a yes. What has begun since may have ended, too, and
        # the engine would start it a second time.
        if self._asked_to_start and self._state()["StartedAt"] > _NEVER:
            return
        self._asked_to_start = True
        self.api.start(self._id)

    # -- while it runs

    def _watch(self, streams: Streams) -> None:
        """Take what it prints, to its end; in a thread of its own."""
        streams.carry()
        # Who sees that it has closed its output is to find out how it ended. It may go on, though.
        self._conclude(_DYING)
        streams.close()
        self._conclude(None)

    def _conclude(self, patience: float | None) -> None:
        """Wait for its end, and note how it came; None: however long it takes."""
        if self._final is not None:
            return
        try:
            state = self._state()
            if state["Status"] in ("running", "paused"):
                self.api.wait(self._id, timeout=patience)
                state = self._state()
        except failures() as error:
            if is_status(error, 404):
                self._finish(Status("exited"), "was removed")
            elif patience is None:
                self._finish(Status("exited"), _LOST)
        else:
            self._finish(Status("exited", state["ExitCode"]), self._explain(state))

    def _state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.inspect_container(self._id)["State"]
        return found

    def _explain(self, state: Mapping[str, Any]) -> str:
        code = state["ExitCode"]
        text = f"exited with code {code}"
        if code in _CODES:
            text += f" ({_CODES[code]})"
        if state.get("OOMKilled"):
            self.starved = True
            memory = self._config["HostConfig"]["Memory"]
            text = f"ran out of memory (limits: memory is {memory / 2**20:g} MiB) and {text}"
        if state.get("Error"):
            text += f": {state['Error']}"
        return text

    def _finish(self, status: Status, words: str) -> None:
        if self._final is None:
            self._words, self._final = words, status
        self._ended.set()

    def status(self) -> Status:
        """What it does at the moment; see `Running.status`."""
        if self._final is not None:
            return self._final
        if self._start.done() and not self._start.cancelled():
            error = self._start.exception()
            if error is not None:
                raise error
        return Status("running")

    def describe(self) -> str:
        """What it does, as the end of a sentence: "exited with code 3", "is paused"."""
        if self._final is not None:
            return self._words
        if not self._start.done():
            return "is being started"
        if self._start.cancelled() or self._start.exception() is not None:
            return "was not started"
        try:
            status = self._state()["Status"]
        except failures() as error:
            return "was removed" if is_status(error, 404) else _LOST
        if status == "paused":
            return f"is paused (docker unpause {self.name} would let it go on)"
        return f"is {status}"

    def tail(self, lines: int = 10) -> list[str]:
        """The last lines that it wrote."""
        return tail_of(self._log, lines)

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command inside; its exit code and what it printed at last.

        Raises:
            EngineError: the engine cannot run it.
        """

        def execute() -> tuple[int, str]:
            made = self.api.exec_create(self._id, list(command))["Id"]
            said = self.api.exec_start(made).decode(errors="replace").strip()
            code = self.api.exec_inspect(made)["ExitCode"]
            return code, said.rpartition("\n")[2]

        return self._engine.ask(f"run {command[0]} in the container {self.name}", execute)

    # -- the end

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; whether it has ended."""
        return self._ended.wait(timeout_s)

    def end(self, grace_s: float = 0.0) -> Status:
        """Have it end, by force if it must be."""
        self.wait(grace_s)
        return self.kill()

    def kill(self) -> Status:
        """Have it removed, by force; returns at once, and never raises.

        The run waits for all removals together, at its end.
        """
        self._finish(Status("signalled", 9), "was removed by simcore")
        if self._removal is None:
            self._start.cancel()
            self._removal = self._fleet.pool.submit(self._remove)
        assert self._final is not None
        return self._final

    def _remove(self) -> None:
        if self._start.cancelled():
            self._close_files()
            self._fleet.leave(self.name)
            return
        self._start.exception()  # wait until the engine has done what it was asked
        self._fleet.discard(self.name)

    def _close_files(self) -> None:
        """Let go of what nobody will carry on."""
        for file in (self._log_file, *(self._stdio or ())):
            os.close(file)


def _reason(error: EngineError) -> str:
    """What keeps a container from starting, shortened to what its user can change."""
    # runc wraps what it met in the names of all that asked it.
    found = re.search(
        r"start(?:ing)? container process(?: caused)?: (.*?)(?:: unknown)?$", error.said
    )
    return found[1] if found else str(error)
