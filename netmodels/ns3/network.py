"""The network of one run, in ns-3: what simcore's side knows of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.clock import NEVER
from simcore.errors import ResultsError, SendError
from simcore.network import Disturbance, LinkMetrics, Path
from simcore.network_participant import SLICE, ParticipantNetwork

from .core import SharedCore
from .dialect import Ns3Answers
from .plan import MAX_DATAGRAM, Segment, flows, least_delay
from .routes import Routes

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.message import Message
    from simcore.node import Node
    from simcore.remote import Remote

_PATIENCE = 0.25
"""Seconds of wall time that a slice of catching up may take and the next be longer."""


class Ns3Network(ParticipantNetwork):
    """A network in ns-3.

    Messages enter and leave as in any network that is a participant; ns-3's process says what is
    lost. It is told of what enters when that may come out at the earliest, of several at once.
    While no message is in it, ns-3 lags behind, and catches up in slices.

    Args:
        federation: the run.
        participant: the process of ns-3.
        dialect: takes what it is to be told beside messages.
        segments: what joins nodes.
        value: `network` of the scenario.
        groups: names of nodes by group.
        folder: where the process writes.
    """

    def __init__(
        self,
        federation: Federation,
        participant: Remote,
        dialect: Ns3Answers,
        segments: Sequence[Segment],
        value: Mapping[str, Any],
        groups: Mapping[str, Sequence[str]],
        folder: FilePath,
    ) -> None:
        super().__init__(federation, participant)
        self._dialect = dialect
        self._value, self._folder = value, folder
        self._segments = segments
        self._names = federation.names
        self._order = {name: number for number, name in enumerate(self._names)}
        self._routes = Routes(
            len(self._order), [[self._order[node] for node in each.nodes] for each in segments]
        )
        self._tcp = flows(value, groups)
        self._figures = folder / "figures.json"
        self._flow_file = folder / "flows.xml" if value.get("flow_monitor") else None
        self._complete = bool(value.get("pcap") or value.get("flow_monitor"))
        """Whether ns-3 goes on to the end of the run though nothing is under way."""
        self._least: dict[tuple[int, int], int] = {}
        self._soonest = NEVER
        self._disturbances: dict[tuple[str, str], list[Disturbance]] = {}
        self._offline: Counter[int] = Counter()
        """Faults that cut off a node, by its order."""
        self._crashed: set[int] = set()
        running = participant.running
        assert running is not None and running.pid is not None, "a process of this machine"
        self._core = SharedCore(running.pid)

    # -- messages

    def path(self, source: Node, destination: Node) -> Path:
        """The way that packets take; see `Routes`."""
        path = super().path(source, destination)
        trouble = self._trouble(source, destination)
        if trouble is not None:
            raise SendError(f"to {destination.name}: {trouble}", node=source.name)
        return path

    def _trouble(self, source: Node, destination: Node) -> str | None:
        """Why a node cannot send to another; None: it can."""
        if self._routes.arrival(source.order, destination.order) is None:
            return f"no segments lead there from {source.name}"
        return None

    def stage(self, message: Message) -> None:
        """Have a message enter; see `ParticipantNetwork`."""
        if message.size > MAX_DATAGRAM:
            way = (message.source, message.destination)
            if way not in self._tcp:
                raise SendError(
                    f"{message.source} sends {message.size} bytes to {message.destination}: a "
                    f"datagram carries {MAX_DATAGRAM}; send less, or have it go over TCP: "
                    f"'tcp: [{{from: {way[0]}, to: {way[1]}}}]'",
                    node=message.source,
                    now=message.sent,
                )
        super().stage(message)

    def least_delay(self, names: Collection[str]) -> int:
        """Least time that a frame takes on a segment of the nodes, ns."""
        return least_delay(self._segments, names)

    def inject(self, message: Message) -> None:
        """Have a message enter; ns-3 is told when it may come out, or something else does."""
        super().inject(message)
        federation = self.federation
        if federation.windows is None:
            way = (message.source_order, message.destination_order)
            least = self._least.get(way)
            if least is None:
                least = self._least[way] = self._least_on(*way)
            self._soonest = min(self._soonest, message.entered + least)
            # If it gets lost, that is told as late, with the time at which it was lost.
            federation.recorder.held_from = min(federation.recorder.held_from, message.entered)

    def _least_on(self, source: int, destination: int) -> int:
        """What a message takes at least from one node to another, ns."""
        segment = self._routes.arrival(source, destination)
        assert segment is not None, "path() has found a way"
        least = self._segments[segment].least_delay
        while segment not in self._routes.segments[source]:
            way = self._routes.first(source, segment)
            assert way is not None
            _, out, source = way
            least += self._segments[out].least_delay
        return least

    def _awaited(self) -> int:
        return min(NEVER if self.next is None else self.next, self._soonest)

    def _go(self, until: int) -> None:
        if self._waiting:
            self._catch_up(self._waiting[0].entered)
        self._soonest = NEVER
        if self.federation.windows is not None:
            super()._go(until)  # others run at the same time
        else:
            with self._core:
                super()._go(until)
            self.federation.recorder.held_from = NEVER

    def _catch_up(self, instant: int) -> None:
        """Have ns-3 do what it left undone while nothing was under way, in slices, up to a time."""
        step = SLICE
        while not self._inside and instant - self.clock > step:
            self._core.free()
            waiting, self._waiting = self._waiting, []
            self._tell({"do": "catch_up"}, self.clock + step)
            began = time.monotonic()
            super()._go(self.clock + step + 1)
            # As long as a run may take to notice that it is to stop, whatever happens in a slice.
            step = step * 2 if time.monotonic() - began < _PATIENCE else max(step // 2, SLICE)
            self._waiting = waiting + self._waiting

    def finish(self, end: int) -> None:
        """Go on to the end of the run, and have the figures written."""
        super().finish(end)
        if end == 0:
            return
        if self._complete:
            self._catch_up(end - 1)
        flow_file = "" if self._flow_file is None else str(self._flow_file)
        self._tell({"do": "report", "file": str(self._figures), "flows": flow_file}, end - 1)
        self.participant.begin(max(end, self.clock + 1), [])  # it may have gone on to `end` itself
        self.participant.finish()

    # -- faults

    def _tell(self, action: dict[str, Any], at: int) -> None:
        """Have something done in ns-3 at a virtual time, ns."""
        self._dialect.actions.append((max(at, self.clock), action))
        if self.next is not None:
            self.next = min(self.next, max(at, self.clock))  # it may lead to something sooner

    def lookahead(self) -> Mapping[tuple[str, str], int]:
        """Least delay (ns) of each pair of neighbours."""
        delays: dict[tuple[str, str], int] = {}
        for segment in self._segments:
            for pair in segment.pairs():
                delays[pair] = min(segment.least_delay, delays.get(pair, segment.least_delay))
        return delays

    def disturb(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """Begin a fault on what joins two nodes, in one direction."""
        self._disturbances.setdefault((source, destination), []).append(disturbance)
        self._change(source, destination, int(disturbance.down), disturbance)

    def restore(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """End a fault that `disturb` began."""
        self._disturbances[source, destination].remove(disturbance)
        self._change(source, destination, -int(disturbance.down), disturbance)

    def _change(self, source: str, destination: str, down: int, changed: Disturbance) -> None:
        now = self.federation.now
        current = self._disturbances[source, destination]
        through = 1.0
        for each in current:
            through *= 1.0 - each.loss
        a, b = self._order[source], self._order[destination]
        for number, segment in enumerate(self._segments):
            if (source, destination) not in segment.pairs():
                continue
            if changed.down or changed.loss:
                link = [number, a, b]
                self._tell({"do": "disturb", "link": link, "down": down, "through": through}, now)
            if segment.kind == "p2p" and (changed.delay or changed.rate is not None):
                rates = [each.rate for each in current if each.rate is not None]
                self._tell(
                    {
                        "do": "change",
                        "device": [number, a],
                        "rate": min([*rates, segment.keys["rate"]]),
                        "delay": segment.keys["delay"] + sum(each.delay for each in current),
                    },
                    now,
                )

    def take_offline(self, node: Node) -> None:
        """A node's radios and devices go off."""
        self._offline[node.order] += 1
        self._switch(node)

    def bring_online(self, node: Node) -> None:
        """They go on again, unless another fault has them off."""
        self._offline[node.order] -= 1
        self._switch(node)

    def cut(self, node: Node) -> None:
        """A node crashes: its radios and devices go off."""
        self._crashed.add(node.order)
        self._switch(node)

    def mend(self, node: Node) -> None:
        """A node that crashed starts again."""
        self._crashed.discard(node.order)
        self._switch(node)

    def _switch(self, node: Node) -> None:
        crashed, offline = node.order in self._crashed, self._offline[node.order] > 0
        off = "node_down" if crashed else "link_down" if offline else None
        self._tell({"do": "node", "node": node.order, "off": off}, self.federation.now)

    # -- figures

    def metrics(self, end: int) -> Iterable[LinkMetrics]:
        """Figures of each device that sent something."""
        if not self._figures.exists():
            return
        try:
            figures = json.loads(self._figures.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise ResultsError(f"{self._figures} cannot be read: {error}") from error
        names = self._names
        for row in figures["devices"]:
            number, node, entered, size, loss, full, down, busy, waiting, longest, area = row
            if entered == 0:
                continue
            segment = self._segments[number]
            others = [name for name in segment.nodes if name != names[node]]
            yield LinkMetrics(
                name=f"{segment.name}:{names[node]}",
                source=names[node],
                destination=others[0] if len(others) == 1 else segment.name,
                entered=entered,
                delivered=max(0, entered - loss - full - down - waiting),
                loss=loss,
                queue_full=full,
                link_down=down,
                bytes=size,
                busy=busy,
                queue_mean=area / end if end else 0.0,
                queue_max=longest,
            )
