"""What goes on beside a run without being an event of it: stopping, flushing, sampling.

A thread looks at the run a few times a second. It never touches the run itself: it raises a
flag, and the run attends to it between two instants, where everything is consistent. So
nothing of this can change the order of events or the digest.
"""

from __future__ import annotations

import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import simpy

from simcore.errors import ExitCode, Interrupted

if TYPE_CHECKING:
    from simcore.federation import Federation

_PERIOD = 0.02
_FLUSH_EVERY = 1.0
_OWN = (str(Path(__file__).parent) + "/", str(Path(simpy.__file__).parent) + "/")
_LIBRARY = (sysconfig.get_path("stdlib") + "/", sysconfig.get_path("purelib") + "/", "<")


class Housekeeper:
    """Watches over one run from a thread of its own.

    Args:
        federation: the run.
        tick: called a few times a second, from the thread, with the virtual time (ns).

    Attributes:
        samples: how often the running thread was looked at.
        own: how often it was in simcore or SimPy rather than in a model.
    """

    def __init__(self, federation: Federation, tick: Callable[[int], None] | None = None) -> None:
        self.samples = 0
        self.own = 0
        self.stop_with: ExitCode | None = None
        self.woken = threading.Event()
        self._federation = federation
        self._tick = tick
        self._flush_due = False
        self._ended = threading.Event()
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="simcore-housekeeper", daemon=True)

    def __enter__(self) -> Housekeeper:
        self._federation.attend = self.attend
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._federation.attend = None

    @property
    def share(self) -> float | None:
        """Part of the wall time spent in simcore and SimPy; None if the run was too short to tell."""
        return self.own / self.samples if self.samples >= 10 else None

    def request_stop(self, code: ExitCode) -> None:
        """Have the run end at the next instant."""
        self.stop_with = code
        self.woken.set()
        self._federation.calendar.busy = True

    def attend(self) -> None:
        """Do what is due; called by the run between two instants.

        Raises:
            Interrupted: the run was asked to stop.
        """
        if self.stop_with is not None:
            raise Interrupted(self.stop_with)
        if self._flush_due:
            self._flush_due = False
            self._federation.recorder.flush(self._federation.calendar.now)

    def _watch(self) -> None:
        federation, calendar = self._federation, self._federation.calendar
        flushed = ticked = time.monotonic()
        while not self._ended.wait(_PERIOD):
            now = time.monotonic()
            frame = sys._current_frames().get(self._watched)
            if frame is not None:
                self.samples += 1
                self.own += _is_own(frame)
            if now - flushed >= _FLUSH_EVERY:
                flushed = now
                self._flush_due = True
                calendar.busy = True
            if self._tick is not None and now - ticked >= 0.2:
                ticked = now
                self._tick(min(calendar.now, federation.end))


def _is_own(frame: FrameType | None) -> bool:
    """Whether simcore or SimPy, rather than a user's file, called what is running."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_OWN):
            return True
        if not name.startswith(_LIBRARY):
            return False
        frame = frame.f_back
    return True


@contextmanager
def signals(housekeeper: Housekeeper, say: Callable[[str], None]) -> Iterator[None]:
    """End the run in order on Ctrl-C and SIGTERM; a second one does not wait for the model.

    Only the main thread can have signal handlers; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> None:
        code = ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED
        if housekeeper.stop_with is not None:
            raise Interrupted(code)
        housekeeper.request_stop(code)
        say("stopping at the next instant; once more stops at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
