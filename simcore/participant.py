"""Participants: what a backend fulfils, and the node that drives it.

A reactive participant is granted the present instant only: it acts on inputs, or at the next
instant that it announced, and answers with outputs stamped now or later. The node here turns
arrivals into inputs, answers into messages, and announcements into entries of the calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from simcore.calendar import RELEASE, TIMER
from simcore.errors import ModelError, SimcoreError, ZeroDelayLoop
from simcore.loops import MAX_DEPTH, loop_error
from simcore.message import Message, Trail
from simcore.node import Node
from simcore.payload import MAX_SIZE, size_of
from simcore.protocol.service import Done, Measure, Output

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.model import NodeSpec


class Reactive(Protocol):
    """A participant that is granted instants."""

    def start(self, now: int) -> Done:
        """Begin at virtual time `now` (ns)."""

    def advance(self, now: int, inputs: Sequence[Message]) -> Done:
        """Act at the instant `now` on what arrived at it: messages first, then timers."""


class ReactiveNode(Node):
    """A node behind which a reactive participant stands.

    Args:
        make: makes the participant; called at each start with the number of this life, from 1.
    """

    __slots__ = ("_held", "_inputs", "_make", "_next", "_participant", "_rounds")

    def __init__(
        self, federation: Federation, spec: NodeSpec, make: Callable[[int], Reactive]
    ) -> None:
        super().__init__(federation, spec)
        self._make = make
        self._participant: Reactive | None = None
        self._inputs: list[Message] = []
        self._next: int | None = None
        self._rounds = 0
        self._held = 0

    def start(self) -> None:
        """Make and start the participant, at the end of the present instant."""
        self.lives += 1
        self._participant = None
        self.federation.demand(self)

    def deliver(self, message: Message) -> None:
        """Keep an arrival for the round at the end of this instant."""
        self._inputs.append(message)
        self.federation.demand(self)

    def crash(self) -> None:
        """Stop at once; what was computed but not sent yet is lost."""
        super().crash()
        self._participant = None
        self._inputs.clear()
        self._next = None

    def advance(self) -> None:
        """One reactive round (called by the federation at the end of an instant)."""
        if self.down:
            return
        now = self._calendar.now
        inputs, self._inputs = self._inputs, []
        self._count_round(now)
        for observer in self.federation.grant_observers:
            observer(self.name, now, len(inputs))
        try:
            if self._participant is None:
                self._participant = self._make(self.lives)
                self._apply(now, self._participant.start(now))
                if not inputs:
                    return
            self._apply(now, self._participant.advance(now, inputs))
        except SimcoreError:
            raise
        except Exception as error:
            raise ModelError(
                f"the service of {self.name} raised {type(error).__name__}: {error}",
                node=self.name,
                now=now,
            ) from error

    def _count_round(self, now: int) -> None:
        self._rounds = self._rounds + 1 if self._instant == now else 0
        self._instant = now
        if self._rounds > MAX_DEPTH + 1:  # a loop of messages has ended by then
            raise ZeroDelayLoop(
                f"{self.name} was advanced more than {MAX_DEPTH} times at one instant: "
                "it keeps setting timers that are due at once",
                cycle=(f"{self.name} --timer--> {self.name}",),
                node=self.name,
                now=now,
            )

    def _apply(self, now: int, done: Done) -> None:
        stamps = [*(each.at for each in done.measures), *(each.at for each in done.outputs)]
        if min(stamps, default=now) < now or (done.next is not None and done.next < now):
            earliest = min([*stamps, done.next if done.next is not None else now])
            raise ModelError(
                f"{self.name} answered the instant {now} ns with something at {earliest} ns, "
                "which has passed",
                node=self.name,
                now=now,
            )
        for measure in done.measures:
            self._hold(measure.at, now, self._measure, measure)
        for output in done.outputs:
            self._emit(now, output)
        if done.next is not None and done.next != self._next:
            self._timers += 1
            self._calendar.push(
                (done.next, TIMER, 0, self.order, self._timers, self._due, done.next)
            )
        self._next = done.next

    def _due(self, time: int) -> None:
        if time == self._next:
            self._next = None
            self.federation.demand(self)

    def _emit(self, now: int, output: Output) -> None:
        path = self._paths.get(output.destination) or self._find_path(output.destination)
        federation = self.federation
        cause: Message | None = output.cause
        size = output.size
        if size is not None and (type(size) is not int or not 0 <= size < MAX_SIZE):
            raise self._send_error(
                f"{output.kind!r} to {output.destination}: size is {size!r}, not bytes"
            )
        self.sent += 1
        receiver = path.receiver
        message = Message(
            output.at,
            self.order,
            self.sent,
            receiver.order,
            federation.kind_number(output.kind, self.name),
            size_of(output.payload, size),
            output.payload,
            output.at,
            0,
            output.kind,
            self,
            receiver,
            path,
        )
        if cause is not None:
            message.follow(cause, output.waited, output.computed)
            if cause.at == output.at:
                message.depth, message.parent = cause.depth + 1, cause
        elif output.computed or output.waited:
            message.trail = Trail(
                self.order, self.sent, output.at, None, None, 0, output.waited, output.computed
            )
        if message.depth > MAX_DEPTH:
            raise loop_error(message)
        self._hold(output.at, now, path.enter, message)

    def _measure(self, measure: Measure) -> None:
        self.record(measure.name, measure.value)

    def _hold(self, at: int, now: int, action: Callable[[Any], None], argument: Any) -> None:
        """Act at `at`: now, or when the computing that leads to it ends in this life."""
        if at == now:
            action(argument)
        else:
            self._held += 1
            key = (at, RELEASE, 0, self.order, self._held)
            self._calendar.push((*key, self._release, (self.lives, action, argument)))

    def _release(self, held: tuple[int, Callable[[Any], None], Any]) -> None:
        life, action, argument = held
        if life == self.lives and not self.down:
            action(argument)
