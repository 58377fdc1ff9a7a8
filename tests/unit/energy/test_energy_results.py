"""What a run tells of energy: totals by node, what things cost, a section of the summary."""

from __future__ import annotations

import gc
import io
import weakref

import pytest
from rich.console import Console
from worlds import PLUGINS, S, both, play, world

from simcore import Federation, open_run
from simcore.cli.compare import _print
from simcore.errors import ExitCode, Interrupted
from simcore.experiments.figures import Metric, figures
from simcore.extensions import energy
from simcore.results.compare import compare
from simcore.results.energy import Costs, costs, energy_gap, node_energies
from simcore.results.metrics import Metrics
from simcore.results.report import content
from simcore.results.summary import print_summary

METER = {
    "idle": "1mW",
    "active": "11mW",
    "states": {"camera": "101mW"},
    "radio": {"tx": "62.5mW", "rx": "31.25mW", "rate": "250kbit/s", "overhead": "10B"},
    "battery": "20mJ",
}


class Gateway:
    def on_message(self, ctx, msg):
        ctx.compute("10ms")
        ctx.reply(msg, "answer", 1, size=40)


def meter(node):
    energy.enter(node, "camera", "100ms")
    yield node.sleep("100ms")
    energy.enter(node, "active", "100ms")
    yield node.sleep("100ms")
    node.send("gateway", "image", 1, size=90)


@pytest.fixture
def run(tmp_path):
    scenario = world(
        {"meter": {"does": meter, "count": 2}, "gateway": Gateway, "other": None},
        [both("meter", "gateway")],
        faults=[{"at": "5s", "for": "1s", "node": "meter-1", "crash": True}],
        extensions={"energy": {"meter": METER, "gateway": {"idle": "1W", "active": "2W"}}},
        lasts="8s",
    )
    play(scenario, out=tmp_path / "run")
    with open_run(tmp_path / "run") as run:
        yield run


def test_what_things_cost(run):
    found = costs(run.connection)
    assert list(found) == ["meter-0", "meter-1", "gateway"]
    assert found["meter-1"] == Costs(1e-3, 11e-3, None, 2e-6, 1e-6, 10, 0.02)
    assert found["gateway"] == Costs(1, 2, None, 0, 0, 0, None)


def test_totals_of_nodes(run):
    found = node_energies(run.connection)
    one, two, gateway = (found[name] for name in ("meter-0", "meter-1", "gateway"))
    assert one.parts == pytest.approx(
        {"idle": 7.8e-3, "active": 1.1e-3, "camera": 10.1e-3, "tx": 200e-6, "rx": 50e-6}
    )
    assert (one.total, one.left, one.charge) == pytest.approx((19.25e-3, 0.75e-3, 0.0375))
    assert (one.lived, one.sent, one.received) == (8 * S, 100, 50)
    assert one.power == pytest.approx(19.25e-3 / 8)
    assert one.computing == pytest.approx(1e-3)
    assert gateway.left is None and gateway.charge is None
    assert gateway.parts == pytest.approx({"idle": 7.98, "active": 0.04})
    assert gateway.computing == pytest.approx(0.02)
    # The second starts again after a second, and its battery ends with its second camera.
    assert two.left == 0
    assert two.total == pytest.approx(0.02, abs=2e-10)


def test_a_table_for_people(run):
    assert list(run.energy().columns) == [
        "node", "life", "part", "joule", "ns", "bytes", "instructions",
    ]  # fmt: skip
    target = io.StringIO()
    print_summary(run, Console(file=target, width=120))
    lines = [" ".join(line.split()) for line in target.getvalue().splitlines()]
    at = lines.index("Energy")
    assert lines[at + 1 : at + 4] == [
        "nodes each mean power idle active own states radio battery left",
        "meter (2) 19.6 mJ 3.011 mW 32.1 % 5.6 % 61 % 1.3 % 0 %",
        "gateway 8.02 J 1.002 W 99.5 % 0.5 % 0 % 0 % -",
    ]


SHORT = {"idle": "3mW", "battery": "10mJ"}
"""Lasts 3.33 s."""


def short(tmp_path, name, idle="3mW", **nodes):
    nodes = {"meter": {"does": None, "count": 2}, **nodes}
    scenario = world(nodes, extensions={"energy": {"meter": {**SHORT, "idle": idle}}}, lasts="8s")
    play(scenario, out=tmp_path / name)
    return open_run(tmp_path / name)


def test_a_lifetime_is_a_duration_wherever_it_is_printed(tmp_path):
    target = io.StringIO()
    console = Console(file=target, width=120)
    with short(tmp_path, "a") as run, short(tmp_path, "b", "2mW") as other:
        print_summary(run, console)
        _print(compare(run, other), console)
        tables = [table for section in content(run).sections for table in section.tables]
    lines = [" ".join(line.split()) for line in target.getvalue().splitlines()]
    assert "lifetime 2 3.3333 s 0 3.3333 s to 3.3333 s" in lines
    assert "lifetime 3.3333 s 5 s" in lines
    (row,) = next(table.rows for table in tables if table.title == "Measurements")
    assert row[2:] == ("3.3333 s", "0", "3.3333 s to 3.3333 s", "3.3333 s", "3.3333 s")
    assert figures(tmp_path / "b")[Metric("mean", "lifetime", "ns")] == 5 * S


def test_what_a_model_calls_a_lifetime_has_a_unit_of_its_own(tmp_path):
    def chick(node):
        node.record("lifetime", 5)
        yield node.sleep("1s")

    with short(tmp_path, "a", chick=chick) as run:
        (found,) = Metrics(run.connection).measurements
    assert (found.n, found.duration) == (3, False)


@pytest.mark.parametrize("value", [3, 3.0, S, True, "long"])
def test_so_has_what_a_model_with_a_battery_calls_one(tmp_path, value):
    """Beside that of the other battery, which ends; also where it is a time by chance."""

    def filming(node):
        yield node.sleep("1s")
        node.record("lifetime", value)

    with short(tmp_path, "a", camera=None) as run:
        (found,) = Metrics(run.connection).measurements
        assert found.duration
    scenario = world(
        {"meter": None, "camera": filming},
        extensions={"energy": {"meter": SHORT, "camera": {**SHORT, "battery": "1J"}}},
        lasts="8s",
    )
    play(scenario, out=tmp_path / "b")
    with open_run(tmp_path / "b") as run:
        (found,) = Metrics(run.connection).measurements
    assert not found.duration


def test_a_run_without_energy(tmp_path):
    play(world({"meter": None}), out=tmp_path / "run")
    with open_run(tmp_path / "run") as run:
        assert costs(run.connection) == node_energies(run.connection) == {}
        assert len(run.energy()) == 0
        assert energy_gap({"exit": {"reason": "running"}}, run.connection) is None


def test_a_run_that_nobody_ends_is_forgotten():
    """What its nodes draw is known as long as somebody has it, and of no other run."""
    scenario = world({"meter": None}, extensions={"energy": {"meter": SHORT}})
    federation, other = (Federation(scenario, plugins=PLUGINS) for _ in range(2))
    federation.env.run(until=S)
    assert energy.left(federation.nodes["meter"]) == pytest.approx(7e-3)
    assert energy.left(other.nodes["meter"]) == pytest.approx(10e-3)
    gone = weakref.ref(federation)
    del federation
    gc.collect()
    assert gone() is None


def test_what_is_known_while_a_run_goes_on(tmp_path):
    """A life that has ended can be read; the one that goes on cannot, and what is shown says so."""

    def look(federation):
        federation.env.run(until=7 * S)
        federation.recorder.flush(7 * S)
        told.append(said(tmp_path / "run"))
        with open_run(tmp_path / "run") as run:
            known.append((list(costs(run.connection)), list(node_energies(run.connection))))
        federation.env.run(until=8 * S)

    known, told = [], []
    scenario = world(
        {"meter": {"does": None, "count": 2}},
        faults=[{"at": "5s", "for": "1s", "node": "meter-1", "crash": True}],
        extensions={"energy": {"meter": {"idle": "1mW"}}},
        lasts="8s",
    )
    play(scenario, look, out=tmp_path / "run")
    assert known == [(["meter-0", "meter-1"], ["meter-1"])]
    [(summary, fact)] = told
    assert f"Energy {fact}" in summary
    assert fact.startswith("only of lives of nodes that had ended;")
    _, fact = said(tmp_path / "run")
    assert fact is None


def said(path):
    """The lines of a run's summary, and what its report says of its energy as a whole."""
    target = io.StringIO()
    with open_run(path) as run:
        print_summary(run, Console(file=target, width=120))
        facts = dict(content(run).facts)
    return [" ".join(line.split()) for line in target.getvalue().splitlines()], facts.get("energy")


STOPS = [RuntimeError(), KeyboardInterrupt(), Interrupted(ExitCode.TERMINATED)]


@pytest.mark.parametrize("error", STOPS, ids=lambda error: type(error).__name__)
def test_a_run_that_is_stopped_tells_of_its_energy_so_far(tmp_path, error):
    """Also of what goes on: idle for one second, then in the camera's state for four."""

    def end():
        raise error

    def stopped(federation):
        federation.at(5 * S, end)
        federation.env.run(until=8 * S)

    def filming(node):
        yield node.sleep("1s")
        energy.enter(node, "camera")

    scenario = world(
        {"meter": {"does": filming, "count": 2}},
        faults=[{"at": "3s", "for": "1s", "node": "meter-1", "crash": True}],
        extensions={"energy": {"meter": {"idle": "1mW", "states": {"camera": "101mW"}}}},
        lasts="8s",
    )
    with pytest.raises(type(error)):
        play(scenario, stopped, out=tmp_path / "run")
    with open_run(tmp_path / "run") as run:
        found = node_energies(run.connection)
    nothing = {"active": 0, "tx": 0, "rx": 0}
    one, two = ({**nothing, **found[name].parts} for name in ("meter-0", "meter-1"))
    assert one == pytest.approx({**nothing, "idle": 1e-3, "camera": 404e-3})
    # Down for a second, and in its second life for another until it is stopped.
    assert two == pytest.approx({**nothing, "idle": 2e-3, "camera": 202e-3})
    assert said(tmp_path / "run")[1] is None
