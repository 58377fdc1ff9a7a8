"""What nodes draw, against closed forms: power times time, bytes times what a byte costs.

meter ---> hub      1 ms, unless drawn otherwise
"""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import MS, both, play, world

from simcore import open_run
from simcore.extensions import energy, placement


def parts(tmp_path: Path, scenario, drive=None, name="run"):
    """Joule of each part by node, and all rows."""
    out = tmp_path / name
    play(scenario, drive, out=out)
    with open_run(out) as run:
        rows = run.connection.execute(
            "SELECT node, life, part, joule, ns, bytes, instructions FROM energies ORDER BY rowid"
        ).fetchall()
    return rows


def of(rows, node="meter"):
    return {row[2]: row[3] for row in rows if row[0] == node}


def every(period, size, kind="x"):
    def sender(node):
        while True:
            yield node.sleep(period)
            node.send("hub", kind, 1, size=size)

    return sender


RADIO = {"tx": "62mW", "rx": "59mW", "rate": "250kbit/s", "overhead": "17B"}


def test_a_periodic_sender(tmp_path):
    """9 messages of 33 + 17 bytes in 1 s: 32 us a byte at 62 mW, and 5.5 mW all the time."""
    scenario = world(
        {"meter": every("100ms", 33), "hub": None},
        [both("meter", "hub")],
        extensions={"energy": {"meter": {"idle": "5.5mW", "radio": RADIO}}},
    )
    rows = parts(tmp_path, scenario)
    assert of(rows) == {"idle": 5.5e-3, "active": 0, "tx": 9 * 50 * 32e-6 * 62e-3, "rx": 0}
    assert [row for row in rows if row[2] == "tx"] == [
        ("meter", 1, "tx", 9 * 50 * 32e-6 * 62e-3, 9 * 50 * 32_000, 450, 0)
    ]


def test_who_receives_pays_for_it_and_who_passes_on_does_not(tmp_path):
    """meter ---> relay ---> hub: a relay in the network is no radio of the relay's node."""
    scenario = world(
        {"meter": every("100ms", 100), "relay": None, "hub": None},
        [both("meter", "relay"), both("relay", "hub")],
        extensions={
            "energy": {
                name: {"radio": {"tx": "2uJ", "rx": "1uJ"}} for name in ("meter", "relay", "hub")
            }
        },
    )
    rows = parts(tmp_path, scenario)
    assert of(rows)["tx"] == 900 * 2e-6
    assert of(rows, "relay") == {"idle": 0, "active": 0, "tx": 0, "rx": 0}
    assert of(rows, "hub")["rx"] == 900 * 1e-6


def test_what_is_lost_was_transmitted_and_not_received(tmp_path):
    """Down from 250 to 550 ms: 3 of 9 are lost."""
    scenario = world(
        {"meter": every("100ms", 100), "hub": None},
        [both("meter", "hub")],
        faults=[{"at": "250ms", "for": "300ms", "link": ["meter", "hub"], "down": True}],
        extensions={"energy": {n: {"radio": {"tx": "2uJ", "rx": "1uJ"}} for n in ("meter", "hub")}},
    )
    rows = parts(tmp_path, scenario)
    assert of(rows)["tx"] == 900 * 2e-6
    assert of(rows, "hub")["rx"] == 600 * 1e-6


def test_what_its_own_full_queue_refused_was_not_transmitted(tmp_path):
    """5 at once, one is transmitted and one may wait."""

    def meter(node):
        for _ in range(5):
            node.send("hub", "x", 1, size=100)
        yield node.sleep("1ms")

    scenario = world(
        {"meter": meter, "hub": None},
        [both("meter", "hub", rate="1Mbit/s", queue=1)],
        extensions={"energy": {"meter": {"radio": {"tx": "2uJ", "rx": "1uJ"}}}},
    )
    assert of(parts(tmp_path, scenario))["tx"] == 400e-6


def test_what_is_under_way_at_the_end_was_transmitted(tmp_path):
    scenario = world(
        {"meter": every("600ms", 10), "hub": None},
        [both("meter", "hub", "500ms")],
        extensions={"energy": {n: {"radio": {"tx": "2uJ", "rx": "1uJ"}} for n in ("meter", "hub")}},
    )
    rows = parts(tmp_path, scenario)
    assert (of(rows)["tx"], of(rows, "hub")["rx"]) == (20e-6, 0)


class Thinker:
    """Computes 4 ms for each message, answers, computes 2 ms more, and answers again."""

    def on_message(self, ctx, msg):
        ctx.compute("4ms")
        ctx.reply(msg, "first", 1)
        ctx.compute("2ms")
        ctx.reply(msg, "second", 2)
        ctx.reply(msg, "third", 3)


@pytest.mark.parametrize("workers", [1, 3])
def test_computing_counts_once_however_many_answers_come_of_it(tmp_path, workers):
    """3 messages at one instant, 6 ms each."""

    def meter(node):
        yield node.sleep("100ms")
        for _ in range(3):
            node.send("hub", "x", 1)

    scenario = world(
        {"meter": meter, "hub": {"does": Thinker, "workers": workers}},
        [both("meter", "hub")],
        extensions={"energy": {"hub": {"idle": "1W", "active": "5W"}}},
    )
    rows = parts(tmp_path, scenario)
    assert of(rows, "hub") == {"idle": 0.982, "active": 0.09}


def test_several_workers_that_compute_all_the_time_add_what_they_draw_over_idle(tmp_path):
    class Busy:
        def on_message(self, ctx, msg):
            ctx.compute("800ms")
            ctx.reply(msg, "done", 1)

    def meter(node):
        for _ in range(2):
            node.send("hub", "x", 1)
        yield node.sleep("1ms")

    scenario = world(
        {"meter": meter, "hub": {"does": Busy, "workers": 2}},
        [both("meter", "hub")],
        extensions={"energy": {"hub": {"idle": "1W", "active": "5W"}}},
    )
    found = of(parts(tmp_path, scenario), "hub")
    assert found == {"idle": 0, "active": 1 + 2 * 0.8 * 4}


def test_computing_of_those_who_do_not_tell_goes_by_kind(tmp_path):
    scenario = world(
        {"meter": every("100ms", 33, kind="reading"), "hub": None},
        [both("meter", "hub")],
        extensions={
            "energy": {"meter": {"active": "10mW", "computing": {"reading": "37ms", "other": "1s"}}}
        },
    )
    assert of(parts(tmp_path, scenario)) == {"idle": 0, "active": 0.00333}


def test_states_that_a_model_enters(tmp_path):
    """80 ms of camera each 200 ms, then 20 ms computing; asleep from 500 ms on."""

    def meter(node):
        for _ in range(2):
            yield node.sleep("200ms")
            energy.enter(node, "camera", "80ms")
            yield node.sleep("80ms")
            energy.enter(node, "active", "20ms")
            yield node.sleep("20ms")
        energy.enter(node, "sleep")
        yield node.sleep("100ms")
        energy.enter(node, "camera", "1ms")
        energy.enter(node, "camera", "50ms")

    scenario = world(
        {"meter": meter},
        extensions={
            "energy": {
                "meter": {
                    "idle": "1mW",
                    "active": "10mW",
                    "states": {"camera": "100mW", "sleep": "1uW"},
                }
            }
        },
    )
    rows = parts(tmp_path, scenario)
    assert {row[2]: row[4] for row in rows} == {
        "idle": 400 * MS,
        "active": 40 * MS,
        "camera": 210 * MS,
        "sleep": 350 * MS,
    }
    assert of(rows)["camera"] == 0.021


def test_a_model_may_speak_of_states_where_nothing_counts_energy():
    def meter(node):
        energy.enter(node, "camera", "80ms")
        assert energy.left(node) is None
        yield node.sleep("1ms")

    play(world({"meter": meter}))
    play(world({"meter": meter, "hub": None}, extensions={"energy": {"hub": {"idle": "1W"}}}))


def test_a_state_that_is_unknown_ends_the_run():
    def meter(node):
        energy.enter(node, "camra")
        yield node.sleep("1ms")

    scenario = world({"meter": meter}, extensions={"energy": {"meter": {"idle": "1W"}}})
    with pytest.raises(Exception, match="cannot enter 'camra'.*active, idle"):
        play(scenario)


def test_each_life_is_a_row_and_nothing_is_drawn_between_them(tmp_path):
    scenario = world(
        {"meter": every("100ms", 10), "hub": None},
        [both("meter", "hub")],
        faults=[{"at": "250ms", "for": "300ms", "node": "meter", "crash": True}],
        extensions={"energy": {"meter": {"idle": "1W", "radio": {"tx": "2uJ", "rx": "1uJ"}}}},
    )
    rows = parts(tmp_path, scenario)
    assert [(row[1], row[4], row[5]) for row in rows if row[2] in ("idle", "tx")] == [
        (1, 250 * MS, 0),
        (1, 0, 20),
        (2, 450 * MS, 0),
        (2, 0, 40),
    ]


def test_a_run_that_is_cut_short_counts_what_came_before_its_end(tmp_path):
    """At 300 ms the third is sent, and nothing that happens then counts."""
    scenario = world(
        {"meter": every("100ms", 10), "hub": None},
        [both("meter", "hub", "100ms")],
        extensions={"energy": {n: {"radio": {"tx": "2uJ", "rx": "1uJ"}} for n in ("meter", "hub")}},
    )

    def to_300(federation):
        while federation.env.peek() <= 300 * MS:
            federation.env.step()

    rows = parts(tmp_path, scenario, to_300)
    assert (of(rows)["tx"], of(rows, "hub")["rx"]) == (2 * 20e-6, 10e-6)
    assert {row[4] for row in rows if row[2] == "idle"} == {300 * MS}


def test_a_rate_that_divides_nothing_is_rounded_once(tmp_path):
    """1 mW at 7 bit/s: 8/7 mJ a byte."""
    scenario = world(
        {"meter": every("100ms", 10), "hub": None},
        [both("meter", "hub")],
        extensions={"energy": {"meter": {"radio": {"tx": "1mW", "rx": "1mW", "rate": "7bit/s"}}}},
    )
    assert of(parts(tmp_path, scenario))["tx"] == 90 * 8 / 7 / 1000


def test_energy_changes_no_digest():
    nodes, links = {"meter": every("100ms", 10), "hub": Thinker}, [both("meter", "hub")]
    entry = {"idle": "1W", "radio": RADIO, "battery": "1kJ"}
    plain = play(world(nodes, links))
    counted = play(world(nodes, links, extensions={"energy": {"meter": entry, "hub": entry}}))
    assert counted.digest == plain.digest


def test_computing_of_those_who_do_not_tell_may_depend_on_the_payload(tmp_path):
    """Of 9 images, 5 carry an answer of the device's own."""

    def meter(node):
        for number in range(9):
            yield node.sleep("100ms")
            node.send("hub", "image", {"n": number} | ({"label": 3} if number % 2 == 0 else {}))

    scenario = world(
        {"meter": meter, "hub": None},
        [both("meter", "hub")],
        extensions={
            "energy": {
                "meter": {
                    "active": "10mW",
                    "computing": {"image": {"time": "40ms", "if": "label"}},
                }
            }
        },
    )
    rows = parts(tmp_path, scenario)
    assert {row[2]: row[4] for row in rows} == {"idle": 800 * MS, "active": 200 * MS}


def test_a_device_that_computes_is_active_as_long(tmp_path):
    """4 samples of 5 ms computing each."""

    def meter(node):
        yield from placement.device(node, [b"1"], lambda image: (1, 900), cost="5ms", to="hub")

    def hub(node):
        message = yield node.receive("boot")
        node.reply(message, "setup", "rule local; period 100")
        yield node.sleep("1h")

    scenario = world(
        {"meter": meter, "hub": hub},
        [both("meter", "hub")],
        lasts="410ms",
        extensions={"energy": {"meter": {"active": "10mW"}}},
    )
    assert of(parts(tmp_path, scenario)) == {"idle": 0, "active": 0.0002}
