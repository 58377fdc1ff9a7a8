"""Segments: the messages that carry MQTT over a simulated network, and what they weigh there."""

from __future__ import annotations

from typing import Any, NamedTuple

SYN, SYNACK, ACK, FIN, RST = (f"tcp.{name}" for name in ("syn", "synack", "ack", "fin", "rst"))
HEADERS = 40
"""Bytes of the headers of IP and TCP, without options."""
MOST = 1460
"""Bytes that one TCP segment carries in an Ethernet frame."""
_KINDS = tuple(
    f"mqtt.{name}"
    for name in (
        "reserved", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp",
        "subscribe", "suback", "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect",
        "reserved",
    )
)  # fmt: skip
ALL = frozenset((SYN, SYNACK, ACK, FIN, RST, *_KINDS))
"""The kinds of all segments."""


def weight(data: bytes) -> int:
    """What a packet weighs on the network, in bytes."""
    return len(data) + HEADERS * -(-len(data) // MOST)


def kind_of(data: bytes) -> str:
    """The kind of the message that carries a packet, as `mqtt.publish`."""
    return _KINDS[data[0] >> 4]


class Segment(NamedTuple):
    """What is to be sent.

    Attributes:
        kind: that of the message.
        payload: of the message: the connection (c), the number (n), which number is expected
            next from the other end (a), the packet (d), the tuning (t).
        size: of the message, bytes.
        cause: what was given as the cause when it was sent for the first time.
    """

    kind: str
    payload: dict[str, Any]
    size: int
    cause: Any


def reset(connection: int, cause: Any = None) -> Segment:
    """What answers a segment of no stream; never sent because of a `tcp.rst`."""
    return Segment(RST, {"c": connection}, HEADERS, cause)
