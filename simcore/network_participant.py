"""A network that is a participant: a packet simulator outside SimPy.

Messages enter it with their size and id and come out when it says; payloads stay here. While
something is under way in it, it is let go, last of all at an instant, up to the next instant at
which anything else can happen, and it stops at its first delivery. Idle, it costs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from simcore.calendar import ARRIVAL, CONTROL
from simcore.clock import NEVER
from simcore.errors import ModelError, SendError
from simcore.message import Fate, Message
from simcore.network import Network, Path
from simcore.participant import Delivery, NetworkDone, Participant

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.node import Node

SLICE = 1_000_000_000
"""Longest stretch (ns) for which a network is let go at once, so that a run can be stopped."""


class _Way(Path):
    """From one node to another through the network."""

    __slots__ = ("_network", "receiver")

    def __init__(self, network: ParticipantNetwork, receiver: Node) -> None:
        self.receiver = receiver
        self._network = network

    def enter(self, message: Message) -> None:
        self._network.stage(message)

    def release(self, message: Message) -> None:
        self._network.inject(message)


class ParticipantNetwork(Network):
    """The network of one run, simulated by a participant.

    Args:
        federation: the run.
        participant: of kind network.
        least: what it promises that every message takes at least, ns.
        patience: a message that has not come out after so long (ns) is taken for lost; None:
            the participant reports every loss.

    Attributes:
        clock: how far the participant has come, ns.
        next: when something happens in it next, ns; None: nothing.
    """

    def __init__(
        self,
        federation: Federation,
        participant: Participant,
        *,
        least: int = 0,
        patience: int | None = None,
    ) -> None:
        self.federation = federation
        self.participant = participant
        self.clock = 0
        self.next: int | None = None
        self.least = least
        self._patience = patience
        self._inside: dict[str, Message] = {}
        self._waiting: list[Message] = []
        self._oldest: deque[Message] = deque()
        self._finishing = False
        self._continues = 0
        participant.launch()

    def path(self, source: Node, destination: Node) -> Path:
        """Every node has a path to every other: what comes of it is the participant's affair."""
        if source is destination:
            raise SendError(f"to {destination.name}: it is the node itself", node=source.name)
        return _Way(self, destination)

    def least_delay(self, names: Collection[str]) -> int:
        """What the participant promises, ns."""
        return self.least

    def start(self) -> None:
        """Wait until the participant can be advanced."""
        self.next = self.participant.ready(0)
        self.active = self.next is not None and self.federation.windows is None

    # -- messages

    def stage(self, message: Message) -> None:
        """Have a message enter at the end of this instant, or at the boundary of its window."""
        windows = self.federation.windows
        if message.sent < self.clock and windows is None:
            raise SendError(
                f"{message.sender.name} cannot send to {message.destination} at {message.sent} "
                f"ns: the network has gone on to {self.clock} ns, for nothing was to happen "
                "before; send from a process of the environment, not between its steps",
                node=message.sender.name,
                now=message.sent,
            )
        message.entered = message.sent
        if windows is not None:
            windows.stage(message)
        else:
            self.federation.stage_last(message)

    def inject(self, message: Message) -> None:
        """Have a message enter with the next advance."""
        windows = self.federation.windows
        if message.entered < self.clock and windows is not None:
            windows.note_late(message, self.clock - message.entered)
            message.entered = self.clock
        self._waiting.append(message)
        self.active = windows is None
        if self._patience is not None:
            self._oldest.append(message)
            if windows is None and len(self._oldest) == 1:
                self._watch_oldest()

    def in_flight(self) -> Iterable[Message]:
        """Messages inside, or about to enter."""
        return [*self._inside.values(), *self._waiting]

    # -- going on

    def next_event(self) -> int | None:
        """When something happens inside next, ns."""
        return self.next

    def advance(self) -> None:
        """Go on to the next instant at which anything else can happen, or the first delivery.

        What happens inside at that very instant is included: arrivals come before everything
        else, and what enters then comes behind what is there.
        """
        if not self.active:
            return  # with windows it goes on at their boundaries
        calendar = self.federation.calendar
        while self._waiting or self.next is not None:
            now = calendar.current()
            busy_from = now if self._waiting or self.next is None else max(now, self.next)
            following = min(self.federation.instant.following(), busy_from + SLICE)
            if following <= now:
                return  # something was announced for this very instant: that comes first
            bound = min(following + 1, self.federation.end)
            if self._awaited() < bound:
                self._go(bound)
            if (self._waiting or self.next is not None) and self._awaited() >= bound:
                self._continue_at(following)
                return
        self.active = False

    def _awaited(self) -> int:
        """Before when nothing can come out (ns), so that what enters may wait for others."""
        if self._waiting:
            return -1  # what comes of it is not known
        return NEVER if self.next is None else self.next

    def _continue_at(self, time: int) -> None:
        """Be called again at the end of an instant (ns) at which others act."""
        calendar = self.federation.calendar
        calendar.busy = True
        if not calendar.heap or calendar.heap[0][0] > time:  # an event of the environment's own
            self._continues += 1
            calendar.push((time, CONTROL, 3, 0, self._continues, _nothing, None))

    def reach(self, position: int, grain: int) -> None:
        """Go on to a boundary of windows, events within the grain behind it included."""
        until = position + grain
        while self._waiting or (self.next is not None and self.next < until):
            self._go(until)
        self._give_up(position)

    def finish(self, end: int) -> None:
        """Go on to the end of the run."""
        self._finishing = True
        if self.clock < end:
            while self._waiting or (self.next is not None and self.next < end):
                self._go(end)
        self._give_up(end)

    def _go(self, until: int) -> None:
        """One exchange: let in what waits, go on to `until` (ns, exclusive), take what came."""
        inputs, self._waiting = self._waiting, []
        for message in inputs:
            self._inside[message.id] = message
        for observer in self.federation.grant_observers:
            observer("network", until, len(inputs))
        self.participant.begin(until, inputs)
        done = self.participant.finish()
        assert isinstance(done, NetworkDone)
        self._check(done, until)
        self.clock = done.now
        self.next = done.next
        for id, at, fate in done.deliveries:
            settled = self._inside.pop(id, None)
            if settled is None:
                continue  # it was given up
            if self._patience is not None and at >= self._deadline(settled):
                self._lose(settled, Fate.LOSS, self._deadline(settled))
            elif fate is Fate.DELIVERED:
                self.federation.announce(settled, at)
            else:
                self._lose(settled, fate, at)

    def _check(self, done: NetworkDone, until: int) -> None:
        if not self.clock <= done.now < until:
            problem = f"its clock at {done.now}"
        elif done.next is not None and done.next < done.now:
            problem = f"its next event at {done.next}"
        else:
            for each in done.deliveries:
                if not self._is_possible(each, done.now):
                    problem = f"{each.id} {each.fate.name.lower()} at {each.at}"
                    break
            else:
                return
        raise ModelError(
            f"the network was let go from {self.clock} to {until} ns and answered with {problem}",
            now=self.federation.now,
        )

    def _is_possible(self, delivery: Delivery, now: int) -> bool:
        message = self._inside.get(delivery.id)
        if message is None:
            return self._patience is not None
        earliest = now if delivery.fate is Fate.DELIVERED else message.entered
        return earliest <= delivery.at <= now

    def _lose(self, message: Message, fate: Fate, at: int) -> None:
        """Record a loss; one that lies ahead when its time comes."""
        federation = self.federation
        if at <= federation.calendar.current() or self._finishing:
            federation.lose(message, fate, at)
        else:
            key = (at, ARRIVAL, message.sent, message.source_order, message.number)
            federation.calendar.push((*key, partial(_lose_now, federation, fate), message))

    # -- patience

    def _deadline(self, message: Message) -> int:
        """When a message that has not come out is taken for lost, ns."""
        return NEVER if self._patience is None else min(message.entered + self._patience, NEVER)

    def _watch_oldest(self) -> None:
        """One entry of the calendar watches all; with windows, their boundaries do."""
        self._continues += 1
        key = (self._deadline(self._oldest[0]), CONTROL, 4, 0, self._continues)
        self.federation.calendar.push((*key, self._watched, None))

    def _watched(self, _: None) -> None:
        self._give_up(self.federation.calendar.now + 1)
        if self._oldest:
            self._watch_oldest()

    def _give_up(self, until: int) -> None:
        """Take for lost what has not come out though its time was over before `until` (ns)."""
        oldest = self._oldest
        while oldest and (oldest[0].id not in self._inside or self._deadline(oldest[0]) < until):
            message = oldest.popleft()
            if self._inside.pop(message.id, None) is not None:
                self.participant.give_up(message.id)
                self.federation.lose(message, Fate.LOSS, self._deadline(message))

    def participants(self) -> Iterable[Participant]:
        """What is to be ended with the run."""
        return (self.participant,)

    def close(self) -> None:
        """Let go of all messages, and of the participant, which may hold some as well."""
        self._inside.clear()
        self._waiting.clear()
        self._oldest.clear()
        del self.participant


def _nothing(_: None) -> None:
    """The instant is what matters: at its end the network goes on."""


def _lose_now(federation: Federation, fate: Fate, message: Message) -> None:
    federation.lose(message, fate)
