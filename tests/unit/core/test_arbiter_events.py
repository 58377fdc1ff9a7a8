"""An instant that is over already is settled without a further event of the environment."""

import pytest
import simpy
from worlds import PLUGINS, one_way, world

from simcore.arbiter import Arbiter
from simcore.federation import Federation


def sensor(node):
    while True:
        yield node.sleep("1s")
        node.send("sink", "reading", 1)


def sink(node):
    while True:
        yield node.receive()


@pytest.mark.parametrize("env", [None, simpy.Environment()], ids=["clock", "plain"])
def test_a_rated_link_costs_no_arbiter_event_where_nothing_else_happens(monkeypatch, env):
    """sensor --1 ms, 1 Mbit/s--> sink"""
    scheduled = []
    plain = Arbiter._schedule
    monkeypatch.setattr(
        Arbiter, "_schedule", lambda self, env: (scheduled.append(env.now), plain(self, env))
    )
    star = world(
        {"sensor": sensor, "sink": sink},
        [one_way("sensor", "sink", rate="1Mbit/s")],
        lasts="1min",
    )
    federation = Federation(star, env, plugins=PLUGINS)
    federation.run()
    assert federation.recorder.written == 59
    assert scheduled == []
