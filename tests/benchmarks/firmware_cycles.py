"""One subject of the benchmarks of firmware, behind a gate: `python firmware_cycles.py SUBJECT ...`.

Each is simcore as the command line runs it: recording, digest, run directory.

    message FIRMWARE              a device on the native port answers a caller: an exchange for the
                                  message, and one when its line has come in whole
    wake FIRMWARE CYCLES          a device on the native port that wakes each millisecond; a cycle
                                  is an exchange
    windows FIRMWARE CYCLES COUNT devices in QEMU; a cycle is a window of 1 ms
    renode FIRMWARE CYCLES COUNT  the same in Renode, or in what stands in for it
    busy FIRMWARE CYCLES COUNT    devices in QEMU at 250 million instructions a second
    many FIRMWARE CYCLES COUNT    devices on the native port; a cycle is 100 ms

CYCLES is the number of all that will be asked for: where nobody waits for anything, a run would go on.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from gate import Gate

FOLDER = Path(__file__).parent

CLOCKED = """
simcore: 1
name: firmware
duration: %(duration)dms
nodes:
  clock: {model: firmware_cycles.py:clock, config: {cycles: %(cycles)d, sleep: %(sleep)dms}}
  device: {count: %(count)d, implementation: %(engine)s, firmware: {native: %(file)s, elf: %(file)s}}
network:
  model: latency
  links:
    - {between: [clock, device], delay: 1ms}
"""

CALLED = """
simcore: 1
name: firmware
duration: 1000h
nodes:
  caller: {model: firmware_cycles.py:caller}
  device:
    implementation: native
    firmware: {native: %(file)s, elf: %(file)s}
    uart: {usart2: {baud: 10000000}}
network:
  model: latency
  links:
    - {between: [caller, device], delay: 1ms}
"""


def clock(node: Any) -> Generator[Any, Any, None]:
    """Let time pass, while the gate lets cycles pass; nobody hears of it."""
    gate = _gate()
    cycles, sleep = node.config["cycles"], node.config["sleep"]
    while all(gate.open() for _ in range(cycles)):
        yield node.sleep(sleep)


def caller(node: Any) -> Generator[Any, Any, None]:
    """Send, and send again as soon as the answer is there: two exchanges."""
    gate = _gate()
    number = 0
    while gate.open() and gate.open():
        number += 1
        node.send("device", "ping", number)
        yield node.receive()


def _gate() -> Gate:
    """The one that was made before anything else, when this file was started as a program."""
    found: Gate = sys.modules["__main__"].gate  # type: ignore[attr-defined]
    return found


def clocked(engine: str, file: str, every: str, count: str, cycles: int, sleep: int) -> str:
    """Devices that nobody talks to.

    Args:
        every: number of all cycles.
        count: of devices.
        cycles: that the clock lets pass at once.
        sleep: how long they take, ms.
    """
    duration = int(every) // cycles * sleep + 1  # and one more, which ends the last turn
    return CLOCKED % {
        "engine": engine, "file": file, "duration": duration, "count": int(count),
        "cycles": cycles, "sleep": sleep,
    }  # fmt: skip


def run(text: str) -> None:
    """Run a scenario until the gate is closed."""
    from simcore.runner import run_scenario
    from simcore.scenario import loads

    scenario = loads(text, name="firmware.yaml", base=FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        run_scenario(scenario, Path(folder) / "run")


SUBJECTS = {
    "message": lambda file: CALLED % {"file": file},
    "wake": lambda file, every: clocked("native", file, every, "1", 64, 64),
    "windows": lambda file, every, count: clocked("qemu", file, every, count, 8, 8),
    "renode": lambda file, every, count: clocked("renode", file, every, count, 8, 8),
    "busy": lambda file, every, count: clocked("qemu, mips: 250", file, every, count, 8, 8),
    "many": lambda file, every, count: clocked("native", file, every, count, 1, 100),
}

if __name__ == "__main__":
    gate = Gate()
    run(SUBJECTS[sys.argv[1]](*sys.argv[2:]))
