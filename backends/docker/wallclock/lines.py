"""Talking to a program by lines: one in for each message, and one out for each of its own."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from queue import SimpleQueue

from simcore.payload import freeze
from simcore.protocol.peer import Message
from simcore.protocol.pipes import Pipes

from .outbox import Outbox, value_of

MAX_LINE = 1 << 20
"""Bytes that a line may have."""


class Lines:
    """The standard input and output of a container.

    A line answers the oldest message that has no answer yet, as that of a filter does; or all
    lines go to one node.

    Args:
        pipes: our side of what leads to the container; closed by `close`.
        outbox: takes what it says.
        kind: of the messages that its lines become.
        to: the node that all lines go to; None: to who asked.
        log: file that lines go to which nobody has asked for.
    """

    def __init__(self, pipes: Pipes, outbox: Outbox, kind: str, to: str | None, log: Path) -> None:
        self._pipes = pipes
        self._outbox = outbox
        self._kind = kind
        self._to = to
        self._log = log
        self._asked: deque[Message] = deque()
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=work, name="simcore-lines", daemon=True)
            for work in (self._read, self._write)
        ]

    def open(self, deadline: float, check: Callable[[], None]) -> None:
        """Begin to listen; a program is ready for lines once it is started."""
        for thread in self._threads:
            thread.start()

    def hand(self, message: Message) -> None:
        """Write a message's payload as one line of JSON; returns at once."""
        if self._to is None:
            self._asked.append(message)
        self._queue.put(freeze(message.payload).encode() + b"\n")

    def close(self) -> None:
        """Have no more to say. Listening ends with the container."""
        self._queue.put(None)
        if not self._threads[0].ident:
            self._pipes.close()

    def _write(self) -> None:
        # A program that does not read holds up its lines, and nothing else.
        with suppress(OSError):
            while (line := self._queue.get()) is not None:
                view = memoryview(line)
                while view:
                    view = view[os.write(self._pipes.sending, view) :]
        os.close(self._pipes.sending)

    def _read(self) -> None:
        rest = b""
        try:
            with self._log.open("ab", buffering=0) as log:
                while self._outbox.failure is None and (
                    data := os.read(self._pipes.receiving, 1 << 16)
                ):
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._hear(line.removesuffix(b"\r"), log)
                    if len(rest) > MAX_LINE:
                        self._outbox.fail(
                            f"it wrote {MAX_LINE >> 20} MiB to its standard output without the "
                            "end of a line"
                        )
        finally:
            os.close(self._pipes.receiving)

    def _hear(self, line: bytes, log: RawIOBase) -> None:
        if self._to is not None:
            self._outbox.say(self._to, self._kind, value_of(line), len(line))
        elif self._asked:
            cause = self._asked.popleft()
            self._outbox.answer(cause, self._kind, value_of(line), len(line), in_turn=True)
        else:
            log.write(line + b"\n")
            self._outbox.mutter()
