"""The end of each instant of one federation: what waits for it, and in which order it comes.

Rounds first, as many as lead to others: messages on paths that may take no time, and reactive
participants. Then, once, what can only lead to later instants: messages on paths that take time,
the grant of the next window, and the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simcore.arbiter import arbiter_of
from simcore.calendar import Calendar
from simcore.message import Message, entry_order

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.hosting import ReactiveHost


class Instant:
    """What waits for the end of the present instant.

    Args:
        federation: the run.
        scale: nanoseconds per unit of its environment's time.

    Attributes:
        env: the environment of the run.
        calendar: what is to happen at this instant and later ones.
        index: its place among all runs; what several do at one instant comes in this order.

    Raises:
        UsageError: another run in the environment takes its time for something else.
    """

    def __init__(self, federation: Federation, scale: int) -> None:
        self.env = federation.env
        self.calendar = Calendar(self.env, scale, self.conclude)
        self.index = federation.index
        self._federation = federation
        self._arbiter = arbiter_of(self.env)
        self._clock = self.calendar.clock
        self._arbiter.join(scale)
        self._asked = False
        self._closed = False
        self._staged: list[Message] = []
        self._entering: list[Message] = []
        self._demanding: dict[int, ReactiveHost] = {}

    # -- what waits

    def stage(self, message: Message) -> None:
        """See `Federation.stage`."""
        self._staged.append(message)
        self.ask()

    def stage_last(self, message: Message) -> None:
        """See `Federation.stage_last`."""
        self._entering.append(message)
        self.ask()

    def demand(self, host: ReactiveHost) -> None:
        """Have a participant advanced at the end of this instant, in order."""
        self._demanding[host.order] = host
        self.ask()

    def ask(self) -> None:
        """Have `settle` called at the end of this instant, and `end` after that."""
        if not self._asked:
            self._asked = True
            self.calendar.busy = True
            self._arbiter.ask(self)

    def waiting(self) -> Sequence[Message]:
        """Messages that wait to enter a path."""
        return [*self._staged, *self._entering]

    # -- what is done

    def conclude(self) -> None:
        """Called by the calendar when it has handled an instant."""
        federation = self._federation
        if federation.attend is not None:
            federation.attend()
        if federation.network.active:
            self.ask()
        clock = self._clock
        if clock is None or not self._arbiter.settle_alone(self, clock._queue):
            self._arbiter.conclude(self.env, self)

    def following(self) -> int:
        """The next instant (ns) at which anything can happen, but for what is in the network."""
        return self._arbiter.following(self)

    def settle(self) -> bool:
        """One round (called by the arbiter).

        Returns:
            Whether `end` is to be called when nobody asks for a round any more.
        """
        self._asked = False
        if self._closed:
            return False
        if self._staged:
            staged, self._staged = self._staged, []
            _release(staged)
        heap, now = self.calendar.heap, self.calendar.now
        if heap and heap[0][0] == now:
            self.calendar.handle_due()
        if self._demanding:
            self._round()
        if heap and heap[0][0] == now:
            self.ask()
        federation = self._federation
        return bool(self._entering) or federation.windows is not None or federation.network.active

    def _round(self) -> None:
        """Advance all reactive participants that are due, at the same time."""
        now = self.calendar.now
        if len(self._demanding) == 1:  # as nearly always
            _, host = self._demanding.popitem()
            if host.begin(now):
                host.finish(now)
            return
        demanding, self._demanding = self._demanding, {}
        hosts = [demanding[order] for order in sorted(demanding)]
        under_way = [host for host in hosts if host.begin(now)]
        for host in under_way:
            host.finish(now)

    def end(self) -> None:
        """Last of all at an instant (called by the arbiter): what only leads to later ones."""
        if self._closed:
            return
        if self._entering:
            entering, self._entering = self._entering, []
            _release(entering)
        federation = self._federation
        if federation.windows is not None:
            federation.windows.grant()
        federation.network.advance()
        if self.calendar.is_due():
            self.ask()

    # -- the end of the run

    def close(self) -> None:
        """Nothing more is settled; what waits stays until `forget`."""
        self._closed = True

    def forget(self) -> None:
        """Let go of all messages, and of the environment."""
        self._staged.clear()
        self._entering.clear()
        self._demanding.clear()
        self._arbiter.forget(self)


def _release(messages: list[Message]) -> None:
    """Let messages enter their paths, in the order (source, counter)."""
    if len(messages) > 1:
        messages.sort(key=entry_order)
    for message in messages:
        message.path.release(message)
