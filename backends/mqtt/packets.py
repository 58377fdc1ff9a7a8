"""The packets of MQTT 3.1.1: what they hold, as bytes and back.

Strict in both directions: what breaks the specification is refused with the number of the broken
statement. Numbers in comments and messages are those of the OASIS standard (MQTT Version 3.1.1,
29 October 2014).

Written here, since no maintained Python library offers it apart from sockets: mqttproto speaks
MQTT 5 only; paho-mqtt, gmqtt and amqtt weave packets and connections into one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from . import fields
from .errors import Malformed, UnknownLevel
from .fields import Reader
from .topics import check_filter, check_name

LEVEL = b"\x00\x04MQTT\x04"
"""How the variable header of a CONNECT begins: protocol name and level."""

ACCEPTED = 0
REFUSED_LEVEL = 1
REFUSED_IDENTIFIER = 2
FAILURE = 0x80
"""The code in a SUBACK of a subscription that was refused."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes in place of a client that is gone (3.1.2.5)."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Connect:
    """A client's first packet (3.1). `keepalive` is in seconds; 0 means none."""

    client_id: str
    clean: bool = True
    keepalive: int = 0
    will: Will | None = None
    username: str | None = None
    password: bytes | None = None

    TYPE: ClassVar[int] = 0x10

    def encode(self) -> bytes:
        """The packet's bytes."""
        flags, parts = self.clean << 1, [fields.text(self.client_id)]
        if self.will is not None:
            if self.will.qos not in (0, 1, 2):
                raise Malformed("MQTT-3.1.2-14", f"a will's QoS is 0, 1 or 2, not {self.will.qos}")
            flags |= 0x04 | self.will.qos << 3 | self.will.retain << 5
            parts += [fields.text(check_name(self.will.topic)), fields.binary(self.will.payload)]
        if self.username is not None:
            flags |= 0x80
            parts.append(fields.text(self.username))
        if self.password is not None:
            if self.username is None:
                raise Malformed("MQTT-3.1.2-22", "no password without a user name")
            flags |= 0x40
            parts.append(fields.binary(self.password))
        keepalive = fields.number(self.keepalive)
        return fields.packet(self.TYPE, LEVEL, bytes((flags,)), keepalive, *parts)

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        name = body.binary()
        if name not in (b"MQTT", b"MQIsdp"):
            raise Malformed("MQTT-3.1.2-1", f"the protocol's name is 'MQTT', not {name!r}")
        level = body.byte()
        if name != b"MQTT" or level != 4:
            raise UnknownLevel("MQTT-3.1.2-2", f"the protocol's level is 4, not {level}")
        flags = body.byte()
        if flags & 0x01:
            raise Malformed("MQTT-3.1.2-3", "the reserved flag of a CONNECT is 0")
        keepalive = body.number()
        client_id = body.text()
        will = None
        if flags & 0x04:
            if flags & 0x18 == 0x18:
                raise Malformed("MQTT-3.1.2-14", "a will's QoS is 0, 1 or 2, not 3")
            topic, payload = check_name(body.text()), body.binary()
            will = Will(topic, payload, flags >> 3 & 3, bool(flags & 0x20))
        elif flags & 0x38:
            raise Malformed("MQTT-3.1.2-11", "no QoS and no retaining without a will")
        if flags & 0xC0 == 0x40:
            raise Malformed("MQTT-3.1.2-22", "no password without a user name")
        username = body.text() if flags & 0x80 else None
        password = body.binary() if flags & 0x40 else None
        return cls(client_id, bool(flags & 0x02), keepalive, will, username, password)


@dataclass(frozen=True, slots=True)
class Connack:
    """The answer to a CONNECT (3.2): 0 if it was accepted, else why not."""

    session_present: bool = False
    code: int = ACCEPTED

    TYPE: ClassVar[int] = 0x20

    def encode(self) -> bytes:
        """The packet's bytes."""
        return bytes((self.TYPE, 2, self.session_present, self.code))

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        present, code = body.byte(), body.byte()
        if present > 1:
            raise Malformed("MQTT-3.2.2", "bits 7 to 1 of a CONNACK's flags are reserved")
        if code > 5:
            raise Malformed("MQTT-3.2.2", f"a return code is 0 to 5, not {code}")
        if present and code:
            raise Malformed("MQTT-3.2.2-4", "who is refused has no session")
        return cls(bool(present), code)


@dataclass(frozen=True, slots=True)
class Publish:
    """A message (3.3). `identifier` is 0 with QoS 0, which has none."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    identifier: int = 0
    dup: bool = False

    TYPE: ClassVar[int] = 0x30

    def encode(self) -> bytes:
        """The packet's bytes."""
        first = self.TYPE | self.dup << 3 | self.qos << 1 | self.retain
        topic = fields.text(check_name(self.topic))
        if self.qos:
            if self.qos not in (1, 2):
                raise Malformed("MQTT-3.3.1-4", f"QoS is 0, 1 or 2, not {self.qos}")
            return fields.packet(first, topic, fields.identifier(self.identifier), self.payload)
        if self.dup:
            raise Malformed("MQTT-3.3.1-2", "DUP is 0 with QoS 0")
        if self.identifier:
            raise Malformed("MQTT-2.3.1-5", "a message with QoS 0 has no packet identifier")
        return fields.packet(first, topic, self.payload)

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        qos, dup = first >> 1 & 3, bool(first & 8)
        if qos == 3:
            raise Malformed("MQTT-3.3.1-4", "QoS is 0, 1 or 2, not 3")
        if dup and not qos:
            raise Malformed("MQTT-3.3.1-2", "DUP is 0 with QoS 0")
        topic = check_name(body.text())
        identifier = body.identifier() if qos else 0
        return cls(topic, body.rest(), qos, bool(first & 1), identifier, dup)


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A packet that is nothing but its type and a packet identifier."""

    identifier: int

    TYPE: ClassVar[int]

    def encode(self) -> bytes:
        """The packet's bytes."""
        return bytes((self.TYPE, 2)) + fields.identifier(self.identifier)

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        return cls(body.identifier())


class Puback(_Numbered):
    """A message with QoS 1 has arrived (3.4)."""

    __slots__ = ()
    TYPE = 0x40


class Pubrec(_Numbered):
    """A message with QoS 2 has arrived: its first step (3.5)."""

    __slots__ = ()
    TYPE = 0x50


class Pubrel(_Numbered):
    """A message with QoS 2 may be passed on: its second step (3.6)."""

    __slots__ = ()
    TYPE = 0x62


class Pubcomp(_Numbered):
    """A message with QoS 2 has been passed on: its last step (3.7)."""

    __slots__ = ()
    TYPE = 0x70


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A client wants what matches one of these filters, each with a greatest QoS (3.8)."""

    identifier: int
    filters: tuple[tuple[str, int], ...]

    TYPE: ClassVar[int] = 0x82

    def encode(self) -> bytes:
        """The packet's bytes."""
        if not self.filters:
            raise Malformed("MQTT-3.8.3-3", "a SUBSCRIBE has one filter at least")
        parts = [fields.identifier(self.identifier)]
        for text, qos in self.filters:
            if qos not in (0, 1, 2):
                raise Malformed("MQTT-3.8.3-4", f"QoS is 0, 1 or 2, not {qos}")
            parts += [fields.text(check_filter(text)), bytes((qos,))]
        return fields.packet(self.TYPE, *parts)

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        identifier, filters = body.identifier(), []
        while body.left:
            text, qos = check_filter(body.text()), body.byte()
            if qos > 2:
                raise Malformed("MQTT-3.8.3-4", f"QoS is 0, 1 or 2, not {qos}")
            filters.append((text, qos))
        if not filters:
            raise Malformed("MQTT-3.8.3-3", "a SUBSCRIBE has one filter at least")
        return cls(identifier, tuple(filters))


@dataclass(frozen=True, slots=True)
class Suback:
    """The answer to a SUBSCRIBE: for each filter the QoS that is granted, or `FAILURE` (3.9)."""

    identifier: int
    codes: tuple[int, ...]

    TYPE: ClassVar[int] = 0x90

    def encode(self) -> bytes:
        """The packet's bytes."""
        return fields.packet(self.TYPE, fields.identifier(self.identifier), bytes(self.codes))

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        identifier, codes = body.identifier(), tuple(body.rest())
        if not codes or not {*codes} <= {0, 1, 2, FAILURE}:
            raise Malformed("MQTT-3.9.3-2", f"return codes are 0, 1, 2 and 128, not {codes}")
        return cls(identifier, codes)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """A client no longer wants what it subscribed to with these filters (3.10)."""

    identifier: int
    filters: tuple[str, ...]

    TYPE: ClassVar[int] = 0xA2

    def encode(self) -> bytes:
        """The packet's bytes."""
        if not self.filters:
            raise Malformed("MQTT-3.10.3-2", "an UNSUBSCRIBE has one filter at least")
        parts = [fields.text(check_filter(text)) for text in self.filters]
        return fields.packet(self.TYPE, fields.identifier(self.identifier), *parts)

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        identifier, filters = body.identifier(), []
        while body.left:
            filters.append(check_filter(body.text()))
        if not filters:
            raise Malformed("MQTT-3.10.3-2", "an UNSUBSCRIBE has one filter at least")
        return cls(identifier, tuple(filters))


class Unsuback(_Numbered):
    """The answer to an UNSUBSCRIBE (3.11)."""

    __slots__ = ()
    TYPE = 0xB0


@dataclass(frozen=True, slots=True)
class _Plain:
    """A packet that is nothing but its type."""

    TYPE: ClassVar[int]

    def encode(self) -> bytes:
        """The packet's bytes."""
        return bytes((self.TYPE, 0))

    @classmethod
    def read(cls, first: int, body: Reader) -> Self:
        """The packet in these bytes."""
        return cls()


class Pingreq(_Plain):
    """A client is still there (3.12)."""

    __slots__ = ()
    TYPE = 0xC0


class Pingresp(_Plain):
    """So is the broker (3.13)."""

    __slots__ = ()
    TYPE = 0xD0


class Disconnect(_Plain):
    """A client leaves, and no will is to be published (3.14)."""

    __slots__ = ()
    TYPE = 0xE0


Packet = (
    Connect | Connack | Publish | Puback | Pubrec | Pubrel | Pubcomp
    | Subscribe | Suback | Unsubscribe | Unsuback | Pingreq | Pingresp | Disconnect
)  # fmt: skip

_KINDS: dict[int, type[Packet]] = {
    kind.TYPE >> 4: kind
    for kind in (
        Connect, Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp,
        Subscribe, Suback, Unsubscribe, Unsuback, Pingreq, Pingresp, Disconnect,
    )
}  # fmt: skip


def decode(data: bytes) -> Packet:
    """The packet that these bytes are: one and no more, as `framing.Framer` hands it over.

    Raises:
        Malformed: they are none.
    """
    first = data[0]
    kind = _KINDS.get(first >> 4)
    if kind is None:
        raise Malformed("MQTT-2.2.1", f"there is no packet of type {first >> 4}")
    if kind is not Publish and first != kind.TYPE:
        raise Malformed("MQTT-2.2.2-2", f"the flags of a {kind.__name__} are not {first & 15}")
    at = 1
    while data[at] & 128:
        at += 1
    body = Reader(data, at + 1)
    packet = kind.read(first, body)
    if body.left:
        raise Malformed("MQTT-2.2.3", f"{body.left} bytes follow the fields of a {kind.__name__}")
    return packet
