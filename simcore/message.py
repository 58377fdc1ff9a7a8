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


class Trail(msgspec.Struct, gc=False, eq=False):
    """What a message has beyond being sent and arriving: a row of the table `trail`.

    Only messages that were caused by another, waited on a link, or took computing have one.
    """

    source_order: int
    number: int
    origin: int
    """`sent` of the first message of the chain of causes."""
    cause_source: int | None = None
    cause_number: int | None = None
    queued: int = 0
    """Time spent in the queues of links, ns."""
    waited: int = 0
    """Time that an answer waited for a worker of the service that sent it, ns."""
    computed: int = 0
    """Time that an answer was computed before it was sent, ns."""


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
    kind_number: int
    size: int
    """Bytes on the network."""
    text: str
    """The payload, frozen."""
    sent: int
    fate: int
    kind: str
    sender: Node
    receiver: Node
    path: Path
    trail: Trail | None = None
    depth: int = 0
    """How many messages without delay led to this one, at one instant."""
    parent: Message | None = None
    """The message that led to this one at the same instant; kept to print a cycle."""
    hop: int = 0
    entered: int = 0
    """When it entered the link or network that it is in, or waits to enter."""
    leg: tuple[str, int, int, int] | None = None
    """The link it is on, when it entered it, waits, and is transmitted, where that is traced."""

    def follow(self, cause: Message, waited: int = 0, computed: int = 0) -> None:
        """Note the message that led to this one, and what its computing took (ns)."""
        self.trail = Trail(
            self.source_order,
            self.number,
            cause.origin,
            cause.source_order,
            cause.number,
            0,
            waited,
            computed,
        )

    def took(self, computed: int) -> None:
        """Note what its computing took (ns): of a message that is under way already."""
        if self.trail is None:
            self.trail = Trail(self.source_order, self.number, self.sent)
        self.trail.computed = computed

    def wait(self, time: int) -> None:
        """Note that it waits in a link's queue for a time (ns)."""
        if self.trail is None:
            self.trail = Trail(self.source_order, self.number, self.sent)
        self.trail.queued += time

    @property
    def origin(self) -> int:
        """`sent` of the first message of the chain of causes, ns."""
        return self.sent if self.trail is None else self.trail.origin

    @property
    def queued(self) -> int:
        """Time spent in the queues of links so far, ns."""
        return 0 if self.trail is None else self.trail.queued

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
        trail = self.trail
        if trail is None or trail.cause_source is None:
            return None
        return f"{self.sender.federation.names[trail.cause_source]}/{trail.cause_number}"

    def __repr__(self) -> str:
        return f"<Message {self.id} {self.kind!r} to {self.destination}>"


def entry_order(message: Message) -> tuple[int, int]:
    """What decides who comes first at one instant."""
    return message.source_order, message.number
