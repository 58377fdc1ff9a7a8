"""Ending what belongs to a run: its processes, whatever they did to get away, and its directories.

Three things tell a run's processes apart. They are in a process group or session that was
registered; or the environment they were started with carries the run's marker, which a
grandchild inherits even if it left its session and closed everything; or their parent is one of
these. The guard uses this after simcore is gone, so it needs nothing but the standard library,
and little of that, for each import makes short runs longer.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MARKER = "SIMCORE_RUN"
"""Environment variable of all processes of a run: the run's id, after those of outer runs."""
GUARD = "SIMCORE_GUARD"
"""Environment variable of a guard: the id of its run."""
PREFIX = "simcore-run-"
"""How the names of private directories begin."""

_KILL = 9
_KERNEL_THREAD = 0x00200000
_SETTLING = 0.1
"""Seconds for which a process whose environment is empty may be about to load a program."""
_LOADING = 5.0
"""Seconds for which it may be in the middle of that: long on a busy machine."""
_FORKED = 2.0
"""Seconds for which a fork of simcore may be about to load its program."""
_SPARED = 3.0
"""Seconds that the guard of a run inside this one has for its own work."""
_SLICE = 1 << 16


class Look:
    """What /proc says of a process: parent, group, session, and its start in ticks since boot.

    `memory` is where its stack and environment lie, which is drawn at random for each program
    that is loaded: a fork that has loaded no program of its own yet has its parent's. While one
    is `loading`, nothing lies anywhere yet, and its environment looks empty.
    """

    __slots__ = (
        "group", "kernel", "loading", "memory", "over", "parent", "pid", "session", "start",
        "state",
    )  # fmt: skip

    def __init__(self, pid: int, stat: bytes) -> None:
        fields = stat[stat.rindex(b")") + 2 :].split()  # the name before may hold any character
        self.pid = pid
        self.state = fields[0].decode()
        self.parent, self.group, self.session = map(int, fields[1:4])
        self.kernel = bool(int(fields[6]) & _KERNEL_THREAD)
        self.start = int(fields[19])
        self.memory = b" ".join(fields[25:26] + fields[47:48]).decode()
        self.loading = fields[48:49] == [b"0"]
        # A main thread that has ended before the others looks like a zombie.
        self.over = self.state in "ZX" and int(fields[17]) <= 1


class Proc:
    """The processes of this machine.

    Args:
        root: where /proc is.
    """

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def pids(self) -> list[int]:
        """All processes, the newest first, as far as numbers tell."""
        return sorted(
            (int(name) for name in os.listdir(self._root) if name.isdigit()), reverse=True
        )

    def look(self, pid: int) -> Look | None:
        """What is known of a process; None if there is none."""
        try:
            return Look(pid, self._read(f"{pid}/stat"))
        except (OSError, ValueError, IndexError):
            return None

    def environment(self, look: Look) -> bytes | None:
        """The environment a process was started with, NUL-separated; None if it is not ours."""
        try:
            if look.state not in "ZX":
                return self._read(f"{look.pid}/environ")
            for thread in os.listdir(f"{self._root}/{look.pid}/task"):
                found = self._read(f"{look.pid}/task/{thread}/environ")
                if found:
                    return found
        except PermissionError:
            return None
        except OSError:
            pass
        return b""

    def kill(self, look: Look) -> bool:
        """End one process, unless its number is another's by now; False if we may not."""
        now = self.look(look.pid)
        if now is None or now.start != look.start:
            return True
        try:
            os.kill(look.pid, _KILL)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return True

    def kill_group(self, group: int) -> None:
        """End a process group; no fork can slip through, as it may between single kills."""
        try:
            os.killpg(group, _KILL)
        except (ProcessLookupError, PermissionError):
            return

    def _read(self, name: str) -> bytes:
        file = os.open(f"{self._root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = chunk = os.read(file, _SLICE)
            while len(chunk) == _SLICE or (chunk and name.endswith("environ")):
                chunk = os.read(file, _SLICE)
                data += chunk
            return data
        finally:
            os.close(file)


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is no such process.

    Number and start together name a process for good: numbers are used again.
    """
    look = Proc().look(pid)
    return None if look is None else look.start


def runs_of(environment: bytes) -> list[str]:
    """Ids of the runs that a process belongs to, the outermost first."""
    return values_of(environment, MARKER)


def values_of(environment: bytes, name: str) -> list[str]:
    """The colon-separated values of a variable in an environment as /proc shows it."""
    key = f"{name}=".encode()
    if key in environment:
        for entry in environment.split(b"\0"):
            if entry.startswith(key):
                return os.fsdecode(entry[len(key) :]).split(":")
    return []


class Hunt:
    """Looks for the processes of a run and ends them.

    Args:
        run: the run's id.
        groups: its process groups, with the start time of each one's leader (ticks).
        since: processes that started before (ticks) are not the run's.
        memory: that of simcore, if it died and may have left a fork that is no program yet; this
            one is marked as soon as it is.
        proc: the processes to look among.
    """

    def __init__(
        self,
        run: str,
        groups: Mapping[int, int],
        since: int = 0,
        memory: str = "",
        proc: Proc | None = None,
    ) -> None:
        self._run = run
        self._groups = dict(groups)
        self._since = since
        self._memory = memory
        self._proc = proc or Proc()
        self._foreign: set[int] = set()
        self._refused: dict[int, int] = {}
        self._unsure: dict[int, float] = {}
        self._spared: dict[int, float] = {}

    def sweep(self, *, whole: bool) -> list[int]:
        """Look once, and end what is found.

        Args:
            whole: look at every process, also at those that were a stranger's before.

        Returns:
            The processes that were found, or that cannot be told apart yet.
        """
        if whole:
            self._foreign.clear()
        for group, start in list(self._groups.items()):
            leader = self._proc.look(group)
            if leader is not None and leader.start != start:
                del self._groups[group]  # the number went to somebody else
            elif leader is not None:
                self._proc.kill_group(group)
        found, pending = self._sort()
        for look in found:
            if not self._proc.kill(look):
                self._refused[look.pid] = look.start  # it changed its user: not ours to end
        return [look.pid for look in found if look.pid not in self._refused] + pending

    def _sort(self) -> tuple[list[Look], list[int]]:
        """Those to end, and those to look at again."""
        own = os.getpid()
        ours: dict[int, Look] = {}
        others: list[Look] = []
        pending: list[int] = []
        for pid in self._proc.pids():
            if pid in self._foreign or pid in (1, own):
                continue
            look = self._proc.look(pid)
            if look is None or look.over:
                continue
            if look.start < self._since or look.kernel or self._refused.get(pid) == look.start:
                self._foreign.add(pid)
            elif self._in_group(look):
                ours[pid] = look
            else:
                belongs = self._marked(look)
                if belongs:
                    ours[pid] = look
                elif belongs is None:
                    pending.append(pid)
                else:
                    others.append(look)
        for look in reversed(others):  # the older first: a parent before its child
            if look.parent in ours:
                ours[look.pid] = look
            else:
                self._foreign.add(look.pid)
        return list(ours.values()), pending

    def _in_group(self, look: Look) -> bool:
        for number in (look.group, look.session):
            start = self._groups.get(number)
            if start is not None and look.start >= start:
                return True
        return False

    def _marked(self, look: Look) -> bool | None:
        """Whether a process carries the marker; None: not yet known, or to be spared for now."""
        environment = self._proc.environment(look)
        if environment is None:
            return False
        if not environment:  # so it is for a moment while a program is loaded, and for some always
            first = self._unsure.setdefault(look.pid, time.monotonic())
            patience = _LOADING if look.loading else _SETTLING
            return None if time.monotonic() - first < patience else False
        if self._run not in runs_of(environment):
            if not self._memory or look.memory != self._memory:
                return False
            first = self._unsure.setdefault(look.pid, time.monotonic())
            return None if time.monotonic() - first < _FORKED else False
        if values_of(environment, GUARD):
            first = self._spared.setdefault(look.pid, time.monotonic())
            return None if time.monotonic() - first < _SPARED else True
        return True


def end_everything(
    run: str,
    groups: Mapping[int, int],
    *,
    since: int = 0,
    memory: str = "",
    patience: float = 30.0,
    proc: Proc | None = None,
) -> list[int]:
    """End all processes of a run at once (SIGKILL), and look again until none is left.

    Args:
        run: the run's id.
        groups: its process groups, with the start time of each one's leader (ticks).
        since: processes that started before (ticks) are not the run's.
        memory: that of simcore, if it died in the middle of things; see `Hunt`.
        patience: seconds after which to give up, for a process can be stuck in the kernel.
        proc: the processes to look among.

    Returns:
        Those that are left; empty but for processes stuck in the kernel.
    """
    hunt = Hunt(run, groups, since, memory, proc)
    deadline = time.monotonic() + patience
    pause = 0.0002
    whole = True
    while True:
        found = hunt.sweep(whole=whole)
        if not found and whole:
            return []
        whole = not found
        if found:
            if time.monotonic() > deadline:
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)


def remove(path: str) -> bool:
    """Remove a private directory with all that is in it; follows no link.

    Returns:
        Whether it is gone. What is no private directory of this user's stays.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return True
    is_directory = status.st_mode & 0o170000 == 0o040000
    if not is_directory or not os.path.basename(path).startswith(PREFIX):
        return False
    if status.st_uid != os.geteuid():
        return False
    for _ in range(3):  # somebody else may take away an entry that we are at
        _empty(path)
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            continue
        return True
    return False


def _empty(top: str) -> None:
    """Remove what is in a directory, deepest first, without recursion: depth has no bound."""
    made: list[str] = []
    todo = [top]
    while todo:
        folder = todo.pop()
        made.append(folder)
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                todo.append(entry.path)
            else:
                _try(os.unlink, entry.path)
    for folder in reversed(made[1:]):
        _try(os.rmdir, folder)


def _entries(folder: str) -> Iterable[os.DirEntry[str]]:
    try:
        os.chmod(folder, 0o700)  # a participant may have taken our rights away
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return ()


def _try(action: Callable[[str], None], path: str) -> None:
    try:
        action(path)
    except OSError:
        return  # what stays makes the directory stay, and that is told
