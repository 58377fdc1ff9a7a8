"""What it costs to have programs take part; `docs/benchmarks.md` explains.

As everywhere here, counts are asserted and times are not.
"""

from __future__ import annotations

import pytest
from compare import Figures, ratios
from turns import Subject, Subjects, interleave, note, repeated

pytestmark = pytest.mark.bench

CYCLES = 1024
"""Of a turn: what is recorded in it is written in it, for 1,024 messages fill the buffer."""
ROUNDS = 20
REPETITIONS = 5
"""Fresh processes: how memory happens to lie belongs to a process, and is not to be measured."""


def test_cycle_beside_bare_ping_pong(figures: Figures) -> None:
    """One message in, one out, recorded; the same bytes there and back without simcore."""

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            subjects["bare"] = Subject("bare_pong.py")
            subjects["simcore"] = Subject("cycles.py", "simcore")
            subjects["lean"] = Subject("cycles.py", "lean")
            turns = interleave(subjects, CYCLES, ROUNDS)
        return note(figures, "cycle", turns, "bare")

    found = repeated(measure, REPETITIONS)
    figures.judge("ADVANCE/DONE cycle against a bare ping-pong", found["simcore / bare"], most=2.5)
    figures.state("the same in CPU time", found["simcore / bare, CPU"], "x")
    figures.state(
        "the same with a participant in bare msgspec instead of the library",
        found["lean / bare"],
        "x",
    )
    figures.state("the same in CPU time", found["lean / bare, CPU"], "x")
    for name, label in (("simcore", "ADVANCE/DONE cycle"), ("bare", "bare ping-pong")):
        figures.state(label, found[name], "us", digits=1)
        figures.state("the same in CPU time", found[f"{name}, CPU"], "us", digits=1)


def test_idle_participants_cost_nothing(figures: Figures) -> None:
    """The pair of the cycle alone, and beside 1,000 participants that wait."""

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            subjects["alone"] = Subject("cycles.py", "simcore")
            subjects["among"] = Subject("cycles.py", "crowd")
            turns = interleave(subjects, CYCLES, ROUNDS)
        return note(figures, "idle", turns, "alone")

    found = repeated(measure, REPETITIONS)
    figures.judge(
        "a busy pair beside 1,000 idle participants, against the pair alone",
        found["among / alone"],
        most=1.1,
    )
    figures.state("the same in CPU time", found["among / alone, CPU"], "x")


def test_two_participants_on_two_cores(figures: Figures) -> None:
    """5 ms of CPU time in each window, in one participant and in two."""
    windows, rounds = 20, 15

    def measure() -> dict[str, list[float]]:
        every = windows * (rounds + 3) + 2  # and one more, which ends the last turn
        with Subjects() as subjects:
            for count in (1, 2):
                subjects[f"{count}"] = Subject("cycles.py", "burners", count, every)
                subjects[f"bare {count}"] = Subject("burner.py", "bare", count)
            turns = interleave(subjects, windows, rounds)
        return note(figures, "cores", turns, "1") | {
            "bare": note(figures, "cores", turns, "bare 1")["bare 2 / bare 1"]
        }

    found = repeated(measure, REPETITIONS)
    figures.judge("two CPU-bound participants, against one of them alone", found["2 / 1"], most=1.2)
    figures.state("the same of two processes without simcore", found["bare"], "x")
    figures.state("the one over the other", ratios(found["2 / 1"], found["bare"]), "x")
    figures.state("a window with 5 ms of CPU time in one participant", found["1"], "us", digits=0)
