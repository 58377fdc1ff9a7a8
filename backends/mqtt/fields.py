"""The fields that MQTT packets are made of (MQTT 3.1.1, sections 1.5 and 2): as bytes and back."""

from __future__ import annotations

from .errors import Malformed

MOST = 268_435_455
"""The greatest remaining length (2.2.3), in bytes."""


class Reader:
    """Reads what follows the fixed header of a packet, piece by piece.

    Args:
        data: the packet.
        at: where its variable header begins.
    """

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.end = len(data)

    @property
    def left(self) -> int:
        """How many bytes are still to be read."""
        return self.end - self.at

    def take(self, count: int) -> bytes:
        """So many bytes."""
        at, self.at = self.at, self.at + count
        if self.at > self.end:
            raise Malformed("MQTT-2.2.3", "the packet ends too early")
        return self.data[at : self.at]

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(self.left)

    def byte(self) -> int:
        """One byte, as a number."""
        return self.take(1)[0]

    def number(self) -> int:
        """Two bytes, as a number."""
        return int.from_bytes(self.take(2), "big")

    def identifier(self) -> int:
        """A packet identifier."""
        value = self.number()
        if not value:
            raise Malformed("MQTT-2.3.1-1", "a packet identifier is not zero")
        return value

    def binary(self) -> bytes:
        """Bytes that are preceded by how many they are."""
        return self.take(self.number())

    def text(self) -> str:
        """UTF-8 text that is preceded by its length in bytes."""
        data = self.binary()
        try:
            value = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("MQTT-1.5.3-1", f"a text is well-formed UTF-8: {data!r}") from None
        if "\0" in value:
            raise Malformed("MQTT-1.5.3-2", f"a text has no null character: {value!r}")
        return value


def packet(first: int, *fields: bytes) -> bytes:
    """A packet: its first byte, the length of what follows, and its fields."""
    body = b"".join(fields)
    length = len(body)
    if length < 128:
        return bytes((first, length)) + body
    if length > MOST:
        raise Malformed("MQTT-2.2.3", f"a packet has {MOST} bytes at most, not {length}")
    head = [first]
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def number(value: int) -> bytes:
    """A number in two bytes."""
    if not 0 <= value <= 65_535:
        raise Malformed("MQTT-1.5.2", f"a number is 0 to 65535, not {value}")
    return value.to_bytes(2, "big")


def identifier(value: int) -> bytes:
    """A packet identifier."""
    if not 1 <= value <= 65_535:
        raise Malformed("MQTT-2.3.1-1", f"a packet identifier is 1 to 65535, not {value}")
    return value.to_bytes(2, "big")


def binary(value: bytes) -> bytes:
    """Bytes, preceded by how many they are."""
    if len(value) > 65_535:
        raise Malformed("MQTT-1.5.3", f"a field has 65535 bytes at most, not {len(value)}")
    return len(value).to_bytes(2, "big") + value


def text(value: str) -> bytes:
    """UTF-8 text, preceded by its length in bytes."""
    if "\0" in value:
        raise Malformed("MQTT-1.5.3-2", f"a text has no null character: {value!r}")
    try:
        return binary(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise Malformed("MQTT-1.5.3-1", f"a text is well-formed UTF-8: {value!r}") from None
