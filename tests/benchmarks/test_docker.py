"""What it costs to have services in containers; `docs/benchmarks.md` explains.

As everywhere here, counts are asserted and times are not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from compare import Figures, ratios
from support import PATIENCE, ROOT, unavailable
from turns import Subject, Subjects, interleave, note, repeated

pytest.importorskip("docker.client", reason="needs the extra docker")
sys.path.append(str(ROOT / "tests" / "docker"))

from engine import Missing, connect
from provisions import base_image

pytestmark = pytest.mark.bench

PROGRAM = Path(__file__).with_name("container_cycles.py")
CYCLES = 1024
ROUNDS = 20
REPETITIONS = 5
CONTAINERS = 20
AT_ONCE = 6
"""As simcore does by itself."""


@pytest.fixture(scope="module")
def image() -> str:
    """An image with Python."""
    try:
        client = connect()
        try:
            return base_image(client)
        finally:
            client.close()
    except Missing as error:
        unavailable(str(error))


def test_cycle_beside_a_local_process(figures: Figures, image: str) -> None:
    """One message in, one out, recorded: the same service in a process and in a container."""

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            for name in ("process", "docker", "stdio"):
                subjects[name] = Subject(PROGRAM.name, name, image)
            turns = interleave(subjects, CYCLES, ROUNDS)
        return note(figures, "containers", turns, "process")

    found = repeated(measure, REPETITIONS)
    for name, label in (
        ("docker", "ADVANCE/DONE into a container against the same into a process"),
        ("stdio", "the same over standard input and output"),
    ):
        if name == "docker":
            figures.judge(label, found[f"{name} / process"], most=1.5)
        else:
            figures.state(label, found[f"{name} / process"], "x")
        figures.state("the same in CPU time", found[f"{name} / process, CPU"], "x")
    for name, label in (("process", "a cycle with a process"), ("docker", "with a container")):
        figures.state(label, found[name], "us", digits=1)


def started(image: str, count: int, at_once: int) -> float:
    """Seconds until so many containers are ready."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "start", image, str(count), str(at_once)],
        stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    return float(done.stdout)


def test_containers_start_side_by_side(figures: Figures, image: str) -> None:
    """Until all are ready; one by one, each begins to start when the one before is ready."""
    found: dict[int, list[float]] = {0: [], 1: [], AT_ONCE: []}
    for _ in range(REPETITIONS):
        for at_once, several in found.items():
            several.append(started(image, CONTAINERS, at_once))
    figures.runs["start of containers"] = found
    together = found[AT_ONCE]
    label = f"{CONTAINERS} containers ready, against one by one"
    figures.judge(label, ratios(together, found[0]), most=0.6)
    label = "the same against starting one while the one before gets ready"
    figures.state(label, ratios(together, found[1]), "x")
    figures.state("side by side", together, "s")
    figures.state("one by one", found[0], "s")
