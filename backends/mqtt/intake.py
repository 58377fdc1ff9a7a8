"""Which packets a broker lets in: well-formed ones of a client, and none that Mosquitto refuses.

A packet that is not let in ends the connection, as the standard has it (4.8) and as Mosquitto does.
It is decided here and not by Mosquitto, because versions before 2.0.16 overlook some of it: flags
and surplus bytes of acknowledgements, DUP with QoS 0. Beyond the standard, Mosquitto refuses
control characters and non-characters in texts (1.5.3 allows to), topics of more than 200 levels
below the first, and shared subscriptions that name nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .errors import Malformed
from .packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    decode,
)

Incoming = (
    Connect | Publish | Puback | Pubrec | Pubrel | Pubcomp
    | Subscribe | Unsubscribe | Pingreq | Disconnect
)  # fmt: skip

_LEVELS = 200
_ODD = re.compile(
    "[\x01-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
    + "]"
)


def let_in(data: bytes) -> Incoming:
    """The packet that these bytes are.

    Raises:
        UnknownLevel: a CONNECT of another version of MQTT.
        Malformed: it is not let in.
    """
    packet = decode(data)
    if not isinstance(packet, Incoming):
        raise Malformed("MQTT-2.2.1", f"a client does not send a {type(packet).__name__}")
    for text in _texts(packet):
        if not text.isprintable() and (odd := _ODD.search(text)):
            raise Malformed("MQTT-1.5.3", f"the character {odd[0]!r} in a text")
    for topic in _topics(packet):
        if topic.count("/") > _LEVELS:
            raise Malformed("MQTT-4.7.3", f"a topic has {_LEVELS + 1} levels at most")
        if topic.startswith("$"):
            _check_dollar(packet, topic)
    return packet


def _texts(packet: Packet) -> Iterator[str]:
    """The texts of a packet that are no topics; and its topics."""
    if isinstance(packet, Connect):
        yield packet.client_id
        if packet.username is not None:
            yield packet.username
    yield from _topics(packet)


def _topics(packet: Packet) -> Iterator[str]:
    """The topics and filters of a packet."""
    match packet:
        case Publish():
            yield packet.topic
        case Subscribe():
            yield from (text for text, _ in packet.filters)
        case Unsubscribe():
            yield from packet.filters
        case Connect(will=will) if will is not None:
            yield will.topic


def _check_dollar(packet: Packet, topic: str) -> None:
    """What Mosquitto refuses of topics that begin with `$`."""
    if isinstance(packet, Connect) and topic.startswith("$CONTROL/"):
        raise Malformed("MQTT-4.7.2", f"no will on {topic!r}")
    if isinstance(packet, Subscribe | Unsubscribe) and topic.split("/", 1)[0] == "$share":
        _, *rest = topic.split("/", 2)
        if len(rest) < 2 or not rest[0] or not rest[1]:
            raise Malformed("MQTT-4.7.2", f"a shared subscription is $share/NAME/FILTER: {topic!r}")
