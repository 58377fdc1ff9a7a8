"""How simcore sends frames while it examines: as in a run, or as awkwardly as it may."""

from __future__ import annotations

import fcntl
import json
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass

from simcore.protocol.channel import Channel

_TAKEN = 0.2
"""Seconds that a program has for taking a piece before the next one follows."""
_UNKNOWABLE = 0.02
"""The same where it cannot be seen whether it took it (TCP)."""


@dataclass(frozen=True)
class Manner:
    """How simcore behaves in a session.

    Attributes:
        strict: listen also when there is nothing to be said.
        extras: add fields that the program does not know.
        pieces: send each frame in pieces.
        pauses: numbers of the exchanges before which simcore takes its time.
        cut: into how many parts windows are cut; grants end at each event then.
        batch: hand a network all its inputs at once.
    """

    strict: bool = False
    extras: bool = False
    pieces: bool = False
    pauses: frozenset[int] = frozenset()
    cut: int = 1
    batch: bool = False


def dressed(line: bytes) -> bytes:
    """A frame with fields of a later version, before and behind those that are known."""
    frame = json.loads(line)
    for each in frame.get("inputs", ()):
        each["zz-later"] = {"kind": "none", "at": 0}
    inputs = frame.pop("inputs", None)
    first = {"aa-later": {"type": "SHUTDOWN", "until": [0]}}
    last = {"zz-later": None}
    known = frame if inputs is None else {**frame, "inputs": inputs}
    return json.dumps({**first, **known, **last}, separators=(",", ":")).encode() + b"\n"


def send(
    channel: Channel,
    line: bytes,
    deadline_s: float,
    idle: Callable[[], None],
    *,
    pieces: bool = False,
) -> None:
    """Send a line, in pieces if that is asked for: one after the other was taken."""
    while pieces and len(line) > 1:
        head, line = line[: len(line) // 3 + 1], line[len(line) // 3 + 1 :]
        channel.send(head, deadline_s, idle)
        _wait_until_taken(channel)
        pieces = len(line) > 20
    channel.send(line, deadline_s, idle)


def _wait_until_taken(channel: Channel) -> None:
    """Wait until the program has read what was sent, as far as the kernel tells."""
    deadline = time.monotonic() + _TAKEN
    waiting = fcntl.ioctl(channel.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    if not struct.unpack("i", waiting)[0]:
        time.sleep(_UNKNOWABLE)
    while struct.unpack("i", waiting)[0] and time.monotonic() < deadline:
        time.sleep(0.0005)
        waiting = fcntl.ioctl(channel.fileno(), termios.TIOCOUTQ, b"\0" * 4)
