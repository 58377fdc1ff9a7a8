"""The connection with a program that is examined: what is sent, what comes, what is wrong with it.

The deadlines and the ways in which a program can fail are those of a run; here each is noted
with the lines that led to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from msgspec import Struct

from simcore.contract.door import Door, Ground
from simcore.contract.plan import Plan
from simcore.contract.rules import Finding
from simcore.contract.sending import Manner, dressed, send
from simcore.protocol import frames
from simcore.protocol.channel import (
    Channel,
    ChannelClosed,
    ChannelError,
    DeadlinePassed,
    LineTooLong,
)
from simcore.protocol.frames import ProtocolError

GRACE = 1.0
"""Seconds that last words may take to come from a program that has ended, as in a run."""

UNASKED = 0.02
"""Seconds for which a program is listened to when it has nothing to say."""

_DYING = 5.0
"""Seconds in which a program that closed its connection may end, as in a run."""
_ORDER = ("HELLO", "READY", "DONE", "BYE")
_EXCERPT = 300


class Lost(Exception):
    """The conversation cannot go on; why has been noted."""


class _Ended(Exception):
    """The program ended while it was waited for."""


class Conversation:
    """A program that is started and spoken with.

    Args:
        ground: where it takes place.
        plan: how to examine.
        note: is told how a rule was broken; may raise.
        manner: how simcore behaves.
        where: what it is for, as it stands in findings.
    """

    def __init__(
        self,
        ground: Ground,
        plan: Plan,
        note: Callable[[Finding], None],
        manner: Manner,
        where: str,
    ) -> None:
        self.plan = plan
        self.manner = manner
        self.where = where
        self._note = note
        self._doing = "start"
        self._door = Door(ground, plan)
        self._channel: Channel | None = None
        self._ended_at: float | None = None
        self._sent = self._came = b""

    def kill(self) -> None:
        """End the program at once."""
        if self._channel is not None:
            self._channel.close()
        self._door.close()

    def _send(self, frame: Struct) -> None:
        self._send_line(frames.encode(frame))

    def _send_line(self, line: bytes) -> None:
        if self.manner.extras:
            line = dressed(line)
        self._sent, self._came = line, b""
        channel = self._channel
        assert channel is not None
        send(channel, line, self.plan.timeout, self._idle, self.manner.pieces)

    def _receive(self, deadline_s: float, limit: int = frames.MAX_LINE) -> bytes:
        assert self._channel is not None
        self._came = line = self._channel.receive(deadline_s, limit, self._idle)
        return line

    def _surplus(self) -> bytes:
        return b"" if self._channel is None else self._channel.surplus

    def _expect_silence(self, after: str) -> None:
        assert self._channel is not None
        line = self._surplus()
        if not line:
            try:
                line = self._channel.receive(UNASKED)
            except ChannelError:
                line = self._surplus()  # an end is met where something is expected
        if line:
            self._came = line
            self._fail("unasked-frame", f"more came after {after}: {line[:60]!r}")

    def _idle(self) -> None:
        if not self._door.running.status().ended:
            return
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now
        elif now - self._ended_at >= GRACE:
            raise _Ended

    # -- what went wrong

    def note(self, rule: str, says: str) -> None:
        """Note how a rule was broken."""
        self._note(
            Finding(
                rule,
                says,
                f"{self.where}, {self._doing}",
                _excerpt(self._sent),
                _excerpt(self._came),
                self._door.tail(),
            )
        )

    def _fail(self, rule: str, says: str) -> NoReturn:
        self.note(rule, says)
        raise Lost

    def _given_up(self, frame: frames.Error) -> NoReturn:
        self._door.running.wait(GRACE)  # with its last words in the log
        self._fail("participant-error", f"ERROR: {frame.message}")

    def _protocol(self, error: ProtocolError, line: bytes, expected: str) -> None:
        """Note a frame that is not what was expected; returns if one can go on all the same."""
        found = loose(line).get("type")
        if found in _ORDER and _ORDER.index(found) < _ORDER.index(expected):
            self._fail("unasked-frame", f"{expected} was expected, and one more {found} came")
        self.note(error.rule, str(error))
        if error.rule not in ("frame-shape", "protocol-version") or found != expected:
            raise Lost

    @contextmanager
    def _watched(self, before: str) -> Iterator[None]:
        """Note what keeps the program from doing what is awaited.

        Args:
            before: what it does not come to do, as the end of a sentence.
        """
        running = self._door.running
        try:
            yield
        except (ChannelError, _Ended) as error:
            if isinstance(error, DeadlinePassed):
                self._came = self._surplus()
                self._fail("deadline" if self._channel else "connect", str(error))
            if isinstance(error, LineTooLong):
                self._came = self._surplus()
                self._fail("line-too-long", str(error))
            if isinstance(error, ChannelClosed):
                running.wait(_DYING if error.direction == "both" else GRACE)
            if running.status().ended:
                self._hear_last_words()
                self._fail("process-ended", f"it {running.describe()} before {before}")
            self._fail("connection", f"{error}, before {before}")

    def _hear_last_words(self) -> None:
        """A program that gives up may have said so between two exchanges."""
        if self._channel is None:
            return
        with suppress(ChannelError, ProtocolError):
            frame = frames.decode_bye(self._channel.receive(UNASKED))
            if isinstance(frame, frames.Error):
                self._given_up(frame)


def loose(line: bytes) -> dict[str, Any]:
    """The fields of a frame, whatever is wrong with it."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _excerpt(line: bytes) -> str:
    text = line[: _EXCERPT + 4].decode(errors="backslashreplace").rstrip("\n")
    if len(text) <= _EXCERPT:
        return text
    return f"{text[:_EXCERPT]}... ({len(line)} bytes)"
