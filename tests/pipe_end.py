"""A participant's end of a pair of pipes, with what a test calls of a socket."""

from __future__ import annotations

import os
import select
import socket
from typing import BinaryIO

from support import PATIENCE

from simcore.protocol.pipes import Pipes


class PipeEnd:
    """The side that a child would have.

    Args:
        pipes: the side; becomes the end's own.
    """

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes

    @classmethod
    def of(cls, pipes: Pipes) -> PipeEnd:
        """As a child has it: the caller closes its own."""
        return cls(Pipes(os.dup(pipes.receiving), os.dup(pipes.sending)))

    @classmethod
    def pair(cls) -> tuple[Pipes, PipeEnd]:
        """simcore's side and the other."""
        ours, theirs = Pipes.pair()
        return ours, cls(theirs)

    def recv(self, most: int) -> bytes:
        if not select.select([self._pipes.receiving], [], [], PATIENCE)[0]:
            raise TimeoutError
        return os.read(self._pipes.receiving, most)

    def send(self, data: bytes) -> int:
        return os.write(self._pipes.sending, data)

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._pipes.sending, rest) :]

    def reader(self) -> BinaryIO:
        """A file to read lines from, which is to be closed as well."""
        return os.fdopen(os.dup(self._pipes.receiving), "rb")

    def shutdown(self, direction: int) -> None:
        """Let go of one of the pipes."""
        if direction == socket.SHUT_RD:
            os.close(self._pipes.receiving)
            self._pipes.receiving = -1
        else:
            os.close(self._pipes.sending)
            self._pipes.sending = -1

    def close(self) -> None:
        self._pipes.close()

    def __enter__(self) -> PipeEnd:
        return self

    def __exit__(self, *what: object) -> None:
        self.close()
