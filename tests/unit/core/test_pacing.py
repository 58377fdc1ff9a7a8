"""`--realtime`: virtual time follows the wall clock, whatever else stands in the queue."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
import simpy
from worlds import PLUGINS, world

from simcore import Federation
from simcore.pacing import run_paced


@pytest.mark.parametrize("make", [lambda: None, simpy.Environment])
def test_no_instant_comes_early(make):
    happened: list[float] = []

    def model(node):
        node.env.timeout(900_000_000)  # far ahead in the environment's own queue
        for _ in range(5):
            yield node.sleep("100ms")
            happened.append(time.monotonic() - began)

    housekeeper = SimpleNamespace(waiting=False, woken=threading.Event(), attend=lambda: None)
    federation = Federation(world({"a": model}, lasts="1s"), make(), plugins=PLUGINS)
    began = time.monotonic()
    with federation:
        run_paced(federation, 2.0, housekeeper)  # type: ignore[arg-type]
    assert all(when >= 0.05 * (i + 1) for i, when in enumerate(happened))
    assert len(happened) == 5
