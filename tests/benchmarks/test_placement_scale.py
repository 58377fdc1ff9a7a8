"""Placement at scale, beside its message flow in SimPy alone; `docs/benchmarks.md` explains.

Counts are asserted. Times are not: a target that is missed says so in the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from compare import Figures, Run, marginal, ratios, run, take_turns

pytestmark = pytest.mark.bench

TURNS = 3
PERIOD = 5.4


def check_counts(runs: Sequence[Run], nodes: int, seconds: int) -> None:
    """Each device took its images, and all but what is under way at the end has its answer."""
    for each in runs:
        expected = nodes * seconds / PERIOD
        assert abs(each.messages - expected) <= nodes
        assert each.messages - each.delivered <= 0.1 * nodes


def test_a_million_inferences(figures: Figures) -> None:
    """10,000 devices for ten minutes, about 110 images each, once."""
    size = {"nodes": 10_000, "seconds": 600}
    simcore, bare = run("placed", **size), run("bare-placed", **size)
    figures.keep({"a million inferences": [simcore], "the same in SimPy": [bare]})
    check_counts([simcore, bare], 10_000, 600)
    assert simcore.messages >= 1_100_000
    figures.judge("1.1 million inferences: wall time", [simcore.wall], most=60, unit="s")
    figures.state("1.1 million inferences: CPU time", [simcore.cpu], "s", digits=0)
    figures.state("the same flow in SimPy callbacks: CPU time", [bare.cpu], "s", digits=0)
    figures.judge(
        "1.1 million inferences against SimPy callbacks without recording",
        ratios([simcore.cpu], [bare.cpu]),
        most=2.5,
    )
    figures.state("memory held with 10,000 devices", [simcore.memory / 1e6], "MB", digits=0)


def test_cost_per_inference_does_not_grow_with_devices(figures: Figures) -> None:
    """Further inferences of 10,000 devices and of 100; what is done once is not in it."""
    sizes = {
        "100 short": {"nodes": 100, "seconds": 2000},
        "100 long": {"nodes": 100, "seconds": 6000},
        "10,000 short": {"nodes": 10_000, "seconds": 20},
        "10,000 long": {"nodes": 10_000, "seconds": 60},
    }
    runs = take_turns(
        {
            f"{subject}, {label}": (subject, size)
            for subject in ("placed", "bare-placed")
            for label, size in sizes.items()
        },
        TURNS,
    )
    figures.keep(runs)
    cost = {}
    for subject in ("placed", "bare-placed"):
        for label, size in sizes.items():
            check_counts(runs[f"{subject}, {label}"], **size)
        for nodes in ("100", "10,000"):
            cost[subject, nodes] = marginal(
                runs[f"{subject}, {nodes} long"], runs[f"{subject}, {nodes} short"]
            )
            figures.state(
                f"CPU time of an inference: {subject}, {nodes}", cost[subject, nodes], "us"
            )
    for nodes in ("100", "10,000"):
        figures.judge(
            f"an inference against SimPy callbacks without recording, {nodes} devices",
            ratios(cost["placed", nodes], cost["bare-placed", nodes]),
            most=2.5,
        )
    growth = ratios(cost["placed", "10,000"], cost["placed", "100"])
    figures.judge("cost per inference, 10,000 devices against 100", growth, most=1.3)
    growth = ratios(cost["bare-placed", "10,000"], cost["bare-placed", "100"])
    figures.state("the same of SimPy callbacks", growth, "x")
