"""What a network model offers to the core: paths, and what happens on them.

A node asks for the path to a destination once and then enters messages into it. How a path
is made (one link, several hops, a packet simulator) is the model's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from simcore.clock import NEVER
from simcore.errors import UsageError

if TYPE_CHECKING:
    from simcore.message import Message
    from simcore.node import Node
    from simcore.participant import Participant


class Path(ABC):
    """The way from one node to another.

    Attributes:
        receiver: the node at its far end.
    """

    __slots__ = ()
    receiver: Node

    @abstractmethod
    def enter(self, message: Message) -> None:
        """Take over a message at the present instant, which is its `sent`."""

    def release(self, message: Message) -> None:
        """Go on with a message that waited for the end of its instant.

        Called in the order (source order, number), once for each message that the path
        gave to `Federation.stage`.
        """
        raise AssertionError("this path stages nothing")


class Nowhere(Path):
    """Where messages go that a node sends when it is down, or after the end of the run."""

    def __init__(self, receiver: Node) -> None:
        self.receiver = receiver

    def enter(self, message: Message) -> None:
        """Forget it."""


@dataclass(frozen=True)
class Disturbance:
    """What a fault does to a link while it lasts.

    Attributes:
        down: nothing gets through.
        loss: additional probability of loss, 0 to 1.
        delay: additional constant delay, ns.
        rate: bits per second instead of the link's own; None leaves it.
    """

    down: bool = False
    loss: float = 0.0
    delay: int = 0
    rate: int | None = None


class LinkMetrics(NamedTuple):
    """What one link did in a run: a row of the table `link`."""

    name: str
    source: str
    destination: str
    entered: int
    delivered: int
    loss: int
    queue_full: int
    link_down: int
    bytes: int
    busy: int
    """Time spent transmitting, ns; the utilisation is its share of the run."""
    queue_mean: float
    """Average number of messages waiting, over time."""
    queue_max: int


class Network(ABC):
    """The network of one run."""

    active = False
    """Whether `advance` is to be called at the end of each instant."""

    @abstractmethod
    def path(self, source: Node, destination: Node) -> Path:
        """The path between two nodes.

        Raises:
            SendError: there is none.
        """

    def refuses(self, source: str, destination: str, disturbance: Disturbance) -> str | None:
        """Why a fault can have no effect on the link from `source` to `destination`; None: it can.

        For what is known only when the network is there; `check_link` of a model knows the rest.
        """
        return None

    def disturb(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """Begin a fault on the link from `source` to `destination`."""
        raise UsageError(f"{type(self).__name__} has no links to disturb")

    def restore(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """End a fault that `disturb` began."""
        raise UsageError(f"{type(self).__name__} has no links to disturb")

    def take_offline(self, node: Node) -> None:
        """Begin a fault that cuts off a node, which lives on: as if all its links were down."""
        for a, b in self.lookahead():
            if node.name in (a, b):
                self.disturb(a, b, Disturbance(down=True))

    def bring_online(self, node: Node) -> None:
        """End a fault that `take_offline` began."""
        for a, b in self.lookahead():
            if node.name in (a, b):
                self.restore(a, b, Disturbance(down=True))

    def cut(self, node: Node) -> None:  # noqa: B027 - most have nothing to do
        """Give up what a node that crashes now was still transmitting."""

    def mend(self, node: Node) -> None:  # noqa: B027 - most have nothing to do
        """A node that crashed starts again now."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Let go of all messages at the end of the run."""

    def in_flight(self) -> Iterable[Message]:
        """Messages that are in the network and in no entry of the calendar."""
        return ()

    def metrics(self, end: int) -> Iterable[LinkMetrics]:
        """Figures per link for a run that ended at virtual time `end` (ns)."""
        return ()

    def lookahead(self) -> Mapping[tuple[str, str], int]:
        """Least delay (ns) of each link, by the names of its two ends."""
        return {}

    def least_delay(self, names: Collection[str]) -> int:
        """Least delay (ns) of a link that touches one of the nodes; `NEVER` if none does."""
        links = self.lookahead()
        if not links:
            return 0  # it does not say
        delays = (delay for (a, b), delay in links.items() if a in names or b in names)
        return min(delays, default=NEVER)

    # -- for networks that are advanced as participants are

    def participants(self) -> Iterable[Participant]:
        """What is to be ended with the run."""
        return ()

    def start(self) -> None:  # noqa: B027 - most have nothing to start
        """The run is about to begin."""

    def advance(self) -> None:  # noqa: B027
        """Go on as far as nothing can interfere: called last of all at an instant."""

    def next_event(self) -> int | None:
        """When something happens inside next, ns, if that is known and may be a delivery."""
        return None

    def reach(self, position: int, grain: int) -> None:  # noqa: B027
        """Go on to a boundary of windows, events within the grain behind it (ns) included.

        What entered before `position` has been released by then; what enters later comes at
        the next boundary.
        """

    def finish(self, end: int) -> None:  # noqa: B027
        """Go on to the end of the run, ns."""
