"""Cuts a stream of bytes into packets, however the network has cut it (MQTT 3.1.1, 2.2.3)."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import Malformed


class Framer:
    """Takes the bytes of one connection in one direction, and gives whole packets."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = b""
        """The beginning of a packet that waits for the rest."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The packets that are now whole, in order.

        Raises:
            Malformed: a length takes more than four bytes; the packets before it have been given.
        """
        data = self.held + data
        start, end = 0, len(data)
        while end - start >= 2:
            length, shift, at = 0, 0, start + 1
            while at < end:
                byte = data[at]
                length |= (byte & 127) << shift
                at += 1
                if byte < 128:
                    break
                shift += 7
                if shift > 21:
                    raise Malformed("MQTT-2.2.3", "a remaining length has four bytes at most")
            else:
                break
            if end - at < length:
                break
            yield data[start : at + length]
            start = at + length
        self.held = data[start:]
