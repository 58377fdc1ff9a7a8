"""Comparing subjects side by side: interleaved runs, each in a fresh process, medians.

A machine is never quiet, and its speed changes from minute to minute. So subjects take turns
(A B C A B C ...), what is compared is a ratio within one turn, and what is stated is the median
over the turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MEASURE = Path(__file__).with_name("measure.py")
LIMIT = 1200
"""Seconds of wall time before a run is given up: a backstop, never a measure."""


@dataclass(frozen=True)
class Run:
    """What one process measured.

    Attributes:
        cpu: CPU time of the run, seconds.
        wall: wall time of the run, seconds.
        messages: messages sent.
        delivered: messages delivered.
        memory: greatest memory held, bytes.
    """

    cpu: float
    wall: float
    messages: int
    delivered: int
    memory: int

    @property
    def cost(self) -> float:
        """CPU time per message, microseconds."""
        return self.cpu / self.messages * 1e6


def run(subject: str, **arguments: int) -> Run:
    """Measure one subject in a process of its own."""
    ended = subprocess.run(
        [sys.executable, str(MEASURE), subject, json.dumps(arguments)],
        # numpy's idle threads spin for a while after its import, and would count as the run's.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return Run(**json.loads(ended.stdout.splitlines()[-1]))


def take_turns(
    subjects: Mapping[str, tuple[str, dict[str, int]]], turns: int
) -> dict[str, list[Run]]:
    """Measure several subjects, one after the other, `turns` times."""
    runs: dict[str, list[Run]] = {name: [] for name in subjects}
    for _ in range(turns):
        for name, (subject, arguments) in subjects.items():
            runs[name].append(run(subject, **arguments))
    return runs


def marginal(longer: Sequence[Run], shorter: Sequence[Run]) -> list[float]:
    """CPU time (us) of each further message, turn by turn: what is done once is not in it."""
    return [
        (a.cpu - b.cpu) / (a.messages - b.messages) * 1e6
        for a, b in zip(longer, shorter, strict=True)
    ]


def ratios(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """The first over the second, turn by turn."""
    return [a / b for a, b in zip(first, second, strict=True)]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        measure: what was measured.
        value: the median, as shown.
        target: what it is to be, as shown; None: it is only stated.
        met: whether it is.
        spread: the least and the greatest value, as shown.
    """

    measure: str
    value: str
    target: str | None = None
    met: bool | None = None
    spread: str = ""


@dataclass
class Figures:
    """What all benchmarks measured."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    runs: dict[str, Any] = field(default_factory=dict)

    def keep(self, runs: Mapping[str, Sequence[Run]]) -> None:
        """Keep single runs for the JSON file."""
        self.runs.update(
            {name: [asdict(each) for each in several] for name, several in runs.items()}
        )

    def state(self, measure: str, values: Sequence[float], unit: str = "", digits: int = 2) -> None:
        """A figure without a target."""
        self.rows.append(
            Row(
                measure,
                _show(statistics.median(values), unit, digits),
                spread=_spread(values, digits),
            )
        )

    def judge(
        self,
        measure: str,
        values: Sequence[float],
        *,
        least: float | None = None,
        most: float | None = None,
        unit: str = "x",
    ) -> None:
        """A figure, most often a ratio, and its target; missed or met, it never fails."""
        median = statistics.median(values)
        met = (least is None or median >= least) and (most is None or median <= most)
        bound = f">= {_show(least, unit, 1)}" if least is not None else f"<= {_show(most, unit, 1)}"
        self.rows.append(Row(measure, _show(median, unit, 2), bound, met, _spread(values, 2)))

    def as_json(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            "figures": [asdict(row) for row in self.rows],
            "skipped": self.skipped,
            "runs": self.runs,
        }


def _show(value: float, unit: str, digits: int) -> str:
    return f"{value:,.{digits}f}{'' if unit in ('', 'x') else ' '}{unit}"


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{min(values):,.{digits}f} to {max(values):,.{digits}f}" if len(values) > 1 else ""
