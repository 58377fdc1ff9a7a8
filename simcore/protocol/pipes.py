"""A pair of pipes, which is what a child's standard input and output lead to.

An exchange over pipes costs the kernel half of what one over a socket does. A pipe knows no
timeout, though: who waits has to poll, and does so for a limited time.
"""

from __future__ import annotations

import os
import select
import time

_LETTING_GO_MS = 100
"""How long a dying process may take from closing one pipe to closing the other."""


class Pipes:
    """One side of a pair of pipes, with the calls of a socket that a channel makes.

    Args:
        receiving: file descriptor to read from.
        sending: file descriptor to write to.
    """

    __slots__ = ("_readable", "_timeout_ms", "receiving", "sending")

    def __init__(self, receiving: int, sending: int) -> None:
        self.receiving = receiving
        self.sending = sending
        self._timeout_ms: int | None = None
        poll = select.poll()
        poll.register(receiving, select.POLLIN)
        self._readable = poll.poll

    @classmethod
    def pair(cls) -> tuple[Pipes, Pipes]:
        """Two sides that are connected, as `socket.socketpair`; no program inherits them."""
        receiving, its_sending = os.pipe()
        try:
            its_receiving, sending = os.pipe()
        except OSError:
            os.close(receiving)
            os.close(its_sending)
            raise
        return cls(receiving, sending), cls(its_receiving, its_sending)

    def settimeout(self, seconds: float) -> None:
        """Have `recv` and `send` wait for so long at most."""
        self._timeout_ms = int(seconds * 1000)
        os.set_blocking(self.receiving, False)
        os.set_blocking(self.sending, False)

    def recv(self, most: int) -> bytes:
        """What has come, as soon as there is something; nothing at the end.

        Raises:
            BlockingIOError: nothing came in time.
        """
        if not self._readable(self._timeout_ms):
            raise BlockingIOError
        return os.read(self.receiving, most)

    def send(self, data: bytes | memoryview) -> int:
        """Send what goes until the time is over; returns how many bytes.

        Raises:
            BrokenPipeError: nobody can read it any more.
        """
        try:
            sent = os.write(self.sending, data)
        except BlockingIOError:
            sent = 0
        return sent if sent == len(data) else self._send_on(memoryview(data), sent)

    def _send_on(self, data: memoryview, sent: int) -> int:
        """The long way: the pipe is full, and takes more as it is read."""
        poll = select.poll()
        poll.register(self.sending, select.POLLOUT)
        left = self._timeout_ms
        until = None if left is None else time.monotonic() + left / 1000
        while sent < len(data) and (left is None or left >= 0) and poll.poll(left):
            sent += os.write(self.sending, data[sent:])
            if until is not None:
                left = int((until - time.monotonic()) * 1000)
        return sent

    def is_gone(self) -> bool:
        """Whether nobody has the other side any more, of neither pipe."""
        for each in (self.receiving, self.sending):
            poll = select.poll()
            poll.register(each, 0)
            if not poll.poll(_LETTING_GO_MS):
                return False
        return True

    def close(self) -> None:
        """Close both; once more has no effect."""
        for each in (self.receiving, self.sending):
            if each >= 0:
                os.close(each)
        self.receiving = self.sending = -1
