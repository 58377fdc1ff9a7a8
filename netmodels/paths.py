"""Paths over the links of a latency network: how a message enters, crosses and leaves them.

A message on a single link without state costs one entry of the calendar. A link with state
(a transmitter, an order to keep, a delay that may be zero) takes its messages at the end of
the instant, in the order (source, counter), so that nothing depends on who ran first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from heapq import heappush
from typing import TYPE_CHECKING

from simcore.calendar import ARRIVAL
from simcore.message import Fate, Message
from simcore.network import Disturbance, Path
from simcore.streams import stream

from .links import LinkSpec
from .transmission import Transit, Transmitter, transit

if TYPE_CHECKING:
    from simcore.node import Node

    from .link_network import LatencyNetwork


class Link:
    """One direction between two nodes.

    Attributes:
        name: "a->b".
        disturbances: faults that hold now.
        fed: whether a free-running node feeds it, or the medium that it shares; it then takes
            its messages at the boundaries of windows.
    """

    __slots__ = (
        "bytes", "destination", "disturbances", "entered", "fed", "last_arrival", "lost",
        "name", "refused", "severed", "source", "spec", "transmitter",
    )  # fmt: skip

    def __init__(
        self,
        source: Node,
        destination: Node,
        spec: LinkSpec,
        transmitter: Transmitter | None,
        *,
        fed: bool,
    ) -> None:
        self.name = f"{source.name}->{destination.name}"
        self.source = source
        self.destination = destination
        self.spec = spec
        self.transmitter = transmitter
        self.fed = fed
        self.disturbances: tuple[Disturbance, ...] = ()
        self.last_arrival = 0
        self.entered = 0
        self.bytes = 0
        self.lost = 0
        self.refused = 0
        self.severed = 0


class Hop:
    """What one source's messages need on one link."""

    __slots__ = ("chance", "link", "transit")

    def __init__(self, link: Link, source: Node, seed: int) -> None:
        owner, purpose = f"link {link.name}", source.name
        self.link = link
        self.transit: Transit = transit(
            link.spec.loss, link.spec.delay, stream(seed, owner, purpose)
        )
        # Losses of a fault come from a stream of their own: a fault changes no other number.
        self.chance: Callable[[], float] | None = None

    def degraded(self, seed: int, source: Node) -> float:
        """A number from 0 to 1 that decides over a degraded link's additional loss."""
        if self.chance is None:
            self.chance = stream(seed, f"link {self.link.name}", f"{source.name} degraded").random
        return self.chance()


class LinkPath(Path):
    """What the figures need to know of both kinds of path."""

    __slots__ = ()

    @abstractmethod
    def carrier(self, message: Message) -> Link:
        """The link that a message is on."""


class DirectPath(LinkPath):
    """A path of one link without state."""

    __slots__ = ("_calendar", "_deliver", "_hop", "_link", "_network", "_transit", "receiver")

    def __init__(self, network: LatencyNetwork, receiver: Node, hop: Hop) -> None:
        self.receiver = receiver
        self._network = network
        self._hop = hop
        self._link = hop.link
        self._transit = hop.transit
        self._calendar = network.calendar
        self._deliver = network.federation.deliver

    def carrier(self, message: Message) -> Link:
        """The link that a message is on."""
        return self._link

    def enter(self, message: Message) -> None:
        """Draw what becomes of a message, and have it delivered or lost."""
        link = self._link
        link.entered += 1
        link.bytes += message.size
        delay = (
            self._transit()
            if not link.disturbances
            else self._network.disturbed(self._hop, message)
        )
        if delay < 0:
            self._network.lost_by_chance(link, message)
            return
        now = message.sent
        time = now + delay
        calendar = self._calendar
        heappush(
            calendar.heap,
            (time, ARRIVAL, now, message.source_order, message.number, self._deliver, message),
        )
        if time < calendar.armed_for:
            calendar.arm(time)


class RoutePath(LinkPath):
    """A path of several links, or of one with state."""

    __slots__ = ("_arrived", "_hops", "_last", "_network", "_stages", "_traced", "receiver")

    def __init__(self, network: LatencyNetwork, receiver: Node, hops: tuple[Hop, ...]) -> None:
        self.receiver = receiver
        self._network = network
        self._hops = hops
        self._last = len(hops) - 1
        self._stages = tuple(network.staging(hop.link) for hop in hops)
        self._traced = len(hops) > 1
        self._arrived = self._arrive

    def carrier(self, message: Message) -> Link:
        """The link that a message is on."""
        return self._hops[message.hop].link

    def enter(self, message: Message) -> None:
        """Take a message to its first link."""
        message.entered = message.sent
        self._enter(message)

    def _enter(self, message: Message) -> None:
        stage = self._stages[message.hop]
        if stage is not None:
            stage(message)
        else:
            self.release(message)

    def release(self, message: Message) -> None:
        """Have a message enter the link that it waits for, at the time that it came there."""
        network = self._network
        hop = self._hops[message.hop]
        link = hop.link
        now = message.entered  # may have passed already, if a free-running node sent it
        link.entered += 1
        link.bytes += message.size
        disturbances = link.disturbances
        if any(each.down for each in disturbances):
            hop.transit()  # so that the fault changes no number of a later message
            self._lost(message, link, now, Fate.LINK_DOWN)
            return
        sent, queued = now, message.queued
        if link.transmitter is not None:
            rates = [each.rate for each in disturbances if each.rate is not None]
            end = link.transmitter.accept(
                now, message, link, min(rates, default=link.transmitter.rate)
            )
            if end is None:
                self._lost(message, link, now, Fate.QUEUE_FULL)
                return
            sent = end
        delay = hop.transit() if not disturbances else network.disturbed(hop, message)
        if delay < 0:
            self._lost(message, link, now, Fate.LOSS)
            return
        arrival = sent + delay
        if link.spec.ordered:
            link.last_arrival = arrival = max(arrival, link.last_arrival)
        if self._traced:
            waited = message.queued - queued
            message.leg = (link.name, now, waited, sent - now - waited)
        # Who would have overtaken comes behind whom it waited for.
        stamp = now if link.spec.ordered else message.sent
        windows = network.windows
        if windows is not None:
            if message.hop == self._last:
                network.federation.arrive(message, arrival, stamp, self._arrived)
                return
            arrival = windows.not_before(message, arrival)
        key = (arrival, ARRIVAL, stamp, message.source_order, message.number)
        network.calendar.push((*key, self._arrived, message))

    def _lost(self, message: Message, link: Link, now: int, fate: Fate) -> None:
        if self._traced:
            message.leg = (link.name, now, 0, 0)
        self._network.lose(link, message, fate, now)

    def _arrive(self, message: Message) -> None:
        if message.fate:
            return  # lost with its link while it was being transmitted
        link = self._hops[message.hop].link
        federation = self._network.federation
        if message.leg is not None:
            federation.recorder.hop(message, message.leg, federation.calendar.now)
        if message.hop == self._last:
            federation.deliver(message)
        elif link.destination.down:
            federation.lose(message, Fate.NODE_DOWN)
        else:
            message.hop += 1
            message.entered = federation.calendar.now
            self._enter(message)
