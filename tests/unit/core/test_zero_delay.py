"""What takes no time may not go round for ever; much at one instant is no loop."""

from __future__ import annotations

import pytest
from worlds import MS, both, one_way, play, world

from simcore import ZeroDelayLoop


def cycle_of(nodes, links=None, **keys):
    with pytest.raises(ZeroDelayLoop) as caught:
        play(world(nodes, links, **keys))
    for line in caught.value.cycle:
        assert line in str(caught.value)
    return caught.value


def bounce(node):
    while True:
        message = yield node.receive()
        node.reply(message, "pong")


def begin(to):
    def model(node):
        yield node.sleep("2ms")
        node.send(to, "ping")
        yield from bounce(node)

    return model


class Bounce:
    def on_message(self, ctx, msg):
        ctx.reply(msg, "pong")


@pytest.mark.parametrize("other", [bounce, Bounce], ids=["model", "service"])
@pytest.mark.parametrize("links", [None, [both("a", "b", "0ns")]], ids=["direct", "latency"])
def test_two_nodes_that_answer_each_other(other, links):
    """a <--> b, no delay."""
    error = cycle_of({"a": begin("b"), "b": other}, links)
    assert error.cycle == ("a --pong--> b", "b --pong--> a")
    assert error.now == 2 * MS
    assert "give a link of this cycle a delay" in str(error)


def test_two_services():
    """a <--> b, begun from outside."""

    class Begin(Bounce):
        def start(self, ctx):
            ctx.send("b", "ping")

    error = cycle_of({"a": Begin, "b": Bounce})
    assert set(error.cycle) == {"a --pong--> b", "b --pong--> a"}


def test_a_ring_names_all_its_nodes_in_order():
    """a -> b -> c -> a, where b forwards over a link of several, none with delay."""

    def forward(to):
        def model(node):
            while True:
                yield node.receive()
                node.send(to, "token")

        return model

    def first(node):
        node.send("b", "token")
        yield from forward("b")(node)

    links = [one_way("a", "b", "0ns"), one_way("b", "c", "0ns"), one_way("c", "a", "0ns")]
    error = cycle_of({"a": first, "b": forward("c"), "c": forward("a")}, links)
    assert sorted(error.cycle) == ["a --token--> b", "b --token--> c", "c --token--> a"]
    ring = [*error.cycle, *error.cycle]
    assert any(
        ring[i : i + 3] == ["a --token--> b", "b --token--> c", "c --token--> a"] for i in range(3)
    )


def test_a_service_that_sends_to_itself():
    class Own:
        def start(self, ctx):
            ctx.send(ctx.name, "again")

        def on_message(self, ctx, msg):
            ctx.send(ctx.name, "again")

    assert cycle_of({"a": Own}).cycle == ("a --again--> a",)


def test_a_model_that_sleeps_for_no_time():
    def restless(node):
        yield node.sleep("3ms")
        while True:
            yield node.sleep(0)

    error = cycle_of({"a": restless})
    assert (error.cycle, error.node, error.now) == (("a --sleep--> a",), "a", 3 * MS)


def test_a_service_whose_timers_take_no_time():
    class Restless:
        def start(self, ctx):
            ctx.set_timer("tick", "3ms")

        def on_timer(self, ctx, name):
            ctx.set_timer(name, 0)

    error = cycle_of({"a": Restless})
    assert (error.cycle, error.node, error.now) == (("a --timer--> a",), "a", 3 * MS)


def test_a_loop_over_sleep_and_messages_prints_nothing_of_earlier_instants():
    """a <--> b without delay; a sleeps for no time before each answer."""

    def a(node):
        node.send("b", "early")
        yield node.receive("early")
        yield node.sleep("1ms")
        node.send("b", "late")
        while True:
            message = yield node.receive()
            yield node.sleep(0)
            node.reply(message, "late")

    def b(node):
        while True:
            message = yield node.receive()
            node.reply(message, message.kind)

    error = cycle_of({"a": a, "b": b})
    assert error.now == MS
    assert not any("early" in line for line in error.cycle)


def test_an_exchange_that_takes_time_goes_on_for_ever():
    """a <--1 us--> b: 5,000 messages, one after the other."""
    told = play(world({"a": begin("b"), "b": Bounce}, [both("a", "b", "1us")], lasts="7ms"))
    assert len(told.messages()) == 5000
    assert all(m[-1] == "delivered" for m in told.messages()[:-1])


def test_a_long_exchange_keeps_no_message_but_the_last():
    def ask(node):
        message = None
        for _ in range(50):
            node.send("b", "ping")
            message = yield node.receive()
        node.record("kept", message.parent is None)

    told = play(world({"a": ask, "b": bounce}, [both("a", "b", "1us")]))
    assert told.measured("kept") == [True]


@pytest.mark.parametrize("gateway", [bounce, Bounce], ids=["model", "service"])
def test_ten_thousand_nodes_at_one_instant_are_no_loop(gateway):
    """meter-0 ... meter-9999 --> gateway, which answers each, all at 5 ms."""

    def meter(node):
        yield node.sleep("5ms")
        node.send("gateway", "ping")
        yield node.receive()
        node.record("answered", node.now)

    told = play(world({"meter": {"does": meter, "count": 10_000}, "gateway": gateway}))
    assert told.measured("answered") == [5 * MS] * 10_000


def test_a_chain_of_five_hundred_messages_at_one_instant_is_no_loop():
    """n-0 -> n-1 -> ... -> n-500, none with delay; models and services in turn."""

    def model(node):
        if node.index == 0:
            node.send("even-1", "go", 1)
        while True:
            message = yield node.receive()
            node.send(f"odd-{message.payload}", "go", message.payload)

    class Odd:
        def on_message(self, ctx, msg):
            if msg.payload < 250:
                ctx.send(f"even-{msg.payload + 1}", "go", msg.payload + 1)
            else:
                ctx.record("arrived", ctx.now)

    nodes = {"even": {"does": model, "count": 251}, "odd": {"does": Odd, "count": 251}}
    told = play(world(nodes))
    assert told.measured("arrived") == [0]
    assert len(told.messages()) == 500


def test_many_pauses_of_no_time_at_one_instant_are_no_loop():
    """Two thousand processes of one node, each with one pause."""

    def crowd(node):
        def one():
            yield node.sleep(0)
            node.record("done", True)

        for _ in range(2000):
            node.process(one())
        yield node.sleep("1ms")

    assert len(play(world({"a": crowd})).measured("done")) == 2000


def test_both_ways_out_of_a_loop_that_the_error_names_work():
    slow = [one_way("a", "b", "0ns"), one_way("b", "a", "1us")]
    assert len(play(world({"a": begin("b"), "b": bounce}, slow, lasts="4ms")).messages()) > 3000
