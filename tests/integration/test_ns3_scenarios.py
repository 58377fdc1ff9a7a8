"""The shipped scenarios with ns-3, and what a run leaves."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner
from ns3_native import SEGMENTS, Traffic, require_bindings, require_ns3
from ns3_native.captures import packets
from support import require

import simcore
from simcore.cli.compare import command as compare
from simcore.expect import evaluate, parse
from simcore.results.metrics import Metrics

pytestmark = [pytest.mark.ns3, pytest.mark.slow]

SCENARIOS = Path(__file__).parents[2] / "scenarios"
NAMES = ("csma_meters", "lrwpan_meters", "own_topology", "wifi_meters")
FIRMWARE = "firmware_lrwpan"


@pytest.fixture(autouse=True)
def _ns3() -> None:
    require_ns3()


def needs(name: str) -> None:
    """Skip where a scenario cannot run."""
    if name == FIRMWARE:
        require("qemu-system-arm")
    if name == "own_topology":
        require_bindings()


@pytest.mark.parametrize("name", [*NAMES, FIRMWARE])
@pytest.mark.parametrize("seed", [None, 1])
def test_expectations_hold(name: str, seed: int | None, tmp_path: Path) -> None:
    needs(name)
    scenario = simcore.load(SCENARIOS / f"{name}.yaml", seed=seed)
    simcore.Federation(scenario, out=tmp_path / "run").run()
    with simcore.open_run(tmp_path / "run") as run:
        metrics = Metrics(run.connection)
        for text in scenario.expect:
            outcome = evaluate(parse(text), metrics)
            assert outcome.passed, outcome.explanation


@pytest.mark.parametrize("name", NAMES)
def test_another_network_is_another_section_and_nothing_else(name: str) -> None:
    needs(name)
    quickstart = yaml.safe_load((SCENARIOS / "quickstart.yaml").read_text())
    written = yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text())
    for key in ("nodes", "seed", "duration"):
        assert written[key] == quickstart[key]
    text = yaml.safe_dump({**written, "network": quickstart["network"], "expect": []})
    swapped = simcore.Federation(simcore.loads(text, base=SCENARIOS), out=None).run()
    text = yaml.safe_dump({**quickstart, "expect": []})
    assert simcore.Federation(simcore.loads(text, base=SCENARIOS), out=None).run() == swapped


def test_two_networks_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `compare` says of them is what the page shows."""
    page = (SCENARIOS.parent / "docs" / "ns3.md").read_text(encoding="utf-8")
    block = page.partition("compare links radios\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    for name, out in (("quickstart", "links"), ("lrwpan_meters", "radios")):
        simcore.Federation(simcore.load(SCENARIOS / f"{name}.yaml"), out=tmp_path / out).run()
    result = CliRunner().invoke(compare, ["links", "radios"])
    assert result.exception is None
    for part in block.split("...\n"):
        assert part in result.output
    for each in ("network.model", "network.links.0.loss", "network.segments.0.kind"):
        assert f"  {each} " in result.output


def test_firmware_behind_radios_is_the_same_in_windows_of_any_length(tmp_path: Path) -> None:
    require("qemu-system-arm")
    text = (SCENARIOS / "firmware_lrwpan.yaml").read_text().partition("expect:")[0]
    text = text.replace("duration: 20s", "duration: 5s")
    usual, shorter = (
        simcore.Federation(simcore.loads(text + window, base=SCENARIOS), out=None).run()
        for window in ("", "window: 300us\n")
    )
    assert usual == shorter


def run(folder: Path, kind: str, more: str) -> Path:
    """The directory of a run."""
    traffic = Traffic(SEGMENTS[kind], clients=2, requests=3, duration=10 * 10**9, more=more)
    traffic.through_simcore(folder)
    return folder / "run"


@pytest.mark.parametrize("kind", SEGMENTS)
def test_captures(kind: str, tmp_path: Path) -> None:
    folder = run(tmp_path, kind, "  pcap: true") / "ns3"
    names = {file.name for file in folder.glob("*.pcap")}
    assert {"p2p-1-gateway.pcap", "p2p-1-cloud.pcap"} <= names
    assert len(names) == (6 if kind == "p2p" else 5)
    wan = packets(folder / "p2p-1-cloud.pcap")
    data = [size for _, size in wan if size >= 2 + 20 + 8 + 40]
    assert len(data) == 12  # six requests, six answers


def test_captures_of_one_segment(tmp_path: Path) -> None:
    folder = run(tmp_path, "csma", "  pcap: [p2p-1]") / "ns3"
    assert {file.name for file in folder.glob("*.pcap")} == {
        "p2p-1-gateway.pcap",
        "p2p-1-cloud.pcap",
    }


def test_flow_monitor_counts_what_simcore_counts(tmp_path: Path) -> None:
    folder = run(tmp_path, "csma", "  flow_monitor: true")
    flows = ElementTree.parse(folder / "ns3" / "flows.xml").getroot().find("FlowStats")
    assert flows is not None
    assert sum(int(flow.attrib["rxPackets"]) for flow in flows) == 12
    assert sum(int(flow.attrib["lostPackets"]) for flow in flows) == 0


@pytest.mark.parametrize("kind", SEGMENTS)
def test_figures_of_links(kind: str, tmp_path: Path) -> None:
    with simcore.open_run(run(tmp_path, kind, "")) as opened:
        cursor = opened.connection.execute("SELECT * FROM link")
        names = [column[0] for column in cursor.description]
        links = {row[0]: dict(zip(names, row, strict=True)) for row in cursor}
    cloud, gateway = links["p2p-1:cloud"], links["p2p-1:gateway"]
    assert (cloud["source"], cloud["destination"]) == ("cloud", "gateway")
    for link, size in ((gateway, 60), (cloud, 40)):
        assert link["entered"] == link["delivered"] == 6
        headers = (28 if kind != "lrwpan" else 48) + 2  # UDP, IP, PPP
        assert link["bytes"] == 6 * (size + headers)
        assert link["busy"] == 6 * (size + headers) * 8 * 50  # 20 Mbit/s
