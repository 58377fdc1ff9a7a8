"""What becomes of messages on their way into a device: heard in whole, or in part.

A message is heard when the last byte of its line is complete. All that follows from it is told at
that time, and so is the same for all windows, however they cut the line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from simcore.answers import CAUSES
from simcore.message import Message

from .frames import Chunk, Lost

_WHY = {
    "overrun": "the firmware had not read the byte before",
    "off": "the receiver was off",
}


class _Line(NamedTuple):
    """A line on its way into a receiver."""

    message: Message
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


class Reception:
    """What one device hears."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._lost: list[Lost] = []
        self._heard: list[Message] = []
        self._times: list[int] = []
        self._places: dict[str, int] = {}
        self._forgotten = 0

    @property
    def pending(self) -> bool:
        """Whether a line is on its way."""
        return bool(self._lines)

    def expect(self, message: Message, chunk: Chunk) -> None:
        """A message is on its way into a receiver."""
        size = len(chunk.bytes) // 2
        last = chunk.due + (size - 1) * chunk.step
        self._lines.append(_Line(message, chunk.uart, last, size))

    def settle(self, lost: Sequence[Lost], end: int) -> list[Loss]:
        """Hear the lines that were complete before an instant; returns what is lost of them.

        Args:
            lost: bytes that were lost since the last time.
            end: ns since power-on.
        """
        self._lost += lost
        complete = [line for line in self._lines if line.last < end]
        if not complete:
            return []
        self._lines = [line for line in self._lines if line.last >= end]
        complete.sort(key=attrgetter("last"))
        self._forget()
        losses = []
        for line in complete:
            self._places[line.message.id] = self._forgotten + len(self._heard)
            self._heard.append(line.message)
            self._times.append(line.last)
            found = [x for x in self._lost if x.uart == line.uart and x.at <= line.last]
            if found:
                self._lost = [x for x in self._lost if x not in found]
                why = _WHY.get(found[0].why, found[0].why)
                text = f"{len(found)} of the {line.size} bytes of {line.message.id} are lost: {why}"
                losses.append(Loss(line.uart, line.last, len(found), text))
        return losses

    def _forget(self) -> None:
        """Let go of what is too old for all that is still to come."""
        old = max(len(self._heard) - CAUSES, 0)
        for message in self._heard[:old]:
            del self._places[message.id]
        del self._heard[:old], self._times[:old]
        self._forgotten += old

    def find(self, id: str, at: int) -> Message | None:
        """One of the last 256 messages that were heard by an instant (ns since power-on)."""
        place = self._places.get(id)
        if place is None:
            return None
        by_then = self._forgotten + bisect_right(self._times, at)
        if not by_then - CAUSES <= place < by_then:
            return None
        return self._heard[place - self._forgotten]
