"""Bytes that a receiver did not take: told once for each line, at the line's end.

So what is told is the same for all windows, however they cut the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .frames import Chunk, Lost

_WHY = {
    "overrun": "the firmware had not read the byte before",
    "off": "the receiver was off",
}


class _Line(NamedTuple):
    """A line on its way into a receiver."""

    id: str
    uart: int
    last: int
    """When its last byte is complete, ns since power-on."""
    size: int


class Loss(NamedTuple):
    """What is lost of a message."""

    uart: int
    at: int
    """When the last byte of its line is complete, ns since power-on."""
    size: int
    """Bytes."""
    text: str
    """What to tell of it."""


class Losses:
    """The losses of one device."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._lost: list[Lost] = []

    @property
    def pending(self) -> bool:
        """Whether a line is on its way."""
        return bool(self._lines)

    def expect(self, id: str, chunk: Chunk) -> None:
        """A message is on its way into a receiver."""
        size = len(chunk.bytes) // 2
        last = chunk.due + (size - 1) * chunk.step
        self._lines.append(_Line(id, chunk.uart, last, size))

    def settle(self, lost: Sequence[Lost], end: int) -> Iterator[Loss]:
        """What is lost of the lines that were complete before an instant.

        Args:
            lost: bytes that were lost since the last time.
            end: ns since power-on.
        """
        self._lost += lost
        complete = [line for line in self._lines if line.last < end]
        self._lines = [line for line in self._lines if line.last >= end]
        for line in complete:
            found = [x for x in self._lost if x.uart == line.uart and x.at <= line.last]
            if found:
                self._lost = [x for x in self._lost if x not in found]
                why = _WHY.get(found[0].why, found[0].why)
                text = f"{len(found)} of the {line.size} bytes of {line.id} are lost: {why}"
                yield Loss(line.uart, line.last, len(found), text)
