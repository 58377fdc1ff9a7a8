"""Messages and their fates.

A message is made once, when it is sent, and carries everything that is recorded of it. The
first fields stand in the order of the columns of the table `message`, so that the recorder
can write a batch without looking at single messages.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import msgspec

from simcore.payload import thaw

if TYPE_CHECKING:
    from simcore.network import Path
    from simcore.node import Node


class Fate(IntEnum):
    """What became of a message; everything above `IN_FLIGHT` is a loss."""

    DELIVERED = 0
    IN_FLIGHT = 1
    """Still under way when the run ended."""
    LOSS = 2
    """Lost on a link by chance."""
    QUEUE_FULL = 3
    """Refused by a link's full queue."""
    LINK_DOWN = 4
    """On, or entering, a link that was down."""
    NODE_DOWN = 5
    """Its destination, or a node on its way, was down."""


class Message(msgspec.Struct, gc=False, eq=False):
    """What travels between two nodes.

    Times are virtual nanoseconds. Models and services read `id`, `source`, `destination`,
    `kind`, `payload`, `size`, `sent`, `cause` and `origin`; the rest belongs to simcore.
    """

    at: int
    """When its fate came: delivery or loss."""
    source_order: int
    number: int
    """Counter of its source, from 1."""
    destination_order: int
    kind_id: int
    size: int
    """Bytes on the network."""
    text: str
    """The payload, frozen."""
    sent: int
    fate: int
    origin: int
    """`sent` of the first message of the chain of causes."""
    cause_source: int | None
    cause_number: int | None
    queued: int
    """Time spent in the queues of links."""
    waited: int
    """Time an answer waited for a worker of the service that sent it."""
    computed: int
    """Time an answer was computed before it was sent."""
    kind: str
    sender: Node
    receiver: Node
    depth: int
    """How many messages without delay led to this one, at one instant."""
    parent: Message | None
    """The message that led to this one at the same instant; kept to print a cycle."""
    path: Path | None = None
    hop: int = 0

    @property
    def id(self) -> str:
        """Name of the message in results and on the command line, as `meter-3/17`."""
        return f"{self.sender.name}/{self.number}"

    @property
    def source(self) -> str:
        """Name of the node that sent it."""
        return self.sender.name

    @property
    def destination(self) -> str:
        """Name of the node that it goes to."""
        return self.receiver.name

    @property
    def payload(self) -> Any:
        """The content, decoded anew at each access: changing it changes nothing else."""
        return thaw(self.text)

    @property
    def cause(self) -> str | None:
        """Id of the message that led to this one."""
        if self.cause_source is None:
            return None
        return f"{self.sender.federation.names[self.cause_source]}/{self.cause_number}"

    def __repr__(self) -> str:
        return f"<Message {self.id} {self.kind!r} to {self.destination}>"
