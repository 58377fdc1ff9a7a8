"""Starting a program beside simcore, so that it can be watched and ended whatever it does.

A child leads a session and process group of its own, appends what it prints to a file that
cannot fill a pipe, and is known to the guard. It stays a zombie until `end` or `kill`, so that
its number cannot become another's while simcore still has it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from simcore.errors import SimcoreError
from simcore.guard import Guard
from simcore.protocol.pipes import Pipes

LOG_CAP = 8 << 20
"""Bytes that the log file of a child may have."""
TOO_MANY_FILES = "simcore has too many files open: raise their limit (ulimit -n), or start fewer"
_TERMINATION = (0.1, 2.0)
"""Seconds from SIGTERM to SIGKILL: of a child that had no time to end by itself, and at most."""
_TAIL = 1 << 16
_LONGEST_LINE = 500

# `ulimit` and not `resource`: what runs between fork and exec must be no Python where there are
# threads. For the number of processes, shells differ in the letter.
_LIMITS = (
    ("memory", "ulimit -v {}"),
    ("cpu", "ulimit -t {}"),
    ("files", "ulimit -n {}"),
    ("processes", "{{ ulimit -u {0} 2>/dev/null || ulimit -p {0}; }}"),
)


class LaunchError(SimcoreError):
    """A program cannot be started.

    Args:
        reason: "not_found", "not_executable", "exec_format", "no_directory" or "no_resources".
        message: what is wrong, in one line.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use; None is no limit.

    Attributes:
        memory: address space in bytes, of each process.
        cpu: seconds of processor time, of each process.
        files: open files, of each process.
        processes: processes of this user; has no effect on root.
    """

    memory: int | None = None
    cpu: int | None = None
    files: int | None = None
    processes: int | None = None

    def shell(self) -> str:
        """The shell program that sets them and becomes its arguments; empty without limits."""
        set_ = [
            text.format(value // 1024 if name == "memory" else value) + " || exit 126"
            for name, text in _LIMITS
            if (value := getattr(self, name)) is not None
        ]
        return "; ".join([*set_, 'exec "$@"']) if set_ else ""


class Status(NamedTuple):
    """What a child does.

    Attributes:
        kind: what it does.
        code: exit code, or the number of the signal; None where it is unknown.
        dumped: whether it left a core dump.
    """

    kind: Literal["running", "stopped", "exited", "signalled"]
    code: int | None = None
    dumped: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.kind in ("exited", "signalled")

    def describe(self) -> str:
        """As the end of a sentence about the child."""
        if self.kind == "running":
            return "is running"
        if self.kind == "stopped":
            return f"is stopped ({_signal_name(self.code)})"
        if self.kind == "signalled":
            dumped = " (core dumped)" if self.dumped else ""
            return f"was killed by {_signal_name(self.code)}{dumped}"
        if self.code is None:
            return "ended; its exit code is unknown, for something else waited for it"
        return f"exited with code {self.code}"


class Child:
    """A program that runs beside simcore; made by `launch`.

    Attributes:
        pid: its process number, and that of its group.
        log: the file that it prints to.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, guard: Guard) -> None:
        self.pid = process.pid
        self.log = log
        self._process = process
        self._guard = guard
        self._final: Status | None = None

    @classmethod
    def launch(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
        guard: Guard,
        limits: Limits | None = None,
        stdio: Pipes | None = None,
        log_cap: int = LOG_CAP,
    ) -> Child:
        """Start a program; returns at once.

        Args:
            command: the program and its arguments; a name without slash is looked for in the
                PATH of `environment`, a relative path is relative to `directory`.
            environment: its whole environment; the marker of the run is added.
            directory: its working directory.
            log: the file that its output is appended to.
            guard: ends it when simcore cannot.
            limits: what it may use.
            stdio: its standard input and output; without, it has an empty input, and its output
                goes to the log. The caller closes them.
            log_cap: bytes that the log may have.

        Raises:
            LaunchError: it cannot be started.
            GuardError: the guard cannot be started.
            OSError: the log cannot be written.
        """
        program = _find(command[0], environment, directory)
        shell = limits.shell() if limits is not None else ""
        guard.start()
        guard.log(log, log_cap)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(log, flags, 0o644)
        try:
            process = subprocess.Popen(
                ["sh", "-c", shell, "sh", program, *command[1:]] if shell else command,
                executable="/bin/sh" if shell else program,
                cwd=directory,
                env={**environment, **guard.environment},
                stdin=subprocess.DEVNULL if stdio is None else stdio.receiving,
                stdout=file if stdio is None else stdio.sending,
                stderr=file,
                start_new_session=True,
            )
        except OSError as error:
            reason = "exec_format" if error.errno == errno.ENOEXEC else "no_resources"
            why = TOO_MANY_FILES if error.errno == errno.EMFILE else error
            raise LaunchError(reason, f"{command[0]} cannot be started: {why}") from error
        finally:
            os.close(file)
        guard.group(process.pid)
        return cls(process, log, guard)

    def status(self) -> Status:
        """What it does at the moment."""
        if self._final is not None:
            return self._final
        options = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        try:
            found = os.waitid(os.P_PID, self.pid, options)
        except ChildProcessError:
            return Status("exited")
        if found is None:
            return Status("running")
        if found.si_code == os.CLD_EXITED:
            return Status("exited", found.si_status)
        if found.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
            return Status("signalled", found.si_status, found.si_code == os.CLD_DUMPED)
        return Status("stopped", found.si_status)

    def describe(self) -> str:
        """What it does, as the end of a sentence: "exited with code 3", "is running"."""
        return self.status().describe()

    def tail(self, lines: int = 10) -> list[str]:
        """The last lines of its log; long ones are cut."""
        return tail_of(self.log, lines)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end, at most so many seconds; whether it has ended."""
        deadline = time.monotonic() + timeout_s
        with _watched(self.pid) as poll:
            while not self.status().ended:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                # Without a file of the process to wait for, it is looked at now and then.
                if poll is None:
                    time.sleep(min(left, 0.002))
                else:
                    poll.poll(left * 1000)
        return True

    def end(self, grace_s: float = 0.0) -> Status:
        """End it: wait, then SIGTERM, then SIGKILL, each for the whole group.

        Args:
            grace_s: seconds it has to end by itself.

        Returns:
            How it ended.
        """
        if self._final is None and not self.wait(grace_s):
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a stopped process cannot act on it
            least, most = _TERMINATION
            self.wait(min(max(grace_s, least), most))
        return self.kill()

    def kill(self) -> Status:
        """End it with its whole group, at once; never raises.

        What left the group is ended by the guard, with the run.

        Returns:
            How it ended.
        """
        if self._final is not None:
            return self._final
        if self.status() != Status("exited"):  # then its number may be another's by now
            self._signal(signal.SIGKILL)
        self.wait(30.0)
        self._final = self.status()
        if self._final.ended:
            self._guard.forget_group(self.pid)
            self._process.wait()  # its number is free from here on
        return self._final

    def _signal(self, number: int) -> None:
        # The child is not waited for, so its number cannot be another's, nor its group's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def tail_of(log: Path, lines: int) -> list[str]:
    """The last lines of a log; long ones are cut."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            data = file.read(_TAIL)
    except OSError:
        return []
    found = data.decode(errors="replace").splitlines()[-lines:] if lines > 0 else []
    return [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..." for line in found]


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[select.poll | None]:
    """What to wait with for the end of a process."""
    try:
        file = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        yield poll
    finally:
        os.close(file)


def _signal_name(number: int | None) -> str:
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"


def _find(name: str, environment: Mapping[str, str], directory: Path) -> str:
    """The path of the program that a name stands for, if it can be started."""
    if not directory.is_dir():
        raise LaunchError("no_directory", f"{directory}: there is no such working directory")
    if not name:
        raise LaunchError("not_found", "the command is empty")
    if "/" in name:
        candidates = [directory / name]
    else:
        places = environment.get("PATH", os.defpath).split(os.pathsep)
        candidates = [directory / place / name for place in places]
    there = [each for each in candidates if each.is_file()]
    for each in there:
        if os.access(each, os.X_OK):
            _check_format(each)
            return str(each.absolute())
    if there:
        raise LaunchError("not_executable", f"{there[0]} is not executable (chmod +x)")
    if "/" in name:
        problem = "is a directory" if candidates[0].is_dir() else "does not exist"
        raise LaunchError("not_found", f"{candidates[0]} {problem}")
    raise LaunchError("not_found", f"{name} is not in PATH; is it installed?")


def _check_format(program: Path) -> None:
    """Refuse what the kernel would; a shell in between might take it for a script."""
    try:
        with program.open("rb") as file:
            first = file.readline(256)
    except OSError:
        return  # it may be started without being readable
    if first.startswith(b"#!"):
        words = first[2:].split()
        interpreter = os.fsdecode(words[0]) if words else ""
        if not os.access(interpreter, os.X_OK):
            raise LaunchError(
                "not_found",
                f"{program} is to be run by {interpreter or 'nothing'}, which cannot be started "
                "(see its first line)",
            )
    elif not first.startswith(b"\x7fELF"):
        raise LaunchError(
            "exec_format",
            f"{program} is no program for this machine, and no script with #! in its first line",
        )
