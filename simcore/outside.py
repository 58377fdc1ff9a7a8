"""What a run has outside its own process: programs, their sockets and logs, and the guard.

Nothing of it is there before the first program is to be started, so a run without any pays for
nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from simcore.guard import Guard
from simcore.private import PrivateDirectory
from simcore.protocol.listener import Listener
from simcore.results.recorder import Life

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.remote import Remote


T = TypeVar("T")


class Outside:
    """The outside of one run.

    Args:
        federation: the run.

    Attributes:
        guard: ends what is registered with it when simcore cannot.
        participants: those that were launched and neither ended nor killed yet, in that order.
        began: wall time from which exchanges are counted (ns of `time.perf_counter_ns`).
    """

    def __init__(self, federation: Federation) -> None:
        self.guard = Guard()
        self.participants: list[Remote] = []
        self.began = time.perf_counter_ns()
        self._federation = federation
        self._archive = federation.archive
        self._times: dict[Remote, tuple[int, int | None]] = {}
        self._names: set[str] = set()
        self._finals: list[Callable[[], None]] = []
        self._ones: dict[Any, Any] = {}
        self._closed = False

    @property
    def run_id(self) -> str:
        """What marks processes and directories as those of this run."""
        return self.guard.run

    @cached_property
    def directory(self) -> PrivateDirectory:
        """A directory for sockets, removed with the run."""
        return PrivateDirectory(self.guard)

    @cached_property
    def listener(self) -> Listener:
        """Where participants connect."""
        return Listener(self.directory.path)

    @cached_property
    def logs(self) -> Path:
        """Folder of the participants' logs; lost with the run if that has no directory."""
        return self.directory.path if self._archive is None else self._archive.path / "logs"

    def log_of(self, name: str) -> Path:
        """The file that a participant's output goes to."""
        # simcore.log is simcore's own; no participant's log ends in .out.log else.
        return self.logs / (f"{name}.out.log" if name == "simcore" else f"{name}.log")

    def one(self, make: Callable[[Federation], T]) -> T:
        """What a backend has once in a run; made when it is first asked for."""
        if make not in self._ones:
            self._ones[make] = make(self._federation)
        found: T = self._ones[make]
        return found

    def finally_(self, action: Callable[[], None]) -> None:
        """Have something done once all participants have ended, before the guard goes."""
        self._finals.append(action)

    def enter(self, participant: Remote) -> None:
        """A participant is about to be launched."""
        self.participants.append(participant)
        self._names.add(participant.name)
        self._times[participant] = self._elapsed(), None

    def note_ready(self, participant: Remote) -> None:
        """A participant is ready."""
        self._times[participant] = self._times[participant][0], self._elapsed()
        self._record(participant)

    def leave(self, participant: Remote) -> None:
        """A participant has ended, or was never launched."""
        if participant in self.participants:
            self.participants.remove(participant)
            self.listener.forget(participant.name)
            self._record(participant, self._elapsed())
            del self._times[participant]

    def _elapsed(self) -> int:
        return time.perf_counter_ns() - self.began

    def _record(self, participant: Remote, ended: int | None = None) -> None:
        """Have it in the results whose program this is, and how it ended if it has (ns)."""
        if not participant.recorded:
            return
        scenario, running = self._federation.scenario, participant.running
        started, ready = self._times[participant]
        implementation = scenario.network["model"]
        if participant.kind != "network":
            implementation = scenario.select(participant.nodes[0])[0].implementation
        gone = None
        if ended is not None:  # a container has to be asked for, which takes its time
            gone = "was not started" if running is None else running.describe()
        life = Life(
            participant.name,
            participant.life,
            participant.kind,
            implementation,
            json.dumps(participant.nodes, ensure_ascii=False),
            json.dumps(list(participant.launcher.command), ensure_ascii=False),
            None if running is None else running.pid,
            started,
            ready,
            ended,
            gone,
            participant.instructions,
            participant.state,
        )
        self._federation.recorder.participant(life)

    def close(self) -> None:
        """End everything that is left, and remove what is private. Never raises."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as stack:  # also when Ctrl-C comes while something is waited for
            stack.callback(self._clear)
            for action in reversed(self._finals):
                stack.callback(action)
            for participant in list(self.participants):
                participant.kill()

    def _clear(self) -> None:
        """Remove what is private, and let the guard go, who ends whatever is left."""
        if "listener" in self.__dict__:
            self.listener.close()
        if "directory" in self.__dict__:
            self.directory.remove()
        self.guard.close()
        for name in self._names:
            self._drop_empty(self.log_of(name))

    @staticmethod
    def _drop_empty(log: Path) -> None:
        """Who printed nothing leaves no log."""
        with suppress(OSError):
            if log.stat().st_size == 0:
                log.unlink()
