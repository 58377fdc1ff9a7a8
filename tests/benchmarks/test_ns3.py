"""What it costs to have messages travel through ns-3; `docs/benchmarks.md` explains.

The same traffic through simcore and in ns-3 alone, in turns; deliveries are equal, and asserted.
As everywhere here, times are not.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from compare import Figures
from ns3_native import SEGMENTS, Traffic, require_ns3

import simcore

pytestmark = [pytest.mark.bench, pytest.mark.ns3]

TURNS = 5
S = 10**9


@pytest.fixture(autouse=True)
def _ns3() -> None:
    require_ns3()


@pytest.mark.parametrize(
    ("kind", "nodes", "most"), [("csma", 100, 3.0), ("wifi", 50, 1.5), ("lrwpan", 100, 1.5)]
)
def test_beside_a_native_run(
    figures: Figures, kind: str, nodes: int, most: float, tmp_path: Path
) -> None:
    """Each node sends ten datagrams of 60 bytes, one a second on average, to the cloud."""
    segment = SEGMENTS[kind].replace("10Mbit", "100Mbit")
    ratios, ours, alone, starts = [], [], [], []
    traffic = Traffic(
        segment, clients=nodes, requests=10, period=2 * S, answer=0, duration=22 * S
    )  # fmt: skip
    traffic.natively(tmp_path)  # compiles what is not kept yet
    for _ in range(TURNS):
        began = time.perf_counter()
        simcore.Federation(traffic.scenario(tmp_path), out=None).close()
        starts.append(time.perf_counter() - began)
        assert traffic.through_simcore(tmp_path) == traffic.natively(tmp_path)
        ratios.append(traffic.seconds / traffic.native_seconds)
        ours.append(traffic.seconds)
        alone.append(traffic.native_seconds)
    figures.judge(f"{kind}, {nodes} nodes, against ns-3 alone", ratios, most=most)
    figures.state("seconds through simcore", ours, "s", digits=3)
    figures.state("seconds in ns-3 alone", alone, "s", digits=3)
    figures.state("start and end of a run, all there is", starts, "s", digits=2)
    figures.state("exchanges for each delivery", [traffic.exchanges / (10 * nodes)], "")


@pytest.mark.parametrize("stations", [5, 20])
def test_an_idle_hour_of_wifi(figures: Figures, stations: int, tmp_path: Path) -> None:
    """Messages at the beginning and at the end, and beacons in between."""
    hour = Traffic(SEGMENTS["wifi"], clients=stations, requests=2, answer=0, duration=3600 * S)
    hour.fixed = [S, 3590 * S]
    assert len(hour.through_simcore(tmp_path)) == 2 * stations
    assert hour.exchanges < 1000
    figures.state(f"an idle hour with {stations} stations", [hour.seconds], "s", digits=1)
    figures.state("exchanges in it", [float(hour.exchanges)], "", digits=0)
