"""Federations inside a user's own SimPy model.

till ---> warehouse     direct network, or a link of 2 ms
"""

from __future__ import annotations

import pytest
import simpy
from worlds import MS, PLUGINS, S, Transcript, both, play, world

from simcore import Federation, ModelError, SendError, UsageError, ZeroDelayLoop

LINKS = [both("till", "warehouse", "2ms")]


def shop(links=LINKS, warehouse=None, **keys):
    return world({"till": None, "warehouse": warehouse}, links, **keys)


def answering(node):
    while True:
        order = yield node.receive()
        node.reply(order, "goods", order.payload)


class Answering:
    def on_message(self, ctx, msg):
        ctx.compute("3ms")
        ctx.reply(msg, "goods", msg.payload)


@pytest.mark.parametrize(
    ("unit", "second"), [("1ns", S), ("1us", 10**6), ("1ms", 1000), ("1ms", 1000.0), ("1s", 1.0)]
)
@pytest.mark.parametrize("warehouse", [answering, Answering], ids=["model", "service"])
def test_a_users_processes_and_resources_drive_the_nodes(unit, second, warehouse):
    """Three customers at one till (a SimPy resource, a quarter of a second each)."""
    env = simpy.Environment()
    clerks = simpy.Resource(env, capacity=1)
    served = []

    def customer(node, name):
        with clerks.request() as turn:
            yield turn
            yield env.timeout(second / 4 if isinstance(second, float) else second // 4)
            node.send("warehouse", "order", name)
            goods = yield node.receive()
            node.record("served", goods.payload)
            served.append((name, round(env.now / second * 1000)))

    with Federation(shop(warehouse=warehouse), env, unit=unit, plugins=PLUGINS) as federation:
        till = federation.nodes["till"]
        for name in ("Ada", "Bob", "Cyd"):
            env.process(customer(till, name))
        env.run(until=second)
        assert federation.now == till.now == S
    each = 254 if warehouse is answering else 257
    assert served == [("Ada", each), ("Bob", 2 * each), ("Cyd", 3 * each)]
    assert federation.recorder.counts["messages"] == 6


def test_nodes_can_be_looked_up_and_not_changed():
    with Federation(shop(), plugins=PLUGINS) as federation:
        assert list(federation.nodes) == ["till", "warehouse"]
        with pytest.raises(TypeError):
            federation.nodes["x"] = federation.nodes["till"]


def test_it_can_be_driven_from_outside_between_steps():
    def drive(federation):
        env, till = federation.env, federation.nodes["till"]
        till.send("warehouse", "first")
        env.run(until=MS)
        till.send("warehouse", "second")
        env.run(until=5 * MS)
        assert federation.nodes["warehouse"].inbox == 2
        till.send("warehouse", "third")
        env.run(until=S)

    for links in (LINKS, None, [both("till", "warehouse", "0ns")]):
        delay = 2 * MS if links is LINKS else 0
        told = play(shop(links), drive)
        assert [at for at, _ in told.arrivals()] == [delay, MS + delay, 5 * MS + delay]
        assert play(shop(links), drive, env=simpy.Environment()).digest == told.digest


def test_a_node_may_serve_several_processes_of_the_user():
    env = simpy.Environment()
    got = []

    def waiter(node, kind):
        message = yield node.receive(kind)
        got.append((kind, message.payload, env.now))

    with Federation(shop(), env, plugins=PLUGINS) as federation:
        for kind in ("b", "a"):
            env.process(waiter(federation.nodes["warehouse"], kind))
        for kind in ("a", "b"):
            federation.nodes["till"].send("warehouse", kind, kind.upper())
        env.run(until=S)
    assert sorted(got) == [("a", "A", 2 * MS), ("b", "B", 2 * MS)]


def test_closing_before_the_end_leaves_the_rest_in_flight(tmp_path):
    env = simpy.Environment()
    federation = Federation(shop(), env, out=tmp_path / "run", plugins=PLUGINS)
    federation.recorder.digest = transcript = Transcript(federation)
    till = federation.nodes["till"]
    till.send("warehouse", "first")
    env.run(until=MS)
    till.send("warehouse", "second")
    env.run(until=3 * MS)
    till.send("warehouse", "at the very end")  # counts as not done
    digest = federation.close()
    assert [(line[0], line[5], line[-1]) for line in transcript.lines()] == [
        (2 * MS, "first", "delivered"),
        (3 * MS, "second", "in_flight"),
    ]
    assert federation.close() == federation.digest == digest
    assert federation.archive.manifest["digest"] == digest
    assert federation.archive.manifest["times"]["virtual_ns"] == 3 * MS


def test_after_closing_the_environment_goes_on_and_the_run_does_not():
    """Sends, measurements, arrivals, timers, restarts: nothing counts, nobody is disturbed."""
    env = simpy.Environment()
    woken, shopping = [], []

    def warehouse(node):
        while True:
            yield node.sleep("1ms")
            woken.append(env.now)

    def user(node):
        while True:
            yield env.timeout(MS)
            node.send("warehouse", "order")
            node.record("sent", True)
            shopping.append(env.now)

    faults = [{"at": "2ms", "for": "1ms", "node": "warehouse", "crash": True}]
    federation = Federation(
        shop(warehouse=warehouse, faults=faults, lasts="9ms"), env, plugins=PLUGINS
    )
    env.process(user(federation.nodes["till"]))
    env.run(until=2_500_000)
    digest, counts = federation.close(), dict(federation.recorder.counts)
    env.run(until=20 * MS)
    assert (federation.close(), dict(federation.recorder.counts)) == (digest, counts)
    assert woken == [MS]
    assert shopping == [n * MS for n in range(1, 20)]


def test_a_process_of_the_user_may_close_the_run():
    env = simpy.Environment()
    federation = Federation(shop(warehouse=answering), env, plugins=PLUGINS)
    federation.recorder.digest = transcript = Transcript(federation)

    def user(node):
        node.send("warehouse", "order")
        yield node.receive()
        federation.close()
        yield env.timeout(MS)

    env.process(user(federation.nodes["till"]))
    env.run()
    assert env.now == 5 * MS
    # The answer came at the very end, and counts as not arrived.
    assert [line[-1] for line in transcript.lines()] == ["delivered", "in_flight"]


def test_an_exception_inside_with_keeps_what_happened(tmp_path):
    env = simpy.Environment()
    federation = Federation(shop(), env, out=tmp_path / "run", plugins=PLUGINS)

    def session():
        with federation:
            federation.nodes["till"].send("warehouse", "order")
            env.run(until=5 * MS)
            federation.nodes["till"].record("last words", "at this very instant")
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError):
        session()
    assert federation.closed
    assert federation.archive.manifest["exit"]["reason"] == "error"
    assert federation.archive.manifest["exit"]["message"] == "ZeroDivisionError: mine"
    assert federation.archive.manifest["digest"] is None
    assert federation.recorder.counts == {"messages": 1, "measurements": 1, "faults": 0}


def test_a_model_that_fails_ends_the_users_run_with_its_name():
    def broken(node):
        yield node.sleep("3ms")
        raise OSError("broken")

    federation = Federation(shop(warehouse=broken), simpy.Environment(), plugins=PLUGINS)
    with pytest.raises(ModelError, match="warehouse raised OSError: broken") as caught:
        federation.run()
    assert (caught.value.node, caught.value.now) == ("warehouse", 3 * MS)


def test_errors_in_the_users_own_processes_say_node_and_time():
    """SimPy raises a copy of what a process raised: it says as much as the original."""

    def wrong(node):
        yield node.env.timeout(3 * MS)
        node.send("nowhere", "x")

    def endless(node):
        yield node.env.timeout(3 * MS)
        while True:
            yield node.sleep(0)

    for process, error, words in [
        (wrong, SendError, "till cannot send to 'nowhere'"),
        (endless, ZeroDelayLoop, "\n  till --sleep--> till"),
    ]:
        env = simpy.Environment()
        federation = Federation(shop(), env, plugins=PLUGINS)
        env.process(process(federation.nodes["till"]))
        with pytest.raises(error) as caught:
            federation.run()
        assert words in str(caught.value)
        assert (caught.value.node, caught.value.now) == ("till", 3 * MS)


def test_two_federations_exchange_through_the_users_code():
    """What arrives in the first is sent on in the second, at the same instant."""
    env = simpy.Environment()

    def bridge(here, there):
        while True:
            message = yield here.receive()
            there.send("warehouse", message.kind, message.payload)

    with (
        Federation(shop(), env, plugins=PLUGINS) as one,
        Federation(shop(None), env, plugins=PLUGINS) as two,
    ):
        env.process(bridge(one.nodes["warehouse"], two.nodes["till"]))
        one.nodes["till"].send("warehouse", "order", 7)
        env.run(until=2 * MS + 1)
        assert two.nodes["warehouse"].inbox == 1
        env.run(until=S)
    assert (one.now, two.now) == (S, S)


def test_many_federations_one_after_the_other_in_one_environment():
    env = simpy.Environment()
    digests = set()
    for _ in range(3):
        with Federation(shop(warehouse=answering), env, plugins=PLUGINS) as federation:
            federation.nodes["till"].send("warehouse", "order")
            env.run(until=env.now + S)
        digests.add(federation.digest)
    assert env.now == 3 * S
    assert len(digests) == 1


def test_run_does_it_all():
    federation = Federation(shop(), plugins=PLUGINS)
    digest = federation.run()
    assert digest == federation.digest == play(shop()).digest
    assert federation.env.now == S


def test_one_environment_has_one_unit():
    env = simpy.Environment()
    scenario = world({"a": None}, lasts="1s")
    with Federation(scenario, env, unit="1s", plugins=PLUGINS):
        with pytest.raises(UsageError, match="has a unit of 1s, not 0.001s: its time cannot"):
            Federation(scenario, env, unit="1ms", plugins=PLUGINS)
        Federation(scenario, env, unit="1s", plugins=PLUGINS).close()
