"""A network that a user's function makes behaves as its twin, made of segments, does.

client-0 ... client-n  --[segment]--  gateway  --[p2p]--  cloud
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ns3_native import HERE, SEGMENTS, Traffic, require_bindings
from ns3_native.captures import packets
from ns3_native.faulty import rows
from support import require

import simcore
from simcore.errors import ScenarioError

SCENARIOS = Path(__file__).parents[2] / "scenarios"

pytestmark = [pytest.mark.ns3, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _bindings() -> None:
    require_bindings()


def twins(kind: str, **keys: Any) -> tuple[Traffic, Traffic]:
    """Traffic through segments, and through what a function makes."""
    traffic = Traffic(SEGMENTS[kind], **keys)
    return traffic, replace(traffic, own=kind)


@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("kind", SEGMENTS)
def test_deliveries_are_those_of_a_native_run(kind: str, seed: int, tmp_path: Path) -> None:
    twin, own = twins(kind, seed=seed, period=200_000_000)
    assert own.through_simcore(tmp_path) == twin.natively(tmp_path)


def test_so_they_are_in_a_native_run_of_its_own(tmp_path: Path) -> None:
    _, own = twins("wifi", seed=4, period=200_000_000)
    ours = own.through_simcore(tmp_path)
    assert ours == own.natively(tmp_path)
    assert len(ours) == 60


def test_so_are_those_over_tcp(tmp_path: Path) -> None:
    more = "  tcp: [{from: client, to: cloud}, {from: cloud, to: client}]"
    twin, own = twins("csma", more=more, size=3000, answer=900)
    assert own.through_simcore(tmp_path) == twin.natively(tmp_path)


@pytest.mark.parametrize("kind", SEGMENTS)
def test_ten_processes_have_the_digest_of_the_twin_and_another_seed_has_another(
    kind: str, tmp_path: Path
) -> None:
    twin, own = twins(kind, requests=3)
    usual = simcore.Federation(twin.scenario(tmp_path), out=None).run()
    scenario = own.scenario(tmp_path)
    assert {simcore.Federation(scenario, out=None).run() for _ in range(10)} == {usual}
    other = replace(own, seed=2).scenario(tmp_path)
    assert simcore.Federation(other, out=None).run() != usual


FAULTS = (
    "link: [client-0, gateway], down: true",
    "link: [client, gateway], degraded: {loss: 30%}",
    "node: gateway, crash: true",
    "node: client-0, offline: true",
)
OF_P2P = (
    "link: [gateway, cloud], degraded: {delay: 30ms}",
    "link: [gateway, cloud], degraded: {rate: 200kbit/s}",
)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        *((kind, fault) for kind in SEGMENTS for fault in FAULTS),
        *(("p2p", each) for each in OF_P2P),
    ],
)
def test_faults_do_the_same(kind: str, fault: str, tmp_path: Path) -> None:
    found = rows(kind, fault, tmp_path)
    assert rows(kind, fault, tmp_path, own=True) == found


@pytest.mark.parametrize("kind", SEGMENTS)
def test_captures_flows_and_figures_are_the_same(kind: str, tmp_path: Path) -> None:
    found = []
    for name, traffic in zip(
        ("twin", "own"), twins(kind, requests=3, more="  pcap: true\n  flow_monitor: true"),
        strict=True,
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        traffic.through_simcore(tmp_path / name)
        folder = tmp_path / name / "run" / "ns3"
        with simcore.open_run(tmp_path / name / "run") as run:
            links = run.connection.execute("SELECT * FROM link ORDER BY name").fetchall()
        captures = {file.name: packets(file) for file in folder.glob("*.pcap")}
        flows = (folder / "flows.xml").read_text().count("<Flow ")
        found.append((links, captures, flows))
    assert found[0] == found[1]
    assert len(found[1][1]) == (12 if kind == "p2p" else 8)


def test_firmware_runs_in_windows_as_long_as_what_is_promised(tmp_path: Path) -> None:
    """QEMU behind radios that a function made, with the digest of the shipped scenario."""
    require("qemu-system-arm")
    shutil.copytree(SCENARIOS, tmp_path, dirs_exist_ok=True)
    shutil.copy(HERE / "topologies.py", tmp_path)
    text = (SCENARIOS / "firmware_lrwpan.yaml").read_text().partition("expect:")[0]
    text = text.replace("duration: 20s", "duration: 3s")
    nodes = text.partition("\nnetwork:\n")[0]
    own = f"{nodes}\nnetwork:\n  model: ns3\n  topology: topologies.py:firmware\n"
    with pytest.raises(ScenarioError, match="is free-running, and the network promises no delay"):
        simcore.loads(own, base=tmp_path)
    usual, ours = (
        simcore.Federation(simcore.loads(each, base=tmp_path), out=None).run()
        for each in (text, f"{own}  least_delay: 544us\n")
    )
    assert ours == usual
