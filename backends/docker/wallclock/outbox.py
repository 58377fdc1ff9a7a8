"""What a container has said and simcore has not heard yet, with the times at which it was said."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from simcore.payload import PayloadError, refreeze, thaw
from simcore.protocol.peer import Message

MAX_SAID = 10_000
"""Things that a container may say within one window."""


class Said(NamedTuple):
    """A message of a container's.

    Attributes:
        at: when it was said (virtual ns).
        destination: name of a node.
        kind: what it is.
        payload: its value.
        size: bytes as the container wrote it.
        cause: the message that it answers.
        spent: time that the answer waited, and took (ns).
    """

    at: int
    destination: str
    kind: str
    payload: Any
    size: int
    cause: Message | None = None
    spent: tuple[int, int] | None = None


class Outbox:
    """Takes what threads hear from one container.

    Args:
        now: tells the container's virtual time, ns.
        wake: called when something is wrong.

    Attributes:
        failure: what is wrong with what the container says; None: nothing.
    """

    def __init__(self, now: Callable[[], int], wake: Callable[[], None]) -> None:
        self.failure: str | None = None
        self._now = now
        self._wake = wake
        self._said: deque[Said] = deque()
        self._answered = 0
        self._heard = 0
        self._lock = threading.Lock()

    def say(self, destination: str, kind: str, payload: Any, size: int) -> None:
        """Note a message that answers no other."""
        with self._lock:
            self._put(Said(self._now(), destination, kind, payload, size))

    def answer(
        self, cause: Message, kind: str, payload: Any, size: int, *, in_turn: bool = False
    ) -> None:
        """Note the answer to a message.

        Args:
            cause: that message.
            kind: what the answer is.
            payload: its value.
            size: bytes as the container wrote it.
            in_turn: the container answers one after the other, so this one has waited for those
                before it.
        """
        with self._lock:
            now = self._now()
            began = max(cause.at, self._answered) if in_turn else cause.at
            if in_turn:
                self._answered = now
            spent = (began - cause.at, now - began)
            self._put(Said(now, cause.source, kind, payload, size, cause, spent))

    def mutter(self) -> None:
        """Note that something was said which is no message."""
        with self._lock:
            self._count()

    def _put(self, said: Said) -> None:
        if self._count():
            self._said.append(said)

    def _count(self) -> bool:
        """Whether one thing more may be said."""
        self._heard += 1
        if self._heard > MAX_SAID:
            self._fail(
                f"it printed or answered more than {MAX_SAID:,} times within one window: what is "
                "no message belongs on its standard error"
            )
        return self.failure is None

    def fail(self, why: str) -> None:
        """Note that nothing more can be heard."""
        with self._lock:
            self._fail(why)

    def _fail(self, why: str) -> None:
        self.failure = self.failure or why
        self._wake()

    def take(self, until: int) -> list[Said]:
        """What was said before a time (virtual ns), in that order."""
        with self._lock:
            found = []
            self._heard = 0
            while self._said and self._said[0].at < until:
                found.append(self._said.popleft())
            return found


def value_of(data: bytes) -> Any:
    """What a container's bytes mean: JSON if they are JSON, else text, else the bytes."""
    try:
        return thaw(refreeze(data))
    except PayloadError:
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
