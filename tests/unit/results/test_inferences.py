"""What became of inferences: those told in `inferences_by_hand`, each figure computed there by hand."""

from __future__ import annotations

import csv
import math
import sqlite3
from contextlib import closing

import inferences_by_hand as placed
import numpy as np
import pytest
from by_hand import MS, write_database
from hypothesis import given
from hypothesis import strategies as st

from simcore.expect import evaluate, parse
from simcore.results.confusion import confusion
from simcore.results.export import export
from simcore.results.inferences import (
    NONE,
    PARTS,
    load,
    measured,
    pareto,
    rows,
    summarise,
)
from simcore.results.metrics import Metrics
from simcore.results.statistics import wilson_interval
from simcore.results.store import open_run


@pytest.fixture
def run(placed_run):
    with open_run(placed_run()) as opened:
        yield opened


@pytest.fixture
def inferences(run):
    return load(run.connection)


def in_ms(values):
    return [value if value == NONE else value / MS for value in values.tolist()]


def test_what_became_of_each(inferences):
    assert [inferences.nodes[node] for node in inferences.node] == [
        "meter-0", "meter-1", "meter-1", "meter-1", "meter-0",
    ]  # fmt: skip
    assert inferences.n.tolist() == [1, 1, 2, 3, 2]
    assert inferences.place.tolist() == [0, 1, NONE, 0, 2]
    assert inferences.right.tolist() == [1, 1, NONE, 0, 0]
    assert inferences.own_right.tolist() == [1, NONE, NONE, 0, 0]
    assert in_ms(inferences.latency) == [5, 24, NONE, 12, 126]
    assert math.isnan(inferences.confidence[2])


def test_latency_is_split_along_the_chain(inferences):
    assert {part: in_ms(values) for part, values in inferences.parts.items()} == {
        "sampling": [1, 2, 0, 4, 2],
        "radio": [0, 16, 0, 0, 14],
        "wan": [0, 0, 0, 0, 80],
        "lan": [0, 2, 0, 0, 2],
        "queueing": [0, 1, 0, 0, 7],
        "computing": [4, 3, 0, 8, 17],
        "other": [0, 0, 0, 0, 4],
    }


def test_messages_and_bytes(inferences):
    assert inferences.messages.tolist() == [1, 4, 1, 1, 7]
    assert inferences.size.tolist() == [16, 176, 72, 76, 276]
    assert inferences.uplink.tolist() == [16, 72, 72, 76, 84]
    assert inferences.downlink.tolist() == [0, 16, 0, 0, 16]


def test_a_run_without_inferences(make_run):
    with open_run(make_run()) as run:
        found = load(run.connection)
        assert (len(found), summarise(found)) == (0, ())
        assert confusion(run.connection).labels == ()
        assert list(run.inferences().columns)[:3] == ["node", "n", "place"]


def test_a_chain_that_does_not_lead_to_the_request_is_other(placed_run):
    """A service that names no cause: what can be told is told, the rest is `other`."""
    messages = [(*m[:7], None, *m[8:]) if m[0] == "edge/2" else m for m in placed.MESSAGES]
    with open_run(placed_run(messages=messages)) as run:
        found = load(run.connection)
    parts = {part: values[1] / MS for part, values in found.parts.items()}
    assert parts == {
        "sampling": 2, "radio": 6, "wan": 0, "lan": 1, "queueing": 1, "computing": 3, "other": 11,
    }  # fmt: skip


def test_a_message_over_several_links_counts_by_each_of_them(placed_run):
    """meter-0 asks the cloud by way of the gateway, and has its answer on the same way back.

    | message   | hop              | entered | queued | arrived |
    |-----------|------------------|---------|--------|---------|
    | meter-0/1 | meter-0->gateway |      10 |      1 |      18 |
    |           | gateway->edge    |      18 |        |      20 |
    |           | edge->cloud      |      20 |      3 |      60 |
    | cloud/1   | cloud->meter-0   |      65 |        |     105 | (one link)
    """
    messages = [
        ("meter-0/1", "cloud", "image", 72, 10, 60, "delivered", None, 10, 4, 0, 0),
        ("cloud/1", "meter-0", "result", 16, 65, 105, "delivered", "meter-0/1", 10, 0, 0, 5),
    ]
    hops = [
        ("meter-0/1", 0, "meter-0->gateway", 10, 1, 2, 18),
        ("meter-0/1", 1, "gateway->edge", 18, 0, 1, 20),
        ("meter-0/1", 2, "edge->cloud", 20, 3, 1, 60),
    ]
    told = ("meter-0", 1, 10, 10, 105, "cloud", "rule", 7, 0.9, 7, None, 1, "cloud/1")
    with open_run(placed_run(messages=messages, inferences=[told], hops=hops)) as run:
        found = load(run.connection)
    assert {part: values[0] / MS for part, values in found.parts.items()} == {
        "sampling": 0, "radio": 7 + 40, "wan": 37, "lan": 2, "queueing": 4, "computing": 5, "other": 0,
    }  # fmt: skip


def test_causes_in_a_circle_end(placed_run):
    messages = [(*m[:7], "gateway/5", *m[8:]) if m[0] == "edge/2" else m for m in placed.MESSAGES]
    with open_run(placed_run(messages=messages)) as run:
        found = load(run.connection)
    assert sum(values[1] for values in found.parts.values()) == 24 * MS


# --- tables ---


def test_the_table(run):
    frame = run.inferences()
    assert len(frame) == 5
    row = frame.iloc[4].to_dict()
    assert [row[name] for name in ("node", "n", "place", "reason", "label", "truth", "own")] == [
        "meter-0", 2, "cloud", "edge 0.6 < 0.9", "9", "8", "3",
    ]  # fmt: skip
    assert (row["request"], row["answer"], row["right"]) == ("meter-0/2", "gateway/3", 0)
    assert (frame[list(PARTS)].sum(axis=1) == frame.latency).loc[[0, 1, 3, 4]].all()
    nothing = frame.iloc[2]
    assert all(nothing.isna()[name] for name in ("place", "ended", "latency", *PARTS, "energy"))


def test_exported(run, tmp_path):
    written = {path.name: count for path, count in export(run, tmp_path)}
    assert written["inferences.csv"] == 5
    with (tmp_path / "inferences.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["computing"] == "4000000" and rows[2]["computing"] == ""
    assert rows[1]["reason"] == "sure 0.98 >= 0.9"


# --- figures ---


def test_summary_per_place(inferences):
    found = summarise(inferences, deadline=24 * MS)
    assert [(f.place, f.n, f.answered, f.judged, f.right, f.in_time) for f in found] == [
        ("all", 5, 4, 4, 2, 3),
        ("device", 2, 2, 2, 1, 2),
        ("edge", 1, 1, 1, 1, 1),
        ("cloud", 1, 1, 1, 0, 0),
        ("none", 1, 0, 0, 0, 0),
    ]
    everything, device, *_, none = found
    assert everything.accuracy == 0.5 and everything.interval == wilson_interval(2, 4)
    assert device.share == 0.4 and none.accuracy is None and none.interval is None
    assert device.latency.p50 == 8.5 * MS and math.isnan(none.latency.p50)
    assert device.split["computing"] == 6 * MS and math.isnan(none.split["computing"])
    assert everything.uplink == (16 + 72 + 72 + 76 + 84) / 5
    assert none.size == 72 and everything.energy is None


def test_what_the_end_of_the_run_cut_off_is_not_counted(placed_run):
    told = [(*row[:5], row[5], "under way", *row[7:]) if row[4] is None else row
            for row in placed.INFERENCES]  # fmt: skip
    with open_run(placed_run(inferences=told)) as run:
        found = load(run.connection)
        metrics = Metrics(run.connection, 24 * MS)
        assert evaluate(parse("in_time(inference) == 75%"), metrics).passed
        assert evaluate(parse("share(inference.edge) == 25%"), metrics).passed
    assert found.pending.tolist() == [False, False, True, False, False]
    assert [(f.place, f.n, f.share) for f in summarise(found, deadline=24 * MS)] == [
        ("all", 4, 1), ("device", 2, 0.5), ("edge", 1, 0.25), ("cloud", 1, 0.25),
    ]  # fmt: skip


def test_without_deadline_nothing_is_late(inferences):
    assert {figures.in_time for figures in summarise(inferences)} == {None}


def test_confusion(run):
    found = confusion(run.connection)
    assert found.labels == (1, 2, 3, 7, 8, 9)
    counts = {
        (truth, answer): int(found.counts[i, j])
        for i, truth in enumerate(found.labels)
        for j, answer in enumerate(found.labels)
        if found.counts[i, j]
    }
    assert counts == {(7, 7): 1, (3, 3): 1, (2, 1): 1, (8, 9): 1}
    assert confusion(run.connection, "cloud").labels == (8, 9)


def test_answers_that_are_quantities_have_no_matrix(placed_run):
    directory = placed_run()
    with closing(sqlite3.connect(directory / "run.sqlite")) as connection, connection:
        connection.execute("DELETE FROM inference")
        connection.executemany(
            "INSERT INTO inference(node, n, sampled, sent, ended, place, label, truth) "
            "VALUES (0, ?, 0, 0, 0, 'device', ?, ?)",
            ((n, n / 8, n / 8) for n in range(1, 40_000)),
        )
    with open_run(directory) as run:
        assert confusion(run.connection).labels == ()
        everything, *_ = summarise(load(run.connection))
    assert everything.judged == everything.right == 39_999


@pytest.mark.parametrize(
    ("points", "best"),
    [
        ([], []),
        ([(1.0, 1.0)], [True]),
        ([(1, 3), (2, 2), (3, 1), (3, 3)], [True, True, True, False]),
        ([(1, 1), (1, 1), (1, 2)], [True, True, False]),  # equals do not beat each other
        ([(1, None), (2, 5)], [True, False]),  # what one lacks tells nothing
        ([(1, math.nan), (2, 5)], [True, False]),
        ([(None,), (None,)], [True, True]),
    ],
)
def test_pareto(points, best):
    assert pareto(points) == best


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("accuracy(inference) == 50%", 0.5),
        ("accuracy(inference.edge) == 1", 1),
        ("share(inference.device) == 40%", 0.4),
        ("in_time(inference) == 60%", 0.6),
        ("in_time(inference.cloud) == 0", 0),
        ("count(inference.latency) == 4", 4),
        ("max(inference.latency) == 126ms", 126 * MS),
        ("sum(inference.radio.edge) == 16ms", 16 * MS),
        ("mean(inference.size.cloud) == 276B", 276),
        ("max(inference.confidence) == 0.99", 0.99),
    ],
)
def test_expected(run, text, left):
    outcome = evaluate(parse(text), Metrics(run.connection, 24 * MS))
    assert outcome.passed, outcome.explanation
    assert outcome.left == pytest.approx(left)


def test_expected_of_a_run_that_cannot_tell(run, make_run):
    assert (
        "deadline" in evaluate(parse("in_time(inference) > 0"), Metrics(run.connection)).explanation
    )
    assert (
        "energy"
        in evaluate(parse("max(inference.energy) > 0J"), Metrics(run.connection)).explanation
    )
    with open_run(make_run()) as other:
        outcome = evaluate(parse("accuracy(inference) > 0"), Metrics(other.connection))
    assert "no inference occurred" in outcome.explanation


# --- energy ---


@pytest.fixture
def energetic(placed_run):
    """The same run with a radio of 1 uJ a byte (half of it to receive), and 10 B of overhead.

    meter-0 draws 1 mW idle and 5 mW for 8 ms, in which it computes for its two inferences; meter-1
    draws 1 mW idle, and 20 mJ in a state of its own.
    """
    directory = placed_run()
    with closing(sqlite3.connect(directory / "run.sqlite")) as connection, connection:
        connection.executemany(
            "INSERT INTO meter(node, idle, active, tx, rx, overhead) VALUES (?,?,?,?,?,?)",
            [(node, 1e-3, 5e-3, 1e-6, 0.5e-6, 10) for node in (0, 1)],
        )
        connection.executemany(
            "INSERT INTO energy VALUES (?,1,?,?,?,?,0)",
            [
                (0, "idle", 292e-6, 292 * MS, 0),
                (0, "active", 40e-6, 8 * MS, 0),
                (0, "tx", 130e-6, 0, 130),
                (0, "rx", 13e-6, 0, 26),
                (1, "idle", 200e-6, 200 * MS, 0),
                (1, "camera", 20e-3, 100 * MS, 0),
                (1, "tx", 250e-6, 0, 250),
                (1, "rx", 13e-6, 0, 26),
            ],
        )
    connection.close()
    with open_run(directory) as run:
        yield run


def test_energy_by_the_bytes_and_the_computing(energetic):
    found = load(energetic.connection)
    computing = (40e-6 - 8e-6) / 2  # shared by the two of meter-0
    camera = (20e-3 - 100e-6) / 3
    assert found.energy.tolist() == pytest.approx([
        26e-6 + computing,
        82e-6 + 13e-6 + camera,
        82e-6 + camera,
        86e-6 + camera,
        (86 + 18) * 1e-6 + 13e-6 + computing,
    ])  # fmt: skip
    drawn = [292e-6 + 40e-6 + 130e-6 + 13e-6, 200e-6 + 20e-3 + 250e-6 + 13e-6]
    assert found.drawn.tolist() == pytest.approx(
        [drawn[0] / 2, drawn[1] / 3, drawn[1] / 3, drawn[1] / 3, drawn[0] / 2]
    )


def test_energy_adds_up_to_what_devices_drew_beyond_being_idle(energetic):
    energy = load(energetic.connection).energy
    beyond = (130 + 13 + 32) * 1e-6 + (250 + 13) * 1e-6 + 20e-3 - 100e-6
    assert energy.sum() == pytest.approx(beyond)


def test_computing_is_shared_by_all_where_the_device_answers_none(energetic):
    connection = sqlite3.connect(":memory:")
    energetic.connection.backup(connection)
    connection.execute("UPDATE inference SET own = NULL")
    connection.execute("UPDATE energy SET part = 'active' WHERE part = 'camera'")
    energy = load(connection).energy
    assert energy[2] == pytest.approx(82e-6 + (20e-3 - 100e-6) / 3)
    connection.close()


def test_energy_in_figures_and_tables(energetic):
    found = load(energetic.connection)
    everything, *_ = summarise(found)
    assert everything.energy == pytest.approx(found.energy.mean())
    assert everything.drawn == pytest.approx(found.drawn.mean())
    assert energetic.inferences().energy.tolist() == pytest.approx(found.energy.tolist())
    outcome = evaluate(parse("max(inference.energy) >= 6mJ"), Metrics(energetic.connection))
    assert outcome.passed, outcome.explanation


def test_a_device_without_a_meter_has_no_energy(energetic):
    connection = sqlite3.connect(":memory:")
    energetic.connection.backup(connection)
    known = load(connection)
    for table in ("energy", "meter"):
        connection.execute(f"DELETE FROM {table} WHERE node = 1")
    found = load(connection)
    metered = found.node == 0
    assert found.energy[metered].tolist() == known.energy[metered].tolist()
    assert np.isnan(found.energy[~metered]).all() and np.isnan(found.drawn[~metered]).all()
    everything, *places = summarise(found)
    assert everything.energy == pytest.approx(known.energy[metered].mean())
    assert {each.place: each.energy for each in places}["edge"] is None
    assert len(measured(found, "energy")) == 2
    table = list(rows(connection))
    assert [row[-2] is None for row in table] == (~metered).tolist()
    # Of the gateway alone, nothing is known of any device.
    for table in ("energy", "meter"):
        connection.execute(f"UPDATE {table} SET node = 2")
    assert load(connection).energy is None and summarise(load(connection))[0].energy is None
    connection.close()


def test_an_answer_without_a_confidence_is_not_in_its_mean(placed_run):
    directory = placed_run()
    with closing(sqlite3.connect(directory / "run.sqlite")) as connection, connection:
        connection.execute("UPDATE inference SET confidence = NULL WHERE place = 'device'")
    with open_run(directory) as run:
        values = measured(load(run.connection), "confidence")
    assert len(values) == 2 and not np.isnan(values).any()


# --- all chains add up ---

_times = st.integers(0, 20)


@st.composite
def chains(draw):
    """A run with one device's inferences, with chains over any nodes."""
    others = [name for name, *_ in placed.NODES]
    counters = dict.fromkeys(others, 0)
    messages, inferences = [], []

    def message(source, cause, earliest):
        counters[source] += 1
        queued, waited, computed = draw(_times), draw(_times), draw(_times)
        sent = earliest + waited + computed + draw(st.integers(0, 3))
        at = sent + queued + draw(_times)
        id = f"{source}/{counters[source]}"
        to = draw(st.sampled_from([name for name in others if name != source]))
        row = (id, to, "k", draw(_times), sent, at, "delivered", cause, 0, queued, waited, computed)
        messages.append(row)
        return row

    for n in range(1, draw(st.integers(1, 4)) + 1):
        sampled = draw(_times)
        last = first = message("meter-0", None, sampled)
        for _ in range(draw(st.integers(0, 6))):
            last = message(draw(st.sampled_from(others)), last[0], last[5])
        answer = None if last is first else last[0]
        ended = first[4] if last is first else last[5]
        request = int(first[0].split("/")[1])
        row = ("meter-0", n, sampled, first[4], ended, "edge", "", 1, 0.5, 1, None, request, answer)
        inferences.append(row)
    return messages, inferences


def by_foot(messages, inference):
    """The split of one inference, message by message, as the definitions say."""
    of = {m[0]: m for m in messages}
    tiers = {name: tier for name, _, tier, _ in placed.NODES}
    node, _, sampled, sent, *_, request, answer = inference
    first = of[f"{node}/{request}"]
    parts = dict.fromkeys(PARTS, 0)
    parts["computing"] += first[11]
    parts["queueing"] += first[10]
    parts["sampling"] = sent - sampled - first[10] - first[11]
    message = of.get(answer)
    while message is not None:
        id, to, _, _, sent, at, _, cause, _, queued, waited, computed = message
        ends = {tiers[id.split("/")[0]], tiers[to]}
        medium = "radio" if "device" in ends else "wan" if "cloud" in ends else "lan"
        parts[medium] += at - sent - queued
        parts["queueing"] += queued
        if message is first:
            break
        parts["queueing"] += waited
        parts["computing"] += computed
        parts["other"] += sent - of[cause][5] - waited - computed
        message = of[cause]
    return parts


@given(chains())
def test_the_split_of_any_chain_adds_up(told):
    messages, inferences = told
    connection = sqlite3.connect(":memory:", isolation_level=None)
    write_database(connection, messages=messages, measurements=[], faults=[], links=[], hops=[],
                   nodes=placed.NODES)  # fmt: skip
    placed.write_inferences(connection, inferences)
    found = load(connection)
    for place, inference in enumerate(inferences):
        split = {part: int(values[place]) for part, values in found.parts.items()}
        assert split == {part: time * MS for part, time in by_foot(messages, inference).items()}
        assert sum(split.values()) == found.latency[place]
    connection.close()
