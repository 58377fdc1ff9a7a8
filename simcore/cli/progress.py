"""Progress of a run: virtual time, speed and time left, on standard error.

A bar on a terminal, a plain line every few seconds elsewhere. It is drawn from another thread
and knows the run by its virtual time only.
"""

from __future__ import annotations

import sys
import time

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from simcore.units import show_duration

_PLAIN_EVERY = 10.0


class Progress:
    """Shows how far a run is.

    Args:
        name: of the scenario.
        duration: virtual duration of the run, ns.
        enabled: False shows nothing.
    """

    def __init__(self, name: str, duration: int, *, enabled: bool = True) -> None:
        self._duration = duration
        self._enabled = enabled
        self._began = self._shown = time.monotonic()
        self._name = name
        self._bar: Bar | None = None
        if enabled and sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[virtual]}"),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(name, total=duration, virtual="", speed="")

    def __enter__(self) -> Progress:
        self._began = self._shown = time.monotonic()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Show a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(line, err=True)

    def update(self, now: int) -> None:
        """The run has reached a virtual time (ns)."""
        wall = time.monotonic()
        speed = now / 1e9 / max(wall - self._began, 1e-9)
        virtual = f"{show_duration(now)} of {show_duration(self._duration)}"
        pace = f"{speed:,.3g}x real time"
        if self._bar is not None:
            self._bar.update(self._task, completed=now, virtual=virtual, speed=pace)
        elif self._enabled and wall - self._shown >= _PLAIN_EVERY:
            self._shown = wall
            line = "starting"  # images are built, or programs started
            if now:
                left = (self._duration - now) / 1e9 / speed
                line = f"{virtual}, {pace}, {left:.0f} s left"
            click.echo(f"{self._name}: {line}", err=True)
