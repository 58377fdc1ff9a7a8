"""Links: every time to the nanosecond, every loss by its reason, every figure of a link."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from worlds import MS, S, both, one_way, play, world

from simcore import SendError


def sender(*script, to="b"):
    """Sends messages of given sizes at given times (us)."""

    def model(node):
        for at, size in script:
            if at * 1000 > node.now:
                yield node.sleep(at * 1000 - node.now)
            node.send(to, "x", size=size)
        yield node.sleep(1)

    return model


def arrivals(links, *script, **keys):
    """(arrival ns, number) at b of what a sends over a ---> b."""
    told = play(world({"a": sender(*script), "b": None}, links, **keys))
    return [(at, int(id.split("/")[1])) for at, id in told.arrivals("b")]


def table(told_at, name):
    with closing(sqlite3.connect(told_at / "run.sqlite")) as run:
        return run.execute(f"SELECT * FROM {name}").fetchall()


def link_rows(scenario, out):
    """Figures by link: entered, delivered, loss, queue_full, link_down, bytes, busy, mean, max."""
    play(scenario, out=out)
    return {row[0]: row[3:] for row in table(out, "link")}


def test_a_delay_is_exact():
    assert arrivals([both("a", "b", "1234567ns")], (0, 1), (1, 1)) == [(1234567, 1), (1235567, 2)]


@pytest.mark.parametrize(
    ("rate", "size", "time"),
    [
        ("1Mbit/s", 125, 1_000_000),
        ("250kbit/s", 72, 2_304_000),
        ("3bit/s", 1, 2_666_666_667),  # 8/3 s, and no bit is early
        ("7Mbit/s", 1, 1143),
        ("1Gbit/s", 0, 0),
        ("8Gbit/s", 1, 1),
        ("100Gbit/s", 1, 1),
    ],
)
def test_transmission_takes_size_over_rate_rounded_up_to_the_nanosecond(rate, size, time):
    assert arrivals([both("a", "b", "5ns", rate=rate)], (0, size), lasts="9s") == [(time + 5, 1)]


def test_messages_are_transmitted_one_after_the_other():
    """a ---1 Mbit/s, 10 ms---> b: 125 bytes take 1 ms; the third finds the link idle again."""
    links = [both("a", "b", "10ms", rate="1Mbit/s")]
    script = [(0, 125), (0, 250), (3500, 125), (3600, 125)]
    ms = [(at / MS, number) for at, number in arrivals(links, *script)]
    assert ms == [(11, 1), (13, 2), (14.5, 3), (15.5, 4)]


def test_a_bounded_queue_counts_those_that_wait():
    """Queue 2: one in transmission, two waiting, the fourth is lost; a place is free at 1 ms."""
    links = [both("a", "b", "1ms", rate="1Mbit/s", queue=2)]
    told = play(
        world(
            {"a": sender(*[(0, 125)] * 4, (999, 125), (1000, 125), (1000, 125)), "b": None}, links
        )
    )
    fates = {m[1]: (m[-1], m[0] / MS) for m in told.messages()}
    assert fates == {
        "a/1": ("delivered", 2),
        "a/2": ("delivered", 3),
        "a/3": ("delivered", 4),
        "a/4": ("queue_full", 0),
        "a/5": ("queue_full", 0.999),
        "a/6": ("delivered", 5),
        "a/7": ("queue_full", 1),
    }


def test_a_queue_of_none():
    links = [both("a", "b", "1ms", rate="1Mbit/s", queue=0)]
    assert arrivals(links, (0, 125), (999, 125), (1000, 125)) == [(2 * MS, 1), (3 * MS, 3)]


def test_directions_have_delays_and_transmitters_of_their_own():
    """a ---1 ms, 1 Mbit/s---> b ---5 ms---> a."""
    links = [one_way("a", "b", "1ms", rate="1Mbit/s"), one_way("b", "a", "5ms")]
    nodes = {"a": sender((0, 125), (0, 125)), "b": sender((0, 125), (0, 125), to="a")}
    told = play(world(nodes, links))
    assert told.arrivals("b") == [(2 * MS, "a/1"), (3 * MS, "a/2")]
    assert told.arrivals("a") == [(5 * MS, "b/1"), (5 * MS, "b/2")]


def test_without_shared_each_direction_and_pair_transmits_apart():
    """m-0, m-1 <---1 Mbit/s---> b, all at once."""
    nodes = {"m": {"does": sender((0, 125)), "count": 2}, "b": sender((0, 125), to="m-0")}
    told = play(world(nodes, [both("m", "b", "1ms", rate="1Mbit/s")]))
    assert {at for at, _ in told.arrivals()} == {2 * MS}


def test_a_shared_medium_carries_one_message_at_a_time_in_either_direction():
    """As above, shared: in the order of the nodes."""
    nodes = {"m": {"does": sender((0, 125)), "count": 2}, "b": sender((0, 125), to="m-0")}
    told = play(world(nodes, [both("m", "b", "1ms", rate="1Mbit/s", shared=True)]))
    assert told.arrivals() == [(2 * MS, "m-0/1"), (3 * MS, "m-1/1"), (4 * MS, "b/1")]


def test_the_queue_of_a_shared_medium_is_shared():
    nodes = {"m": {"does": sender((0, 125), (0, 125)), "count": 2}, "b": None}
    told = play(world(nodes, [both("m", "b", "1ms", rate="1Mbit/s", shared=True, queue=1)]))
    assert [(m[1], m[-1]) for m in told.messages()] == [
        ("m-1/1", "queue_full"),
        ("m-1/2", "queue_full"),
        ("m-0/1", "delivered"),
        ("m-0/2", "delivered"),
    ]


def test_messages_overtake_each_other_unless_order_is_kept():
    """The delay is drawn from 1 or 9 ms; one message each ms."""
    script = [(1000 * i, 1) for i in range(20)]
    free = arrivals([both("a", "b", {"table": ["1ms", "9ms"]})], *script)
    kept = arrivals([both("a", "b", {"table": ["1ms", "9ms"]}, ordered=True)], *script)
    assert [number for _, number in free] != sorted(number for _, number in free)
    assert [number for _, number in kept] == list(range(1, 21))
    due = {number: at for at, number in free}
    latest = 0
    for at, number in kept:  # the same delays, held back behind the one before
        latest = max(latest, due[number])
        assert at == latest


def test_every_reason_of_loss_but_faults_and_all_figures_of_a_link(tmp_path):
    """a ---1 Mbit/s, queue 1---> b: two of four messages of 125 bytes at 0, one at 10 ms.

    Busy 3 ms of 20. The second waits 1 ms, so on average 1/20 message waits.
    """
    nodes = {"a": sender((0, 125), (0, 125), (0, 125), (0, 125), (10_000, 125)), "b": None}
    links = [both("a", "b", "1ms", rate="1Mbit/s", queue=1)]
    rows = link_rows(world(nodes, links, lasts="20ms"), tmp_path / "run")
    assert rows == {"a->b": (5, 3, 0, 2, 0, 625, 3 * MS, 0.05, 1)}


def test_figures_of_a_run_that_ends_amidst_transmission(tmp_path):
    """Four messages of 1 ms at 0, the run ends at 1.5 ms: busy to the end, 2.5 waited on average.

    Waiting: 1 ms, 1.5 ms and 1.5 ms of 1.5 ms; one is delivered at 1.1 ms.
    """
    nodes = {"a": sender(*[(0, 125)] * 4), "b": None}
    links = [both("a", "b", "100us", rate="1Mbit/s")]
    rows = link_rows(world(nodes, links, lasts="1500us"), tmp_path / "run")
    ((entered, delivered, *_, busy, mean, longest),) = rows.values()
    assert (entered, delivered, busy, longest) == (4, 1, 1_500_000, 3)
    assert mean == pytest.approx((1 + 1.5 + 1.5) / 1.5)


def test_what_is_in_flight_is_not_delivered(tmp_path):
    nodes = {"a": sender((0, 1), (1, 1), (2, 1)), "b": None}
    rows = link_rows(world(nodes, [both("a", "b", {"table": ["1us", "1h"]})]), tmp_path / "run")
    delivered = sum(m[-1] == 0 for m in table(tmp_path / "run", "message"))
    assert 0 < delivered < 3
    assert rows["a->b"][:3] == (3, delivered, 0)


def test_lost_messages_are_counted_and_recorded_when_they_enter(tmp_path):
    nodes = {"a": sender(*[(i, 10) for i in range(200)]), "b": None}
    rows = link_rows(world(nodes, [both("a", "b", "1ms", loss=0.3)]), tmp_path / "run")
    lost = [m for m in table(tmp_path / "run", "message") if m[-1] == 2]
    assert rows["a->b"][:3] == (200, 200 - len(lost), len(lost))
    assert 30 < len(lost) < 90
    assert all(at == sent for at, *_, sent, _ in lost)


@pytest.mark.parametrize(("loss", "arrive"), [(0, 50), ("0%", 50), (1, 0), ("100%", 0)])
def test_none_or_all_lost(loss, arrive):
    script = [(i, 1) for i in range(50)]
    assert len(arrivals([both("a", "b", "1ms", loss=loss)], *script)) == arrive
    assert len(arrivals([both("a", "b", loss=loss, rate="1Gbit/s")], *script)) == arrive


def test_losses_are_the_same_whatever_the_mechanism_of_the_link():
    """A rate that costs nothing, or order kept, draws the same numbers as a plain link."""
    script = [(2 * i, 0) for i in range(100)]
    delay = {"min": "1ms", "exponential": "100us"}
    plain = arrivals([both("a", "b", delay, loss=0.2)], *script)
    assert arrivals([both("a", "b", delay, loss=0.2, rate="1Gbit/s")], *script) == plain


def test_nobody_elses_messages_change_what_chance_does_to_mine():
    """m-0 and m-1 share a medium; m-1 says much or nothing."""

    def of(script):
        nodes = {"a": sender((0, 0), (50, 0), (90, 0)), "m": sender(*script), "b": None}
        link = {"delay": {"exponential": "1ms"}, "loss": 0.1, "rate": "1Gbit/s", "shared": True}
        told = play(
            world(nodes, [{"between": ["a", "b"], **link}, {"between": ["m", "b"], **link}])
        )
        return [m for m in told.messages() if m[1].startswith("a/")]

    assert of([]) == of([(i, 1) for i in range(100)])


# -- several links


def test_each_hop_is_recorded(tmp_path):
    """a ---1 Mbit/s, 1 ms---> r ---2 Mbit/s, 2 ms---> b; two messages of 250 bytes.

    2 ms on the first link and 1 ms on the second, where nobody waits.
    """
    nodes = {"a": sender((0, 250), (0, 250)), "r": None, "b": None}
    links = [both("a", "r", "1ms", rate="1Mbit/s"), both("r", "b", "2ms", rate="2Mbit/s")]
    told = play(world(nodes, links), out=tmp_path / "run")
    assert told.arrivals() == [(6 * MS, "a/1"), (8 * MS, "a/2")]
    in_ms = [(*row[1:4], *(n / MS for n in row[4:])) for row in table(tmp_path / "run", "hop")]
    assert sorted(in_ms) == [
        (1, 0, "a->r", 0, 0, 2, 3),
        (1, 1, "r->b", 3, 0, 1, 6),
        (2, 0, "a->r", 0, 2, 2, 5),
        (2, 1, "r->b", 5, 0, 1, 8),
    ]
    assert [row[5] for row in table(tmp_path / "run", "trail")] == [2 * MS]


def test_queues_on_the_way_and_losses_on_the_way(tmp_path):
    """a ---> r ---1 Mbit/s, queue 0---> b: the second is refused at r, on its second hop."""
    nodes = {"a": sender((0, 125), (0, 125)), "r": None, "b": None}
    links = [both("a", "r", "1ms"), both("r", "b", "1ms", rate="1Mbit/s", queue=0)]
    told = play(world(nodes, links), out=tmp_path / "run")
    assert [(m[0], m[-1]) for m in told.messages()] == [(MS, "queue_full"), (3 * MS, "delivered")]
    assert [row[1:] for row in table(tmp_path / "run", "hop") if row[-1] is None] == [
        (2, 1, "r->b", MS, 0, 0, None)
    ]
    figures = {row[0]: row[3:8] for row in table(tmp_path / "run", "link")}
    assert figures == {"a->r": (2, 2, 0, 0, 0), "r->b": (2, 1, 0, 1, 0)}


def test_a_route_set_by_hand_is_taken_and_others_are_not():
    """a --- b directly (1 ms); by hand a --- c --- b (2 x 3 ms), in that direction only."""
    nodes = {"a": sender((0, 1)), "b": sender((0, 1), to="a"), "c": None}
    links = [both("a", "b", "1ms"), both("a", "c", "3ms"), both("c", "b", "3ms")]
    told = play(world(nodes, links, routes=[{"from": "a", "to": "b", "via": ["c"]}]))
    assert told.arrivals() == [(MS, "b/1"), (6 * MS, "a/1")]


def test_no_way_no_message():
    """a ---> b, and no link back."""
    nodes = {"a": None, "b": sender((0, 1), to="a")}
    with pytest.raises(SendError, match="b cannot send to a: no links lead there from b"):
        play(world(nodes, [one_way("a", "b")]))
    with pytest.raises(SendError, match="no links lead there"):
        play(world({"a": sender((0, 1), to="a"), "b": None}, [both("a", "b")]))


def test_a_group_link_stands_for_each_pair():
    """m-0, m-1 ---> n-0, n-1: four links; among themselves they have none."""

    def all_to_all(node):
        for other in ("n-0", "n-1"):
            node.send(other, "x")
        with pytest.raises(SendError):
            node.send("m-0" if node.name == "m-1" else "m-1", "x")
        yield node.sleep(1)

    nodes = {"m": {"does": all_to_all, "count": 2}, "n": {"does": None, "count": 2}}
    told = play(world(nodes, [one_way("m", "n", "1ms")]))
    assert len(told.arrivals()) == 4


def test_the_least_delay_of_every_link_is_known():
    scenario = world(
        {"a": None, "b": {"does": None, "count": 2}},
        [one_way("a", "b", {"min": "3ms", "exponential": "1ms"}), one_way("b", "a", "1s")],
    )
    assert dict(play(scenario).federation.network.lookahead()) == {
        ("a", "b-0"): 3 * MS,
        ("a", "b-1"): 3 * MS,
        ("b-0", "a"): S,
        ("b-1", "a"): S,
    }
