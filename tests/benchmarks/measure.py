"""One measurement, in a process of its own: `python measure.py SUBJECT ARGUMENTS`.

So the memory layout and the garbage of one subject never touch another. The times are those
of the run itself, imports and reading the scenario excepted; CPU time is what is compared,
since other programs share the machine.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

NETWORK = """
network:
  model: latency
  links:
    - {between: [sensor, gateway], delay: {min: 8ms, exponential: 2ms}, loss: 1%%}
"""

FLOW = (
    """
simcore: 1
name: bench
duration: %(seconds)ds
nodes:
  sensor: {count: %(nodes)d, model: models.py:sensor}
  gateway: {tier: edge, model: models.py:gateway}
"""
    + NETWORK
)

SERVICES = (
    """
simcore: 1
name: bench-services
duration: %(seconds)ds
nodes:
  sensor: {count: %(nodes)d, service: models.py:SensorService}
  gateway: {tier: edge, service: models.py:GatewayService}
"""
    + NETWORK
)

PAIR = """
simcore: 1
name: bench-pair
duration: %(seconds)ds
nodes:
  sensor: {model: models.py:busy}
  gateway: {tier: edge, model: models.py:gateway}
"""

IDLE = PAIR + "  idle: {count: %(idle)d, model: models.py:idle}\n"

METERED = (
    PAIR
    + """
energy:
  sensor: {idle: 5.5mW, active: 60mW, radio: at86rf233}
  gateway: {idle: 1W, active: 5W, radio: at86rf233}
"""
)

BATTERY = METERED.replace("at86rf233}", "at86rf233, battery: 2400mAh at 3V}", 1)

PLACED = """
simcore: 1
name: bench-placed
duration: %(seconds)ds
nodes:
  meter: {count: %(nodes)d, model: placed_flow.py:meter}
  gateway: {tier: edge, service: placement}
  edge: {tier: edge, service: placed_flow.py:Known, workers: 8, config: {compute: 4ms}}
  cloud: {tier: cloud, service: placed_flow.py:Known, workers: 8, config: {compute: 8ms}}
network:
  model: latency
  links:
    - {between: [meter, gateway], delay: {min: 8ms, exponential: 2ms}}
    - {between: [gateway, edge], delay: 1ms}
    - {between: [gateway, cloud], delay: 45ms}
placement:
  policy: confidence
  threshold: {device: 80%%, edge: 90%%}
  devices: meter
  dispatcher: gateway
  edge: edge
  cloud: cloud
  period: 5400ms
  acknowledge: false
"""

Counts = tuple[int, int]
Subject = tuple[Callable[[], Any], Callable[[Any], Counts]]
"""What is measured, and what then tells how many messages were sent and delivered."""


def _scenario(text: str, **numbers: int) -> Any:
    from simcore.scenario import loads

    return loads(text % numbers, name="bench.yaml", base=FOLDER)


def recorded(text: str, **numbers: int) -> Subject:
    """simcore as the command line runs it: recording, digest and run directory."""
    from simcore import open_run
    from simcore.runner import run_scenario

    scenario = _scenario(text, **numbers)
    folder = tempfile.TemporaryDirectory()

    def counts(_: Any) -> Counts:
        with folder, open_run(Path(folder.name) / "run") as run:
            query = "SELECT count(*), sum(fate = 0) FROM message"
            sent, delivered = run.connection.execute(query).fetchone()
        return sent, delivered

    return lambda: run_scenario(scenario, Path(folder.name) / "run"), counts


def placed(**numbers: int) -> Subject:
    """Placement, recorded; what is counted are inferences, and those with an answer.

    At least half of them go to the edge and a fifth to the cloud: else it is another benchmark.
    """
    from simcore import open_run
    from simcore.runner import run_scenario

    scenario = _scenario(PLACED, **numbers)
    folder = tempfile.TemporaryDirectory()

    def counts(_: Any) -> Counts:
        with folder, open_run(Path(folder.name) / "run") as run:
            query = "SELECT place, reason, count(*) FROM inference GROUP BY 1, 2"
            rows = run.connection.execute(query).fetchall()
        whole = sum(count for *_, count in rows)
        kept = sum(count for place, _, count in rows if place == "device")
        cloud = sum(count for place, _, count in rows if place == "cloud")
        assert kept <= 0.5 * whole and cloud >= 0.2 * whole
        return whole, whole - sum(count for _, why, count in rows if why == "no answer")

    return lambda: run_scenario(scenario, Path(folder.name) / "run"), counts


def bare_placed(**numbers: int) -> Subject:
    """The same flow in SimPy alone."""
    flow = import_module("bare_placed").flow

    def counts(result: Any) -> Counts:
        whole = sum(result[0].values())
        return whole, whole

    return lambda: flow(**numbers), counts


def unrecorded(text: str, **numbers: int) -> Subject:
    """simcore as a library: digest, no run directory."""
    from simcore import Federation

    scenario = _scenario(text, **numbers)

    def run() -> Any:
        federation = Federation(scenario)
        federation.run()
        return federation

    def counts(federation: Any) -> Counts:
        links = list(federation.network.metrics(federation.end))
        return federation.recorder.written, sum(link.delivered for link in links)

    return run, counts


def other(module: str, function: str, **numbers: int) -> Subject:
    """A function of `bare` or `peers`."""
    flow = getattr(import_module(module), function)
    return lambda: flow(**numbers), lambda result: result


SUBJECTS: dict[str, Callable[..., Subject]] = {
    "simcore": partial(recorded, FLOW),
    "simcore-pair": partial(recorded, PAIR),
    "simcore-idle": partial(recorded, IDLE),
    "simcore-metered": partial(recorded, METERED),
    "simcore-battery": partial(recorded, BATTERY),
    "simcore-services": partial(recorded, SERVICES),
    "simcore-library": partial(unrecorded, FLOW),
    "placed": placed,
    "bare-placed": bare_placed,
    "callbacks": partial(other, "bare", "callbacks"),
    "processes": partial(other, "bare", "processes"),
    "yafs": partial(other, "peers", "yafs_flow"),
    "leaf": partial(other, "peers", "leaf_flows"),
}


def peak_memory() -> int:
    """Greatest memory held so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says there includes the process that started this one
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Measure, and write the result to standard output as one line of JSON."""
    subject, arguments = sys.argv[1], json.loads(sys.argv[2])
    run, count = SUBJECTS[subject](**arguments)
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    memory = peak_memory()
    messages, delivered = count(result)
    figures = {
        "cpu": cpu,
        "wall": wall,
        "messages": messages,
        "delivered": delivered,
        "memory": memory,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
