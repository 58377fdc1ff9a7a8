"""A connection that carries lines, simcore's side of it: every wait has a deadline.

An exchange is the hot path of a run with participants, so it costs one `send` and one `recv`:
a socket is blocking, and the kernel wakes it each tenth of a second (SO_RCVTIMEO) so that the
caller can look after Ctrl-C and dead processes. A pipe is polled for as long, which costs less than
what a socket does. There are no threads.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable

from simcore.protocol.frames import MAX_LINE
from simcore.protocol.pipes import Pipes

SLICE = 0.1
"""Seconds of waiting between two calls of `idle`."""

_OWN = 1.0
"""Seconds of one wait that count against a deadline, at most. It lasts a slice; more, and simcore
itself was held up, as by a machine that was stopped and goes on: that is nobody else's delay."""

_SLICE = struct.pack("ll", 0, int(SLICE * 1e6))
_FIRST = 2**14
_MORE = 2**18

Idle = Callable[[], object]
"""Called each `SLICE` while nothing moves; what it raises ends the waiting."""


class ChannelError(Exception):
    """The connection cannot be used any more; the text says why."""


class ChannelClosed(ChannelError):
    """The peer closed the connection, or one direction of it.

    Args:
        direction: "both", or the one that the participant gave up: "sending" or "receiving".
    """

    def __init__(self, message: str, direction: str) -> None:
        self.direction = direction
        super().__init__(message, direction)

    def __str__(self) -> str:
        return str(self.args[0])


class DeadlinePassed(ChannelError):
    """Nothing, or not enough, came or was taken in time."""


class LineTooLong(ChannelError):
    """More bytes than a line may have came without a newline."""


class Channel:
    """Lines over a connected stream socket, or over a pair of pipes.

    Args:
        stream: becomes the channel's, which sets how long it waits.
        name: of the participant, for messages.
        buffered: bytes that were read from it before.
    """

    __slots__ = ("_buffer", "name", "stream")

    def __init__(self, stream: socket.socket | Pipes, name: str, buffered: bytes = b"") -> None:
        if isinstance(stream, Pipes):
            stream.settimeout(SLICE)
        else:
            _wake_each_slice(stream)
        self.stream = stream
        self._buffer = buffered
        self.name = name

    @property
    def surplus(self) -> bytes:
        """Bytes that came after the last line: nothing is to come unasked."""
        return self._buffer

    def send(self, data: bytes, deadline_s: float, idle: Idle | None = None) -> None:
        """Send bytes, all of them.

        Args:
            deadline_s: seconds from now until the participant must have taken them.

        Raises:
            ChannelClosed: the participant does not read any more.
            DeadlinePassed: it did not take them in time.
        """
        left = deadline_s
        rest: bytes | memoryview = data
        while True:
            since = time.monotonic()
            try:
                sent = self.stream.send(rest)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise self._closed("receiving", error) from None
            if sent == len(rest):
                return
            rest = memoryview(rest)[sent:]
            left -= _counted(since)
            if left <= 0:
                raise DeadlinePassed(
                    f"{self.name} did not read within {deadline_s:g} s: "
                    f"{len(data) - len(rest)} of {len(data)} bytes were taken"
                )
            if idle is not None:
                idle()

    def receive(self, deadline_s: float, limit: int = MAX_LINE, idle: Idle | None = None) -> bytes:
        """Wait for a line.

        Args:
            deadline_s: seconds from now until the whole line must be there.
            limit: bytes that it may have.

        Returns:
            The line without its newline.

        Raises:
            ChannelClosed: the participant does not send any more.
            DeadlinePassed: no whole line came in time.
            LineTooLong: more than `limit` bytes came without a newline.
        """
        since = time.monotonic()
        if not self._buffer:  # as always between two exchanges
            data = self._read(_FIRST)
            if data is not None:
                end = data.find(b"\n")
                if end == len(data) - 1 and 0 <= end <= limit:
                    return data[:-1]
                self._buffer = data
            elif idle is not None:
                idle()
        return self._receive_parts(since, deadline_s, limit, idle)

    def _receive_parts(
        self, since: float, deadline_s: float, limit: int, idle: Idle | None
    ) -> bytes:
        """The long way: a line that comes in parts, late, or with more behind it."""
        buffer, looked, left = bytearray(self._buffer), 0, deadline_s
        try:
            while (end := buffer.find(b"\n", looked, limit + 1)) < 0:
                looked = len(buffer)
                if looked > limit:
                    raise LineTooLong(
                        f"{self.name} sent more than {_size(limit)} without a newline: "
                        f"{bytes(buffer[:60])!r}..."
                    )
                left -= _counted(since)
                if left <= 0:
                    what = f"{looked} bytes without a newline" if looked else "nothing"
                    raise DeadlinePassed(f"{self.name} sent {what} within {deadline_s:g} s")
                since = time.monotonic()
                data = self._read(min(_MORE, limit + 2 - looked), looked)
                if data is not None:
                    buffer += data
                elif idle is not None:
                    idle()
        except BaseException:
            self._buffer = bytes(buffer)
            raise
        self._buffer = bytes(buffer[end + 1 :])
        return bytes(buffer[:end])

    def _read(self, most: int, got: int = 0) -> bytes | None:
        """What has come, or None if nothing did within a slice."""
        try:
            data = self.stream.recv(most)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._closed("sending", error, got) from None
        if not data:
            raise self._closed("sending", None, got)
        return data

    def _closed(self, direction: str, error: OSError | None, got: int = 0) -> ChannelClosed:
        """Which direction is closed: a participant that ended has closed both."""
        if error is not None and not isinstance(error, ConnectionError):
            return ChannelClosed(f"the connection to {self.name} broke: {error}", "both")
        if self._is_gone() or isinstance(error, ConnectionResetError):
            direction = "both"
        what = {
            "both": f"{self.name} closed its connection",
            "sending": f"{self.name} closed the direction in which it sends",
            "receiving": f"{self.name} closed the direction in which it reads",
        }[direction]
        within = f" in the middle of a line, after {got} bytes" if got else ""
        return ChannelClosed(f"{what}{within}", direction)

    def _is_gone(self) -> bool:
        if isinstance(self.stream, Pipes):
            return self.stream.is_gone()
        poll = select.poll()
        poll.register(self.stream, 0)
        return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))

    def close(self) -> None:
        """Close the connection."""
        self.stream.close()


def _counted(since: float) -> float:
    """Seconds of a wait that count, from when it began by `time.monotonic`."""
    return min(time.monotonic() - since, _OWN)


def _wake_each_slice(sock: socket.socket) -> None:
    sock.setblocking(True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SLICE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SLICE)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _size(limit: int) -> str:
    return f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit} bytes"
