"""What ns-3 costs through simcore, beside ns-3 alone; `docs/benchmarks.md` explains.

As everywhere here, counts are asserted and times are not.

client-0 ... client-n  --[segment]--  gateway  --[p2p]--  cloud
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from compare import Figures, ratios
from ns3_native import SEGMENTS, Traffic, library, require_bindings, require_ns3
from simcore_netmodels.ns3 import wheel
from support import unavailable

import simcore

pytestmark = [pytest.mark.bench, pytest.mark.ns3]

TURNS = 5
SECOND = 10**9
HOUR = 3600 * SECOND


@pytest.fixture(scope="module", autouse=True)
def _ns3() -> None:
    """What is compiled is compiled before anything is measured."""
    require_ns3()
    wheel.library()
    library()


def traffic(kind: str, clients: int) -> Traffic:
    """Ten messages of 60 bytes from each client, one a second on average."""
    segment = SEGMENTS[kind].replace("10Mbit", "100Mbit")
    return Traffic(
        segment, clients=clients, requests=10, period=2 * SECOND, answer=0, duration=22 * SECOND
    )


def spent(federation: simcore.Federation) -> float:
    """CPU time of simcore and of the process of ns-3 so far, s."""
    child = federation.network.participant.running.pid  # type: ignore[attr-defined]
    return time.process_time() + int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e9


SIZES = [("csma", 100, 3.0), ("wifi", 50, 1.5), ("lrwpan", 100, 1.5)]


@pytest.mark.parametrize(("kind", "clients", "most"), SIZES)
def test_the_same_traffic_alone(
    figures: Figures, tmp_path: Path, kind: str, clients: int, most: float
) -> None:
    """Recorded by simcore, against one native Run() until the same instant."""
    measured = traffic(kind, clients)
    ours, alone, ours_cpu, alone_cpu = [], [], [], []
    for _ in range(TURNS):
        cpu: list[float] = []
        delivered = measured.through_simcore(tmp_path, lambda run, cpu=cpu: cpu.append(spent(run)))
        ours.append(measured.seconds)
        ours_cpu.append(cpu[1] - cpu[0])
        assert delivered == measured.natively(tmp_path)
        alone.append(measured.native_seconds)
        alone_cpu.append(measured.native_cpu)
    figures.runs[f"ns3 {kind}"] = {"simcore": ours, "native": alone}
    figures.runs[f"ns3 {kind}, CPU time"] = {"simcore": ours_cpu, "native": alone_cpu}
    what = f"{kind} with {clients} clients, {len(delivered)} deliveries"
    figures.judge(f"{what}: simcore against ns-3 alone", ratios(ours, alone), most=most)
    figures.state("the same in CPU time", ratios(ours_cpu, alone_cpu), "x")
    figures.state("the same, in seconds: ns-3 alone", alone, "s", digits=3)
    figures.state("exchanges for each delivery", [measured.exchanges / len(delivered)])


@pytest.mark.parametrize(("kind", "clients"), [("p2p", 1), *(size[:2] for size in SIZES)])
def test_start(figures: Figures, tmp_path: Path, kind: str, clients: int) -> None:
    """Until the network is built and has warmed up; the library is there."""
    scenario = traffic(kind, clients).scenario(tmp_path)
    found = []
    for _ in range(TURNS):
        began = time.perf_counter()
        federation = simcore.Federation(scenario)
        found.append(time.perf_counter() - began)
        federation.close()
    figures.judge(f"start, {kind} with {clients} clients", found, most=1.0, unit="s")


@pytest.mark.parametrize(("kind", "clients"), [("csma", 5), ("csma", 100)])
def test_start_of_a_network_that_a_function_makes(
    figures: Figures, tmp_path: Path, kind: str, clients: int
) -> None:
    """The same, through ns-3's Python bindings; with their headers precompiled, and without."""
    require_bindings()
    scenario = replace(traffic(kind, clients), own=kind).scenario(tmp_path)
    if wheel.headers(print) is None:
        unavailable("ns-3's headers cannot be precompiled")
    for what, turns in (("precompiled", TURNS), ("not precompiled", 1)):
        found = []
        with pytest.MonkeyPatch.context() as patch:
            if what != "precompiled":
                patch.setattr(wheel, "headers", lambda say: None)
            for _ in range(turns):
                began = time.perf_counter()
                federation = simcore.Federation(scenario)
                found.append(time.perf_counter() - began)
                federation.close()
        figures.state(
            f"start, {kind} with {clients} clients made by a function, {what}", found, "s"
        )


@pytest.mark.parametrize("stations", [5, 20])
def test_an_idle_hour(figures: Figures, tmp_path: Path, stations: int) -> None:
    """A message, an hour of nothing but beacons, another message; and the hour without the second."""
    busy = Traffic(
        SEGMENTS["wifi"], clients=stations, answer=0, duration=HOUR + 2 * SECOND,
        fixed=[SECOND, HOUR],
    )  # fmt: skip
    short = replace(busy, fixed=[SECOND, SECOND], duration=4 * SECOND)
    idle = replace(busy, fixed=[SECOND])
    for each in (short, idle, busy):
        delivered = each.through_simcore(tmp_path)
        assert len(delivered) == stations * len(each.fixed)
    assert busy.natively(tmp_path) == delivered
    assert idle.exchanges <= short.exchanges < busy.exchanges < 1000
    figures.state(f"two messages of {stations} stations: exchanges", [short.exchanges], digits=0)
    figures.state("the same, an hour between them: exchanges", [busy.exchanges], digits=0)
    figures.state("the same, in seconds", [busy.seconds], "s")
    figures.state("the same in ns-3 alone", [busy.native_seconds], "s")
    figures.state("one message, then an idle hour: exchanges", [idle.exchanges], digits=0)
    figures.state("the same, in seconds", [idle.seconds], "s")
