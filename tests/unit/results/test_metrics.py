"""Figures of the run told in by_hand, each computed there by hand."""

from __future__ import annotations

import math
import sqlite3
import tracemalloc

import pytest

from simcore.results.metrics import Metrics, spread
from simcore.results.statistics import accuracy_interval, normal_interval, wilson_interval
from simcore.results.store import open_run
from simcore.results.tables import create_tables

MS = 10**6


@pytest.fixture
def metrics(make_run):
    with open_run(make_run()) as run:
        yield Metrics(run.connection)


def test_totals(metrics):
    totals = metrics.totals
    assert (totals.sent, totals.delivered, totals.in_flight) == (8, 5, 1)
    assert totals.lost == {"loss": 1, "queue_full": 1}
    assert totals.lost_total == 2


def test_flows_in_scenario_order(metrics):
    found = [
        (flow.name, flow.kind, flow.counts.sent, flow.counts.delivered, flow.size)
        for flow in metrics.flows
    ]
    assert found == [
        ("meter -> gateway", "reading", 4, 3, 350),
        ("gateway -> cloud", "my kind", 3, 1, 120),
        ("cloud -> meter", "command", 1, 1, 8),
    ]


def test_latency_is_split(metrics):
    reading, hop, command = metrics.flows
    assert reading.latency.mean == pytest.approx((10 + 20 + 40) / 3 * MS)
    assert reading.latency.p50 == 20 * MS
    assert reading.latency.p95 == pytest.approx(38 * MS)  # rank 1 + 0.95 * 2 of 10, 20, 40
    assert reading.latency.max == 40 * MS
    assert reading.queueing.mean == 4 * MS
    assert [part.p50 // MS for part in (hop.latency, hop.network, hop.queueing, hop.computing)] == [
        50,
        40,
        7,
        3,
    ]
    assert hop.end_to_end.p99 == 60 * MS
    assert command.latency.p50 == 30 * MS and command.end_to_end.p50 == 90 * MS


def test_parts_add_up(metrics):
    parts = sum(metrics.series(part) for part in ("network", "queueing", "computing"))
    assert (parts == metrics.series("latency")).all()


def test_nodes(metrics):
    found = {n.name: (n.sent, n.lost, n.received, n.latency.n) for n in metrics.nodes}
    assert found == {
        "meter-0": (3, 1, 1, 2),
        "meter-1": (1, 0, 0, 1),
        "gateway": (3, 1, 3, 1),
        "cloud": (1, 0, 1, 1),
    }
    assert metrics.nodes[0].latency.mean == 15 * MS


def test_counts_for_expectations(metrics):
    assert metrics.kinds() == ["command", "my kind", "reading"]
    assert metrics.count("sent") == 8
    assert metrics.count("lost", kind="reading") == 1
    assert metrics.count("lost", reason="queue_full") == 1
    assert metrics.count("lost", reason="loss", kind="my kind") == 0
    assert metrics.count("in_flight", kind="my kind") == 1
    assert sorted(metrics.series("latency", kind="reading") // MS) == [10, 20, 40]
    assert list(metrics.record("temperature")) == [20.0, 22.0, 27.0]
    assert metrics.record("state") is None and metrics.record_count("state") == 3
    assert metrics.flow_series(metrics.flows[1], "computing").tolist() == [3 * MS]


def test_measurements(metrics):
    correct, state, temperature = metrics.measurements
    assert (correct.name, correct.n, correct.boolean, correct.mean) == ("correct", 4, True, 0.75)
    assert state.texts == (("busy", 2), ("idle", 1)) and state.mean is None and state.n == 3
    # 20, 22, 27: mean 23, squares 9 + 1 + 16 = 26, s^2 = 13, s / sqrt(3) = 2.0817
    assert (temperature.n, temperature.mean, temperature.minimum) == (3, 23.0, 20.0)
    assert temperature.std_error == pytest.approx(math.sqrt(13 / 3))
    assert temperature.high == pytest.approx(23 + 1.959964 * math.sqrt(13 / 3), rel=1e-6)


def test_variance_survives_a_large_offset(make_run):
    rows = [(n, "cloud", n, "x", "float", 1e9 + n % 2) for n in range(1000)]
    with open_run(make_run(measurements=rows)) as run:
        (x,) = Metrics(run.connection).measurements
    assert x.std_error == pytest.approx(math.sqrt(0.25 * 1000 / 999 / 1000), rel=1e-6)


def test_single_and_mixed_measurements(make_run):
    rows = [
        (1, "cloud", 1, "once", "int", 5),
        (2, "cloud", 2, "mixed", "int", 5),
        (3, "cloud", 3, "mixed", "str", "none"),
    ]
    with open_run(make_run(measurements=rows)) as run:
        metrics = Metrics(run.connection)
        mixed, once = metrics.measurements
        assert (once.mean, once.std_error, once.low) == (5, None, None)
        assert mixed.n == 2 and mixed.texts == (("none", 1),)
        assert metrics.record("mixed") is None


def test_wilson_interval_of_published_examples():
    # R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I: 81/263 and 0/20
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(20, 20)[1] == 1.0


def test_normal_interval():
    assert normal_interval(10.0, 1.0) == pytest.approx((8.040036, 11.959964), abs=1e-6)


def test_nothing_delivered(make_run):
    with open_run(make_run(messages=[], measurements=[])) as run:
        metrics = Metrics(run.connection)
    assert metrics.totals.sent == 0 and metrics.flows == () and metrics.kinds() == []
    assert len(metrics.nodes) == 4
    assert math.isnan(spread(metrics.series("latency")).p50)


def test_memory_per_message_is_that_of_columns():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_tables(connection)
    connection.execute("INSERT INTO node VALUES (0, 'a', 'a', 'device', 'python_model')")
    connection.execute("INSERT INTO kind VALUES (0, 'k')")
    count = 50_000
    rows = ((n + 5, 0, n, 0, 0, 10, "{}", n, 0) for n in range(count))
    connection.executemany("INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?)", rows)
    tracemalloc.start()
    metrics = Metrics(connection)
    assert metrics.flows[0].latency.p99 == 5
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    connection.close()
    assert peak / count < 400  # bytes; one Python tuple of nine numbers alone takes more


@pytest.mark.parametrize(
    ("half_width", "expected"),
    [
        (None, wilson_interval(90, 100)),
        (0.0, wilson_interval(90, 100)),  # all seeds agree, for all show the same images
        (0.2, (0.7, 1.0)),
    ],
)
def test_an_accuracy_over_seeds_is_never_surer_than_that_of_one_run(half_width, expected):
    assert accuracy_interval(90.4, 100.2, half_width) == pytest.approx(expected, abs=0.003)
    assert accuracy_interval(0, 0, half_width) is None
