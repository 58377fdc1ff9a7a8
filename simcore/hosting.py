"""Nodes that a participant stands behind, and what drives a reactive one.

A host holds one participant and the nodes that it stands behind: it turns arrivals into inputs,
answers into messages, announcements into entries of the calendar, and a node's crash into the
participant's end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simcore.calendar import RELEASE, TIMER
from simcore.errors import ModelError, ZeroDelayLoop
from simcore.loops import MAX_DEPTH, loop_error
from simcore.message import Message, Trail
from simcore.node import Node
from simcore.participant import InProcess, Kind, Participant
from simcore.payload import MAX_SIZE, size_of
from simcore.protocol.service import Done, Measure, Output

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.participant import Advancing
    from simcore.scenario.model import NodeSpec

Make = Callable[[int], Participant]
"""Makes the participant of a life, which are counted from 1."""


class Host(ABC):
    """One participant and the nodes that it stands behind.

    Args:
        federation: the run.
        make: makes the participant; called at each start with the number of the life.

    Attributes:
        nodes: in the scenario's order.
        order: place of the first of them among all nodes.
        participant: None while it is down.
    """

    def __init__(self, federation: Federation, make: Make) -> None:
        self.federation = federation
        self.nodes: list[HostedNode] = []
        self.order = -1
        self.participant: Participant | None = None
        self._make = make
        self._lives = 0
        self._by_name: dict[str, HostedNode] = {}

    def add(self, node: HostedNode) -> None:
        """Have one more node behind the participant."""
        if not self.nodes:
            self.order = node.order
        self.nodes.append(node)
        self._by_name[node.name] = node

    @property
    def name(self) -> str:
        """What the participant is called: its node, or the group that it hosts."""
        first = self.nodes[0]
        return first.name if len(self.nodes) == 1 else first.group

    # -- life

    def launch(self) -> None:
        """Make a participant and let it start."""
        self._lives += 1
        self.participant = self._make(self._lives)
        self.participant.launch()

    def await_ready(self, now: int) -> None:
        """Wait until the participant can be advanced, from `now` (ns) on."""
        assert self.participant is not None
        self._begin_life(now, self.participant.ready(now))

    @abstractmethod
    def _begin_life(self, now: int, following: int | None) -> None:
        """Note when the participant wants to be advanced first."""

    def start(self, now: int) -> None:
        """A node starts: so does the participant, unless it was launched before."""
        if self.participant is None:
            self.launch()
            self.await_ready(now)

    def check_crash(self) -> None:  # noqa: B027 - most can at any instant
        """Refuse a crash that comes too late to have an effect.

        Raises:
            UsageError: it does.
        """

    def crash(self) -> None:
        """A node crashes. If it is the only one, so does the participant; others go on."""
        if len(self.nodes) == 1 and self.participant is not None:
            participant, self.participant = self.participant, None
            participant.kill()

    # -- what a participant did

    def node_of(self, name: str | None) -> HostedNode:
        """The node that an answer speaks of."""
        return self.nodes[0] if name is None else self._by_name[name]

    @abstractmethod
    def take(self, message: Message) -> None:
        """A message arrives at one of the nodes."""

    @abstractmethod
    def forget(self) -> None:
        """Let go of all messages: they are out of the cycle collector's sight."""


class HostedNode(Node):
    """A node that a participant stands behind."""

    __slots__ = ("_held", "host")

    def __init__(self, federation: Federation, spec: NodeSpec, host: Host) -> None:
        super().__init__(federation, spec)
        self.host = host
        self._held = 0
        host.add(self)

    def start(self) -> None:
        """Begin a life, with the participant behind it."""
        self.lives += 1
        self.born = self._calendar.now
        self.host.start(self.born)

    def deliver(self, message: Message) -> None:
        """Give an arrival to the participant."""
        self.host.take(message)

    def crash(self) -> None:
        """Stop at once; what was computed but not sent yet is lost."""
        self.host.check_crash()
        super().crash()
        self.host.crash()

    def emit(self, output: Output) -> Message:
        """The message that an answer asks for; it is not on its way yet."""
        path = self._paths.get(output.destination) or self._find_path(output.destination)
        cause: Message | None = output.cause
        size = output.size
        if size is not None and (type(size) is not int or not 0 <= size < MAX_SIZE):
            raise self._send_error(
                f"{output.kind!r} to {output.destination}: size is {size!r}, not bytes"
            )
        self.sent += 1
        kind, federation, receiver = output.kind, self.federation, path.receiver
        message = Message(
            output.at,
            self.order,
            self.sent,
            receiver.order,
            federation.kinds.get(kind if type(kind) is str else "")
            or federation.kind_number(kind, self.name),
            size if size is not None else size_of(output.payload),
            output.payload,
            output.at,
            0,
            kind,
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
        return message

    def measure(self, measure: Measure) -> None:
        """Record what the participant measured, at the instant that it says."""
        if not self.down:
            taker = self.federation.takers.get((self.name, measure.name))
            if taker is not None:
                taker(measure.value)
                return
            self._measured += 1
            self.federation.recorder.measure(
                measure.at, self, self._measured, measure.name, measure.value
            )

    def hold(self, at: int, now: int, action: Callable[[Any], None], argument: Any) -> None:
        """Act at `at`: now, or when the computing that leads to it ends in this life."""
        if at == now:
            if not self.down:
                action(argument)
        else:
            self._held += 1
            key = (at, RELEASE, 0, self.order, self._held)
            self._calendar.push((*key, self._release, (self.lives, action, argument)))

    def _release(self, held: tuple[int, Callable[[Any], None], Any]) -> None:
        life, action, argument = held
        if life == self.lives and not self.down:
            action(argument)


class ReactiveHost(Host):
    """Drives a participant that is granted single instants."""

    def __init__(self, federation: Federation, make: Make) -> None:
        super().__init__(federation, make)
        self._inputs: list[Message] = []
        self._next: int | None = None
        self._timers = 0
        self._instant = -1
        self._rounds = 0

    def _begin_life(self, now: int, following: int | None) -> None:
        self._expect(following)

    def take(self, message: Message) -> None:
        """Keep an arrival for the round at the end of this instant."""
        self._inputs.append(message)
        self.federation.instant.demand(self)

    def crash(self) -> None:
        """Forget what was to come, if the participant has crashed."""
        super().crash()
        if self.participant is None:
            self.forget()
            self._next = None

    def forget(self) -> None:
        """Let go of all messages."""
        self._inputs.clear()

    def begin(self, now: int) -> bool:
        """First half of a round: let the participant go; whether there is one."""
        if self.participant is None:
            return False
        inputs, self._inputs = self._inputs, []
        self._count_round(now)
        for observer in self.federation.grant_observers:
            observer(self.name, now, len(inputs))
        self.participant.begin(now, inputs)
        return True

    def finish(self, now: int) -> None:
        """Second half of a round: take the participant's answer."""
        if self.participant is None:
            return
        done = self.participant.finish()
        assert isinstance(done, Done)
        earliest = now if done.next is None else done.next
        for measure in done.measures:
            earliest = min(earliest, measure.at)
        for output in done.outputs:
            earliest = min(earliest, output.at)
        if earliest < now:
            raise ModelError(
                f"{self.name} answered the instant {now} ns with something at {earliest} ns, "
                "which has passed",
                node=self.name,
                now=now,
            )
        for measure in done.measures:
            node = self.node_of(measure.node)
            node.hold(measure.at, now, node.measure, measure)
        for output in done.outputs:
            node = self.nodes[0] if output.source is None else self.node_of(output.source)
            if node.down:
                continue  # the participant stands behind others as well
            message = node.emit(output)
            if output.at == now:
                message.path.enter(message)
            else:
                node.hold(output.at, now, message.path.enter, message)
        self._expect(done.next)

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

    def _expect(self, following: int | None) -> None:
        """Have the participant advanced at the instant that it announced."""
        if following is not None and following != self._next:
            self._timers += 1
            key = (following, TIMER, 0, self.order, self._timers)
            self.federation.calendar.push((*key, self._due, following))
        self._next = following

    def _due(self, time: int) -> None:
        if time == self._next:
            self._next = None
            self.federation.instant.demand(self)


def host(
    federation: Federation,
    spec: NodeSpec,
    make: Make,
    *,
    kind: Kind = "reactive",
    shared: bool = False,
) -> HostedNode:
    """Make a node that a participant stands behind (called by backends).

    Args:
        make: makes the participant of a life; called when it is to start.
        kind: what the participant is granted: reactive or free_running.
        shared: one participant for all nodes of the group.
    """
    hosts = federation.hosts
    found = hosts[-1] if hosts and shared else None  # the nodes of a group come in a row
    if found is None or found.nodes[0].group != spec.group:
        if kind == "free_running":
            found = federation.running_free(make)
        else:
            found = ReactiveHost(federation, make)
        hosts.append(found)
    return HostedNode(federation, spec, found)


def in_process(
    federation: Federation, spec: NodeSpec, make: Callable[[int], Advancing]
) -> HostedNode:
    """Make a node behind which an object of simcore's own process stands.

    Args:
        make: makes the object of a life, which are counted from 1.
    """
    return host(federation, spec, lambda life: InProcess(spec.name, lambda: make(life)))


def begin_all(hosts: Sequence[Host]) -> None:
    """Start participants, all at the same time, for the beginning of a run."""
    for each in hosts:
        each.launch()
    for each in hosts:
        each.await_ready(0)
