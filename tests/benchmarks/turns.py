"""Subjects that are under way at the same time and take turns of a few milliseconds.

Where two processes work together, what counts is the wall time of a cycle. That is worth something
on a shared machine only beside another subject at nearly the same moment. So a round gives each
subject one turn, ratios are taken within a round, and the median over many rounds is stated (see
`gate.py` for the other side). The CPU time of all its processes stands beside it: it says what a
subject does, also while other programs take turns with it on the same cores.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from compare import Figures

FOLDER = Path(__file__).parent
LIMIT = 120
"""Seconds of wall time before a subject is given up: a backstop, never a measure."""


class Turn(NamedTuple):
    """What a cycle took in one turn: wall time, and CPU time of all processes (s)."""

    wall: float
    cpu: float


class Subject:
    """A program behind a gate.

    Args:
        program: file beside this one.
        arguments: for it.
    """

    def __init__(self, program: str, *arguments: object) -> None:
        self._word = f"SUBJECT={secrets.token_hex(8)}"
        self._processes: list[Path] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill()
        self._process = subprocess.Popen(
            [sys.executable, str(FOLDER / program), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # numpy's idle threads spin for a while after its import.
            env={
                **os.environ,
                "OPENBLAS_NUM_THREADS": "1",
                **dict([self._word.split("=")]),
            },
            start_new_session=True,
        )

    def turn(self, cycles: int) -> Turn:
        """Have it do so many cycles."""
        before = self._cpu()
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None and answers is not None
        orders.write(b"%d\n" % cycles)
        orders.flush()
        answer = answers.readline() if select.select([answers], [], [], LIMIT)[0] else b""
        if not answer:
            raise AssertionError(f"{self._process.args} gave no answer:\n{self._said()}")
        return Turn(float(answer) / cycles, (self._cpu() - before) / cycles)

    def settled(self) -> None:
        """All its processes are there: find them."""
        marked = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if (
                    process.name.isdigit()
                    and (process / "environ").read_bytes().find(self._word.encode()) >= 0
                ):
                    marked.append(process)
        self._processes = marked

    def _cpu(self) -> float:
        """CPU time of all its threads so far (s)."""
        used = 0
        for process in self._processes:
            for thread in (process / "task").iterdir():
                used += int((thread / "schedstat").read_bytes().split()[0])
        return used / 1e9

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-4000:].decode(errors="replace")

    def end(self) -> None:
        """Close the gate; the program has to end in order."""
        self._process.communicate(timeout=LIMIT)
        assert self._process.returncode == 0, f"{self._process.args}:\n{self._said()}"

    def kill(self) -> None:
        """End it, and what is left of its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._errors.close()


class Subjects(dict[str, Subject]):
    """Several of them; all are ended together."""

    def __enter__(self) -> Subjects:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.ExitStack() as last:
            for each in self.values():
                last.callback(each.kill)
            if error is None:
                for each in self.values():
                    each.end()


def interleave(
    subjects: Mapping[str, Subject], cycles: int, rounds: int, warm_up: int = 3
) -> dict[str, list[Turn]]:
    """Let subjects take turns; who is first changes with each round.

    Args:
        cycles: of each turn.
        rounds: that are measured.
        warm_up: rounds before those.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in subjects}
    order = list(subjects)
    for number in range(-warm_up, rounds):
        if number == 0:
            for subject in subjects.values():
                subject.settled()
        for name in order:
            turn = subjects[name].turn(cycles)
            if number >= 0:
                turns[name].append(turn)
        order.append(order.pop(0))
    return turns


def note(
    figures: Figures, title: str, turns: Mapping[str, Sequence[Turn]], base: str
) -> dict[str, list[float]]:
    """The medians over the rounds; single turns are kept for the JSON file.

    Returns:
        Under each name the wall time of a cycle (us), under "NAME / BASE" its ratio to the subject
        `base`, and both of CPU time under names with ", CPU" behind them.
    """
    figures.runs.setdefault(title, []).append(dict(turns))
    found = {}
    for name, several in turns.items():
        for place, label in enumerate(("", ", CPU")):
            found[f"{name}{label}"] = [statistics.median(each[place] for each in several) * 1e6]
            ratios = [a[place] / b[place] for a, b in zip(several, turns[base], strict=True)]
            found[f"{name} / {base}{label}"] = [statistics.median(ratios)]
    return found


def repeated(
    measure: Callable[[], Mapping[str, Sequence[float]]], times: int
) -> dict[str, list[float]]:
    """Measure several times, each with fresh processes."""
    found: dict[str, list[float]] = {}
    for _ in range(times):
        for name, values in measure().items():
            found.setdefault(name, []).extend(values)
    return found
