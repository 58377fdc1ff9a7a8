"""One subject of the benchmarks of containers: `python container_cycles.py SUBJECT IMAGE ...`.

Each is simcore as the command line runs it: recording, digest, run directory.

    process IMAGE               behind a gate: a service in a process answers a caller
    docker IMAGE                the same service in a container, over a Unix socket
    stdio IMAGE                 the same over its standard input and output
    start IMAGE COUNT AT_ONCE   one line is printed: seconds until so many containers are ready,
                                of which so many are started at the same time; if it is none,
                                each is in a run of its own, after the one before was ready
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from gate import Gate

FOLDER = Path(__file__).parent

CALLED = """
simcore: 1
name: containers
duration: 1000h
nodes:
  caller: {model: container_cycles.py:caller}
  echo:
    implementation: %s
    service: echo
    environment: {SUBJECT: %s}
network:
  model: latency
  links:
    - {between: [caller, echo], delay: 1ms}
"""

STARTED = """
simcore: 1
name: containers
duration: 1ms
nodes:
  watch: {model: container_cycles.py:watch}
  echo: {count: %s, implementation: docker, image: %s, transport: unix, service: echo}
"""

DOCKER = "docker\n    image: %s\n    files: []\n    transport: %s"


def caller(node: Any) -> Generator[Any, Any, None]:
    """Send, and send again as soon as the answer is there."""
    gate: Gate = sys.modules["__main__"].gate  # type: ignore[attr-defined]
    number, value = 0, 0.0
    while gate.open():
        number += 1
        node.send("echo", "ping", {"n": number, "value": value})
        answer = yield node.receive()
        value = answer.payload["value"] + 0.5


def watch(node: Any) -> Generator[Any, Any, None]:
    """The first event comes when all containers are ready."""
    times: list[float] = sys.modules["__main__"].times  # type: ignore[attr-defined]
    times.append(time.perf_counter())
    yield node.sleep("1ms")


def run(text: str) -> None:
    """Run a scenario."""
    from simcore.runner import run_scenario
    from simcore.scenario import loads

    scenario = loads(text, name="containers.yaml", base=FOLDER)
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        run_scenario(scenario, Path(folder) / "run", notice=lambda line: None)


def called(implementation: str) -> None:
    """A caller and a service, which carries the word by which its CPU time is found."""
    run(CALLED % (implementation, os.environ["SUBJECT"]))


def start(image: str, count: int, at_once: int) -> None:
    """Containers that are started side by side, or less so."""
    from simcore_backends.docker import fleet

    fleet._WORKERS = max(at_once, 1)
    for _ in range(1 if at_once else count):
        run(STARTED % (count if at_once else 1, image))
    starts = zip(times[::2], times[1::2], strict=True)
    sys.stdout.write(f"{sum(ready - begun for begun, ready in starts)!r}\n")


if __name__ == "__main__":
    times: list[float] = []
    subject, image, *more = sys.argv[1:]
    if subject == "start":
        start(image, int(more[0]), int(more[1]))
    else:
        gate = Gate()
        transport = {"docker": "unix"}.get(subject, subject)
        called("process" if subject == "process" else DOCKER % (image, transport))
