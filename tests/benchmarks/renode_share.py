"""What simcore itself does for devices in Renode: `python renode_share.py SUBJECT ...`.

    start COUNT            wall time until so many devices are ready
    windows COUNT WINDOWS  CPU time of this process alone for a window of 1 ms and one device, in
                           which firmware sleeps most of the time: median over pieces of a hundred
                           windows, and the least
    talk COUNT WINDOWS     the same with a message to each device in each window

One line is printed: seconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
METER = FOLDER.parents[1] / "firmware" / "prebuilt" / "meter-stm32f4.elf"

SCENARIO = """
simcore: 1
name: share
duration: %(windows)dms
nodes:
  gateway: {model: renode_share.py:gateway, config: {count: %(count)d, talks: %(talks)s}}
  device:
    count: %(count)d
    implementation: renode
    firmware: {elf: %(firmware)s}
    uart: {usart2: {baud: 10000000}}
network:
  model: latency
  links:
    - {between: [gateway, device], delay: 1ms}
"""


SAMPLE = 100
"""Windows that are measured as one."""

clock: list[float] = []
"""CPU time of this process at the end of each piece."""


def gateway(node: Any) -> Generator[Any, Any, None]:
    """Look at the clock now and then; say something to each device in each window, or nothing."""
    noted: list[float] = sys.modules["__main__"].clock  # type: ignore[attr-defined]
    count, talks = node.config["count"], node.config["talks"]
    while True:
        noted.append(time.process_time())
        if not talks:
            yield node.sleep(f"{SAMPLE}ms")
            continue
        for _ in range(SAMPLE):
            yield node.sleep("1ms")
            for number in range(count):
                node.send(f"device-{number}", "ack", "ack 1")


def scenario_of(count: int, windows: int, talks: bool) -> Any:
    from simcore.scenario import loads

    text = SCENARIO % {
        "count": count, "windows": windows, "talks": str(talks).lower(), "firmware": METER
    }  # fmt: skip
    return loads(text, name="share.yaml", base=FOLDER)


def start(count: int) -> float:
    """Wall time."""
    from simcore.federation import Federation

    with tempfile.TemporaryDirectory() as folder:
        scenario = scenario_of(count, 2, False)
        begun = time.perf_counter()
        federation = Federation(scenario, out=Path(folder) / "run")
        ready = time.perf_counter() - begun
        federation.run()
    return ready


def share(count: int, windows: int, talks: bool) -> tuple[float, float]:
    """CPU time, median and least; the first pieces are not counted."""
    from simcore.runner import run_scenario

    with tempfile.TemporaryDirectory() as folder:
        run_scenario(scenario_of(count, windows, talks), Path(folder) / "run")
    each = [(b - a) / SAMPLE / count for a, b in pairwise(clock)][3:]
    return statistics.median(each), min(each)


if __name__ == "__main__":
    subject, *numbers = sys.argv[1:]
    count, *windows = map(int, numbers)
    found = share(count, *windows, subject == "talk") if windows else (start(count),)
    sys.stdout.write(" ".join(map(repr, found)) + "\n")
