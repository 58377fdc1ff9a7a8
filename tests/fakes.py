"""Participants for tests: strict about what simcore promises them, random in what they do.

A `Program` acts on what arrives and on an agenda of its own. It draws from a stream of its own,
in the order in which things happen to it; so if simcore ever shows it another order, or anything
that lies in its past, its whole later life is different. The same program can be hosted as a
reactive participant, which is granted every instant at which it does anything, and as a
free-running one: the first is the sequential truth that the second is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from random import Random
from typing import Any

from simcore import Fate, Federation, Message
from simcore.calendar import ARRIVAL
from simcore.network import Network, Path
from simcore.network_participant import ParticipantNetwork
from simcore.node import Node
from simcore.participant import Delivery, NetworkDone, Participant
from simcore.protocol.service import Done, Measure, Output


class Program:
    """What a node does: answers at once or later, sends by itself, measures what it sees.

    Args:
        seed: of its stream.
        peers: nodes that it can send to.
        period: greatest pause (ns) between what it sends by itself; 0: it only answers.
        at_once: chance of an answer without delay.
    """

    def __init__(
        self, seed: str, peers: Sequence[str], period: int = 400, at_once: float = 0.4
    ) -> None:
        self.random = Random(seed)
        self.peers = peers
        self.period = period
        self.at_once = at_once
        self.now = 0
        self._agenda: list[tuple[int, int, int, Message | None]] = []
        self._count = 0
        self._born = False
        self._outputs: list[Output] = []
        self._measures: list[Measure] = []

    def _plan(self, at: int, rank: int, message: Message | None) -> None:
        self._count += 1
        heappush(self._agenda, (at, rank, self._count, message))

    def _act(self, at: int, rank: int, message: Message | None) -> None:
        draw = self.random
        if rank == 0:
            assert message is not None
            self._measures.append(Measure(at, "saw", message.id))
            if draw.random() < 0.6:
                later = 0 if draw.random() < self.at_once else draw.randrange(1, 90)
                self._plan(at + later, 2, message)
            return
        if self.peers:
            peer, size = draw.choice(self.peers), draw.randrange(1, 60)
            kind = "answer" if message is not None else "own"
            self._outputs.append(Output(at, peer, kind, f"{at}", size, message, 0, 0))
        if rank == 1:
            self._plan(at + draw.randrange(1, self.period), 1, None)

    def live(self, start: int, until: int, inputs: Sequence[Message]) -> Done:
        """Everything in `[start, until)`."""
        assert start >= self.now, "the past is over"
        if not self._born:
            self._born = True
            if self.period:
                self._plan(start + self.random.randrange(self.period), 1, None)
        before = start
        for message in inputs:
            assert before <= message.at < until, "an input in the past, or beyond the grant"
            before = message.at
            self._plan(message.at, 0, message)
        while self._agenda and self._agenda[0][0] < until:
            at, rank, _, message = heappop(self._agenda)
            assert at >= self.now
            self.now = at
            self._act(at, rank, message)
        outputs, self._outputs = self._outputs, []
        measures, self._measures = self._measures, []
        following = self._agenda[0][0] if self._agenda else None
        return Done(outputs, measures, following)


class Reactive:
    """Hosts a program instant by instant."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def advance(self, until: int, inputs: Sequence[Message]) -> Done:
        assert all(message.at == until for message in inputs)
        return self.program.live(until, until + 1, inputs)


class FreeRunning:
    """Hosts a program window by window; windows follow each other without a gap."""

    def __init__(
        self, program: Program, born: int, on_window: Callable[[int, int], None] | None = None
    ) -> None:
        self.program = program
        self.on_window = on_window
        self.position = born

    def advance(self, until: int, inputs: Sequence[Message]) -> Done:
        start = self.position
        assert until > start
        self.position = until
        if self.on_window is not None:
            self.on_window(start, until)
        done = self.program.live(start, until, inputs)
        self.program.now = until
        return Done(done.outputs, done.measures)


class Frames:
    """A packet network: frames hop over a shared transmitter, some are lost, all take a while.

    Events of one instant happen in the order of the frames' sources and numbers; what enters
    comes behind them.

    Args:
        seed: of its stream.
        least: the shortest time that a frame takes, ns.
    """

    def __init__(self, seed: str, least: int) -> None:
        self.seed = seed
        self.least = least
        self.busy = 0

    def chance(self, id: str) -> Random:
        """Numbers of one frame: its loss and its hops."""
        return Random(f"{self.seed} {id}")

    def hop(self, at: int, size: int, random: Random) -> int:
        """When a frame that comes to the transmitter now has crossed it."""
        self.busy = max(at, self.busy) + size
        return self.busy + random.randrange(1, 50)

    def hops(self, random: Random) -> int:
        """Over how many hops a frame goes."""
        return random.choice([1, 1, 2, 3])


class FakeNetwork(Participant):
    """`Frames` as a participant: exact bounds, stops at its first delivery.

    Args:
        on_go: called with every bound.
    """

    kind = "network"

    def __init__(self, frames: Frames, on_go: Callable[[int], None] | None = None) -> None:
        self.frames = frames
        self.clock = 0
        self._events: list[tuple[int, int, int, Message, Random, int]] = []
        self._entering: list[Message] = []
        self._on_go = on_go
        self._until = 0
        self._inputs: Sequence[Message] = ()

    def ready(self, now: int) -> int | None:
        return None

    def begin(self, until: int, inputs: Sequence[Message]) -> None:
        if self._on_go is not None:
            self._on_go(until)
        assert until > self.clock
        self._until, self._inputs = until, inputs

    def finish(self) -> NetworkDone:
        for message in self._inputs:
            assert self.clock <= message.entered < self._until, "it enters in the past"
        self._entering += self._inputs
        entering = self._entering
        keys = [(m.entered, m.sent, m.source_order, m.number) for m in entering]
        assert keys == sorted(keys), "what enters comes in order"
        found: list[Delivery] = []
        while True:
            event = self._events[0][0] if self._events else self._until
            enters = entering[0].entered if entering else self._until
            at = min(event, enters)
            if at >= self._until or (any(not d.fate for d in found) and at > self.clock):
                break
            self.clock = at
            if event <= enters:
                _, order, number, message, random, left = heappop(self._events)
                if random.random() < 0.05:
                    found.append(Delivery(message.id, at, Fate.LOSS))
                elif left == 0:
                    found.append(Delivery(message.id, at))
                else:
                    after = self.frames.hop(at, message.size, random)
                    heappush(self._events, (after, order, number, message, random, left - 1))
            else:
                message = entering.pop(0)
                random = self.frames.chance(message.id)
                hops = self.frames.hops(random)
                order = (message.source_order, message.number)
                first = at + self.frames.least
                heappush(self._events, (first, *order, message, random, hops))
        following = [entering[0].entered] if entering else []
        following += [self._events[0][0]] if self._events else []
        return NetworkDone(self.clock, min(following, default=None), found)


class NativeNetwork(Network):
    """The same frames inside the federation's calendar: what `FakeNetwork` is compared with."""

    def __init__(self, federation: Federation, frames: Frames) -> None:
        self.federation = federation
        self.frames = frames

    def path(self, source: Node, destination: Node) -> Path:
        return _NativePath(self, destination)

    def least_delay(self, names: Any) -> int:
        return self.frames.least


class _NativePath(Path):
    def __init__(self, network: NativeNetwork, receiver: Node) -> None:
        self.network = network
        self.receiver = receiver

    def enter(self, message: Message) -> None:
        message.entered = message.sent
        self.network.federation.stage_last(message)

    def release(self, message: Message) -> None:
        frames = self.network.frames
        random = frames.chance(message.id)
        hops = frames.hops(random)
        self._event(message.entered + frames.least, message, random, hops)

    def _event(self, at: int, message: Message, random: Random, left: int) -> None:
        federation = self.network.federation

        def happen(_: Message) -> None:
            if random.random() < 0.05:
                federation.lose(message, Fate.LOSS)
            elif left == 0:
                federation.announce(message, at)  # behind what else happens inside now
            else:
                after = self.network.frames.hop(at, message.size, random)
                self._event(after, message, random, left - 1)

        key = (at, ARRIVAL, -1, message.source_order, message.number)
        federation.calendar.push((*key, happen, message))


class Packets:
    """Plug-in `model: packets`; `native: true` is the comparison."""

    name = "packets"
    determinism = "exact"
    schema: Mapping[str, Any] = {"type": "object", "description": "For tests."}

    def check(self, value: Any, path: Any, checker: Any) -> None:
        """Nothing to check: no scenario file names it."""

    def doctor(self) -> tuple[bool, str]:
        return True, "for tests"

    def build(self, federation: Federation, scenario: Any) -> Network:
        options = scenario.network
        frames = Frames(options["seed"], options["least"])
        if options.get("native"):
            return NativeNetwork(federation, frames)
        participant = FakeNetwork(frames, options.get("on_go"))
        return ParticipantNetwork(federation, participant, least=frames.least)
