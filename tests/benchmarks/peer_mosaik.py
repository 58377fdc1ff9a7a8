"""The measured cycle in mosaik: a step of a simulator in another process, one value in, one out.

The caller is a simulator in mosaik's own process, and the one that answers is started with `cmd` and
connected over TCP, as mosaik's documentation has it for simulators of one's own ("The sim config").
Both are time-based with a step each second; the way back is a time-shifted connection, as for every
cycle of mosaik. Its progress bar is off, its cache on, which is its default.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mosaik_api_v3

META: Any = {
    "api_version": "3.0",
    "type": "time-based",
    "models": {"Node": {"public": True, "params": [], "attrs": ["value_in", "value_out"]}},
}
UNTIL = 10**9


class Simulator(mosaik_api_v3.Simulator):  # type: ignore[misc]
    """One entity with a value."""

    def __init__(self) -> None:
        super().__init__(META)
        self.value = 0.0

    def init(self, sid: str, time_resolution: float = 1.0, **given: Any) -> Any:
        return self.meta

    def create(self, num: int, model: str, **given: Any) -> Any:
        return [{"eid": "node", "type": model}]

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        for given in inputs.get("node", {}).get("value_in", {}).values():
            self.value = given
        return time + 1

    def get_data(self, outputs: Any) -> Any:
        return {"node": {"value_out": self.value}}


class Caller(Simulator):
    """In mosaik's process: each of its steps begins a cycle."""

    gate: Any

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        if not self.gate.open():
            raise EOFError  # mosaik has no other way to end early
        super().step(time, inputs, max_advance)
        self.value += 0.5
        return time + 1


def main() -> None:
    """Run until the gate is closed."""
    import mosaik
    from gate import Gate
    from loguru import logger

    logger.disable("mosaik")
    Caller.gate = Gate()
    here = str(Path(__file__))
    world = mosaik.World(
        {
            "Caller": {"python": "__main__:Caller"},
            "Echo": {"cmd": f"{sys.executable} {here} %(addr)s"},
        },
        skip_greetings=True,
    )
    caller, echo = world.start("Caller").Node(), world.start("Echo").Node()
    world.connect(caller, echo, ("value_out", "value_in"))
    world.connect(
        echo,
        caller,
        ("value_out", "value_in"),
        time_shifted=True,
        initial_data={"value_out": 0.0},
    )
    try:
        world.run(until=UNTIL, print_progress=False)
    except EOFError:
        pass
    finally:
        world.shutdown()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        mosaik_api_v3.start_simulation(Simulator())
    else:
        main()
