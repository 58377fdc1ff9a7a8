"""Random worlds for property tests: any links, models, services and faults.

Everything a world does is drawn by hypothesis beforehand; the nodes act on that script and on
their own random streams. Times are drawn from a few values so that ties are common.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from worlds import world

SHORT = ["0ns", "1us", "7us", "100us"]
durations = st.sampled_from(["1us", "7us", "100us", "333us", "1ms"])
spans = st.sampled_from(SHORT)

delays = st.one_of(
    spans,
    st.builds(lambda low, x: {"min": low, "uniform": x}, spans, durations),
    st.builds(lambda low, x: {"min": low, "exponential": x}, spans, durations),
    st.builds(lambda low, x: {"min": low, "normal": {"mean": x, "std": x}}, spans, durations),
    st.builds(lambda x: {"lognormal": {"median": x, "sigma": 0.5}}, durations),
    st.builds(lambda low, xs: {"min": low, "table": xs}, spans, st.lists(durations, min_size=1)),
)
losses = st.one_of(
    st.sampled_from([0.0, 0.0, 0.1, "50%"]),
    st.just({"good_to_bad": 0.2, "bad_to_good": 0.5, "loss_good": "1%", "loss_bad": "80%"}),
)
rated = st.fixed_dictionaries(
    {"rate": st.sampled_from(["1Mbit/s", "7Mbit/s"])},
    optional={"queue": st.integers(0, 3), "shared": st.booleans()},
)


@st.composite
def links(draw: Any, names: list[str]) -> list[dict[str, Any]]:
    """A connected graph: a chain of all nodes in some order, and a few links more."""
    chain = draw(st.permutations(names))
    pairs = list(itertools.pairwise(chain))
    others = [(a, b) for a in chain for b in chain if a < b and {(a, b), (b, a)}.isdisjoint(pairs)]
    pairs += draw(st.lists(st.sampled_from(others), unique=True, max_size=3)) if others else []
    found = []
    for a, b in pairs:
        keys = {"delay": draw(delays), "loss": draw(losses), "ordered": draw(st.booleans())}
        if draw(st.booleans()):
            keys |= draw(rated)
        if draw(st.integers(0, 3)):
            found.append({"between": [a, b], **keys})
        else:
            found += [
                {"from": a, "to": b, **keys},
                {"from": b, "to": a, **keys, "delay": draw(delays)},
            ]
    return found


def talker(node: Any) -> Any:
    """A model that sends, waits for answers with a timeout, and measures, as its script says."""

    def beside() -> Any:
        for number in range(5):
            yield node.sleep(node.config["period"])
            node.record("beside", number)

    node.process(beside())
    for destination, pause, size, patience in node.config["script"]:
        if pause != "0ns":
            yield node.sleep(pause)
        message = node.send(destination, "ask", {"draw": node.random.random()}, size=size)
        answer = yield node.receive(node.config["kind"], timeout=patience)
        node.record("latency", -1 if answer is None else node.now - message.sent)
        while node.inbox:
            late = yield node.receive()
            node.record(f"late {late.kind}", late.id)
    for _ in range(3):
        message = yield node.receive(timeout="1ms")
        if message is not None and message.depth < 5:
            node.reply(message, "echo", message.payload)


class Server:
    """A service that computes, answers, forwards and has timers, as its script says."""

    def start(self, ctx: Any) -> None:
        self.served = 0
        ctx.set_timer("report", ctx.config["period"])

    def on_message(self, ctx: Any, msg: Any) -> None:
        self.served += 1
        if ctx.config["cost"] is not None:
            ctx.compute(ctx.config["cost"])
        if self.served % 3 and msg.kind == "ask":
            ctx.reply(msg, "answer", msg.payload)
        ctx.record("draw", ctx.random.random())

    def on_timer(self, ctx: Any, name: str) -> None:
        ctx.record("served", self.served)
        if ctx.now < 4_000_000:
            ctx.send(ctx.config["report_to"], "report", self.served)
            ctx.set_timer(name, ctx.config["period"])


@st.composite
def faults(draw: Any, names: list[str], wires: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A few faults of any kind, at times at which much happens."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        fault: dict[str, Any] = {"at": draw(st.sampled_from(["0ns", "100us", "1ms", "2ms"]))}
        if draw(st.booleans()):
            fault["for"] = draw(st.one_of(durations, st.just({"min": "1us", "exponential": "1ms"})))
        sort = draw(st.sampled_from(["down", "degraded", "crash"]))
        if sort == "crash":
            fault |= {"node": draw(st.sampled_from(names)), "crash": True}
        elif wires:
            wire = draw(st.sampled_from(wires))
            fault["link"] = wire.get("between") or [wire["from"], wire["to"]]
            bad = {"loss": 0.5, "delay": "7us"} | ({"rate": "500kbit/s"} if "rate" in wire else {})
            fault |= {"down": True} if sort == "down" else {"degraded": bad}
        else:
            continue
        found.append(fault)
    return found


@st.composite
def worlds(draw: Any) -> Callable[[], Any]:
    """What makes a world of 2 to 5 nodes that lasts 6 ms; the same one at each call."""
    names = [f"n{i}" for i in range(draw(st.integers(2, 5)))]
    wires = draw(st.one_of(links(names), links(names), links(names), st.just([])))
    nodes: dict[str, Any] = {}
    for name in names:
        others = [other for other in names if other != name]
        if draw(st.booleans()) or name == "n0":
            step = st.tuples(
                st.sampled_from(others),
                spans,
                st.sampled_from([None, 100, 125]),
                st.sampled_from([*SHORT, "1ms"]),
            )
            config = {
                "script": draw(st.lists(step, min_size=1, max_size=8)),
                "period": draw(durations),
                "kind": draw(st.sampled_from([None, "answer"])),
            }
            nodes[name] = {"does": talker, "config": config}
        else:
            config = {
                "cost": draw(st.one_of(st.none(), delays)),
                "period": draw(durations.filter(lambda text: text != "1us")),
                "report_to": draw(st.sampled_from(others)),
            }
            nodes[name] = {
                "does": Server,
                "config": config,
                "workers": draw(st.integers(1, 2)),
                "queue": draw(st.sampled_from([None, 0, 1])),
            }
    broken = draw(faults(names, wires))
    seed = draw(st.integers(0, 3))
    return lambda: world(nodes, wires or None, lasts="6ms", seed=seed, faults=broken)
