"""Holding all that runs in a container, so that it does not notice, and letting it go on.

The kernel does so for a cgroup by a file: a tenth of a millisecond. Who may not write that file,
or whose engine is on another machine, asks the engine to pause the container: some twenty
milliseconds. The clocks of the machine go on in either case.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .engine import Engine, EngineError, failures, is_status

PATIENCE = 5.0
"""Seconds of wall time until the kernel must have frozen a container."""

_GONE = frozenset({errno.ENOENT, errno.ENODEV})


class Gone(Exception):
    """The container has ended."""


class FreezeError(Exception):
    """A container could not be held; the text says why, without its name."""


class Freezer(Protocol):
    """Holds one container.

    Attributes:
        name: how, for the record.
    """

    name: str

    def freeze(self) -> None:
        """Hold it; none of its processes runs any more when this returns.

        Raises:
            Gone: it has ended.
            FreezeError: it goes on.
        """

    def thaw(self) -> None:
        """Let it go on; raises as `freeze`."""


class Switch(NamedTuple):
    """The files of a cgroup with which it is frozen.

    Attributes:
        name: the kernel's interface.
        file: what is written to.
        words: for going on, and for holding.
        state: what tells whether it is held.
        frozen: the line in it that says so.
    """

    name: str
    file: Path
    words: tuple[str, str]
    state: Path
    frozen: str


def cgroup_v1(folder: Path) -> Switch:
    """The switch of a cgroup in the hierarchy of the controller `freezer`."""
    file = folder / "freezer.state"
    return Switch("cgroup v1", file, ("THAWED", "FROZEN"), file, "FROZEN")


def cgroup_v2(folder: Path) -> Switch:
    """The switch of a cgroup in the unified hierarchy."""
    state = folder / "cgroup.events"
    return Switch("cgroup v2", folder / "cgroup.freeze", ("0", "1"), state, "frozen 1")


class CgroupFreezer:
    """Holds a container by the files of its cgroup.

    Args:
        switch: those files.
        patience: seconds of wall time that freezing may take.
    """

    def __init__(self, switch: Switch, patience: float = PATIENCE) -> None:
        self.name = switch.name
        self._switch = switch
        self._patience = patience

    def freeze(self) -> None:
        """Hold it; see `Freezer.freeze`."""
        switch, deadline = self._switch, time.monotonic() + self._patience
        while True:
            # Again and again: in version 1 a process that forks at this moment may escape.
            self._write(switch.words[1])
            if self.is_frozen():
                return
            if time.monotonic() > deadline:
                raise FreezeError(
                    f"the kernel did not freeze it within {self._patience:g} s ({switch.file})"
                )

    def thaw(self) -> None:
        """Let it go on; see `Freezer.thaw`."""
        self._write(self._switch.words[0])

    def _write(self, word: str) -> None:
        def write() -> None:
            file = os.open(self._switch.file, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(file, word.encode())
            finally:
                os.close(file)

        _done(write)

    def is_frozen(self) -> bool:
        """Whether it is held at the moment; raises as `freeze`."""
        text: str = _done(self._switch.state.read_text)
        return self._switch.frozen in text.splitlines()


def _done(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except OSError as error:
        if error.errno in _GONE:
            raise Gone from None
        raise FreezeError(f"its cgroup refuses: {error}") from None


class EngineFreezer:
    """Holds a container by asking the engine.

    Args:
        engine: where it is.
        container: its id.
    """

    name = "the engine's pause"

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._container = container

    def freeze(self) -> None:
        """Hold it; see `Freezer.freeze`."""
        self._ask("pause", self._engine.api.pause, True)

    def thaw(self) -> None:
        """Let it go on; see `Freezer.thaw`."""
        self._ask("unpause", self._engine.api.unpause, False)

    def _ask(self, what: str, action: Callable[[str], None], paused: bool) -> None:
        def switch() -> None:
            try:
                action(self._container)
            except failures():
                # An answer may have been lost, and what is asked for may be so already.
                state = self._state()
                if not state["Running"] or state["Paused"] is not paused:
                    raise

        try:
            self._engine.ask(f"{what} the container", switch)
        except EngineError as error:
            if not self._is_there():
                raise Gone from None
            raise FreezeError(str(error)) from None

    def _state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._engine.api.inspect_container(self._container)["State"]
        return found

    def _is_there(self) -> bool:
        try:
            return bool(self._state()["Running"])
        except failures() as error:
            return not is_status(error, 404)


def freezer_of(engine: Engine, container: str, pid: int, root: Path = Path("/")) -> Freezer:
    """What holds a container: its cgroup where we may, else the engine.

    Args:
        engine: where it is.
        container: its id.
        pid: number of its first process, as the engine says.
        root: of this machine's file system; another one in tests.
    """
    for switch in _switches(container, pid, root):
        if os.access(switch.file, os.W_OK) and os.access(switch.state, os.R_OK):
            return CgroupFreezer(switch)
    return EngineFreezer(engine, container)


def _switches(container: str, pid: int, root: Path) -> Iterator[Switch]:
    """Where the cgroups of a container may be frozen; that of version 1 first.

    On a machine with both, that is the one which the engine uses itself.
    """
    try:
        cgroups = (root / f"proc/{pid}/cgroup").read_text()
        mounts = (root / "proc/self/mountinfo").read_text()
    except OSError:
        return
    places = dict(_places(cgroups, container))
    for controller, make in (("freezer", cgroup_v1), ("", cgroup_v2)):
        if controller in places:
            for folder in _folders(mounts, controller, places[controller]):
                yield make(root / folder.lstrip("/"))


def _places(cgroups: str, container: str) -> Iterator[tuple[str, str]]:
    """Controllers ("" for version 2) and paths, in the words of proc_pid_cgroup(5).

    A process whose path does not hold the container's id is another one, which has this number
    on this machine while the engine is elsewhere.
    """
    for line in cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        if container in path and ".." not in path.split("/"):
            for controller in controllers.split(","):
                yield controller, path


def _folders(mounts: str, controller: str, path: str) -> Iterator[str]:
    """Where a hierarchy is mounted, in the words of proc_pid_mountinfo(5), with the path in it."""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        _, _, _, top, point, *_ = left.split(" ")
        kind, _, options = right.split(" ")[:3]
        wanted = kind == "cgroup" and controller in options.split(",")
        if kind == "cgroup2" if controller == "" else wanted:
            top = top.rstrip("/")
            if path.startswith(f"{top}/"):
                yield point + path.removeprefix(top)
