"""What goes on beside a run without being an event of it: stopping, flushing, sampling.

A thread looks at the run a few times a second. It never touches the run itself: it raises a
flag, and the run attends to it between two instants, where everything is consistent. So
nothing of this can change the order of events or the digest.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import simpy

from simcore.collection import set_aside
from simcore.errors import ExitCode, Interrupted

if TYPE_CHECKING:
    from simcore.federation import Federation

_PERIOD = 0.005
_FLUSH_EVERY = 1.0
_FEWEST_SAMPLES = 50
"""From which on a share is known to some 7 percentage points (one standard error)."""
_OWN = (str(Path(__file__).parent) + os.sep, str(Path(simpy.__file__).parent) + os.sep)
_LIBRARY = (sysconfig.get_path("stdlib") + os.sep, sysconfig.get_path("purelib") + os.sep, "<")


class Housekeeper:
    """Watches over one run from a thread of its own.

    Args:
        federation: the run.
        tick: called a few times a second, from the thread, with the virtual time (ns).

    Attributes:
        samples: how often the running thread was looked at.
        own: how often it was in simcore or SimPy rather than in a model.
        stop_with: how the run is to end; None as long as it is to go on.
        woken: set when a run that waits is to look at `stop_with`.
        waiting: whether the run waits for the wall clock, which is no work of simcore's.
    """

    def __init__(self, federation: Federation, tick: Callable[[int], None] | None = None) -> None:
        self.samples = 0
        self.own = 0
        self.stop_with: ExitCode | None = None
        self.woken = threading.Event()
        self.waiting = False
        self._federation = federation
        self._tick = tick
        self._places = (
            (*_OWN, _package_folder(federation.network)),
            str(federation.scenario.base.resolve()),
        )
        self._flush_due = False
        self._set_aside = False
        self._ended = threading.Event()
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="simcore-housekeeper", daemon=True)

    def __enter__(self) -> Housekeeper:
        self._federation.attend = self.attend
        self._federation.on_wait = self.check_stop
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._federation.attend = None
        self._federation.on_wait = None

    @property
    def share(self) -> float | None:
        """Part of the wall time spent in simcore and SimPy; None if it cannot be told.

        A run that was short has too few samples. One with programs outside has wrong ones: while it
        waits for them, the thread that samples gets to run, and hardly ever else.
        """
        if "outside" in self._federation.__dict__ or self.samples < _FEWEST_SAMPLES:
            return None
        return self.own / self.samples

    def request_stop(self, code: ExitCode) -> None:
        """Have the run end at the next instant.

        Called by a signal's handler: the program may be in the midst of waiting for `woken`, with
        the lock in hand that setting it takes. So the thread sets it.
        """
        self.stop_with = code
        self._federation.calendar.busy = True

    def attend(self) -> None:
        """Do what is due; called by the run between two instants.

        Raises:
            Interrupted: the run was asked to stop.
        """
        self.check_stop()
        if self._flush_due:
            self._flush_due = False
            self._federation.recorder.flush(self._federation.calendar.now)
            if not self._set_aside:  # what nodes make when they first act: paths, frames, streams
                self._set_aside = True
                set_aside()

    def check_stop(self) -> None:
        """Raise if the run was asked to stop.

        Raises:
            Interrupted: it was.
        """
        if self.stop_with is not None:
            raise Interrupted(self.stop_with)

    def _watch(self) -> None:
        federation, calendar = self._federation, self._federation.calendar
        flushed = ticked = time.monotonic()
        while not self._ended.wait(_PERIOD):
            now = time.monotonic()
            if self.stop_with is not None:
                self.woken.set()
            frame = sys._current_frames().get(self._watched)
            if frame is not None:
                self.samples += 1
                self.own += not self.waiting and _is_own(frame, *self._places)
            if now - flushed >= _FLUSH_EVERY:
                flushed = now
                self._flush_due = True
                calendar.busy = True
            if self._tick is not None and now - ticked >= 0.2:
                ticked = now
                self._tick(min(calendar.now, federation.end))


def _package_folder(plugin: object) -> str:
    """The folder of the package that a plug-in comes from."""
    package = sys.modules[type(plugin).__module__.partition(".")[0]]
    return str(Path(getattr(package, "__file__", None) or "").parent) + os.sep


def _is_own(frame: FrameType | None, own: tuple[str, ...], users: str) -> bool:
    """Whether simcore or SimPy, rather than a user's file, called what is running."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(own):
            return True
        # Examples that were installed with simcore are a user's, though they lie in a library.
        if name.startswith(users) or not name.startswith(_LIBRARY):
            return False
        frame = frame.f_back
    return True
