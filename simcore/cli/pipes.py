"""Output that nobody reads any more: `python -m simcore SCENARIO | head -1`.

What the reader of a pipe does says nothing about the run. So a command goes on without output
and ends with its own exit code, where Python would end it in the middle of a line.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Pipe(io.FileIO):
    """A file descriptor that leads nowhere from the moment on at which its reader has gone."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write; what comes after the reader is thrown away."""
        try:
            return super().write(data)
        except BrokenPipeError:
            # See the note on SIGPIPE in docs.python.org/3/library/signal.html: the flush at the
            # interpreter's exit, and what else writes to this descriptor, is to succeed as well.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Have standard output and standard error take everything, whether it is read or not."""
    if sys.stdout is sys.__stdout__:  # else somebody who calls us collects what is written
        sys.stdout = _outliving(sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _outliving(sys.stderr)


def _outliving(stream: TextIO | None) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # None where the process has no such stream
        return stream
    stream.flush()
    raw = _Pipe(stream.fileno(), "w", closefd=False)
    buffered = isinstance(stream.buffer, io.BufferedWriter)  # not with PYTHONUNBUFFERED
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
