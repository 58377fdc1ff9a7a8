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

CYCLES = 512
"""Of a turn: simcore writes once in it, for 1,024 messages fill its buffer."""
ROUNDS = 10
REPETITIONS = 5

PEERS = {
    "mosaik": ("mosaik", "peer_mosaik.py", ()),
    "HELICS": ("helics", "peer_helics.py", ("zmq", 0.5)),
    "HELICS, no answer awaited": ("helics", "peer_helics.py", ("zmq", 0)),
    "HELICS, core tcp": ("helics", "peer_helics.py", ("tcp", 0.5)),
    "HELICS, core ipc": ("helics", "peer_helics.py", ("ipc", 0.5)),
}
JUDGED = ("mosaik", "HELICS")


@pytest.mark.parametrize("name", PEERS)
def test_cycle_beside_another_co_simulator(figures: Figures, name: str) -> None:
    """A step of mosaik, or a time request of HELICS, with a value each way."""
    module, program, arguments = PEERS[name]
    if importlib.util.find_spec(module) is None:
        figures.skipped.append(f"{name}: not importable (tox -e bench-peers)")
        pytest.skip(f"{name} is not importable: tox -e bench-peers")

    def measure() -> dict[str, list[float]]:
        with Subjects() as subjects:
            subjects["simcore"] = Subject("cycles.py", "simcore")
            subjects["peer"] = Subject(program, *arguments)
            turns = interleave(subjects, CYCLES, ROUNDS)
        return note(figures, name, turns, "simcore")

    found = repeated(measure, REPETITIONS)
    what = f"{name} {version(module)}: a cycle against simcore's"
    if name in JUDGED:
        figures.judge(what, found["peer / simcore"], least=5)
    else:
        figures.state(what, found["peer / simcore"], "x")
    figures.state("the same in CPU time", found["peer / simcore, CPU"], "x")
    figures.state(f"{name}: a cycle", found["peer"], "us", digits=0)
    figures.state(f"simcore's beside {name}", found["simcore"], "us", digits=1)
