"""`--realtime`: virtual time follows the wall clock, whatever else stands in the queue."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
import simpy
from worlds import PLUGINS, world

from simcore import Federation, open_run
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


class Guest:
    """Comes at once, and once more when it was let in; what it does then has an instant."""

    def __init__(self, federation):
        self.federation = federation
        self.admitted: list[int] = []
        self.did: list[int] = []
        self.gone = False

    def open(self, wake):
        self.wake = wake
        wake()

    def admit(self, now):
        self.admitted.append(now)
        self.federation.at(now, self.act)

    def act(self):
        self.did.append(self.federation.now)
        if len(self.did) == 1:
            self.wake()

    def close(self):
        self.gone = True


@pytest.mark.parametrize("make", [lambda: None, simpy.Environment])
def test_visitors_come_in_while_the_run_waits_and_leave_with_it(make, tmp_path):
    def model(node):
        yield node.sleep("300ms")

    housekeeper = SimpleNamespace(waiting=False, woken=threading.Event(), attend=lambda: None)
    federation = Federation(
        world({"a": model}, lasts="400ms"), make(), plugins=PLUGINS, out=tmp_path / "run"
    )
    guest = Guest(federation)
    federation.visitors.append(guest)
    with federation:
        run_paced(federation, 1.0, housekeeper)  # type: ignore[arg-type]
    assert guest.gone
    assert len(guest.did) == 2 and guest.did == guest.admitted
    assert 0 < guest.did[0] < guest.did[1] < 400_000_000


def test_visitors_leave_when_the_run_is_stopped():
    class Stopped(Exception):
        pass

    def stop():
        raise Stopped

    housekeeper = SimpleNamespace(waiting=False, woken=threading.Event(), attend=stop)
    federation = Federation(world({"a": None}, lasts="1s"), plugins=PLUGINS)
    guest = Guest(federation)
    federation.visitors.append(guest)
    with pytest.raises(Stopped), federation:
        run_paced(federation, 1.0, housekeeper)  # type: ignore[arg-type]
    assert guest.gone and guest.did == []


def test_a_run_that_was_visited_says_so(tmp_path):
    federation = Federation(world({"a": None}), plugins=PLUGINS, out=tmp_path / "run")
    with federation:
        federation.note_visit()
    with open_run(tmp_path / "run") as run:
        assert run.manifest["determinism"] == "interactive"
