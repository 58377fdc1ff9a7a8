"""The guard's own program: waits for simcore's end and then ends what simcore left.

It runs apart from simcore, in a session of its own, and holds nothing of it but one end of a
socket. While the run lives it keeps the log files of participants small. It is started for each
run that starts a process, so it imports next to nothing.
"""

from __future__ import annotations

import os
import select
import sys
import time

from simcore.ending import end_everything, remove

_SOCKET = 0
_RECORD = 1 << 18
_POLL = 0.05
_POLL_FLOODED = 0.005
_COMMANDS = 60.0
"""Seconds for all commands at the end together."""
_NOTE = b"... %d bytes left out ...\n"


class CappedLog:
    """A log file that others append to, kept below a size.

    Too long, it keeps its first part and its last lines, with a line between that says how much
    was left out. Nobody can be kept from appending meanwhile: what comes in after the file was
    shortened is put back behind the last lines; only what comes in between the reading of these
    and the shortening, two system calls, is lost.

    Args:
        path: the file; those who write to it have it open for appending.
        cap: its greatest size in bytes.
    """

    def __init__(self, path: str, cap: int) -> None:
        self._path = path
        self._cap = cap
        self._head: int | None = None
        self._noted = 0  # bytes of the line between
        self._left_out = 0

    def attend(self) -> bool:
        """Cut the file if it is too long; True if it was."""
        try:
            if os.stat(self._path).st_size <= self._cap:
                return False
            file = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            self._cut(file)
        except OSError:  # a full disk: the next attempt may do better
            pass
        finally:
            os.close(file)
        return True

    def _cut(self, file: int) -> None:
        if self._head is None:
            first = os.pread(file, self._cap // 2, 0)
            self._head = first.rfind(b"\n") + 1 or len(first)
        size = os.fstat(file).st_size
        begin = max(size - self._cap // 4, self._head)
        last = os.pread(file, size - begin, begin)
        last = last[last.find(b"\n", 0, -1) + 1 :]
        os.ftruncate(file, self._head)
        self._left_out += size - self._head - self._noted - len(last)
        note = _NOTE % self._left_out
        if not self._ends_line(file):
            note = b"\n" + note
        self._noted = len(note)
        self._append(file, note + last)

    def _append(self, file: int, text: bytes) -> None:
        """Write `text` behind the first part, and behind it what others have written there."""
        assert self._head is not None
        appending = os.open(f"/proc/self/fd/{file}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(appending, text)
            begin = os.lseek(appending, 0, os.SEEK_CUR) - len(text)
        finally:
            os.close(appending)
        if begin > self._head:
            others = os.pread(file, begin - self._head, self._head)
            os.pwrite(file, text + others, self._head)

    def _ends_line(self, file: int) -> bool:
        assert self._head is not None
        return self._head == 0 or os.pread(file, 1, self._head - 1) == b"\n"


class Charge:
    """All that a guard has been told to end, remove and keep small."""

    def __init__(self) -> None:
        self.groups: dict[int, int] = {}
        self.directories: dict[bytes, None] = {}
        self.commands: dict[tuple[bytes, ...], None] = {}
        self.logs: dict[bytes, CappedLog] = {}

    def take(self, record: bytes) -> None:
        """Do what one record says."""
        word, *fields = record.split(b"\0")
        if word == b"group":
            self.groups[int(fields[0])] = int(fields[1])
        elif word == b"-group":
            self.groups.pop(int(fields[0]), None)
        elif word == b"directory":
            self.directories[fields[0]] = None
        elif word == b"-directory":
            self.directories.pop(fields[0], None)
        elif word == b"command":
            self.commands[tuple(fields)] = None
        elif word == b"-command":
            self.commands.pop(tuple(fields), None)
        elif word == b"log":
            self.logs[fields[1]] = CappedLog(os.fsdecode(fields[1]), int(fields[0]))

    def keep_small(self) -> bool:
        """Cut the logs that are too long; True if one was."""
        return sum(log.attend() for log in self.logs.values()) > 0

    def end(self, run: str, since: int, memory: str) -> list[int]:
        """End everything; returns the processes that could not be ended."""
        left = end_everything(run, self.groups, since=since, memory=memory)
        if self.commands:
            _run_all(list(self.commands))
            left = end_everything(run, self.groups, since=since)
        for path in self.directories:
            remove(os.fsdecode(path))
        self.keep_small()
        return left


def _run_all(commands: list[tuple[bytes, ...]]) -> None:
    """Run commands side by side, and wait for them."""
    running = []
    for command in commands:
        try:
            running.append(os.posix_spawnp(command[0], command, os.environ, setsigmask=[]))
        except OSError:
            continue
    deadline = time.monotonic() + _COMMANDS
    while running and time.monotonic() < deadline:
        running = [pid for pid in running if os.waitpid(pid, os.WNOHANG)[0] == 0]
        time.sleep(0.005 if running else 0)
    for pid in running:
        os.kill(pid, 9)


def _watch(parent: int, charge: Charge) -> bool:
    """Take records until the end of the run; True if it was announced, False if simcore died."""
    poll = select.poll()
    poll.register(_SOCKET, select.POLLIN)
    watched = _watch_process(parent, poll)
    died = os.getppid() != parent
    pause = _POLL
    while True:
        # A fork of simcore may hold the socket for good; it is none of ours.
        wait = 1.0 if died else pause if charge.logs else None
        ready = dict(poll.poll(None if wait is None else wait * 1000))
        if _SOCKET in ready:
            record = os.read(_SOCKET, _RECORD)
            if record in (b"", b"end"):
                return record == b"end"
            charge.take(record)
        elif died:
            return False
        elif watched in ready:
            died = True
            poll.unregister(watched)
        else:
            pause = _POLL_FLOODED if charge.keep_small() else _POLL


def _watch_process(pid: int, poll: select.poll) -> int:
    """Have the end of simcore noticed even if a fork of it keeps the socket open."""
    try:
        watched = os.pidfd_open(pid)
    except OSError:  # an old kernel, or it has died already
        return -1
    poll.register(watched, select.POLLIN)
    return watched


def main() -> None:
    """Guard one run: arguments are its id, simcore's process, its start time and its memory."""
    run, parent, since, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    os.chdir("/")
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what simcore was started with stays simcore's
    charge = Charge()
    announced = _watch(parent, charge)
    left = charge.end(run, since, "" if announced else memory)
    if announced:
        _answer(left)
    os._exit(0)


def _answer(left: list[int]) -> None:
    try:
        os.write(_SOCKET, b"\0".join([b"left", *(b"%d" % pid for pid in left)]))
    except OSError:
        return  # simcore was killed meanwhile
