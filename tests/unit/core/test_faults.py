"""Faults: timed to the nanosecond, recorded, undone; and nothing else changes with them.

a ---> b      unless drawn otherwise
"""

from __future__ import annotations

import pytest
from worlds import MS, both, play, world

from simcore import UsageError


def every_ms(node):
    """Sends its number at 0, 1, 2 ... ms."""
    number = 0
    while True:
        node.send("b", "x", number, size=125)
        number += 1
        yield node.sleep("1ms")


def fates(links, faults, *, lasts="10ms", b=None):
    told = play(world({"a": every_ms, "b": b}, links, lasts=lasts, faults=faults))
    return {int(m[5]): m[-1] for m in told.messages() if m[1].startswith("a/")}, told


def down(at, length=None, link=("a", "b")):
    return {"at": at, "link": list(link), "down": True} | ({"for": length} if length else {})


def lost(found, reason):
    return [number for number, fate in found.items() if fate == reason]


def test_a_link_that_is_down_takes_nothing_from_the_very_instant_on():
    """Down from 2 to 5 ms: the message of 2 ms is lost, that of 5 ms arrives."""
    found, told = fates([both("a", "b", "100us")], [down("2ms", "3ms")])
    assert lost(found, "link_down") == [2, 3, 4]
    assert [line[0] for line in told.lines if line[-1] == "link_down"] == [2 * MS, 3 * MS, 4 * MS]


def test_what_has_left_the_sender_still_arrives():
    found, _ = fates([both("a", "b", "5ms")], [down("500us", "2ms")], lasts="20ms")
    assert lost(found, "link_down") == [1, 2]


def test_what_is_transmitted_or_waits_is_lost_at_that_instant():
    """1 Mbit/s halved by size: 2 ms each. At 3 ms: 0 is out, 1 in transmission, 2 waits."""

    def a(node):
        for number in range(3):
            node.send("b", "x", number, size=250)
        yield node.sleep("4ms")
        node.send("b", "x", 3, size=250)

    links = [both("a", "b", "10ms", rate="1Mbit/s")]
    told = play(world({"a": a, "b": None}, links, faults=[down("3ms", "1ms")]))
    assert [(m[0] / MS, m[5], m[-1]) for m in told.messages()] == [
        (3, "1", "link_down"),
        (3, "2", "link_down"),
        (12, "0", "delivered"),
        (16, "3", "delivered"),  # the transmitter is free at once
    ]


def test_a_message_lost_by_chance_is_not_lost_again(tmp_path):
    def a(node):
        for _ in range(50):
            node.send("b", "x", size=125)
        yield node.sleep(1)

    links = [both("a", "b", "10ms", rate="1Mbit/s", loss=0.5)]
    told = play(world({"a": a, "b": None}, links, faults=[down("25500us")]), out=tmp_path / "run")
    assert len(told.messages()) == 50
    assert len({m[1] for m in told.messages()}) == 50
    (figures,) = [row for row in told.federation.network.metrics(10**9) if row.name == "a->b"]
    found = [m[-1] for m in told.messages()]
    counts = [found.count(fate) for fate in ("delivered", "loss", "link_down")]
    assert counts == [figures.delivered, figures.loss, figures.link_down]
    assert sum(counts) == 50 and min(counts) > 5


def test_on_a_shared_medium_only_the_links_own_messages_are_lost():
    """m-0, m-1 share 1 Mbit/s to b; m-0's link fails while m-0/1 is in transmission."""

    def m(node):
        node.send("b", "x", size=125)
        node.send("b", "x", size=125)
        yield node.sleep(1)

    links = [both("m", "b", "1ms", rate="1Mbit/s", shared=True)]
    told = play(
        world(
            {"m": {"does": m, "count": 2}, "b": None},
            links,
            faults=[down("500us", "1ms", ("m-0", "b"))],
        )
    )
    assert [(x[0] / MS, x[1], x[-1]) for x in told.messages()] == [
        (0.5, "m-0/1", "link_down"),
        (0.5, "m-0/2", "link_down"),
        (4, "m-1/1", "delivered"),
        (5, "m-1/2", "delivered"),
    ]


def test_a_link_stays_down_while_any_of_overlapping_faults_lasts():
    found, _ = fates([both("a", "b", "100us")], [down("2ms", "4ms"), down("3ms", "1ms")])
    assert lost(found, "link_down") == [2, 3, 4, 5]
    found, _ = fates([both("a", "b", "100us")], [down("2ms", "4ms"), down("2ms", "4ms")])
    assert lost(found, "link_down") == [2, 3, 4, 5]


def test_a_fault_without_end_lasts():
    found, told = fates([both("a", "b", "100us")], [down("7ms")])
    assert lost(found, "link_down") == [7, 8, 9]
    assert [line for line in told.text.splitlines() if " fault " in line] == [
        "7ms fault 1 begin link_down a->b {}",
        "7ms fault 2 begin link_down b->a {}",
    ]


@pytest.mark.parametrize("rate", [None, "1Gbit/s"], ids=["plain link", "link with state"])
def test_a_degraded_link_adds_delay_and_loss(rate):
    keys = {} if rate is None else {"rate": rate, "ordered": True}
    delay = [{"at": "2ms", "for": "3ms", "link": ["a", "b"], "degraded": {"delay": "300us"}}]
    _, told = fates([both("a", "b", "100us", **keys)], delay)
    late = [at // 1000 % 1000 for at, _ in told.arrivals()]
    extra = 0 if rate is None else 1
    assert late == [100 + extra] * 2 + [400 + extra] * 3 + [100 + extra] * 5
    loss = [{"at": "20ms", "for": "60ms", "link": ["a", "b"], "degraded": {"loss": 0.5}}]
    found, _ = fates([both("a", "b", "100us", **keys)], loss, lasts="100ms")
    gone = lost(found, "loss")
    assert all(20 <= number < 80 for number in gone)
    assert 15 < len(gone) < 45


def test_a_degraded_rate_replaces_the_links_own():
    bad = [{"at": "2ms", "for": "4ms", "link": ["a", "b"], "degraded": {"rate": "500kbit/s"}}]
    _, told = fates([both("a", "b", "100us", rate="1Mbit/s")], bad, lasts="30ms")
    at = {id: at / MS for at, id in told.arrivals()}
    assert at["a/2"] == 2.1
    assert at["a/3"] == 4.1  # entered at 2 ms, 2 ms long
    assert at["a/4"] == 6.1
    assert at["a/6"] == 10.1  # entered at 5 ms, the last slow one
    assert at["a/7"] == 11.1


def test_degradations_add_up():
    """Delays are added, chances to get through multiplied, the lowest rate holds."""
    worse = {"at": "0ns", "link": ["a", "b"], "degraded": {"delay": "1ms", "loss": 0.5}}
    found, told = fates([both("a", "b", "1ms")], [worse, worse], lasts="200ms")
    assert {m[0] - m[6] for m in told.messages() if m[-1] == "delivered"} == {3 * MS}
    assert 0.6 < len(lost(found, "loss")) / len(found) < 0.9  # 3/4 of 200


def test_a_group_with_links_among_itself_is_degraded_once():
    """m-0 <---> m-1."""

    def m(node):
        node.send(f"m-{1 - node.index}", "x")
        yield node.sleep(1)

    fault = {"at": "0ns", "link": ["m", "m"], "degraded": {"delay": "1ms"}}
    nodes = {"m": {"does": m, "count": 2}}
    told = play(world(nodes, [both("m", "m", "1ms")], faults=[fault]))
    assert [at for at, _ in told.arrivals()] == [2 * MS, 2 * MS]
    assert len([line for line in told.lines if line[1] == "fault"]) == 2


def test_a_fault_changes_no_other_number():
    """What chance does outside of a degradation is the same with and without it."""
    links = [both("a", "b", {"exponential": "100us"}, loss=0.2, rate="100Mbit/s")]
    bad = {"at": "20ms", "for": "9ms", "link": ["a", "b"], "degraded": {"loss": 0.5}}
    _, without = fates(links, [], lasts="99ms")
    _, told = fates(links, [bad], lasts="99ms")

    def outside(run):
        return [m for m in run.messages() if not 19 * MS < m[6] < 30 * MS]

    assert outside(told) == outside(without)


# -- nodes


def crash(at, length=None, node="b"):
    return {"at": at, "node": node, "crash": True} | ({"for": length} if length else {})


def test_a_crashed_node_gets_nothing_and_starts_anew():
    def b(node):
        node.record("started", node.now // 1000)
        try:
            while True:
                message = yield node.receive()
                node.record("got", message.payload)
        finally:
            node.record("ended", node.now // 1000)

    found, told = fates([both("a", "b", "100us")], [crash("2100us", "3ms")], b=b)
    assert lost(found, "node_down") == [2, 3, 4]
    assert told.measured("started") == [0, 5100]
    assert told.measured("ended") == []  # a node that is down records nothing
    assert told.measured("got") == [0, 1, 5, 6, 7, 8, 9]


def test_a_message_that_arrives_at_the_instant_of_the_restart_is_received():
    """At 5.1 ms: faults act before everything else at their instant."""
    found, _ = fates([both("a", "b", "100us")], [crash("2ms", "3100us")])
    assert lost(found, "node_down") == [2, 3, 4]


def test_the_inbox_and_what_is_waited_for_are_lost_streams_and_counters_go_on():
    def b(node):
        node.record("inbox", node.inbox)
        node.record("draw", node.random.random())
        node.send("a", "hello")
        yield node.sleep("1h")

    found, told = fates([both("a", "b", "100us")], [crash("3500us", "1ms")], b=b)
    assert lost(found, "node_down") == [4]
    assert told.measured("inbox") == [0, 0]
    assert len(set(told.measured("draw"))) == 2
    assert [m[1] for m in told.messages(to="a")] == ["b/1", "b/2"]


def test_a_service_starts_anew_without_memory_and_what_it_computed_is_lost():
    class B:
        def start(self, ctx):
            self.count = 0
            ctx.set_timer("beat", "3ms")

        def on_timer(self, ctx, name):
            ctx.record("beat", ctx.now // MS)
            ctx.set_timer(name, "3ms")

        def on_message(self, ctx, msg):
            self.count += 1
            ctx.record("count", self.count)
            ctx.compute("700us")
            ctx.reply(msg, "done", msg.payload)

    # Message 2 arrives at 2.1 ms and would be answered at 2.8 ms: never.
    _, told = fates([both("a", "b", "100us")], [crash("2500us", "2ms")], b=B, lasts="9ms")
    assert told.measured("count") == [1, 2, 3, 1, 2, 3, 4]
    assert [int(m[5]) for m in told.messages(to="a") if m[-1] == "delivered"] == [
        *(0, 1, 5, 6, 7, 8)
    ]
    assert told.measured("beat") == [7]


def test_a_node_that_is_cut_off_lives_and_neither_hears_nor_is_heard():
    """b answers what it hears; a asks at 0, 1, 2 ... ms, and b counts on its own all the while."""

    def b(node):
        node.process(counting(node))
        while True:
            message = yield node.receive()
            node.send("a", "y", message.payload, size=0)

    def counting(node):
        while True:
            yield node.sleep("1ms")
            node.record("alive", 1)

    faults = [{"at": "2ms", "for": "3ms", "node": "b", "offline": True}]
    found, told = fates([both("a", "b", "100us")], faults, b=b)
    assert lost(found, "link_down") == [2, 3, 4]
    answers = {int(m[5]): m[-1] for m in told.messages() if m[1].startswith("b/")}
    assert sorted(answers) == [0, 1, 5, 6, 7, 8, 9]
    assert len([line for line in told.lines if "alive" in line]) == 9
    assert told.federation.nodes["b"].lives == 1


def test_a_router_that_is_cut_off_passes_nothing_on():
    """a ---> r ---> b"""
    faults = [{"at": "2ms", "for": "3ms", "node": "r", "offline": True}]
    links = [both("a", "r", "100us"), both("r", "b", "2ms")]
    told = play(world({"a": every_ms, "r": None, "b": None}, links, lasts="10ms", faults=faults))
    found = {int(m[5]): m[-1] for m in told.messages()}
    assert lost(found, "link_down") == [2, 3, 4]


def test_of_overlapping_faults_that_cut_off_a_node_the_last_one_counts():
    faults = [
        {"at": "2ms", "for": "4ms", "node": "b", "offline": True},
        {"at": "3ms", "for": "1ms", "node": "b", "offline": True},
        {"at": "3ms", "for": "5ms", "link": ["a", "b"], "down": True},
    ]
    found, _ = fates([both("a", "b", "100us")], faults)
    assert lost(found, "link_down") == [2, 3, 4, 5, 6, 7]


def test_overlapping_crashes_end_with_the_last_and_start_once():
    def b(node):
        node.record("started", node.now // MS)
        yield node.sleep("1h")

    faults = [crash("2ms", "2ms"), crash("3ms", "3ms")]
    found, told = fates([both("a", "b", "100us")], faults, b=b)
    assert lost(found, "node_down") == [2, 3, 4, 5]
    assert told.measured("started") == [0, 6]


def test_a_crash_of_a_group_and_one_at_the_very_start():
    def m(node):
        node.record("started", f"{node.name} {node.now // MS}")
        yield node.sleep("1h")

    nodes = {"m": {"does": m, "count": 2}}
    told = play(world(nodes, faults=[crash("0ns", "2ms", "m"), crash("4ms", None, "m-1")]))
    assert told.measured("started") == ["m-0 2", "m-1 2"]
    assert [line for line in told.text.splitlines() if " fault " in line] == [
        "0 fault 1 begin node_crash m-0 {}",
        "0 fault 2 begin node_crash m-1 {}",
        "2ms fault 3 end node_crash m-0 {}",
        "2ms fault 4 end node_crash m-1 {}",
        "4ms fault 5 begin node_crash m-1 {}",
    ]


def test_a_node_on_the_way_loses_what_comes_by():
    """a ---> r ---> b; r is down from 1.5 to 4.5 ms."""
    links = [both("a", "r", "100us"), both("r", "b", "100us")]
    nodes = {"a": every_ms, "r": None, "b": None}
    told = play(world(nodes, links, lasts="7ms", faults=[crash("1500us", "3ms", "r")]))
    gone = [(m[0] // 1000, m[-1]) for m in told.messages() if m[-1] != "delivered"]
    assert gone == [(2100, "node_down"), (3100, "node_down"), (4100, "node_down")]


def test_random_times_come_from_the_seed_and_the_faults_own_stream():
    fault = {"at": {"uniform": "9ms"}, "for": {"exponential": "1ms"}, "node": "b", "crash": True}

    def times(seed, *faults):
        told = play(world({"a": every_ms, "b": None}, seed=seed, lasts="50ms", faults=faults))
        return [line[0] for line in told.lines if line[1] == "fault"]

    assert times(1, fault) == times(1, fault)
    assert times(1, fault) != times(2, fault)
    alone = times(1, fault)
    assert [t for t in times(1, fault, crash("49ms")) if t != 49 * MS] == alone


def test_a_fault_at_the_end_or_later_does_not_happen():
    _, told = fates([both("a", "b")], [down("10ms"), crash("11ms"), down("9ms", "1ms")])
    assert [line[0] for line in told.lines if line[1] == "fault"] == [9 * MS, 9 * MS]


def test_an_extension_cannot_act_in_the_past():
    def drive(federation):
        federation.env.run(until=5)
        with pytest.raises(UsageError, match="virtual time 4 ns has passed"):
            federation.at(4, lambda: None)
        trace = []
        federation.at(6, lambda: trace.append(federation.now))
        federation.env.run(until=10)
        assert trace == [6]

    play(world({"a": None}), drive)
