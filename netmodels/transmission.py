"""The two mechanisms of a link: a transmitter with its queue, and what chance does.

Both work by arithmetic at the moment a message enters, so that a message costs one entry of
the calendar per link however full the queue is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import log
from random import Random
from typing import TYPE_CHECKING

from simcore.distributions import Distribution
from simcore.units import MAX_TIME

from .links import GilbertElliott, Loss

if TYPE_CHECKING:
    from simcore.message import Message

    from .paths import Link

LOST = -1

Transit = Callable[[], int]
"""Draws the delay (ns) of one message, or `LOST`."""


def transit(loss: Loss, delay: Distribution, rng: Random) -> Transit:
    """What chance does to the messages of one source on one link: loss first, then delay."""
    draw = rng.random
    if isinstance(loss, float) and loss > 0 and delay.kind == "exponential":
        # The common case, called once per message: one function, and its values in one place.
        def lossy_exponential(
            draw: Callable[[], float] = draw,
            loss: float = loss,
            low: int = delay.minimum,
            scale: float = delay.values[0],
        ) -> int:
            return LOST if draw() < loss else low + int(0.5 - log(1.0 - draw()) * scale)

        return lossy_exponential
    sample = delay.sampler(rng)
    if isinstance(loss, GilbertElliott):
        lose = loss.sampler(rng)
        return lambda: LOST if lose() else sample()
    if loss > 0:
        return lambda: LOST if draw() < loss else sample()
    return sample


class Transmitter:
    """Sends messages one after the other at a rate, the others waiting in a FIFO queue.

    Args:
        rate: bits per second.
        queue: messages that may wait; None: any number.

    Attributes:
        busy: time spent transmitting what was accepted so far, ns.
        waited: time that accepted messages wait, summed, ns.
        longest: greatest number of messages waiting.
    """

    def __init__(self, rate: int, queue: int | None) -> None:
        self.rate = rate
        self.queue = queue
        self.free_at = 0
        self.busy = 0
        self.waited = 0
        self.longest = 0
        self._starts: deque[int] = deque()
        self._pending: deque[tuple[int, Message, Link]] = deque()

    def accept(self, now: int, message: Message, link: Link, rate: int) -> int | None:
        """Queue a message that enters now.

        Args:
            rate: bits per second for this message (a fault may lower it).

        Returns:
            When its last bit is sent, ns; None: the queue is full.
        """
        starts = self._starts
        while starts and starts[0] <= now:
            starts.popleft()
        start = self.free_at if self.free_at > now else now
        if start > now:
            if self.queue is not None and len(starts) >= self.queue:
                return None
            starts.append(start)
            message.wait(start - now)
            if len(starts) > self.longest:  # noqa: PLR1730 - for every message that waits
                self.longest = len(starts)
        span = -(-message.size * 8_000_000_000 // rate)
        # What would end after the last virtual time never does; the numbers stay of 64 bits.
        self.free_at = end = min(start + span, 2 * MAX_TIME)
        self.busy += end - start
        self.waited += start - now
        pending = self._pending
        while pending and pending[0][0] <= now:
            pending.popleft()
        pending.append((end, message, link))
        return end

    def drop(self, now: int, link: Link) -> list[Message]:
        """Give up what a link that goes down has not finished transmitting.

        A transmitter that serves this link alone is free at once; on a shared medium the
        time set aside for these messages stays unused.
        """
        dropped = [m for end, m, of in self._pending if end > now and of is link]
        self._pending = deque(
            entry for entry in self._pending if entry[2] is not link or entry[0] <= now
        )
        if not self._pending or self._pending[-1][0] <= now:
            self._cut(now)
        return dropped

    def forget(self) -> None:
        """Let go of all messages."""
        self._pending.clear()

    def _cut(self, now: int) -> None:
        excess, waiting = self._beyond(now)
        self.busy -= excess
        self.waited -= waiting
        self.free_at = min(self.free_at, now)
        self._starts.clear()

    def _beyond(self, now: int) -> tuple[int, int]:
        """Transmitting and waiting time that was accounted for but lies after `now`, ns."""
        return max(0, self.free_at - now), sum(start - now for start in self._starts if start > now)

    def usage(self, end: int) -> tuple[int, float]:
        """Time spent transmitting (ns) and average number waiting, up to `end`."""
        excess, waiting = self._beyond(end)
        return self.busy - excess, (self.waited - waiting) / end if end else 0.0
