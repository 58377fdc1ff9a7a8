"""Ctrl-C and SIGTERM: a run ends in order at the first, whatever it does at the second.

A signal may come while files are imported, in the middle of an instant, inside a model that
never returns, or while results are being written. What should happen differs; here it is
decided, once.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from simcore.errors import ExitCode, Interrupted

_AGAIN = 0.005
"""Seconds after which a signal is tried again whose exception nobody could be given."""


class _Stop(KeyboardInterrupt):
    """Raised for a signal.

    A plain KeyboardInterrupt that passes through an `exec` of text, such as those of dataclasses
    and named tuples at an import, has CPython end the process by SIGINT whatever its exit code.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Stopping:
    """What Ctrl-C and SIGTERM do to a run; which depends on how far it is.

    Until something has been told to end in order (`orderly`), and at the second signal, a
    KeyboardInterrupt is raised wherever the program is: a model that loops without end, or that
    catches every Exception, is to be stopped too.

    Args:
        say: shows a line to the user.

    Attributes:
        asked: what the first signal stands for; None without one.
        over: set where the process has been stopped and only takes leave: nothing is left that a
            further signal could stop, and none is to change the exit code.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked: ExitCode | None = None
        self.over = False
        self._say = say
        self._orderly: tuple[Callable[[ExitCode], None], str] | None = None

    @contextmanager
    def orderly(self, stop: Callable[[ExitCode], None], words: str) -> Iterator[None]:
        """While this lasts, have the first signal call `stop`, and say `words`."""
        before, self._orderly = self._orderly, (stop, words)
        if self.asked is not None:
            stop(self.asked)
        try:
            yield
        finally:
            self._orderly = before

    def handle(self, number: int, _: object) -> None:
        """Handle a signal."""
        first = self.asked is None
        if first:
            self.asked = ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED
        if not first or self._orderly is None:
            raise _Stop(number)
        stop, words = self._orderly
        assert self.asked is not None
        stop(self.asked)
        # The program may be in the middle of writing a line itself; or nobody can be told.
        with suppress(RuntimeError, OSError):
            self._say(f"{words}; once more stops at once")


@contextmanager
def _nothing_lost() -> Iterator[None]:
    """Have no signal be lost that comes while what Python clears up runs.

    What is raised there, as in the callback that each import leaves to be called, Python tells
    to `sys.unraisablehook` and forgets. The signal then comes once more, a little later.
    """
    before = sys.unraisablehook

    def take(lost: Any) -> None:
        if isinstance(lost.exc_value, _Stop):
            # No `threading.Thread`: this may be in the midst of anything, with its locks in hand.
            _thread.start_new_thread(_come_again, (lost.exc_value.number,))
        else:
            before(lost)

    sys.unraisablehook = take
    try:
        yield
    finally:
        if sys.unraisablehook is take:
            sys.unraisablehook = before


def _come_again(number: int) -> None:
    time.sleep(_AGAIN)
    if getattr(signal.getsignal(number), "__func__", None) is Stopping.handle:
        # A real one: nothing else wakes a thread that waits.
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _came_of_signal(error: BaseException | None) -> bool:
    """Whether a signal is behind an error: Python 3.11 wraps what the making of a class raises."""
    seen: set[int] = set()  # what a model raised of simcore's errors is its own cause
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__
    return False


@contextmanager
def signals(say: Callable[[str], None]) -> Iterator[Stopping]:
    """Turn Ctrl-C and SIGTERM into the end of a run.

    Only the main thread can have signal handlers; elsewhere this does nothing.

    Raises:
        Interrupted: a signal stopped what the context holds.
    """
    stopping = Stopping(say)
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stopping.handle)
    try:
        with _nothing_lost() if before else nullcontext():
            yield stopping
    except BaseException as error:
        if _came_of_signal(error):
            raise Interrupted(stopping.asked or ExitCode.INTERRUPTED) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stopping.over else handler)
