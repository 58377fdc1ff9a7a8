"""Messages that an endpoint makes: segments that leave its node, and what its node is handed.

What led to a message is kept as an `Origin`, and never as the message itself: those are out of the
cycle collector's sight, so nothing that a node leads to may hold one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simcore.message import Message, Trail
from simcore.network import Nowhere, Path
from simcore.payload import PayloadError, freeze, refreeze

from .api import MESSAGE
from .packets import Publish
from .segments import Segment

if TYPE_CHECKING:
    from simcore.node import Node


class Carrier(NamedTuple):
    """The segment that brought something."""

    number: int
    size: int
    sent: int
    trail: Trail | None


class Origin(NamedTuple):
    """What leads to a message that is sent now or later."""

    source: int | None
    """Order of the node whose message led to it, if one did."""
    number: int
    """Counter of that message."""
    began: int
    """When its chain of causes began, ns."""
    since: int
    """When it could have been sent at the earliest, ns."""
    waited: int = 0
    """How long it waited for a worker of a service, a connection, or room in the window, ns."""
    computed: int = 0
    """How long a service computed before it was sent, ns."""
    carrier: Carrier | None = None
    """That message, if it was a segment."""


def first(now: int) -> Origin:
    """The origin of what nothing led to."""
    return Origin(None, 0, now, now)


def of_command(message: Message) -> Origin:
    """The origin of what a node's command leads to: whatever led to the command."""
    trail, now = message.trail, message.sent
    if trail is None:
        return first(now)
    return Origin(
        trail.cause_source,
        trail.cause_number or 0,
        trail.origin,
        now,
        trail.waited,
        trail.computed,
    )


def of_segment(message: Message) -> Origin:
    """The origin of what a segment leads to that has arrived."""
    carrier = Carrier(message.number, message.size, message.sent, message.trail)
    return Origin(message.source_order, message.number, message.origin, message.at, carrier=carrier)


def outgoing(node: Node, path: Path, segment: Segment, kind_number: int, now: int) -> Message:
    """The message that carries a segment from a node; it is not on its way yet."""
    node.sent += 1
    origin: Origin = segment.cause
    message = Message(
        now,
        node.order,
        node.sent,
        path.receiver.order,
        kind_number,
        segment.size,
        freeze(segment.payload),
        now,
        0,
        segment.kind,
        node,
        path.receiver,
        path,
    )
    if origin.source is not None or origin.began < now or origin.computed:
        message.trail = Trail(
            node.order,
            node.sent,
            origin.began,
            origin.source,
            None if origin.source is None else origin.number,
            0,
            origin.waited,
            origin.computed,
        )
    return message


def handed(node: Node, broker: Node, kind: str, text: str, now: int, carrier: Carrier) -> Message:
    """What a node is handed by its endpoint, as if the broker had sent it itself."""
    return Message(
        now,
        broker.order,
        carrier.number,
        node.order,
        0,
        carrier.size,
        text,
        carrier.sent,
        0,
        kind,
        broker,
        node,
        Nowhere(node),
        carrier.trail,
    )


def arrived(node: Node, broker: Node, message: Publish, now: int, carrier: Carrier) -> Message:
    """What a node is handed of a message that has arrived: its value if it is JSON, else bytes."""
    try:
        payload = refreeze(message.payload)
    except PayloadError:
        payload = freeze(message.payload)
    retain = "true" if message.retain else "false"
    text = (
        f'{{"payload":{payload},"qos":{message.qos},"retain":{retain},'
        f'"topic":{freeze(message.topic)}}}'
    )
    return handed(node, broker, MESSAGE, text, now, carrier)
