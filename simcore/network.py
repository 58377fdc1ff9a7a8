"""What a network model offers to the core: paths, and what happens on them.

A node asks for the path to a destination once and then enters messages into it. How a path
is made (one link, several hops, a packet simulator) is the model's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from simcore.errors import UsageError

if TYPE_CHECKING:
    from simcore.message import Message
    from simcore.node import Node


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

    @abstractmethod
    def path(self, source: Node, destination: Node) -> Path:
        """The path between two nodes.

        Raises:
            SendError: there is none.
        """

    def disturb(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """Begin a fault on the link from `source` to `destination`."""
        raise UsageError(f"{type(self).__name__} has no links to disturb")

    def restore(self, source: str, destination: str, disturbance: Disturbance) -> None:
        """End a fault that `disturb` began."""
        raise UsageError(f"{type(self).__name__} has no links to disturb")

    def cut(self, node: Node) -> None:  # noqa: B027 - most have nothing to do
        """Give up what a node that crashes now was still transmitting."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Let go of all messages at the end of the run."""

    def metrics(self, end: int) -> Iterable[LinkMetrics]:
        """Figures per link for a run that ended at virtual time `end` (ns)."""
        return ()

    def lookahead(self) -> Mapping[tuple[str, str], int]:
        """Least delay (ns) of each link, by the names of its two ends."""
        return {}
