"""What it costs to have devices run firmware; `docs/benchmarks.md` explains.

As everywhere here, counts are asserted and times are not.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from compare import Figures, ratios
from firmware_builds import make
from support import PATIENCE, require
from turns import Subject, Subjects, interleave, note, repeated

pytestmark = pytest.mark.bench

FOLDER = Path(__file__).parent
NEVER = 10**18
REPETITIONS = 5
WARM_UP = 3

Build = Callable[..., str]


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The other end of the bare pipe."""
    program = tmp_path_factory.mktemp("bare") / "bare_child"
    source = FOLDER / "bare_child.c"
    subprocess.run(
        [require("gcc"), "-O2", "-o", program, source], check=True, timeout=PATIENCE
    )  # fmt: skip
    return str(program)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build bench_firmware.c for an engine."""

    def build(target: str, period: int, loops: int = 0) -> str:
        if target == "stm32f4":
            require("arm-none-eabi-gcc")
            require("qemu-system-arm")
        folder = tmp_path_factory.mktemp(target)
        make(
            target, folder, "APP=bench", f"APP_SOURCES={FOLDER / 'bench_firmware.c'} lib/json.c",
            f"WARNINGS=-DPERIOD={period} -DLOOPS={loops}",
        )  # fmt: skip
        return str(folder / target / ("bench" if target == "native" else "bench.elf"))

    return build


def test_exchanges_beside_a_bare_pipe(figures: Figures, child: str, build: Build) -> None:
    """With a device on the native port, and with one that sleeps in QEMU in a window of 1 ms."""
    cycles, rounds = 512, 20
    every = cycles * (rounds + WARM_UP)
    sleeping, waking = build("native", NEVER), build("native", 1_000_000)
    emulated = build("stm32f4", NEVER)

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            for what in ("bytes", "socket", "wake", "message", "window"):
                subjects[f"bare {what}"] = Subject("bare_pipe.py", what, child)
            subjects["wake"] = Subject("firmware_cycles.py", "wake", waking, every)
            subjects["message"] = Subject("firmware_cycles.py", "message", sleeping)
            subjects["window"] = Subject("firmware_cycles.py", "windows", emulated, every, 1)
            turns = interleave(subjects, cycles, rounds, WARM_UP)
        found: dict[str, list[float]] = {}
        for base in ("bytes", "wake", "message", "window"):
            found |= note(figures, "firmware", turns, f"bare {base}")
        return found

    found = repeated(measure, REPETITIONS)
    for name, label, most in (
        ("message", "exchange with firmware on the native port, a message each", 5),
        ("wake", "the same, the device only wakes", 5),
        ("window", "window of 1 ms with firmware that sleeps in QEMU", 4),
    ):
        ratio = f"{name} / bare {name}"
        figures.judge(f"{label}, against a bare pipe with a C child", found[ratio], most=most)
        figures.state("the same in CPU time", found[f"{ratio}, CPU"], "x")
        figures.state("against a pipe with one byte", found[f"{name} / bare bytes"], "x")
        figures.state("in microseconds", found[name], "us", digits=1)
        figures.state("the bare pipe", found[f"bare {name}"], "us", digits=1)
    figures.state(
        "a bare socket with a C child, against a bare pipe", found["bare socket / bare window"], "x"
    )


def test_eight_devices_in_qemu_on_two_cores(figures: Figures, build: Build) -> None:
    """At least 200 us of CPU time for each device in each window."""
    cycles, rounds = 16, 12
    every = cycles * (rounds + WARM_UP)
    firmware = build("stm32f4", 1_000_000, 28_000)

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            for count in (1, 8):
                arguments = ("busy", firmware, every, count)
                subjects[f"{count}"] = Subject("firmware_cycles.py", *arguments)
                subjects[f"bare {count}"] = Subject("burner.py", "bare", count)
            turns = interleave(subjects, cycles, rounds, WARM_UP)
        bare = note(figures, "eight", turns, "bare 1")["bare 8 / bare 1"]
        return note(figures, "eight", turns, "1") | {"bare": bare}

    found = repeated(measure, REPETITIONS)
    throughput = [8 / ratio for ratio in found["8 / 1"]]
    figures.judge("throughput of eight busy devices in QEMU against one", throughput, least=1.6)
    possible = [8 / ratio for ratio in found["bare"]]
    figures.state("the same of processes that only compute, without simcore", possible, "x")
    figures.state("the one over the other", ratios(throughput, possible), "x")
    figures.state("a window with one of them", found["1"], "us", digits=0)
    figures.state("its CPU time", found["1, CPU"], "us", digits=0)


def test_a_hundred_devices_on_the_native_port(figures: Figures, build: Build) -> None:
    """Each wakes ten times a second."""
    cycles, rounds = 20, 10
    every = cycles * (rounds + WARM_UP)
    firmware = build("native", 100_000_000)

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            subjects["hundred"] = Subject("firmware_cycles.py", "many", firmware, every, 100)
            turns = interleave(subjects, cycles, rounds, WARM_UP)
        return note(figures, "hundred", turns, "hundred")

    found = repeated(measure, REPETITIONS)
    speed = [100_000 / wall for wall in found["hundred"]]  # us of virtual time over wall time
    figures.judge(
        "a hundred devices on the native port that wake at 10 Hz: times real time", speed, least=10
    )
    figures.state("each waking", [wall / 100 for wall in found["hundred"]], "us", digits=1)
