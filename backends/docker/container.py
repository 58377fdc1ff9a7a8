"""One container of a run: created, started and removed in the background, watched in between.

Starting one takes the engine a quarter of a second and removing it a tenth, so all of a run do so
side by side. What is attached before the start gives its output, and its end is known by the end
of that stream.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.launch import LaunchError, Status, tail_of
from simcore.protocol.pipes import Pipes

from . import sweep
from .engine import EngineError, failures, is_status, text_of

if TYPE_CHECKING:
    from docker import APIClient

    from .fleet import Fleet

_STDOUT = 1
_CODES = {
    126: "the image has the program, and it cannot be executed",
    127: "the image has no such program",
    # As a shell does, whatever stands between the engine and the program counts from 128.
    **{128 + number: number.name for number in signal.Signals},
}
_LOST = "was lost sight of: the Docker Engine does not answer"

_log = logging.getLogger("simcore.docker")


class Container:
    """A container that is started, runs or has ended; see `simcore.programs.Running`.

    Args:
        fleet: of its run.
        name: of the container, which no other has.
        config: what the engine is asked to create.
        log: the file that its output is appended to.
        stdio: its standard input and output, if it is spoken with over them.
        copies: archives of files that it is given, by the folder that they are unpacked in.
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
        self._stdio = None if stdio is None else (os.dup(stdio.receiving), os.dup(stdio.sending))
        self._id: str | None = None
        self._final: Status | None = None
        self._words = ""
        self._ended = threading.Event()
        self._removal: Future[None] | None = None
        fleet.enter(self)
        self._start: Future[None] = fleet.pool.submit(self._launch)

    @property
    def api(self) -> APIClient:
        """The engine's client."""
        return self._engine.api

    # -- starting

    def _launch(self) -> None:
        try:
            self._id = self._engine.ask(f"create the container {self.name}", self._create)
            for folder in self._copies:
                self._engine.ask(f"copy files into {self.name}", partial(self._copy, folder))
            stream = self._engine.ask(f"attach to the container {self.name}", self._attach)
            self._engine.ask(f"start the container {self.name}", self._begin)
        except EngineError as error:
            self._close_stdio()
            raise LaunchError("docker", _reason(error)) from None
        self._watch(stream)

    def _create(self) -> str:
        try:
            found = self.api.create_container_from_config(dict(self._config), self.name)
        except failures() as error:
            if not is_status(error, 409):
                raise
            # The first try was heard and its answer lost.
            found = self.api.inspect_container(self.name)
        identity: str = found["Id"]
        return identity

    def _copy(self, folder: str) -> None:
        self.api.put_archive(self._id, folder, self._copies[folder])

    def _attach(self) -> Any:
        wanted = {"stdout": 1, "stderr": 1, "stream": 1, "stdin": int(self._stdio is not None)}
        stream = self.api.attach_socket(self._id, wanted)
        _socket_of(stream).settimeout(None)
        return stream

    def _begin(self) -> None:
        self.api.start(self._id)

    # -- while it runs

    def _watch(self, stream: Any) -> None:
        threads = [threading.Thread(target=self._read, args=(stream,), daemon=True)]
        if self._stdio is not None:
            threads.append(threading.Thread(target=self._write, args=(stream,), daemon=True))
        for thread in threads:
            thread.start()

    def _read(self, stream: Any) -> None:
        """Take what it prints, to its end; in a thread of its own."""
        from docker.utils.socket import frames_iter

        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        sending = None if self._stdio is None else self._stdio[1]
        try:
            with suppress(OSError):
                for kind, data in frames_iter(stream, tty=False):
                    if kind != _STDOUT or sending is None:
                        _write_all(log, data)
                    elif not _wrote(sending, data):
                        sending = None  # nobody reads any more: what it says goes to the log
        finally:
            os.close(log)
            self._conclude()
            if self._stdio is not None:
                os.close(self._stdio[1])
            with suppress(OSError):
                _socket_of(stream).close()

    def _write(self, stream: Any) -> None:
        """Hand it what is written to its standard input; in a thread of its own."""
        assert self._stdio is not None
        sock, receiving = _socket_of(stream), self._stdio[0]
        try:
            with suppress(OSError):
                while data := os.read(receiving, 1 << 16):
                    sock.sendall(data)
                sock.shutdown(1)  # SHUT_WR
        finally:
            os.close(receiving)

    def _conclude(self) -> None:
        """Its output has ended, and so has it, as a rule: find out how."""
        try:
            state = self._state()
            if state["Status"] in ("running", "paused"):  # it closed its output and goes on
                self._engine.api.wait(self._id, timeout=None)
                state = self._state()
        except failures() as error:
            gone = is_status(error, 404)
            self._finish(Status("exited"), "was removed" if gone else _LOST)
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
            self._close_stdio()
            self._fleet.leave(self)
            return
        self._start.exception()  # wait until the engine has done what it was asked
        try:
            self._engine.ask(
                f"remove the container {self.name}", lambda: sweep.remove(self.api, self.name)
            )
        except EngineError as error:
            _log.warning("%s is left: %s; docker rm -f %s", self.name, text_of(error), self.name)
        else:
            self._fleet.leave(self)

    def _close_stdio(self) -> None:
        for file in self._stdio or ():
            os.close(file)


def _reason(error: EngineError) -> str:
    """What keeps a container from starting, shortened to what its user can change."""
    said = str(error)
    if "OCI runtime" in said:
        # runc wraps what it met in the names of all that asked it.
        return said.rpartition("starting container process caused: ")[2].removesuffix(": unknown")
    return said


def _socket_of(stream: Any) -> Any:
    """The socket behind what docker-py gives for an attached stream."""
    return getattr(stream, "_sock", stream)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _wrote(file: int, data: bytes) -> bool:
    try:
        _write_all(file, data)
    except OSError:
        return False
    return True
