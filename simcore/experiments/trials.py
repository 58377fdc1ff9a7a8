"""Replications: the same scenario with different seeds, and what they say together.

Each trial is an ordinary run in a process and a directory of its own, and does not know of
the others: trial `i` of base seed `b` is, digest for digest, `run SCENARIO --seed b+i`.
A process of its own also keeps what a user's module remembers from leaking into the next
trial, and lets the others go on when one dies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from simcore.errors import ExitCode, SimcoreError
from simcore.experiments.figures import Metric, figures
from simcore.runner import run_scenario
from simcore.scenario import load

_PATIENCE = 2.0
"""Seconds of wall time that a trial gets to close its results, each time it is asked to."""
_SLICE = 0.1
"""Seconds after which a further signal is seen."""


@dataclass(frozen=True, slots=True)
class Job:
    """One trial that is to be run.

    Attributes:
        number: from 0.
        scenario: the YAML file.
        seed: of this trial.
        path: the run directory.
        overrides: as in `--set`.
        until: as in `--until`.
    """

    number: int
    scenario: Path
    seed: int
    path: Path
    overrides: tuple[str, ...] = ()
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a job.

    Attributes:
        exit_code: as the command `run` would have given it.
        error: why it failed, one line; None if it completed.
        digest: of the run; None if it did not complete.
        metrics: empty if it did not complete.
    """

    job: Job
    exit_code: int
    error: str | None = None
    digest: str | None = None
    metrics: dict[Metric, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the run did not complete; a failed expectation is no failure of the run."""
        return self.exit_code not in (ExitCode.OK, ExitCode.DIFFERENT)


def plan(
    scenario: Path,
    count: int,
    *,
    base: int,
    out: Path,
    overrides: Sequence[str] = (),
    until: str | None = None,
) -> list[Job]:
    """The trials of an experiment: seeds base, base + 1, ..., directories trial-000, ..."""
    width = max(3, len(str(count - 1)))
    paths = [out / f"trial-{number:0{width}}" for number in range(count)]
    return [
        Job(number, scenario, base + number, path, tuple(overrides), until)
        for number, path in enumerate(paths)
    ]


def run_all(jobs: Sequence[Job], *, parallel: int, done: Callable[[Trial], None]) -> list[Trial]:
    """Run trials, each in a process of its own.

    Args:
        jobs: from `plan`.
        parallel: how many run at the same time.
        done: called with each trial as it ends, in that order.

    Returns:
        The trials in the order of `jobs`. A trial that fails is among them, with its error.

    Raises:
        KeyboardInterrupt: after every process of a trial has ended.
    """
    ended: dict[int, Trial] = {}
    with _threads(parallel) as submit:
        for future in as_completed([submit(job) for job in jobs]):
            trial = future.result()
            ended[trial.job.number] = trial
            done(trial)
    return [ended[job.number] for job in jobs]


@contextmanager
def _threads(parallel: int) -> Iterator[Callable[[Job], Future[Trial]]]:
    """Threads that each look after one process at a time; none of either outlives this."""
    before = set(multiprocessing.active_children())
    futures: list[Future[Trial]] = []
    threads = ThreadPoolExecutor(parallel, "trial", initializer=_leave_interrupts_to_parent)

    def submit(job: Job) -> Future[Trial]:
        futures.append(threads.submit(_in_process, job))
        return futures[-1]

    try:
        yield submit
    finally:
        with _haste() as haste:
            threads.shutdown(wait=False, cancel_futures=True)
            _end(futures, before, haste)
            threads.shutdown()


def _leave_interrupts_to_parent() -> None:
    """Ctrl-C goes to every process of the terminal; the children are to leave it to us.

    The mask of this thread is inherited by the processes that it starts, from their first
    instruction on; a handler set by the child would come too late for its imports.
    """
    resource_tracker.ensure_running()  # now, for starting it unblocks SIGINT in its thread
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


class _Haste:
    """Whether the user has asked once more for the end."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, _number: int, _frame: object) -> None:
        """Handle a signal: note it, for what is going on is the end already."""
        self.asked = True


@contextmanager
def _haste() -> Iterator[_Haste]:
    """Have a signal not break off the end of processes, which Python would wait for after that."""
    haste = _Haste()
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, haste)
    try:
        yield haste
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(futures: Sequence[Future[Trial]], before: set[BaseProcess], haste: _Haste) -> None:
    """End the processes of trials that still run.

    The first SIGTERM lets a run end in order at its next instant, a second one at once; what
    does not heed either, or is in the way of a user who asks again, is killed.
    """
    for end in chain([BaseProcess.terminate] * 2, repeat(BaseProcess.kill)):
        running = [future for future in futures if not future.done()]
        if not running:
            return
        hurried = haste.asked
        for child in set(multiprocessing.active_children()) - before:
            (BaseProcess.kill if hurried else end)(child)
        deadline = time.monotonic() + _PATIENCE
        while wait(running, timeout=_SLICE).not_done and haste.asked == hurried:
            if time.monotonic() > deadline:
                break


def _in_process(job: Job) -> Trial:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_follow_parent) as pool:
        try:
            return pool.submit(run_one, job).result()
        except BrokenProcessPool:
            return Trial(job, ExitCode.FAILED, "its process was killed or crashed")
        except Exception as error:  # noqa: BLE001 - a defect, not to cost the other trials
            return Trial(job, ExitCode.FAILED, f"{type(error).__name__}: {error}")


def _follow_parent() -> None:
    """End this process when the one that started it has ended, however that happened."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(ExitCode.TERMINATED)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def run_one(job: Job) -> Trial:
    """Run one trial in this process and take its metrics."""
    try:
        scenario = load(job.scenario, overrides=job.overrides, seed=job.seed, until=job.until)
        result = run_scenario(scenario, job.path)
        metrics = figures(result.path)
        return Trial(job, int(result.exit_code), None, result.digest, metrics)
    except SimcoreError as error:
        return Trial(job, int(error.exit_code), str(error).splitlines()[0])
