"""Batteries: a node stops at the very nanosecond at which its battery is empty, and for good.

meter ---> hub      1 ms
"""

from __future__ import annotations

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import MS, S, Taking, both, play, world

from simcore.extensions import energy
from simcore.protocol.service import Done, Output


def run(meter, entry, lasts="10s", drive=None, **options):
    links = [both("meter", "hub")]
    extensions = {"energy": {"meter": entry}}
    nodes = {"meter": meter, "hub": None}
    return play(world(nodes, links, lasts=lasts, extensions=extensions, **options), drive)


def ended(told):
    """When the battery was empty, ns."""
    return [line[0] for line in told.lines if line[1] == "fault" and line[4] == "battery"]


def quiet(node):
    yield node.sleep("1h")


def test_an_idle_node_lasts_capacity_over_power():
    told = run(quiet, {"idle": "3mW", "battery": "10mJ"})
    assert ended(told) == [3_333_333_334]
    assert [line for line in told.lines if line[1] != "message"] == [
        (3_333_333_334, "fault", 1, "begin", "battery", "meter", '{"joule":0.01}'),
        (3_333_333_334, "measurement", "meter", 1, "lifetime", "int", 3_333_333_334),
    ]
    assert told.federation.nodes["meter"].down


def test_a_battery_that_outlasts_the_run_changes_nothing():
    assert ended(run(quiet, {"idle": "1mW", "battery": "10mJ"})) == []


def test_what_is_sent_takes_away_at_once():
    """10 messages of 1 mJ leave no more than 0: the node stops with the tenth, which leaves."""

    def meter(node):
        for number in range(100):
            yield node.sleep("1s")
            node.send("hub", "x", number, size=10)

    entry = {"battery": "10mJ", "radio": {"tx": "100uJ", "rx": "1uJ"}}
    told = run(meter, entry, lasts="20s")
    assert ended(told) == [10 * S]
    assert len(told.arrivals("hub")) == 10


def test_what_is_received_takes_away_at_once():
    """The third of 1 mJ is what ends it, 1 ms after it was sent; nobody hears the others."""

    def hub(node):
        while True:
            yield node.sleep("1s")
            node.send("meter", "x", 1, size=10)

    entry = {"battery": "3mJ", "radio": {"tx": "1uJ", "rx": "100uJ"}}
    scenario = world(
        {"meter": None, "hub": hub},
        [both("meter", "hub")],
        lasts="6s",
        extensions={"energy": {"meter": entry}},
    )
    told = play(scenario)
    assert ended(told) == [3 * S + MS]
    assert [m[-1] for m in told.messages()] == ["delivered"] * 3 + ["node_down"] * 2


def test_computing_takes_away_when_it_is_told_of():
    class Service:
        def on_message(self, ctx, msg):
            ctx.compute("100ms")
            ctx.reply(msg, "done", 1)

    def hub(node):
        while True:
            yield node.sleep("1s")
            node.send("meter", "x", 1, size=10)

    scenario = world(
        {"meter": Service, "hub": hub},
        [both("meter", "hub")],
        lasts="6s",
        extensions={"energy": {"meter": {"active": "10mW", "battery": "3mJ"}}},
    )
    told = play(scenario)
    assert ended(told) == [3 * S + 101 * MS]
    assert len(told.arrivals("hub")) == 3


def test_a_state_that_ends_before_the_battery():
    """1 s of camera takes 5 of 10 mJ; what is left lasts 5 s of idle time."""

    def meter(node):
        energy.enter(node, "camera", "1s")
        yield node.sleep("1h")

    entry = {"idle": "1mW", "states": {"camera": "5mW"}, "battery": "10mJ"}
    assert ended(run(meter, entry)) == [6 * S]


def test_a_state_in_which_the_battery_ends():
    def meter(node):
        yield node.sleep("2s")
        energy.enter(node, "camera", "5s")
        yield node.sleep("1h")

    entry = {"idle": "1mW", "states": {"camera": "5mW"}, "battery": "10mJ"}
    assert ended(run(meter, entry)) == [3_600 * MS]


def test_a_node_that_sleeps_lasts_longer_than_it_would_have():
    def meter(node):
        yield node.sleep("4s")
        energy.enter(node, "sleep")
        yield node.sleep("4s")
        energy.enter(node, "idle")
        yield node.sleep("1h")

    entry = {"idle": "1mW", "states": {"sleep": "1uW"}, "battery": "5mJ"}
    assert ended(run(meter, entry)) == [9 * S - 4 * MS]


def test_a_model_reads_what_is_left():
    seen = []

    def meter(node):
        for _ in range(3):
            yield node.sleep("1s")
            seen.append(energy.left(node))

    run(meter, {"idle": "1mW", "battery": "10mJ"})
    assert seen == [0.009, 0.008, 0.007]


def test_a_crash_saves_energy_and_an_empty_battery_is_not_mended():
    """Up 2 s, down 3 s, up again with 1 of 3 mJ; the end of a second fault starts nothing."""
    told = run(
        quiet,
        {"idle": "1mW", "battery": "3mJ"},
        faults=[
            {"at": "2s", "for": "3s", "node": "meter", "crash": True},
            {"at": "7s", "for": "1s", "node": "meter", "crash": True},
        ],
    )
    assert ended(told) == [6 * S]
    node = told.federation.nodes["meter"]
    assert (node.lives, node.down) == (2, True)


def test_what_a_model_does_at_the_very_instant_is_done():
    def meter(node):
        yield node.sleep("1s")
        node.send("hub", "x", 1, size=10)
        node.send("hub", "x", 2, size=10)
        yield node.sleep("0s")
        node.send("hub", "x", 3, size=10)

    told = run(meter, {"battery": "1mJ", "radio": {"tx": "100uJ", "rx": "1uJ"}})
    assert [m[5] for m in told.messages()] == ["1", "2"]


def walk(steps):
    def meter(node):
        for pause, size, state in steps:
            yield node.sleep(pause)
            if size:
                node.send("hub", "x", 1, size=size)
            if state:
                energy.enter(node, *state)

    return meter


STATES = st.sampled_from([None, ("sleep",), ("camera",), ("camera", 3 * 10**8), ("idle",)])
STEPS = st.lists(
    st.tuples(st.integers(0, 2 * 10**9), st.integers(0, 5000), STATES), min_size=1, max_size=30
)


def expected(steps, idle, sleep, camera, byte, capacity, end):
    """The same by going from change to change; all in aJ and nW."""
    powers = {"idle": idle, "sleep": sleep, "camera": camera}
    changes, now = [], 0
    for pause, size, state in steps:
        now += pause
        changes.append((now, size, state))
    left, at, calm, timed, until = capacity, 0, "idle", None, None

    def drain(to):
        nonlocal left, at, timed, until
        while at < to:
            state = timed or calm
            stop = to if until is None else min(to, until)
            if powers[state] and left <= powers[state] * (stop - at):
                return at + -(-left // powers[state])
            left -= powers[state] * (stop - at)
            at = stop
            if until is not None and at >= until:
                timed = until = None
        return None

    for time, size, state in changes:
        empty = drain(time)
        if empty is not None:
            return empty if empty < end else None
        left -= size * byte
        if left <= 0:
            return time if time < end else None
        if state and len(state) == 1:
            calm, timed, until = state[0], None, None
        elif state:
            timed, until = state[0], time + state[1]
    empty = drain(end)
    return empty if empty is not None and empty < end else None


@settings(max_examples=80, deadline=None)
@given(STEPS, st.integers(1, 10**17), st.lists(st.integers(0, 20), max_size=3))
def test_the_end_is_exact_whatever_happened_before(steps, capacity, slices):
    entry = {
        "idle": "1mW",
        "states": {"sleep": "1uW", "camera": "5mW"},
        "battery": f"{capacity}aJ",
        "radio": {"tx": "1uJ", "rx": "1uJ"},
    }

    def in_slices(federation):
        for second in sorted({each for each in slices if 0 < each < 20}):
            federation.env.run(until=second * S)
        federation.env.run(until=20 * S)

    told = run(walk(steps), entry, "20s", in_slices)
    empty = expected(steps, 10**6, 10**3, 5 * 10**6, 10**12, capacity, 20 * S)
    assert ended(told) == ([] if empty is None else [empty])


@pytest.mark.parametrize("sends", [10_000])
def test_a_battery_is_no_event_for_each_message(sends):
    """An hour before its end, messages move nothing in the calendar."""
    pushed = []

    def meter(node):
        at = node.federation.at
        node.federation.at = lambda time, action: (pushed.append(time), at(time, action))
        for _ in range(sends):
            yield node.sleep("1ms")
            node.send("hub", "x", 1, size=10)

    run(meter, {"idle": "1mW", "battery": "100J", "radio": {"tx": "1nJ", "rx": "1nJ"}}, "11s")
    assert len(pushed) < 3


class Chatter:
    """A free-running participant that sends now and then, and counts instructions of no time."""

    def __init__(self, born):
        self.now = born

    def advance(self, until, inputs):
        start, self.now = self.now, until
        times = range(-(-start // (7 * MS)) * 7 * MS, until, 7 * MS)
        return Done([Output(time, "hub", "x", "1", 20, None, 0, 0) for time in times], [])


@pytest.mark.parametrize("window", [None, "1ms", "300us"])
def test_in_a_run_with_free_running_nodes_batteries_are_looked_at_on_a_grid(window):
    """The chatter's 10 mJ last 0.95 s, the model's 0.333 s: both end at the next tenth of a second."""
    entries = {
        "chatter": {"idle": "8mW", "battery": "10mJ", "radio": {"tx": "1uJ", "rx": "1uJ"}},
        "meter": {"idle": "3mW", "battery": "1mJ"},
    }
    chatter = Taking("free_running", lambda name, life, born: Chatter(born))
    told = play(
        world(
            {"chatter": chatter, "meter": quiet, "hub": None},
            [both("chatter", "hub", "5ms"), both("meter", "hub", "5ms")],
            lasts="2s",
            window=window,
            extensions={"energy": entries},
        )
    )
    assert [line for line in told.lines if line[1] == "fault"] == [
        (400 * MS, "fault", 1, "begin", "battery", "meter", '{"joule":0.001}'),
        (1_000 * MS, "fault", 2, "begin", "battery", "chatter", '{"joule":0.01}'),
    ]
    assert len(told.arrivals("hub")) == 1_000 // 7 + 1
    assert told.digest.startswith("0f6b421de1e91a9a")


def test_the_end_is_exact_in_an_environment_that_counts_seconds():
    told = play(
        world(
            {"meter": quiet},
            lasts="10s",
            extensions={"energy": {"meter": {"idle": "3mW", "battery": "10mJ"}}},
        ),
        env=simpy.Environment(),
        unit="1s",
    )
    assert ended(told) == [3_333_333_334]
