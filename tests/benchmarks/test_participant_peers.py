"""The cycle of a participant beside the same in mosaik and HELICS; run by `tox -e bench-peers`.

How each of them is used is told in `peer_mosaik.py` and `peer_helics.py`.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import version

import pytest
from compare import Figures
from turns import Subject, Subjects, interleave, note, repeated

pytestmark = pytest.mark.bench

CYCLES = 50
ROUNDS = 40
REPETITIONS = 5

PEERS = {
    "mosaik": ("peer_mosaik.py", ""),
    "helics": ("peer_helics.py", "zmq"),
    "helics, tcp": ("peer_helics.py", "tcp"),
    "helics, ipc": ("peer_helics.py", "ipc"),
}
JUDGED = ("mosaik", "helics")


@pytest.mark.parametrize("module", JUDGED)
def test_cycle_beside_another_co_simulator(figures: Figures, module: str) -> None:
    """Each of simcore's cycles, against a step or a time request with a value each way."""
    if importlib.util.find_spec(module) is None:
        figures.skipped.append(f"{module}: not importable (tox -e bench-peers)")
        pytest.skip(f"{module} is not importable: tox -e bench-peers")
    names = [name for name in PEERS if name.startswith(module)]

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            subjects["simcore"] = Subject("cycles.py", "simcore")
            for name in names:
                subjects[name] = Subject(*PEERS[name])
            turns = interleave(subjects, CYCLES, ROUNDS)
        return note(figures, module, turns, "simcore")

    found = repeated(measure, REPETITIONS)
    for name in names:
        label = f"{module} {version(module)}{name.removeprefix(module)}"
        if name in JUDGED:
            figures.judge(f"{label}: against simcore's cycle", found[f"{name} / simcore"], least=5)
        else:
            figures.state(f"{label}: against simcore's cycle", found[f"{name} / simcore"], "x")
        figures.state("the same in CPU time", found[f"{name} / simcore, CPU"], "x")
        figures.state(f"{label}: a cycle", found[name], "us", digits=0)
    figures.state(f"simcore's cycle beside {module}", found["simcore"], "us", digits=1)
