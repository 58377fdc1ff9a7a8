"""One subject of the benchmarks of participants, behind a gate: `python cycles.py SUBJECT`, or
`python cycles.py burners COUNT WINDOWS`.

Each is simcore as the command line runs it: recording, digest, run directory.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from gate import Gate

FOLDER = Path(__file__).parent

PAIR = """
simcore: 1
name: cycle
duration: 1000h
nodes:
  caller: {model: cycles.py:caller}
  echo:
    implementation: process
    command: [%s, %s]
%snetwork:
  model: latency
  links:
    - {between: [caller, echo], delay: 1ms}
"""

BURNERS = """
simcore: 1
name: burners
duration: %dms
nodes:
  clock: {model: cycles.py:clock}
  burner:
    count: %d
    implementation: process
    command: [%s, burner.py]
    kind: free_running
network:
  model: latency
  links:
    - {between: [clock, burner], delay: 1ms}
"""


def caller(node: Any) -> Generator[Any, Any, None]:
    """Send, and send again as soon as the answer is there."""
    gate = _gate()
    number, value = 0, 0.0
    while gate.open():
        number += 1
        node.send("echo", "ping", {"n": number, "value": value})
        answer = yield node.receive()
        value = answer.payload["value"] + 0.5


def clock(node: Any) -> Generator[Any, Any, None]:
    """A cycle is a window: its participants wait while the gate is closed."""
    gate = _gate()
    while gate.open():
        yield node.sleep("1ms")


def _gate() -> Gate:
    """The one that was made before anything else, when this file was started as a program."""
    found: Gate = sys.modules["__main__"].gate  # type: ignore[attr-defined]
    return found


def pair(program: str, more: str = "") -> str:
    """A caller and a participant that answers."""
    return PAIR % (sys.executable, program, more)


def run(text: str) -> None:
    """Run a scenario until the gate is closed."""
    from crowd import Crowd

    from simcore.plugins import Plugins
    from simcore.runner import run_scenario
    from simcore.scenario import loads

    plugins = Plugins({"backends": {"crowd": Crowd()}})
    scenario = loads(text, name="cycle.yaml", base=FOLDER, plugins=plugins)
    with tempfile.TemporaryDirectory() as folder:
        run_scenario(scenario, Path(folder) / "run", plugins=plugins)


SUBJECTS = {
    "simcore": lambda: run(pair("echo_peer.py")),
    "lean": lambda: run(pair("echo_lean.py")),
    "crowd": lambda: run(pair("echo_peer.py", "  idle: {count: 1000, implementation: crowd}\n")),
    "burners": lambda: run(BURNERS % (int(sys.argv[3]), int(sys.argv[2]), sys.executable)),
}

if __name__ == "__main__":
    gate = Gate()
    SUBJECTS[sys.argv[1]]()
