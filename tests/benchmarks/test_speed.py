"""How fast simcore is, beside SimPy alone and other simulators; `docs/benchmarks.md` explains.

Counts and memory are asserted. Times are not: a target that is missed says so in the table.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import pytest
from compare import Figures, Run, marginal, ratios, run, take_turns

pytestmark = pytest.mark.bench

TURNS = 5
LOSS = 0.01


def check_counts(runs: Sequence[Run], messages: int, loss: float = LOSS) -> None:
    """All messages were sent, and as many arrived as chance allows (six standard deviations)."""
    for each in runs:
        assert each.messages == messages
        lost = messages - each.delivered
        allowed = 6 * (messages * loss * (1 - loss)) ** 0.5
        # What is under way at the end has not arrived either: about 1 % of one second's worth.
        assert abs(lost - messages * loss) <= allowed + messages * 0.005


def costs(runs: Sequence[Run]) -> list[float]:
    return [each.cost for each in runs]


def rates(runs: Sequence[Run]) -> list[float]:
    return [each.messages / each.cpu for each in runs]


def test_messages_per_second_beside_simpy(figures: Figures) -> None:
    """1,000 sensors -> gateway, one message a second each, start-up and closing included."""
    size = {"nodes": 1000, "seconds": 200}
    runs = take_turns(
        {
            "simcore": ("simcore", size),
            "SimPy callbacks": ("callbacks", size),
            "simcore, no run directory": ("simcore-library", size),
            "SimPy processes": ("processes", size),
        },
        TURNS,
    )
    figures.keep(runs)
    for several in runs.values():
        check_counts(several, 200_000)
    simcore = costs(runs["simcore"])
    callbacks, processes = costs(runs["SimPy callbacks"]), costs(runs["SimPy processes"])
    figures.judge(
        "messages/s against SimPy callbacks without recording",
        ratios(callbacks, simcore),
        least=0.4,
    )
    figures.state(
        "messages/s against SimPy processes without recording", ratios(processes, simcore), "x"
    )
    library = costs(runs["simcore, no run directory"])
    figures.state(
        "the same without a run directory, against callbacks", ratios(callbacks, library), "x"
    )
    for name, several in runs.items():
        figures.state(f"messages per CPU second: {name}", rates(several), digits=0)


def test_cost_per_message_does_not_grow_with_nodes(figures: Figures) -> None:
    """The same number of messages from 10,000 sensors and from 10; only further ones count."""
    sizes = {
        "10 short": {"nodes": 10, "seconds": 5000},
        "10 long": {"nodes": 10, "seconds": 15000},
        "10,000 short": {"nodes": 10000, "seconds": 5},
        "10,000 long": {"nodes": 10000, "seconds": 15},
    }
    runs = take_turns(
        {
            f"{subject}, {label}": (subject, size)
            for subject in ("simcore", "callbacks")
            for label, size in sizes.items()
        },
        TURNS,
    )
    figures.keep(runs)
    cost = {}
    for subject in ("simcore", "callbacks"):
        for nodes in ("10", "10,000"):
            longer, shorter = runs[f"{subject}, {nodes} long"], runs[f"{subject}, {nodes} short"]
            check_counts(longer, 150_000)
            check_counts(shorter, 50_000)
            cost[subject, nodes] = marginal(longer, shorter)
    growth = {
        name: ratios(cost[name, "10,000"], cost[name, "10"]) for name in ("simcore", "callbacks")
    }
    figures.judge("cost per message, 10,000 nodes against 10", growth["simcore"], most=1.3)
    figures.state("the same of SimPy callbacks", growth["callbacks"], "x")
    added = [a - b for a, b in zip(cost["simcore", "10,000"], cost["simcore", "10"], strict=True)]
    figures.state("what a message costs more with 10,000 nodes: simcore", added, "us")
    added = [
        a - b for a, b in zip(cost["callbacks", "10,000"], cost["callbacks", "10"], strict=True)
    ]
    figures.state("what a message costs more with 10,000 nodes: SimPy callbacks", added, "us")
    start = [
        (short.cpu - 50_000 * each * 1e-6) / 10_000 * 1e6
        for short, each in zip(
            runs["simcore, 10,000 short"], cost["simcore", "10,000"], strict=True
        )
    ]
    figures.state("start and end of a run, per node (10,000 nodes)", start, "us", digits=0)


def test_memory_is_bounded_by_the_write_buffer(figures: Figures) -> None:
    """Ten times as many messages, the same memory; this one is exact enough to fail."""
    shorter, longer = (
        run("simcore", nodes=100, seconds=1000),
        run("simcore", nodes=100, seconds=10000),
    )
    figures.keep({"100,000 messages": [shorter], "1,000,000 messages": [longer]})
    check_counts([shorter], 100_000)
    check_counts([longer], 1_000_000)
    held = longer.memory - shorter.memory
    figures.state("memory held for 900,000 further messages", [held / 1e6], "MB", digits=1)
    assert held < 24e6


def test_idle_models_cost_nothing(figures: Figures) -> None:
    """A busy pair alone, and the same pair among 1,000 models that wait."""
    alone, among = {"seconds": 50}, {"seconds": 50, "idle": 1000}
    longer_alone, longer_among = {"seconds": 150}, {"seconds": 150, "idle": 1000}
    runs = take_turns(
        {
            "pair, short": ("simcore-pair", alone),
            "pair among idle models, short": ("simcore-idle", among),
            "pair": ("simcore-pair", longer_alone),
            "pair among idle models": ("simcore-idle", longer_among),
        },
        TURNS,
    )
    figures.keep(runs)
    for name in ("pair", "pair among idle models"):
        check_counts(runs[name], 149_999, loss=0)
    pair = marginal(runs["pair"], runs["pair, short"])
    crowd = marginal(runs["pair among idle models"], runs["pair among idle models, short"])
    figures.state("cost per message of a busy pair", pair, "us")
    figures.state(
        "the same among 1,000 idle models, against the pair alone", ratios(crowd, pair), "x"
    )


def test_energy(figures: Figures) -> None:
    """A busy pair, the same with a meter at both ends, and with a battery at one of them."""
    pairs = {"pair": "pair", "metered pair": "metered", "pair on a battery": "battery"}
    runs = take_turns(
        {
            f"{name}, {label}": (f"simcore-{subject}", {"seconds": seconds})
            for name, subject in pairs.items()
            for label, seconds in (("short", 50), ("long", 150))
        },
        TURNS,
    )
    figures.keep(runs)
    cost = {name: marginal(runs[f"{name}, long"], runs[f"{name}, short"]) for name in pairs}
    for name in ("metered pair", "pair on a battery"):
        check_counts(runs[f"{name}, long"], 149_999, loss=0)
        added = [a - b for a, b in zip(cost[name], cost["pair"], strict=True)]
        figures.state(f"what a message costs more: {name}", added, "us")
    figures.state(
        "metered pair against the pair alone", ratios(cost["metered pair"], cost["pair"]), "x"
    )


def test_services(figures: Figures) -> None:
    """The flow with services (reactive rounds) in the place of models."""
    size = {"nodes": 1000, "seconds": 50}
    runs = take_turns({"services": ("simcore-services", size), "models": ("simcore", size)}, TURNS)
    figures.keep(runs)
    check_counts(runs["services"], 50_000)
    figures.state("messages per CPU second: services", rates(runs["services"]), digits=0)
    figures.state(
        "services against models", ratios(costs(runs["models"]), costs(runs["services"])), "x"
    )


PEERS = {
    "yafs": ("YAFS", "a checkout's src folder on PYTHONPATH"),
    "leaf": ("LEAF", "pip install leafsim"),
}


@pytest.mark.parametrize("module", PEERS)
def test_beside_another_simulator(figures: Figures, module: str) -> None:
    """Further messages (LEAF: data flows measured once a second) of the same flow."""
    name, how = PEERS[module]
    if importlib.util.find_spec(module) is None:
        figures.skipped.append(f"{name}: not importable ({how})")
        pytest.skip(f"{name} is not importable: {how}")
    subjects = {
        f"{subject}, {label}": (subject, {"nodes": 1000, "seconds": seconds})
        for subject in ("simcore", module)
        for label, seconds in (("short", 10), ("long", 40))
    }
    runs = take_turns(subjects, TURNS)
    figures.keep(runs)
    check_counts(runs["simcore, long"], 40_000)
    # YAFS draws no loss; its first messages are sent within the first second, as here.
    assert all(each.messages == 40_000 for each in runs[f"{module}, long"])
    cost = {
        who: marginal(runs[f"{who}, long"], runs[f"{who}, short"]) for who in ("simcore", module)
    }
    what = "message" if module == "yafs" else "data flow and second"
    figures.state(f"{name}: cost per {what}", cost[module], "us")
    figures.state(
        f"{name}: against simcore's cost per message", ratios(cost[module], cost["simcore"]), "x"
    )
