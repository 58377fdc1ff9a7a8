"""What it costs to have devices in Renode, beside Renode itself; `docs/benchmarks.md` explains.

All of it is measured on what stands in for Renode: what Renode takes for its start and for a window
is put in, as CPU time or as waiting.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import renode_machine
from compare import Figures, ratios
from support import PATIENCE
from turns import Subject, Subjects, interleave, note, repeated

pytestmark = pytest.mark.bench

FOLDER = Path(__file__).parent
REPETITIONS = 5
WARM_UP = 3
START = 3.0
"""Seconds until a Renode on Mono has started and is connected: 2.1 to 4."""
SHORTEST = 800.0
"""What Renode takes for a window of 1 ms at least, in microseconds; 1,500 at most."""
BURNER = (
    "import sys, time\nend = time.thread_time() + float(sys.argv[1])\n"
    "while time.thread_time() < end: pass\n"
)


Use = Callable[..., None]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Have the stand-in behave in another way from now on."""

    def use(**environment: object) -> None:
        names = {f"FAKE_RENODE_{name.upper()}": str(value) for name, value in environment.items()}
        monkeypatch.setenv("RENODE", str(renode_machine.install(tmp_path, **names)))

    return use


def seconds(*arguments: object) -> list[float]:
    """What a subject says."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "renode_share.py"), *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    return [float(word) for word in done.stdout.split()]


def bare(count: int, burns: float) -> float:
    """Wall time that so many processes take that only compute, at the same time."""
    begun = time.perf_counter()
    several = [subprocess.Popen([sys.executable, "-c", BURNER, str(burns)]) for _ in range(count)]
    for each in several:
        assert each.wait(PATIENCE) == 0
    return time.perf_counter() - begun


def in_turns(subjects: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(REPETITIONS):
        for name, measure in subjects.items():
            found[name].append(measure())
    return found


def test_four_start_side_by_side(figures: Figures, use: Use) -> None:
    """Waiting takes no core; of what computes, a machine with two cores does two at a time."""

    def started(count: int, **environment: object) -> float:
        use(**environment)
        return seconds("start", count)[0]

    burns = START / 2
    found = in_turns({
        "one waits": lambda: started(1, start=START),
        "four wait": lambda: started(4, start=START),
        "one burns": lambda: started(1, burn=burns),
        "four burn": lambda: started(4, burn=burns),
        "bare one": lambda: bare(1, burns),
        "bare four": lambda: bare(4, burns),
    })  # fmt: skip
    figures.runs["start"] = found
    waiting = ratios(found["four wait"], found["one waits"])
    figures.judge("four devices start whose Renode waits 3 s, against one", waiting, most=1.5)
    burning = ratios(found["four burn"], found["one burns"])
    possible = ratios(found["bare four"], found["bare one"])
    figures.judge("the same if it computes for 1.5 s", burning, most=1.5)
    figures.state("four processes that only compute, against one", possible, "x")
    figures.state("the one over the other", ratios(burning, possible), "x")
    figures.state(
        "start of one beyond what it computes", [x - burns for x in found["one burns"]], "s"
    )


def test_windows_are_run_side_by_side(figures: Figures, use: Use, tmp_path: Path) -> None:
    """Two devices whose windows take 1.2 ms of CPU time each."""
    cycles, rounds = 16, 20
    every = cycles * (rounds + WARM_UP)
    use(window=0.0012)
    parrot = renode_machine.firmware(tmp_path)  # says nothing by itself

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            for count in (1, 2):
                subjects[f"{count}"] = Subject("firmware_cycles.py", "renode", parrot, every, count)
                subjects[f"bare {count}"] = Subject("burner.py", "bare", count)
            turns = interleave(subjects, cycles, rounds, WARM_UP)
        possible = note(figures, "side by side", turns, "bare 1")["bare 2 / bare 1"]
        return note(figures, "side by side", turns, "1") | {"bare": possible}

    found = repeated(measure, REPETITIONS)
    figures.judge(
        "two devices in Renode with 1.2 ms a window, against one", found["2 / 1"], most=1.2
    )
    figures.state("the same of two processes without simcore", found["bare"], "x")
    figures.state("a window with one of them", found["1"], "us", digits=0)


@pytest.mark.parametrize("subject", ["windows", "talk"])
def test_the_share_of_simcore(figures: Figures, use: Use, subject: str) -> None:
    """CPU time of simcore's process for each window; Renode's processes do not count."""
    use()
    found: dict[int, list[list[float]]] = {1: [], 4: []}
    for _ in range(REPETITIONS):
        for count, several in found.items():
            several.append(seconds(subject, count, 2000))
    figures.runs[subject] = found
    label = "in which firmware sleeps" if subject == "windows" else "with a message to it"
    for count, several in found.items():
        median, least = ([value * 1e6 for value in values] for values in zip(*several, strict=True))
        devices = "one device" if count == 1 else "each of four devices"
        figures.state(f"simcore's CPU time for a window {label}, {devices}", median, "us", digits=1)
        share = [value / SHORTEST for value in median]
        if subject == "windows":
            figures.judge("its share of the 0.8 ms that Renode takes at least", share, most=0.05)
        else:  # Renode then takes longer as well, and nobody has measured how long
            figures.state("against the 0.8 ms of a window without one", share, "x")
        figures.state("the least of a hundred windows", least, "us", digits=1)
