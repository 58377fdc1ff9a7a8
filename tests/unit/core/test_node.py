"""Nodes: sleeping, sending, receiving, measuring, processes of their own.

a ---> b, direct network unless drawn otherwise
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from worlds import MS, both, play, world

from simcore import ModelError, SendError, UnitError


def idle(node):
    yield node.sleep("1ms")


def run(a, b=None, links=None, **keys):
    return play(world({"a": a, "b": b}, links, **keys))


def test_a_node_knows_its_place():
    def who(node):
        node.record("who", f"{node.name} {node.group} {node.index} {node.order} {node.tier}")
        node.record("config", node.config["x"])
        node.record("repr", repr(node))
        yield node.sleep("1ms")

    told = play(
        world({"a": None, "m": {"does": who, "count": 2, "tier": "edge", "config": {"x": 5}}})
    )
    assert told.measured("who") == ["m-0 m 0 1 edge", "m-1 m 1 2 edge"]
    assert told.measured("config") == [5, 5]
    assert told.measured("repr") == ["<Node m-0>", "<Node m-1>"]


def test_sleeping_is_exact_and_refuses_floats():
    def a(node):
        for time in ("1500us", 7, "0ns", "1ns"):
            yield node.sleep(time)
            node.record("now", node.now)
        for wrong in (0.5, -1, "5", None):
            with pytest.raises(UnitError):
                node.sleep(wrong)

    assert run(a).measured("now") == [1_500_000, 1_500_007, 1_500_007, 1_500_008]


def test_a_message_says_where_it_comes_from():
    """c answers a's message by way of b; the causes lead back to it."""

    def a(node):
        yield node.sleep("1ms")
        sent = node.send("b", "first", {"x": [1, b"\x01"]}, size=10)
        node.record("sent", f"{sent.id} {sent.source} {sent.destination} {sent.cause} {sent!r}")

    def b(node):
        first = yield node.receive()
        node.send("c", "second", first.payload, cause=first)

    def c(node):
        second = yield node.receive()
        node.record("second", f"{second.id} {second.cause} {second.size} {second.sent}")
        node.record("origin", second.origin)
        payload = second.payload
        payload["x"].clear()
        node.record("fresh", second.payload == {"x": [1, b"\x01"]})

    told = play(world({"a": a, "b": b, "c": c}, [both("a", "b"), both("b", "c")]))
    assert told.measured("sent") == ["a/1 a b None <Message a/1 'first' to b>"]
    assert told.measured("second") == ["b/1 a/1 25 2000000"]
    assert told.measured("origin") == [MS]
    assert told.measured("fresh") == [True]


def test_a_payload_is_frozen_when_it_is_sent():
    def a(node):
        payload = {"v": [1]}
        node.send("b", "x", payload)
        payload["v"].append(2)
        yield node.sleep(1)

    assert [m[5] for m in run(a).messages()] == ['{"v":[1]}']


@pytest.mark.parametrize(
    ("arguments", "keys", "reason"),
    [
        (("B", "x"), {}, r"a cannot send to 'B': there is no such node"),
        (("bb", "x"), {}, r"no such node \(did you mean 'b'\?\)"),
        ((None, "x"), {}, "to None: there is no such node"),
        (("b", ""), {}, "kind is '', not a name"),
        (("b", 3), {}, "kind is 3, not a name"),
        (("b", None), {}, "kind is None, not a name"),
        (("b", "x", {1}), {}, "'x' to b: payload is a builtins.set"),
        (("b", "x"), {"size": -1}, "size is -1"),
        (("b", "x"), {"size": 1.5}, "size is 1.5"),
        (("b", "x"), {"size": True}, "size is True"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused_with_node_and_time(arguments, keys, reason):
    def a(node):
        yield node.sleep("2ms")
        node.send(*arguments, **keys)

    with pytest.raises(SendError, match=reason) as caught:
        run(a)
    assert (caught.value.node, caught.value.now) == ("a", 2 * MS)


def test_a_refused_message_is_not_sent():
    def a(node):
        for wrong in ({"payload": {1}}, {"size": -1}, {"size": "1"}):
            with pytest.raises(SendError):
                node.send("b", "x", **wrong)
        node.send("b", "x")
        yield node.sleep(1)

    assert len(run(a).messages()) == 1


# -- receiving


def waiting(*expected):
    """A receiver of `(kind, timeout)` in turn, that measures what it gets and when."""

    def model(node):
        for kind, timeout in expected:
            message = yield node.receive(kind, timeout=timeout)
            what = None if message is None else f"{message.kind} {message.payload}"
            node.record("got", f"{what} at {node.now // 1000}")

    return model


def sending(*script):
    def model(node):
        for at, kind in script:
            if at * 1000 > node.now:
                yield node.sleep(at * 1000 - node.now)
            node.send("b", kind, at)

    return model


@pytest.mark.parametrize(
    ("sent", "expected", "got"),
    [
        ([(1, "x")], [(None, None)], ["x 1 at 1"]),
        ([(1, "x"), (2, "y")], [("y", None), (None, None)], ["y 2 at 2", "x 1 at 2"]),
        ([(1, "x"), (2, "x")], [("x", None)] * 2, ["x 1 at 1", "x 2 at 2"]),
        ([(9, "x")], [(None, "5us"), (None, "5us")], ["None at 5", "x 9 at 9"]),
        ([(3, "x")], [("y", "5us"), ("x", None)], ["None at 5", "x 3 at 5"]),
        ([(9, "x")], [(None, 0), (None, None)], ["None at 0", "x 9 at 9"]),
    ],
)
def test_receiving(sent, expected, got):
    assert run(sending(*sent), waiting(*expected)).measured("got") == got


def test_a_message_that_arrives_at_the_instant_of_the_timeout_is_received():
    """Arrivals come before timers, on a link that takes 5 us."""
    told = run(sending((0, "x")), waiting((None, "5us"), (None, "5us")), [both("a", "b", "5us")])
    assert told.measured("got") == ["x 0 at 5", "None at 10"]


def test_two_that_wait_get_messages_in_the_order_of_asking_and_by_kind():
    def b(node):
        def wait(name, kind):
            message = yield node.receive(kind)
            node.record("got", f"{name} {message.kind}")

        for name, kind in [("first", "y"), ("second", None), ("third", None)]:
            node.process(wait(name, kind))
        yield node.sleep(1)

    told = run(sending((1, "x"), (2, "y"), (3, "z")), b)
    assert told.measured("got") == ["second x", "first y", "third z"]


def test_a_receiver_that_is_not_waited_for_any_more_is_cancelled():
    def b(node):
        receiving, pause = node.receive(), node.sleep("1us")
        found = yield receiving | pause
        node.record("received", receiving in found)
        node.cancel(receiving)
        node.cancel(receiving)
        node.cancel(pause)
        message = yield node.receive()
        node.record("inbox", node.inbox)
        node.record("got", message.payload)

    told = run(sending((2, "x"), (2, "x")), b)
    assert told.measured("received") == [False]
    assert told.measured("got") == [2]


def test_messages_wait_in_the_inbox():
    def b(node):
        yield node.sleep("5us")
        node.record("inbox", node.inbox)
        yield node.receive("y")
        node.record("inbox", node.inbox)

    assert run(sending((1, "x"), (2, "y"), (3, "z")), b).measured("inbox") == [3, 2]


def test_events_of_a_node_work_in_conditions():
    def b(node):
        both_of = node.sleep("2us") & node.receive()
        yield both_of
        node.record("now", node.now)
        first = node.sleep("9us") | node.env.timeout(3000)
        yield first
        node.record("now", node.now)

    assert run(sending((1, "x")), b).measured("now") == [2000, 5000]


# -- measurements and random numbers


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (True, True),
        (-3, -3),
        (2**63 - 1, 2**63 - 1),
        (0.1, 0.1),
        ("on", "on"),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(4), 4),
        (np.bool_(False), False),
        (np.str_("x"), "x"),
    ],
    ids=repr,
)
def test_what_can_be_measured(value, stored):
    def a(node):
        node.record("x", value)
        yield node.sleep(1)

    (found,) = run(a).measured("x")
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, None, [1], {}, b"x", 2**63, -(2**63) - 1, 1j], ids=repr
)
def test_what_cannot_be_measured_is_refused(value):
    def a(node):
        yield node.sleep(3)
        node.record("x", value)

    with pytest.raises(ModelError, match="a cannot record 'x' = .*a measurement is") as caught:
        run(a)
    assert (caught.value.node, caught.value.now) == ("a", 3)


def test_each_purpose_has_a_stream_of_its_own():
    def a(node):
        one = [node.random.random() for _ in range(3)]
        again = node.stream("model").random()
        node.record("other", node.stream("other").random() not in one)
        node.record("same", node.stream("model") is node.random and again not in one)
        node.record("numpy", bool((node.numpy().random(3) == node.numpy().random(3)).all()))
        yield node.sleep(1)

    told = run(a)
    assert [told.measured(name) for name in ("other", "same", "numpy")] == [[True]] * 3


# -- life


def test_a_model_that_raises_is_reported_with_node_time_and_cause():
    def a(node):
        yield node.sleep("3ms")
        raise KeyError("lost")

    with pytest.raises(ModelError, match="the model of a raised KeyError: 'lost'") as caught:
        run(a)
    assert (caught.value.node, caught.value.now) == ("a", 3 * MS)
    assert isinstance(caught.value.__cause__, KeyError)


def test_so_is_a_wrong_duration():
    def a(node):
        yield node.sleep("3")

    with pytest.raises(ModelError, match="the model of a raised UnitError: '3' has no unit"):
        run(a)


def test_a_further_process_ends_with_its_node_and_its_errors_are_the_nodes():
    def a(node):
        def beside():
            yield node.sleep("1ms")
            return 1 / 0

        node.process(beside())
        yield node.sleep("9ms")

    with pytest.raises(ModelError, match="the model of a raised ZeroDivisionError") as caught:
        run(a)
    assert caught.value.now == MS


def test_a_further_process_can_be_waited_for_and_interrupted():
    def a(node):
        def beside(time):
            yield node.sleep(time)
            return "done"

        node.record("value", (yield node.process(beside("1ms"))))
        other = node.process(beside("1h"))
        yield node.sleep("1ms")
        other.interrupt("enough")
        other.defused = True
        yield node.sleep("1ms")
        node.record("alive", other.is_alive)

    told = run(a)
    assert told.measured("value") == ["done"]
    assert told.measured("alive") == [False]


def test_a_model_must_be_a_generator():
    def a(node):
        node.record("called", True)

    with pytest.raises(ModelError, match="the model of a is no generator: .* one `yield`"):
        run(a)


def test_a_model_may_be_over_at_once():
    def a(node):
        return
        yield

    assert run(a).lines == []
