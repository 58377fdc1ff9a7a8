"""The digest changes with whatever happened, and with nothing else.

a ---> b ---> c        a: model, b: service, c: only receives
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.msgpack import encode as msgpack
from worlds import MS, both, play, world

TESTS = Path(__file__).parents[2]


def small(
    *,
    payload="image",
    after=2 * MS,
    value=21.5,
    fault_at="5ms",
    size=None,
    kind="reading",
    out=None,
):
    """One message over a link that fails while it is under way, or not; one measurement."""

    def a(node):
        yield node.sleep(after)
        node.send("b", kind, payload, size=size)
        node.record("temperature", value)

    faults = [{"at": fault_at, "for": "1ms", "link": ["a", "b"], "down": True}]
    return play(
        world({"a": a, "b": None}, [both("a", "b", "1ms", rate="1Mbit/s")], faults=faults), out=out
    )


def test_the_same_again():
    assert small().digest == small().digest


def test_the_digest_can_be_computed_from_a_published_run(tmp_path):
    """As the docstring of `simcore.results.digest` says, with nothing of simcore but the rows."""
    told = small(out=tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as run:
        names = [name for (name,) in run.execute("SELECT name FROM node ORDER BY id")]
        whole = hashlib.sha256(json.dumps(names, separators=(",", ":")).encode())
        for table, order in [
            ("fault", "at, number"),
            ("message", "at, source, number"),
            ("measurement", "at, node, number"),
        ]:
            rows = run.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()
            assert rows
            whole.update(hashlib.sha256(b"".join(map(msgpack, rows))).digest())
    assert told.digest == whole.hexdigest()


def test_the_order_of_records_is_that_of_time_and_nodes_however_they_are_written(monkeypatch):
    """In one batch, or in many of a few records each."""
    whole = play(family({}))
    monkeypatch.setattr("simcore.results.recorder.BUFFER", 3)
    pieces = play(family({}))
    assert pieces.text == whole.text
    assert pieces.digest == whole.digest


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "imagf"},
        {"payload": "Image"},
        {"payload": ["image"]},
        {"after": 2 * MS + 1},
        {"value": 21.500000000000004},
        {"value": "21.5"},
        {"value": 21},
        {"fault_at": "5000001ns"},
        {"fault_at": "2010us"},
        {"size": 8},
        {"kind": "readings"},
    ],
    ids=str,
)
def test_one_difference_changes_it(change):
    assert small(**change).digest != small().digest


def test_a_difference_in_one_fate_alone_changes_it():
    """The same message at the same times: delivered, or lost at the instant of its arrival."""

    def fate(crash):
        def a(node):
            node.send("b", "x")
            yield node.sleep("1ms")

        def crasher(federation):
            if crash:
                federation.nodes["b"].down = True
            federation.env.run(until=federation.end)

        return play(world({"a": a, "b": None}, [both("a", "b", "1ms")]), crasher)

    good, bad = fate(False), fate(True)
    assert good.lines[0][:-1] == bad.lines[0][:-1]
    assert (good.lines[0][-1], bad.lines[0][-1]) == ("delivered", "node_down")
    assert good.digest != bad.digest


@pytest.mark.parametrize("length", [255, 256, 257, 5000])
def test_one_byte_of_a_payload_of_any_length_counts(length):
    payload = bytes(random.Random(1).randbytes(length))
    changed = bytearray(payload)
    changed[-1] ^= 1
    assert small(payload=payload, size=1).digest != small(payload=bytes(changed), size=1).digest
    assert small(payload=payload, size=1).digest == small(payload=bytearray(payload), size=1).digest


def test_measurements_keep_their_type():
    digests = {small(value=value).digest for value in (1, 1.0, True, "1")}
    assert len(digests) == 4


def family(extra):
    """meter-0..2 --lossy--> gateway (computes) --> cloud, and whoever comes in addition."""

    def meter(node):
        for number in range(20):
            yield node.sleep(1 + int(node.random.expovariate(1 / MS)))
            node.send("gateway", "reading", {"n": number, "draw": node.random.random()})

    class Gateway:
        def on_message(self, ctx, msg):
            ctx.compute({"min": "100us", "exponential": "300us"})
            ctx.send("cloud", "report", {"of": msg.id, "draw": ctx.random.random()})
            ctx.record("noise", ctx.stream("noise").gauss(0, 1))

    nodes = {"meter": {"does": meter, "count": 3}, "gateway": Gateway, "cloud": None}
    links = [
        both(
            "meter", "gateway", {"min": "1ms", "lognormal": {"median": "1ms", "sigma": 1}}, loss=0.2
        ),
        both("gateway", "cloud", {"normal": {"mean": "2ms", "std": "1ms"}}, rate="1Mbit/s"),
    ]
    return world({**extra.get("before", {}), **nodes, **extra.get("after", {})}, links)


def hermit(node):
    while True:
        yield node.sleep(1 + int(node.random.expovariate(1 / MS)))
        node.record("alone", node.random.random())


@pytest.mark.parametrize("place", ["before", "after"])
def test_an_unconnected_node_changes_no_number_of_another(place):
    alone = play(family({}))
    hermits = {f"hermit-{i}": hermit for i in range(3)}
    company = play(family({place: hermits}))
    others = [line for line in company.lines if not str(line[2]).startswith("hermit")]
    assert len(others) < len(company.lines)
    assert others == alone.lines


def test_a_node_that_draws_more_changes_no_number_of_another():
    def greedy(node):
        for _ in range(100):
            node.random.random()
            node.numpy("bulk").random(10)
        yield node.sleep("1ms")

    assert play(family({"after": {"greedy": greedy}})).lines == play(family({})).lines


def test_another_seed_is_another_run():
    one, two = family({}), family({})
    object.__setattr__(two, "seed", 2)
    assert play(one).digest != play(two).digest


OTHER_PROCESS = """
import sys
sys.path[:0] = sys.argv[1:]
from worlds import play
from test_digest import family
print(play(family({})).digest)
"""


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_another_process_with_another_hash_seed_gives_the_same(seed):
    command = [sys.executable, "-c", OTHER_PROCESS, str(TESTS), str(Path(__file__).parent)]
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        cwd=TESTS.parent,
    )
    assert result.stdout.strip() == play(family({})).digest


@pytest.mark.parametrize("links", [None, "plain", "queue", "zero"])
def test_ties_of_models_on_simpys_own_events_go_by_node_order(links):
    """a, b and c all send to d at the same instants, timed by SimPy and started in any order."""

    def shopper(federation, name):
        node = federation.nodes[name]
        for _ in range(5):
            yield federation.env.timeout(MS)
            node.send("d", "order", node.random.random())
            node.record("sent", True)
            answer = yield node.receive()
            node.record("answer", answer.payload)

    class D:
        def __init__(self):
            self.count = 0

        def on_message(self, ctx, msg):
            self.count += 1
            ctx.compute("100us")
            ctx.reply(msg, "number", self.count)

    network = {
        None: None,
        "plain": [both("abc", "d", {"min": "1ms", "uniform": "10us"}, loss="1%")],
        "queue": [both("abc", "d", "1ms", rate="1Mbit/s", shared=True, queue=5)],
        "zero": [both("abc", "d", "0ns")],
    }[links]
    nodes = {"abc": {"does": None, "count": 3}, "d": D}

    def started(order):
        def drive(federation):
            for index in order:
                federation.env.process(shopper(federation, f"abc-{index}"))
            federation.env.run(until=federation.end)

        return play(world(nodes, network), drive)

    first = started((0, 1, 2))
    assert len(first.messages()) >= 20
    for order in ((2, 1, 0), (1, 2, 0), (0, 2, 1)):
        assert started(order).text == first.text
