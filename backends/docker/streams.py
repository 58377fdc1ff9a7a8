"""What is attached to a container: what it prints, and what it is told over its standard input.

The engine sends both outputs in one stream, in pieces that say where they come from. One thread
carries all of it, in both directions: an encrypted connection must not be used by two at once, and
neither direction may hold up the other.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_HEADER = 8
"""Bytes in front of each piece: where it comes from, three zeros, and its length."""
_STDOUT = 1
_PIECE = 1 << 16
_KEPT = 1 << 20
"""Bytes that wait for a slow reader before no more are taken."""
_NOTHING_NOW = (BlockingIOError, TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Pieces:
    """Takes the engine's stream apart, however it was cut on its way."""

    def __init__(self) -> None:
        self._begun = b""
        self._left = 0
        self._from = 0

    def feed(self, data: bytes) -> Iterator[tuple[bool, bytes]]:
        """What a further part of the stream holds: whether it is standard output, and the text."""
        data = self._begun + data
        while data:
            if not self._left:
                if len(data) < _HEADER:
                    break
                self._from, self._left = data[0], int.from_bytes(data[4:_HEADER], "big")
                data = data[_HEADER:]
            text, data = data[: self._left], data[self._left :]
            self._left -= len(text)
            if text:
                yield self._from == _STDOUT, text
        self._begun = data


class Streams:
    """The streams of one container.

    Args:
        stream: what docker-py gives for an attached container.
        log: file that its output goes to; closed at the end.
        stdio: where to read its input from and write its output to, if it is spoken with so;
            closed at the end.
    """

    def __init__(self, stream: Any, log: int, stdio: tuple[int, int] | None) -> None:
        self._stream = stream  # it would close its socket as it goes
        self._socket = socket_of(stream)
        self._log = log
        self._receiving: int | None = None
        self._sending: int | None = None
        if stdio is not None:
            self._receiving, self._sending = stdio
        self._pieces = Pieces()
        self._input = b""
        self._output = bytearray()
        for each in stdio or ():
            os.set_blocking(each, False)
        self._socket.setblocking(False)

    def carry(self) -> None:
        """Carry all that comes, to the end of the container's output; never raises."""
        try:
            with suppress(OSError):
                while self._turn():
                    pass
            with suppress(OSError):  # the last words
                if self._sending is not None and self._output:
                    os.set_blocking(self._sending, True)
                    _write_all(self._sending, self._output)
        finally:
            os.close(self._log)
            with suppress(OSError):
                self._socket.close()

    def close(self) -> None:
        """Let go of the container's own ends of the pipes."""
        for each in (self._receiving, self._sending):
            if each is not None:
                os.close(each)
        self._receiving = self._sending = None

    def _turn(self) -> bool:
        """Wait until something can move, and move it; whether there is more to come."""
        poll = select.poll()
        sock = self._socket.fileno()
        room = len(self._output) < _KEPT
        wanted = (select.POLLIN if room else 0) | (select.POLLOUT if self._input else 0)
        if wanted:
            poll.register(sock, wanted)
        if self._receiving is not None and not self._input:
            poll.register(self._receiving, select.POLLIN)
        if self._sending is not None:
            poll.register(self._sending, select.POLLOUT if self._output else 0)
        # What an encrypted connection has read ahead, no poll tells of.
        ahead = room and getattr(self._socket, "pending", int)()
        events = dict(poll.poll(0 if ahead else None))
        if self._receiving in events:
            self._hear(self._receiving)
        if self._input:
            self._tell()
        if self._sending in events:
            if events[self._sending] & select.POLLERR:
                self._speak_to_nobody()
            else:
                self._hand_on()
        return not (room and (sock in events or ahead)) or self._take()

    def _hear(self, receiving: int) -> None:
        """Take what the container is told."""
        with suppress(*_NOTHING_NOW):
            self._input = os.read(receiving, _PIECE)
            if not self._input:
                self._end_input()

    def _tell(self) -> None:
        """Hand it to the container."""
        with suppress(*_NOTHING_NOW):
            try:
                self._input = self._input[self._socket.send(self._input) :]
            except (BrokenPipeError, ConnectionError):  # what it said before may still come
                self._end_input()

    def _end_input(self) -> None:
        """Nothing more is said to the container."""
        self._input = b""
        if self._receiving is not None:
            os.close(self._receiving)
            self._receiving = None
        # One direction of an encrypted connection cannot be closed alone.
        if not isinstance(self._socket, ssl.SSLSocket):
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def _take(self) -> bool:
        """Take what the container prints; whether more may come."""
        try:
            data = self._socket.recv(_PIECE)
        except _NOTHING_NOW:
            return True
        for is_stdout, text in self._pieces.feed(data):
            if is_stdout and self._sending is not None:
                self._output += text
                self._hand_on()
            else:
                _write_all(self._log, text)
        return bool(data)

    def _hand_on(self) -> None:
        """Hand on what the container says."""
        assert self._sending is not None
        try:
            del self._output[: os.write(self._sending, self._output)]
        except _NOTHING_NOW:
            pass
        except OSError:
            self._speak_to_nobody()

    def _speak_to_nobody(self) -> None:
        """Nobody listens any more: what it says goes to the log."""
        assert self._sending is not None
        os.close(self._sending)
        self._sending = None
        _write_all(self._log, self._output)
        self._output.clear()


def socket_of(stream: Any) -> Any:
    """The socket behind what docker-py gives for an attached container."""
    return getattr(stream, "_sock", stream)


def _write_all(file: int, data: bytes | bytearray) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(file, view[done:])
