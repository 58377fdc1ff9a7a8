"""How simcore sends frames while it examines: as in a run, or as awkwardly as it may."""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass

from simcore.protocol.channel import Channel
from simcore.protocol.pipes import Pipes

_TAKEN = 2.0
"""Seconds that a program has for taking a piece before the next one follows."""
_UNKNOWABLE = 0.02
"""The same where it cannot be seen whether it took it (TCP)."""


@dataclass(frozen=True)
class Manner:
    """How simcore behaves in a session.

    Attributes:
        strict: listen also when there is nothing to be said.
        extras: add fields that the program does not know.
        pieces: into how many each frame is cut.
        pauses: numbers of the exchanges before which simcore takes its time.
        cut: into how many parts windows are cut; grants end at each event then.
        batch: hand a network all its inputs at once.
    """

    strict: bool = False
    extras: bool = False
    pieces: int = 1
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
    pieces: int = 1,
) -> None:
    """Send a line.

    Args:
        deadline_s: seconds of wall time that the program has to take it.
        idle: called each tenth of a second; what it raises ends the waiting.
        pieces: into how many it is cut; each is sent when the one before was taken.
    """
    size = len(line) // pieces + 1
    for begin in range(0, len(line), size):
        if begin:
            _wait_until_taken(channel)
        channel.send(line[begin : begin + size], deadline_s, idle)


def _wait_until_taken(channel: Channel) -> None:
    """Wait until the program has read what was sent, as far as the kernel tells."""
    stream = channel.stream
    if isinstance(stream, Pipes):
        file, request = stream.sending, termios.FIONREAD
    elif stream.family == socket.AF_UNIX:
        file, request = stream.fileno(), termios.TIOCOUTQ
    else:
        time.sleep(_UNKNOWABLE)
        return
    deadline = time.monotonic() + _TAKEN
    while _untaken(file, request) and time.monotonic() < deadline:
        time.sleep(0.0005)


def _untaken(file: int, request: int) -> int:
    """Bytes that the other side has not read yet."""
    count: int = struct.unpack("i", fcntl.ioctl(file, request, b"\0" * 4))[0]
    return count
