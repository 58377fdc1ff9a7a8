"""When an instant is over, and whose turn it is then: one arbiter for each environment.

Models at the same instant run in SimPy's order, which says nothing about the scenario. What
must not depend on it (who enters a queue first, what a service sees, messages without delay)
waits until everything else at this instant is over. One arbiter per environment, shared by
all federations in it, owns the only event that is scheduled behind all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from simpy import Environment
from simpy.core import SimTime, StopSimulation
from simpy.events import Event, EventPriority

from simcore.errors import UsageError
from simcore.units import show_exact

if TYPE_CHECKING:
    from simcore.instant import Instant

LAST = EventPriority(1_000_000)
"""Behind every priority that a model uses (SimPy: 0 urgent, 1 normal)."""

_arbiters: WeakKeyDictionary[Environment, Arbiter] = WeakKeyDictionary()


def arbiter_of(env: Environment) -> Arbiter:
    """The arbiter of an environment, made on first use."""
    arbiter = _arbiters.get(env)
    if arbiter is None:
        arbiter = _arbiters[env] = Arbiter()
    return arbiter


class Arbiter:
    """Settles the instants of the federations that asked for it."""

    def __init__(self) -> None:
        self._scale: int | None = None
        self._shared = False
        self._asking: list[Instant] = []
        self._ending: list[Instant] = []
        self._event: Event | None = None
        self._settling = False
        self._waking: Instant | None = None
        self._stop: StopSimulation | None = None

    def join(self, scale: int) -> None:
        """Have one more federation in this environment.

        Args:
            scale: nanoseconds that it takes a unit of the environment's time for.

        Raises:
            UsageError: another one takes it for something else.
        """
        if self._scale not in (None, scale):
            raise UsageError(
                f"another run in this environment has a unit of {show_exact(self._scale)}, "
                f"not {show_exact(scale)}: its time cannot stand for both"
            )
        self._shared = self._scale is not None
        self._scale = scale

    def ask(self, instant: Instant) -> None:
        """Settle the present instant of a federation, once everything else at it is over."""
        if instant not in self._asking:
            self._asking.append(instant)
        if not instant.calendar.waking and not self._settling:
            self._schedule(instant.env)

    def forget(self, instant: Instant) -> None:
        """Nothing more is asked for by a federation that ended."""
        for waiting in (self._asking, self._ending):
            if instant in waiting:
                waiting.remove(instant)
        if not self._asking and not self._ending and self._stop is None:
            self._event = None  # it holds the environment, which would never be freed

    def _schedule(self, env: Environment, delay: SimTime = 0) -> None:
        if self._event is not None:
            return
        event = Event(env)
        event._ok = True
        event._value = None
        event.callbacks = [self._run]
        self._event = event
        env.schedule(event, LAST, delay)

    def conclude(self, env: Environment, waking: Instant | None = None) -> None:
        """Settle at once if the environment has nothing more at this instant, else behind it.

        Only from an event of the environment's own, where no process is active.

        Args:
            waking: the federation whose calendar handles this instant: the environment does not
                know its next one before that is over.
        """
        self._waking = waking
        try:
            self._settle(env)
        finally:
            self._waking = None

    def following(self, instant: Instant) -> int:
        """The next instant (ns) at which a federation, or anything beside it, has to do."""
        following = instant.calendar.following()
        waking = self._waking
        if waking is None or waking is instant or not waking.calendar.heap:
            return following
        time = waking.calendar.env_time(waking.calendar.heap[0][0])
        return min(following, instant.calendar.time_of(time))

    def settle_alone(self, instant: Instant, queue: Sequence[tuple[Any, ...]]) -> bool:
        """Settle at once, in few steps, where nothing else has to do at this instant: mostly so.

        Args:
            instant: of the federation whose calendar handles this instant.
            queue: the environment's; its times are whole numbers.

        Returns:
            Whether all is settled; if not, `conclude` does the rest.
        """
        if self._shared:
            return False
        now = instant.calendar.now
        while self._asking or self._ending:
            if self._event is not None or (queue and queue[0][0] <= now):
                return False
            if self._asking:
                self._asking.clear()
                if instant.settle() and not self._ending:
                    self._ending.append(instant)
            else:
                self._ending.clear()
                instant.end()
        return True

    def _settle(self, env: Environment) -> None:
        while (self._asking or self._ending) and self._event is None:
            following = env.peek()
            if following <= env.now or (
                type(following) is not int
                and any(
                    each.calendar.at_this_instant(following)
                    for each in (*self._asking, *self._ending)
                )
            ):
                # A float clock may split a nanosecond: behind all of it, then.
                self._schedule(env, max(following - env.now, 0))
                return
            self._settling = True
            try:
                self._round()
            finally:
                self._settling = False
            if self._shared and self._waking is not None and self._waking.calendar.is_due():
                self._waking.ask()  # another federation may have brought that about

    def stop(self, env: Environment, stop: StopSimulation) -> None:
        """Stop the environment once everything at the present instant is over."""
        self._stop = stop
        self._schedule(env)

    def _run(self, event: Event) -> None:
        if event is not self._event:
            return  # those it was for have ended
        self._event = None
        self.conclude(event.env)
        if self._event is None and self._stop is not None:
            stop, self._stop = self._stop, None
            raise stop

    def _round(self) -> None:
        """Settle those that ask; when none does any more, end the instant of those that did."""
        if self._asking:
            asking, self._asking = self._asking, []
            if len(asking) > 1:
                asking.sort(key=_index)
            for instant in asking:
                if instant.settle() and instant not in self._ending:
                    self._ending.append(instant)
        else:
            ending, self._ending = self._ending, []
            if len(ending) > 1:
                ending.sort(key=_index)
            for instant in ending:
                instant.end()


def _index(instant: Instant) -> int:
    return instant.index
