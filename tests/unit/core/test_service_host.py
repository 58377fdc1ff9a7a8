"""Services: computing takes virtual time, workers and queue are bounded, timers are exact.

client ---> server      no delay, so every time is the service's own
"""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import MS, play, world

from simcore import ModelError, Overloaded
from simcore.protocol.calibration import machine
from simcore.protocol.service import ServiceHost


def serving(handler, *, sends, workers=1, queue=None, **hooks):
    """The trace of a server whose messages come at given times (us)."""

    class Server:
        on_message = staticmethod(handler)

    for name, hook in hooks.items():
        setattr(Server, name, staticmethod(hook))

    def client(node):
        for number, at in enumerate(sends):
            if at * 1000 > node.now:
                yield node.sleep(at * 1000 - node.now)
            node.send("server", "job", number)
        yield node.sleep("1ms")

    server = {"does": Server, "workers": workers, "queue": queue}
    return play(world({"client": client, "server": server}, lasts="50ms"))


def four_ms(ctx, msg):
    end = ctx.compute("4ms")
    ctx.record("done", f"{msg.payload}@{end // MS}")


@pytest.mark.parametrize(
    ("workers", "done"),
    [
        (1, ["0@4", "1@8", "2@12", "3@16"]),
        (2, ["0@4", "1@4", "2@8", "3@8"]),
        (3, ["0@4", "1@4", "2@4", "3@8"]),
        (9, ["0@4", "1@4", "2@4", "3@4"]),
    ],
)
def test_workers_compute_side_by_side_and_others_wait(workers, done):
    assert serving(four_ms, sends=[0, 0, 0, 0], workers=workers).measured("done") == done


def test_a_full_queue_rejects_and_says_so():
    """One computes, one waits; the third is rejected, as is the fourth; at 4 ms there is room."""
    told = serving(four_ms, sends=[0, 0, 1000, 3999, 4000], queue=1)
    assert [line for line in told.text.splitlines() if "measures" in line] == [
        "1ms server measures rejected = 1",
        "3.999ms server measures rejected = 1",
        "4ms server measures done = 0@4",
        "8ms server measures done = 1@8",
        "12ms server measures done = 4@12",
    ]


def test_no_queue_at_all():
    told = serving(four_ms, sends=[0, 3999, 4000], queue=0)
    assert told.measured("done") == ["0@4", "2@8"]
    assert told.measured("rejected") == [1]


def test_a_service_may_answer_that_it_is_overloaded():
    def handler(ctx, msg):
        try:
            ctx.compute("4ms")
        except Overloaded as error:
            ctx.reply(msg, "busy", str(error))
        else:
            ctx.reply(msg, "done")

    told = serving(handler, sends=[0, 0, 0], queue=1)
    assert [(m[0], m[3], m[5]) for m in told.messages(to="client")] == [
        (0, "busy", '"server: 1 computations wait already"'),
        (4 * MS, "done", "null"),
        (8 * MS, "done", "null"),
    ]
    assert told.measured("rejected") == []


def test_what_is_sent_before_computing_leaves_at_once():
    def handler(ctx, msg):
        ctx.reply(msg, "received")
        ctx.compute("1ms")
        ctx.reply(msg, "half")
        ctx.record("half", True)
        ctx.compute("1ms")
        ctx.reply(msg, "whole")

    told = serving(handler, sends=[0, 500])
    assert [(m[0] // 1000, m[3]) for m in told.messages(to="client")] == [
        (0, "received"),
        (500, "received"),
        (1000, "half"),
        (2000, "whole"),
        (3000, "half"),
        (4000, "whole"),
    ]


def test_computing_in_two_parts_holds_one_worker_and_leaves_the_other_free():
    """Two workers: the first job takes 2 x 4 ms on one of them, the second starts at once."""

    def handler(ctx, msg):
        ctx.compute("4ms")
        end = ctx.compute("4ms")
        ctx.record("done", f"{msg.payload}@{end // 1000}")

    told = serving(handler, sends=[0, 1000, 2000], workers=2)
    assert told.measured("done") == ["0@8000", "1@9000", "2@16000"]


def test_a_second_part_of_computing_does_not_empty_the_queue():
    """One worker, one place: while a job of two parts waits, another is rejected."""

    def handler(ctx, msg):
        ctx.compute("2ms")
        end = ctx.compute("2ms")
        ctx.record("done", f"{msg.payload}@{end // MS}")

    told = serving(handler, sends=[0, 1000, 2000, 3000], queue=1)
    assert told.measured("done") == ["0@4", "1@8"]
    assert told.measured("rejected") == [1, 1]


def test_answers_tell_how_long_they_waited_and_computed():
    host = ServiceHost(
        type(
            "S", (), {"on_message": lambda self, ctx, msg: (ctx.compute(30), ctx.send("x", "y"))}
        )(),
        name="s",
        seed=1,
        config={},
        base=Path(),
        freeze=str,
    )
    outputs = host.advance(100, ["first", "second"]).outputs
    assert [(o.at, o.waited, o.computed, o.cause) for o in outputs] == [
        (130, 0, 30, "first"),
        (160, 30, 30, "second"),
    ]


def test_timers_are_exact_replaced_and_cancelled():
    def start(ctx):
        ctx.set_timer("late", "3ms")
        ctx.set_timer("early", "1ms")
        ctx.set_timer("moved", "1ms")
        ctx.set_timer("moved", "2500us")
        ctx.set_timer("never", "2ms")
        ctx.cancel_timer("never")
        ctx.cancel_timer("unknown")

    def on_timer(ctx, name):
        ctx.record("fired", name)
        if name == "early":
            ctx.set_timer("same", 0)
            ctx.cancel_timer("same")
            ctx.set_timer("at once", 0)

    told = serving(four_ms, sends=[], start=start, on_timer=on_timer)
    assert told.text == (
        "1ms server measures fired = early\n"
        "1ms server measures fired = at once\n"
        "2.5ms server measures fired = moved\n"
        "3ms server measures fired = late\n"
    )


def test_at_one_instant_messages_come_before_timers_and_timers_in_the_order_they_were_set():
    def start(ctx):
        ctx.set_timer("second", "2ms")
        ctx.set_timer("third", "2ms")
        ctx.set_timer("cancelled", "2ms")

    def on_message(ctx, msg):
        ctx.record("got", msg.payload)
        ctx.cancel_timer("cancelled")

    def on_timer(ctx, name):
        ctx.record("got", name)

    told = serving(on_message, sends=[2000], start=start, on_timer=on_timer)
    assert told.measured("got") == [0, "second", "third"]


def test_a_service_may_lack_every_method():
    told = serving(None, sends=[0])
    assert [m[-1] for m in told.messages()] == ["delivered"]


def test_what_a_service_raises_is_reported_with_node_time_and_cause():
    def handler(ctx, msg):
        return 1 / 0

    with pytest.raises(ModelError, match="service of server raised ZeroDivisionError") as caught:
        serving(handler, sends=[3000])
    assert (caught.value.node, caught.value.now) == ("server", 3 * MS)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_computing_times_come_from_a_stream_of_their_own():
    """What a service draws itself leaves its computing times alone."""

    def plain(ctx, msg):
        ctx.record("end", ctx.compute({"exponential": "1ms"}))

    def drawing(ctx, msg):
        ctx.random.random()
        ctx.record("end", ctx.compute({"exponential": "1ms"}))

    assert serving(plain, sends=[0, 100]).measured("end") == serving(
        drawing, sends=[0, 100]
    ).measured("end")


def test_a_table_is_read_once_from_beside_the_scenario(tmp_path):
    table = tmp_path / "costs.txt"
    table.write_text("# service: echo\n  # N: 2\n4ms\n\n4 ms\n")

    class Server:
        def on_message(self, ctx, msg):
            ctx.compute({"table": "costs.txt"})
            ctx.compute({"min": "1ms", "table": "costs.txt"})
            ctx.send("client", "where", str(ctx.path("models/a.onnx")))

    host = ServiceHost(Server(), name="s", seed=1, config={}, base=tmp_path, freeze=str)
    first = host.advance(0, ["first"]).outputs
    table.unlink()
    second = host.advance(9 * MS, ["second"]).outputs
    assert [(output.at, output.payload) for output in [*first, *second]] == [
        (9 * MS, str(tmp_path / "models" / "a.onnx")),
        (18 * MS, str(tmp_path / "models" / "a.onnx")),
    ]


def test_a_calibration_run_times_each_message_that_found_room():
    class Server:
        def start(self, ctx):
            ctx.set_timer("t", 5)

        def on_message(self, ctx, msg):
            ctx.compute("4ms")
            ctx.record("done", True)

        def on_timer(self, ctx, name):
            ctx.record("timer", True)

    options = {"name": "s", "seed": 1, "config": {}, "base": Path(), "freeze": str, "queue": 0}
    host = ServiceHost(Server(), calibrate=True, **options)
    first = host.advance(0, ["first", "rejected"]).measures
    assert [(m.at, m.name) for m in first] == [
        (4 * MS, "done"),
        (0, "handler_ns"),
        (0, "handler_machine"),
        (0, "rejected"),
    ]
    assert isinstance(first[1].value, int) and first[1].value > 0
    assert first[2].value == machine()
    second = host.advance(4 * MS, ["second"]).measures
    assert [m.name for m in second] == ["done", "handler_ns", "timer"]
    plain = ServiceHost(Server(), **options).advance(0, ["first"]).measures
    assert [m.name for m in plain] == ["done"]


def test_a_service_may_take_all_messages_of_an_instant_together():
    """0 and 1 arrive together, 2 alone; an answer names which of them it answers."""

    def on_messages(ctx, messages):
        ctx.record("together", ",".join(str(each.payload) for each in messages))
        ctx.send("client", "first", cause=messages[0])

    told = serving(lambda ctx, msg: 1 / 0, sends=[0, 0, 2000], on_messages=on_messages)
    assert told.measured("together") == ["0,1", "2"]
    assert [m[1] for m in told.messages(to="client")] == ["server/1", "server/2"]


def test_what_is_sent_has_the_cause_that_is_named():
    class Server:
        def on_messages(self, ctx, messages):
            ctx.send("client", "first", cause=messages[0])
            ctx.send("client", "none")

    def client(node):
        node.send("server", "job")
        first = yield node.receive()
        other = yield node.receive()
        node.record("causes", f"{first.cause} {other.cause}")

    told = play(world({"client": client, "server": Server}, lasts="50ms"))
    assert told.measured("causes") == ["client/1 None"]
