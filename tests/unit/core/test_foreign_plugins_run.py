"""A backend, a network model and an extension of somebody else take part in a run.

    probe-0, probe-1 --- pigeons: 1 ms a letter of the recipient's name ---> loft

All three come from this file; the core finds them as if they were installed.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from worlds import MS, Transcript

from simcore import Fate, Federation, Plugins, SimcoreError, UsageError, loads
from simcore.hosting import in_process
from simcore.network import LinkMetrics, Network, Path
from simcore.node import Node
from simcore.protocol.service import Done, Measure, Output

TEXT = """\
simcore: 1
duration: 50ms
nodes:
  probe: {count: 2, implementation: clockwork, every: 10ms}
  loft: {}
network: {model: pigeons, tired_after: 3}
hawks: {from: 25ms}
"""


class Clockwork:
    """A backend whose participants announce when they act next, as an external one would."""

    name = "clockwork"
    determinism = "exact"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "Ticks.",
        "properties": {
            "every": {"type": "string", "format": "duration", "description": "Between ticks."}
        },
    }

    def check(self, value, path, checker):
        """Nothing."""

    def attach(self, federation, spec):
        return in_process(federation, spec, lambda life: Ticker(spec.index))


class Ticker:
    """Sends at its instants, and announces an answer that leaves 1 ms later."""

    def __init__(self, index):
        self.index = index

    def advance(self, now, inputs):
        if now == 0:
            return Done((), (), now + 10 * MS)
        tick = Output(now, "loft", "tick", f"{self.index}", None, None, 0, 0)
        late = Output(now + MS, "loft", "tock", f"{self.index}", 5, None, 0, MS)
        return Done((tick, late), (Measure(now + MS, "wound", True),), now + 10 * MS)


class Pigeons:
    name = "pigeons"
    determinism = "statistical"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "Pigeons.",
        "properties": {"tired_after": {"type": "integer", "description": "Flights."}},
    }

    def check(self, value, path, checker):
        """Nothing."""

    def build(self, federation, scenario):
        return Sky(federation, scenario.network["tired_after"])


class Sky(Network):
    def __init__(self, federation, flights):
        self.federation = federation
        self.left = flights

    def path(self, source, destination):
        return Flight(self, destination)

    def metrics(self, end):
        yield LinkMetrics("sky", "", "", 0, 0, 0, 0, 0, 0, 0, 0.0, self.left)


class Flight(Path):
    def __init__(self, sky, receiver):
        self.sky = sky
        self.receiver = receiver

    def enter(self, message):
        self.sky.federation.stage(message)

    def release(self, message):
        sky, federation = self.sky, self.sky.federation
        if not sky.left:
            federation.lose(message, Fate.LOSS)
            return
        sky.left -= 1
        federation.announce(message, federation.now + MS * len(message.destination))


class Hawks:
    """An extension that watches, and takes nodes down from an instant on."""

    name = "hawks"
    determinism = "exact"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "Hawks.",
        "properties": {"from": {"type": "string", "format": "duration", "description": "When."}},
    }

    def __init__(self):
        self.seen = []
        self.granted = []

    def check(self, value, path, checker):
        """Nothing."""

    def attach(self, federation, value):
        federation.observe(lambda m: self.seen.append((m.at // MS, m.id, Fate(m.fate).name)))
        federation.observe_grants(lambda *grant: self.granted.append(grant))
        federation.observe_end(lambda end: self.seen.append((end // MS, "end", "")))
        federation.at(25 * MS, federation.nodes["probe-1"].crash)


@pytest.fixture
def hawks():
    return Hawks()


@pytest.fixture
def plugins(hawks):
    return Plugins(
        extra={
            "backends": {"clockwork": Clockwork()},
            "netmodels": {"pigeons": Pigeons()},
            "extensions": {"hawks": hawks},
        }
    )


def test_all_three_work_together(plugins, hawks, tmp_path):
    federation = Federation(loads(TEXT, plugins=plugins), out=tmp_path / "run", plugins=plugins)
    federation.recorder.digest = transcript = Transcript(federation)
    federation.run()
    messages = [line for line in transcript.lines() if line[1] == "message"]
    assert [(line[0] // MS, line[2], line[3], line[-1]) for line in messages] == [
        (11, "probe-1", 2, "loss"),
        (14, "probe-0", 1, "delivered"),
        (14, "probe-1", 1, "delivered"),
        (15, "probe-0", 2, "delivered"),
        *[
            (time, probe, number, "loss")
            for time, probe, number in [
                (20, "probe-0", 3), (20, "probe-1", 3), (21, "probe-0", 4), (21, "probe-1", 4),
                (30, "probe-0", 5), (31, "probe-0", 6), (40, "probe-0", 7), (41, "probe-0", 8),
            ]
        ],
    ]  # fmt: skip
    assert hawks.seen[:4] == [
        (11, "probe-1/2", "LOSS"),
        (14, "probe-0/1", "DELIVERED"),
        (14, "probe-1/1", "DELIVERED"),
        (15, "probe-0/2", "DELIVERED"),
    ]
    assert hawks.seen[-1] == (50, "end", "")
    assert [grant for grant in hawks.granted if grant[1] <= 10 * MS] == [
        ("probe-0", 0, 0),
        ("probe-1", 0, 0),
        ("probe-0", 10 * MS, 0),
        ("probe-1", 10 * MS, 0),
    ]
    assert federation.archive.manifest["determinism"] == "statistical"


def test_an_extension_gives_nodes_keys_for_their_config(plugins):
    class Telling(Hawks):
        def configure(self, value, scenario):
            return {"probe-1": {"hawks": value["from"], "nodes": len(scenario.nodes)}, "loft": {}}

    telling = Plugins(extra={**plugins.extra, "extensions": {"hawks": Telling()}})
    text = TEXT.replace("every: 10ms}", "every: 10ms, config: {calm: true, nodes: 0}}")
    scenario = loads(text, plugins=telling)
    assert {spec.name: spec.config for spec in scenario.nodes} == {
        "probe-0": {"calm": True, "nodes": 0},
        "probe-1": {"calm": True, "nodes": 3, "hawks": "25ms"},
        "loft": {},
    }
    assert scenario.groups["probe"][1] is scenario.nodes[1]
    assert scenario.resolved["nodes"]["probe"]["config"] == {"calm": True, "nodes": 0}


def test_a_network_without_links_cannot_be_disturbed(plugins):
    federation = Federation(loads(TEXT, plugins=plugins), plugins=plugins)
    for call in (federation.network.disturb, federation.network.restore):
        with pytest.raises(UsageError, match="Sky has no links to disturb"):
            call("a", "b", None)
    assert federation.network.lookahead() == {}
    federation.close()


def test_a_plugin_that_fails_while_it_is_attached_leaves_a_closed_run(plugins, tmp_path):
    class Broken(Hawks):
        def attach(self, federation, value):
            raise RuntimeError("no hawks today")

    broken = Plugins(extra={**plugins.extra, "extensions": {"hawks": Broken()}})
    with pytest.raises(RuntimeError, match="no hawks today"):
        Federation(loads(TEXT, plugins=plugins), out=tmp_path / "run", plugins=broken)


def test_a_participant_that_fails_is_named(plugins):
    class Failing(Clockwork):
        def attach(self, federation, spec):
            def make(life):
                raise FileNotFoundError("no engine")

            return in_process(federation, spec, make)

    failing = Plugins(extra={**plugins.extra, "backends": {"clockwork": Failing()}})
    with pytest.raises(SimcoreError, match="probe-0 raised FileNotFoundError: no engine"):
        Federation(loads(TEXT, plugins=plugins), plugins=failing).run()


def test_a_backend_may_bring_plain_nodes(plugins):
    class Plain(Clockwork):
        def attach(self, federation, spec):
            return Node(federation, spec)

    plain = Plugins(extra={**plugins.extra, "backends": {"clockwork": Plain()}})
    assert Federation(loads(TEXT, plugins=plugins), plugins=plain).run()
