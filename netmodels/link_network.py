"""A latency network while it runs: which links there are, what faults do to them, their figures."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from simcore.errors import SendError
from simcore.message import Fate, Message
from simcore.network import Disturbance, LinkMetrics, Network, Path

from .links import LinkSpec, read_link
from .paths import DirectPath, Hop, Link, LinkPath, RoutePath
from .routing import Route, Routes
from .transmission import LOST, Transmitter

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.node import Node
    from simcore.scenario.model import Scenario
    from simcore.windows import Windows


class LatencyNetwork(Network):
    """The links and routes of one run; links are made when a message first needs them."""

    def __init__(self, federation: Federation, scenario: Scenario) -> None:
        self.federation = federation
        self.calendar = federation.calendar
        self._specs: dict[tuple[int, int], tuple[int, LinkSpec]] = {}
        self._links: dict[tuple[int, int], Link] = {}
        self._media: dict[int, Transmitter] = {}
        self._fed: frozenset[tuple[str, int]] | None = None
        self._routes = self._read(scenario)

    def _read(self, scenario: Scenario) -> Routes:
        for index, entry in enumerate(scenario.network["links"]):
            spec = read_link(entry, scenario.base)
            for pair in _pairs(scenario, spec):
                self._specs.setdefault(pair, (index, spec))
        fixed: dict[tuple[int, int], Route] = {}
        for route in scenario.network.get("routes", ()):
            via = tuple(scenario.select(name)[0].order for name in route["via"])
            for source in scenario.select(route["from"]):
                for destination in scenario.select(route["to"]):
                    fixed[source.order, destination.order] = (source.order, *via, destination.order)
        return Routes(self._specs, fixed)

    def path(self, source: Node, destination: Node) -> Path:
        """The path of fewest links, or the one set by hand."""
        route = self._routes.find(source.order, destination.order)
        if route is None:
            raise SendError(
                f"to {destination.name}: no links lead there from {source.name}", node=source.name
            )
        links = [self._link(pair) for pair in itertools.pairwise(route)]
        hops = tuple(Hop(link, source, self.federation.seed) for link in links)
        if len(hops) == 1 and not links[0].spec.waits and self.windows is None:
            return DirectPath(self, destination, hops[0])
        return RoutePath(self, destination, hops)

    def _link(self, pair: tuple[int, int]) -> Link:
        link = self._links.get(pair)
        if link is None:
            index, spec = self._specs[pair]
            names, nodes = self.federation.names, self.federation.nodes
            source, destination = nodes[names[pair[0]]], nodes[names[pair[1]]]
            link = self._links[pair] = Link(
                source,
                destination,
                spec,
                self._transmitter(index, spec),
                fed=_feeds(source.name, index, spec) in self._fed_by_free_running(),
            )
        return link

    @property
    def windows(self) -> Windows | None:
        """The windows of the run's free-running nodes."""
        return self.federation.windows

    def _fed_by_free_running(self) -> frozenset[tuple[str, int]]:
        """What free-running nodes feed; known once all nodes have been made."""
        if self._fed is None:
            free = frozenset() if self.windows is None else self.windows.names()
            names = self.federation.names
            self._fed = frozenset(
                _feeds(names[a], index, spec)
                for (a, _), (index, spec) in self._specs.items()
                if names[a] in free
            )
        return self._fed

    def staging(self, link: Link) -> Callable[[Message], None] | None:
        """Where messages wait to enter a link; None: they need not."""
        if link.fed and self.windows is not None:
            return self.windows.stage
        if not link.spec.waits:
            return None
        takes_time = link.spec.delay.infimum > 0
        instant = self.federation.instant
        return instant.stage_last if takes_time else instant.stage

    def _transmitter(self, index: int, spec: LinkSpec) -> Transmitter | None:
        if spec.rate is None:
            return None
        if not spec.shared:
            return Transmitter(spec.rate, spec.queue)
        return self._media.setdefault(index, Transmitter(spec.rate, spec.queue))

    # -- losses and faults

    def lose(self, link: Link, message: Message, fate: Fate, at: int) -> None:
        """Lose a message on a link at a virtual time (ns)."""
        if fate is Fate.LOSS:
            link.lost += 1
        elif fate is Fate.QUEUE_FULL:
            link.refused += 1
        else:
            link.severed += 1
        if message.leg is not None:
            self.federation.recorder.hop(message, message.leg, None)
        self.federation.lose(message, fate, at)

    def lost_by_chance(self, link: Link, message: Message) -> None:
        """Lose a message that chance, or a link that is down, did not let through."""
        down = any(each.down for each in link.disturbances)
        self.lose(link, message, Fate.LINK_DOWN if down else Fate.LOSS, message.sent)

    def disturbed(self, hop: Hop, message: Message) -> int:
        """Delay (ns) of a message on a disturbed link, or `LOST`."""
        link = hop.link
        delay = hop.transit()  # in any case: a fault changes no number of a later message
        if any(each.down for each in link.disturbances):
            return LOST
        through = 1.0
        for each in link.disturbances:
            through *= 1.0 - each.loss
            if delay >= 0:
                delay += each.delay
        if through < 1.0 and hop.degraded(self.federation.seed, message.sender) >= through:
            return LOST
        return delay

    def disturb(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """Begin a fault; when the link goes down, what is being transmitted or waits is lost."""
        link = self._named(source, destination)
        link.disturbances += (disturbance,)
        if disturbance.down:
            self._drop(link, Fate.LINK_DOWN)

    def _drop(self, link: Link, fate: Fate) -> None:
        if link.transmitter is not None:
            now = self.calendar.current()
            for message in link.transmitter.drop(now, link):
                if not message.fate:  # chance may have lost it already
                    self.lose(link, message, fate, now)

    def cut(self, node: Node) -> None:
        """Lose what a node that crashes has not finished transmitting."""
        for link in list(self._links.values()):
            if link.source is node:
                self._drop(link, Fate.NODE_DOWN)

    def close(self) -> None:
        """Let go of all messages at the end of the run."""
        for link in self._links.values():
            if link.transmitter is not None:
                link.transmitter.forget()

    def restore(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """End a fault."""
        link = self._named(source, destination)
        ended = link.disturbances.index(disturbance)
        link.disturbances = link.disturbances[:ended] + link.disturbances[ended + 1 :]

    def _named(self, source: str, destination: str) -> Link:
        nodes = self.federation.nodes
        return self._link((nodes[source].order, nodes[destination].order))

    # -- figures

    def metrics(self, end: int) -> Iterator[LinkMetrics]:
        """Figures of each link that was used; a shared medium's stand at each of its links."""
        under_way = Counter(
            message.path.carrier(message)
            for message in self.federation.on_links()
            if isinstance(message.path, LinkPath)
        )
        for _, link in sorted(self._links.items()):
            arrived = link.entered - link.lost - link.refused - link.severed - under_way[link]
            busy, mean, longest = 0, 0.0, 0
            if link.transmitter is not None:
                busy, mean = link.transmitter.usage(end)
                longest = link.transmitter.longest
            yield LinkMetrics(
                link.name, link.source.name, link.destination.name, link.entered, arrived,
                link.lost, link.refused, link.severed, link.bytes, busy, mean, longest,
            )  # fmt: skip

    def lookahead(self) -> Mapping[tuple[str, str], int]:
        """Least delay of each link."""
        names = self.federation.names
        return {
            (names[a], names[b]): spec.delay.infimum for (a, b), (_, spec) in self._specs.items()
        }


def _pairs(scenario: Scenario, spec: LinkSpec) -> Iterable[tuple[int, int]]:
    first, second = (scenario.select(name) for name in spec.ends)
    for a in first:
        for b in second:
            if a.order != b.order:
                yield a.order, b.order
                if spec.both:
                    yield b.order, a.order


def _feeds(source: str, index: int, spec: LinkSpec) -> tuple[str, int]:
    """What a link's messages share with others: a medium, or the end that they come from."""
    return ("", index) if spec.shared else (source, index)
