"""What stands between simcore and a container that knows nothing of it.

To simcore it is a free-running participant, which speaks the protocol over a pair of pipes. It
lets the container run for each window, hands it what arrives at the time at which it arrives, and
answers with what the container has said.
"""

from __future__ import annotations

import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import Protocol

from simcore.launch import LaunchError
from simcore.programs import Running
from simcore.protocol.peer import Message, Peer, Refused
from simcore.protocol.pipes import Pipes

from ..engine import EngineError
from ..freezer import FreezeError, Freezer, Gone
from .clock import RunningClock
from .outbox import Outbox
from .web import NotOpen

GRAIN = 1_000_000
"""Windows begin and end at multiples of it, ns: less, and freezing would take most of the time."""
OVERRUN = "overrun_ms"
"""Measurement of each window: how much longer than that the container was let run."""

_SLICE = 0.1
"""Seconds between two looks at whether there is still something to wait for."""
_ENDING = 10.0
"""Seconds for the engine to tell how a container has ended whose processes are gone."""


class Paced(Running, Protocol):
    """A container that is let run and held."""

    def await_start(self, timeout_s: float) -> bool:
        """Wait until it is started; whether it is.

        Raises:
            LaunchError: it cannot be started, or is no longer wanted.
        """


class Talk(Protocol):
    """How one container is spoken with."""

    def open(self, deadline: float, check: Callable[[], None]) -> None:
        """Wait until it can be spoken with.

        Args:
            deadline: by `time.monotonic`.
            check: called now and then; what it raises ends the waiting.

        Raises:
            NotOpen: it cannot.
        """

    def hand(self, message: Message) -> None:
        """Hand it a message; returns at once."""

    def close(self) -> None:
        """Have no more to say."""


class _Failed(Exception):
    """The container cannot go on; the text says why, without its name."""


class _Over(Exception):
    """The container has ended, or is no longer wanted."""


class Pace:
    """How well windows were kept, for the log."""

    def __init__(self) -> None:
        self.windows = 0
        self.overrun = self.worst_overrun = 0
        self.messages = 0
        self.late = self.worst_late = 0

    def window(self, overrun: int) -> None:
        """A window was overrun by a time (ns)."""
        self.windows += 1
        self.overrun += overrun
        self.worst_overrun = max(self.worst_overrun, overrun)

    def handed(self, late: int) -> None:
        """A message was handed over this late (ns)."""
        self.messages += 1
        self.late += late
        self.worst_late = max(self.worst_late, late)

    def __str__(self) -> str:
        def show(total: int, count: int, worst: int) -> str:
            return f"{total / max(count, 1) / 1e6:.3f} ms on average, {worst / 1e6:.3f} ms at worst"

        return (
            f"{self.windows} windows, overrun by "
            f"{show(self.overrun, self.windows, self.worst_overrun)}; "
            f"{self.messages} messages, handed over late by "
            f"{show(self.late, self.messages, self.worst_late)}"
        )


class Adapter:
    """The adapter of one life of a container, which works in a thread of its own.

    Args:
        container: is being started.
        stdio: the participant's side of the pipes to simcore; copied.
        environment: what a participant finds in its environment.
        make_talk: makes what speaks with the container.
        find_freezer: finds what holds it, once it is started.
        patience: seconds of wall time from now until it can be spoken with.

    Attributes:
        freezer: what holds the container; None before it is started.
        pace: how well windows were kept.
    """

    def __init__(
        self,
        container: Paced,
        stdio: Pipes,
        environment: Mapping[str, str],
        make_talk: Callable[[Outbox], Talk],
        find_freezer: Callable[[], Freezer],
        patience: float,
    ) -> None:
        self.freezer: Freezer | None = None
        self.pace = Pace()
        self._container = container
        self._files = os.dup(stdio.receiving), os.dup(stdio.sending)
        self._token, self._name = environment["SIMCORE_TOKEN"], environment["SIMCORE_NAME"]
        self._find_freezer = find_freezer
        self._patience = patience
        self._deadline = time.monotonic() + patience
        self._stopped = False
        self._wake = Event()
        self._clock = RunningClock(0)
        self._outbox = Outbox(self._now, self._wake.set)
        self._talk = make_talk(self._outbox)
        self._due: deque[Message] = deque()

    def start(self) -> None:
        """Begin to work."""
        Thread(target=self._work, name=f"simcore-{self._name}", daemon=True).start()

    def stop(self) -> None:
        """Leave the container alone: it is about to be removed."""
        self._stopped = True
        self._wake.set()

    def _now(self) -> int:
        return self._clock.time()

    def _work(self) -> None:
        # Whatever ends it, simcore sees that the connection closes, and says why.
        try:
            with suppress(Refused, SystemExit, OSError, _Over):
                self._take_part(Peer(*self._files, self._token, self._name))
        finally:
            self._talk.close()
            for file in self._files:
                os.close(file)

    def _take_part(self, peer: Peer) -> None:
        try:
            freezer = self.freezer = self._prepare()
            self._clock = RunningClock(peer.time)
            self._hold(freezer)
            peer.ready("free_running", grain=GRAIN)
            for advance in peer.advances():
                self._due += advance.inputs
                self._open_window(peer, freezer, advance.until)
                self._tell(peer, advance.until)
        except _Failed as error:
            peer.fail(f"{self._name}: {error}")
        except Gone:
            # The engine knows how it has ended a moment after the kernel does.
            self._container.wait(_ENDING)
        except (_Over, Refused, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a defect, which has to reach the user
            peer.fail(f"{type(error).__name__}: {error}", traceback.format_exc())

    def _prepare(self) -> Freezer:
        """Wait until the container runs and can be spoken with."""
        try:
            while not self._container.await_start(_SLICE):
                self._check()
        except LaunchError:
            raise _Over from None
        try:
            freezer = self._find_freezer()
            self._talk.open(self._deadline, self._check)
        except NotOpen as error:
            self._check()
            raise _Failed(f"{error} within {self._patience:g} s") from None
        except EngineError as error:
            self._check()
            raise _Failed(str(error)) from None
        return freezer

    def _check(self) -> None:
        """See whether there is still something to do.

        Raises:
            _Over: there is not.
            _Failed: the container said what nobody can make sense of.
        """
        try:
            ended = self._container.status().ended
        except LaunchError:
            raise _Over from None
        if self._stopped or ended:
            raise _Over
        if self._outbox.failure is not None:
            raise _Failed(self._outbox.failure)

    def _hold(self, freezer: Freezer) -> None:
        try:
            freezer.freeze()
        except FreezeError as error:
            raise _Failed(f"it cannot be held between two windows: {error}") from None

    def _open_window(self, peer: Peer, freezer: Freezer, until: int) -> None:
        """Let the container run until a virtual time (ns)."""
        clock = self._clock
        self._check()
        if clock.time() >= until:
            return  # the last window was overrun by all of this one
        freezer.thaw()
        clock.go()
        while (now := clock.time()) < until:
            self._hand_over(now)
            following = min(self._due[0].at, until) if self._due else until
            self._wake.wait(max(following - clock.time(), 0) / 1e9)
            if self._wake.is_set():
                self._check()
        self._hold(freezer)
        overrun = clock.stop() - until
        self.pace.window(overrun)
        peer.record(OVERRUN, overrun / 1e6, at=until - 1)
        self._check()

    def _hand_over(self, now: int) -> None:
        """Hand over what has arrived by now (virtual ns)."""
        while self._due and self._due[0].at <= now:
            message = self._due.popleft()
            self.pace.handed(now - message.at)
            self._talk.hand(message)

    def _tell(self, peer: Peer, until: int) -> None:
        """Answer the advance with what was said before its end."""
        for said in self._outbox.take(until):
            peer.send(
                said.destination,
                said.kind,
                said.payload,
                # What was heard after the container was held belongs to its last moment.
                at=max(said.at, peer.now),
                size=said.size,
                cause=said.cause,
                spent=said.spent,
            )
        peer.done()
