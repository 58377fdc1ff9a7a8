"""The guard: what makes sure that nothing outlives a run, even if simcore is killed.

simcore cannot clean up after SIGKILL, so a small process does, in a session of its own
(`simcore.guard_main`). It learns of simcore's end by the end of a socket that nobody else holds,
and of what there is to end by one short record for each thing. Processes carry the run's id in
their environment besides, so also what simcore started but had no time to register is found.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from simcore.ending import GUARD, MARKER, Proc, end_everything, remove, start_time
from simcore.errors import SimcoreError

_log = logging.getLogger("simcore.guard")

_BLOCKED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""In the guard, from before it begins."""
_ATTEMPTS = 5
"""Guards of one run; who kills more of them means it."""
_SEND_TIMEOUT = 5.0
_END_TIMEOUT = 120.0

# A module of its own name without its package: to import all of simcore would take longer than
# the guard has to live in a short run.
_PROGRAM = """\
import sys
package = type(sys)("simcore")
package.__path__ = [sys.argv.pop(1)]
sys.modules["simcore"] = package
from simcore.guard_main import main
main()
"""


class GuardError(SimcoreError):
    """The guard of a run cannot be started, so no process of it may be."""

    reason = "guard"


class Owner:
    """The process that a run's id names: simcore's own.

    An id tells by itself whether its run can still be alive. It reads
    `process-start-namespace-random`: process number and start time in clock ticks since boot, the
    namespace in which they count, and what makes two runs of one process differ.

    Args:
        run: the id.

    Raises:
        ValueError: it is no such id.
    """

    def __init__(self, run: str) -> None:
        process, start, namespace, unique = run.split("-")
        self.run = run
        self.process = int(process)
        self.start = int(start)
        self.namespace = int(namespace)
        if not unique:
            raise ValueError(run)

    @classmethod
    def new(cls) -> Owner:
        """A run of this process."""
        process = os.getpid()
        return cls(f"{process}-{start_time(process)}-{_namespace()}-{secrets.token_hex(6)}")

    @property
    def dead(self) -> bool:
        """Whether simcore has ended; False where this cannot be known."""
        return self.namespace == _namespace() and start_time(self.process) != self.start


def _namespace() -> int:
    """The namespace that process numbers count in; another container has another."""
    return os.stat("/proc/self/ns/pid").st_ino


class Guard:
    """Makes sure that what is registered ends with this process. A context manager.

    A registration is one small write. Nothing is started before the first of them.

    Args:
        run: the id of the run, from `Owner.new().run`; a new one if None.

    Attributes:
        run: the id of the run.
        environment: what the environment of each process of the run has to hold.
    """

    def __init__(self, run: str | None = None) -> None:
        owner = Owner.new() if run is None else Owner(run)
        self.run = owner.run
        outer = os.environ.get(MARKER)
        self.environment = {MARKER: f"{outer}:{self.run}" if outer else self.run}
        self._since = owner.start
        self._owner = os.getpid()
        self._records: dict[tuple[str, ...], bytes] = {}
        self._groups: dict[int, int] = {}
        self._socket: socket.socket | None = None
        self._process = 0
        self._started = 0
        self._closed = False
        self._lock = threading.RLock()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def process(self) -> int:
        """Process number of the guard; 0 if none runs."""
        return self._process

    def start(self) -> None:
        """Start the guard if it does not run yet; to be called before a process is started.

        Raises:
            GuardError: it cannot be started.
        """
        with self._lock:
            if self._socket is None and not self._closed and self._started < _ATTEMPTS:
                self._begin()

    def group(self, pid: int) -> None:
        """Have a process group ended; `pid` is its leader, which is not yet waited for."""
        start = start_time(pid)
        if start is None:
            return  # it was waited for by somebody else: what is left of it has the marker
        with self._lock:
            self._groups[pid] = start
            self._add(("group", str(pid)), str(pid), str(start))

    def forget_group(self, pid: int) -> None:
        """A process group has ended; to be called before its leader is waited for."""
        with self._lock:
            self._groups.pop(pid, None)
            self._drop(("group", str(pid)), str(pid))

    def directory(self, path: Path) -> None:
        """Have a private directory removed; to be called before it is made."""
        self._add(("directory", str(path)), str(path))

    def forget_directory(self, path: Path) -> None:
        """A private directory is gone, or was never made."""
        self._drop(("directory", str(path)), str(path))

    def log(self, path: Path, cap: int) -> None:
        """Keep a file below `cap` bytes, to which others append.

        Too long, it keeps its first part and its last lines. It is looked at 20 times a second,
        so a flood can make it longer for as long as that.
        """
        self._add(("log", str(path.absolute())), str(cap), str(path.absolute()))

    def command(self, argv: Sequence[str]) -> None:
        """Have a command run at the end, as one that removes a container; found by PATH."""
        self._add(("command", *argv), *argv)

    def forget_command(self, argv: Sequence[str]) -> None:
        """What a command was to remove is gone."""
        self._drop(("command", *argv), *argv)

    def close(self) -> None:
        """End everything now, and the guard; returns when all is gone. Never raises."""
        with self._lock:
            # A fork of simcore has no guard of its own, and must not end its parent's run.
            if self._closed or self._owner != os.getpid():
                return
            self._closed = True
            if not self._started:
                return
            left = self._ended_by_guard()
            if left is None:
                left = self._end_ourselves()
            if left:
                _log.warning("processes of the run that cannot be ended: %s", left)

    def _add(self, key: tuple[str, ...], *fields: str) -> None:
        record = _record(key[0], *fields)
        with self._lock:
            self._records[key] = record
            self._tell(record)

    def _drop(self, key: tuple[str, ...], *fields: str) -> None:
        with self._lock:
            if self._records.pop(key, None) is not None:
                self._tell(_record(f"-{key[0]}", *fields))

    def _tell(self, record: bytes) -> None:
        if self._closed or self._owner != os.getpid():
            return
        if self._socket is None:
            self.start()  # tells all records, this one among them
        elif not self._send(record):
            self._replace()

    def _send(self, record: bytes) -> bool:
        assert self._socket is not None
        try:
            self._socket.send(record, socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def _replace(self) -> None:
        """Start another guard in place of one that was killed."""
        ended = self._end_guard()
        if self._started < _ATTEMPTS:
            _log.warning("the guard of this run %s; another one is started", ended)
            self._begin()
        else:
            _log.warning("the guard of this run %s; no other one is started", ended)

    def _begin(self) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._started += 1
        try:
            with its:
                self._process = self._spawn(its.fileno())
        except OSError as error:
            ours.close()
            raise GuardError(f"the guard of this run could not be started: {error}") from error
        ours.settimeout(_SEND_TIMEOUT)
        self._socket = ours
        for record in list(self._records.values()):
            if not self._send(record):
                self._replace()
                return

    def _spawn(self, its: int) -> int:
        program = sys.executable or "/usr/bin/python3"
        package = str(Path(__file__).parent)
        ourselves = Proc().look(self._owner)
        memory = ourselves.memory if ourselves is not None else ""
        arguments = [package, self.run, str(self._owner), str(self._since), memory]
        return os.posix_spawn(
            program,
            [program, "-I", "-S", "-E", "-c", _PROGRAM, *arguments],
            {**os.environ, GUARD: self.run},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, its, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=_BLOCKED,
        )

    def _ended_by_guard(self) -> list[int] | None:
        """Have the guard end everything; None if it cannot."""
        if self._socket is None:
            return None
        reply = b""
        with contextlib.suppress(OSError):
            os.kill(self._process, signal.SIGCONT)  # somebody may have stopped it
            self._socket.settimeout(_END_TIMEOUT)
            self._socket.send(b"end", socket.MSG_NOSIGNAL)
            reply = self._socket.recv(1 << 16)
        ended = self._end_guard()
        if not reply.startswith(b"left"):
            _log.warning("the guard of this run %s", ended)
            return None
        return [int(pid) for pid in reply.split(b"\0")[1:]]

    def _end_ourselves(self) -> list[int]:
        """What the guard would have done."""
        left = end_everything(self.run, self._groups, since=self._since)
        for kind, *fields in self._records:
            if kind == "command":
                _run(fields)
            elif kind == "directory":
                remove(fields[0])
        return left

    def _end_guard(self) -> str:
        """Make sure that the guard is gone; says how it ended."""
        assert self._socket is not None
        self._socket.close()
        self._socket = None
        pid, self._process = self._process, 0
        return _reap(pid)


def _record(*fields: str) -> bytes:
    return b"\0".join(os.fsencode(field) for field in fields)


def _reap(pid: int, patience: float = 1.0) -> str:
    """Wait for a child, and kill it if it does not end."""
    deadline = time.monotonic() + patience
    ended = "did not answer"
    try:
        while time.monotonic() < deadline:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            time.sleep(0.0005)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        ended = "was waited for by somebody else"
    return ended


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("%s failed: %s", command[0], error)
