"""Faults in ns-3 while it runs: who is concerned, from when to when, and what becomes of messages.

    client-0, client-1, client-2  --[segment]--  gateway  --[p2p]--  cloud

Each client sends every 100 ms; the fault begins at 5 s and ends at 8 s.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from ns3_native import SEGMENTS, require_ns3
from ns3_native.faulty import MODELS, Row, rows

import simcore

pytestmark = pytest.mark.ns3

S = 10**9
MS = 10**6
BEGIN, END = 5 * S, 8 * S
SETTLED = 9 * S + 500 * MS
"""When a station has found its access point again: it looks for it every second or so."""


@pytest.fixture(autouse=True)
def _ns3() -> None:
    require_ns3()


def fates(found: list[Row], since: int, until: int, *sources: str) -> Counter[str]:
    """How often there is which fate among what some nodes sent in a time (ns)."""
    return Counter(
        fate for source, sent, _, fate in found if since <= sent < until and source in sources
    )


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_pair_that_is_cut_off(kind: str, tmp_path: Path) -> None:
    found = rows(kind, "link: [client-0, gateway], down: true", tmp_path)
    assert set(fates(found, 0, BEGIN - 100 * MS, "client-0")) == {"delivered"}
    during = fates(found, BEGIN, END - 100 * MS, "client-0")
    assert "delivered" not in during or kind == "wifi"  # which may keep some until it is back
    assert during["link_down"] > 5
    assert set(fates(found, SETTLED, 20 * S, "client-0")) == {"delivered"}
    others = fates(found, 0, 20 * S, "client-1", "client-2")
    assert others["delivered"] >= others.total() - (2 if kind == "lrwpan" else 0)


@pytest.mark.parametrize("kind", ["p2p", "csma"])
def test_on_a_cable_the_fate_comes_with_the_frame(kind: str, tmp_path: Path) -> None:
    found = rows(kind, "link: [client-0, gateway], down: true", tmp_path)
    lost = [(at - sent) for _, sent, at, fate in found if fate == "link_down"]
    assert len(lost) == 30
    assert max(lost) < 3 * MS


@pytest.mark.parametrize("kind", ["p2p", "csma"])
def test_loss_on_a_cable_loses_that_share(kind: str, tmp_path: Path) -> None:
    found = rows(kind, "link: [client, gateway], degraded: {loss: 50%}", tmp_path)
    during = fates(found, BEGIN, END - 5 * MS, "client-0", "client-1", "client-2")
    # 90 draws: five standard deviations are 24.
    assert during["loss"] == pytest.approx(45, abs=24)
    assert during["loss"] + during["delivered"] == during.total()


@pytest.mark.parametrize("kind", ["wifi", "lrwpan"])
def test_radios_try_again(kind: str, tmp_path: Path) -> None:
    found = rows(kind, "link: [client-0, gateway], degraded: {loss: 30%}", tmp_path)
    during = fates(found, BEGIN, END - 100 * MS, "client-0")
    assert during["delivered"] >= during.total() - 5
    slow = max(at - sent for source, sent, at, fate in found
               if source == "client-0" and BEGIN <= sent < END and fate == "delivered")  # fmt: skip
    usual = sorted(at - sent for _, sent, at, _ in found if sent < BEGIN)
    assert slow > usual[len(usual) // 2]


def test_delay_of_a_p2p_segment(tmp_path: Path) -> None:
    found = rows("p2p", "link: [gateway, cloud], degraded: {delay: 30ms}", tmp_path)
    times = {at - sent for _, sent, at, _ in found if sent < BEGIN - 100 * MS}
    (usual,) = times
    during = {at - sent for _, sent, at, _ in found if BEGIN < sent < END - 100 * MS}
    assert during == {usual + 30 * MS}
    assert {at - sent for _, sent, at, _ in found if sent > END} == {usual}


def test_rate_of_a_p2p_segment(tmp_path: Path) -> None:
    found = rows("p2p", "link: [gateway, cloud], degraded: {rate: 200kbit/s}", tmp_path)
    (usual,) = {at - sent for _, sent, at, _ in found if sent < BEGIN - 100 * MS}
    quickest = min(at - sent for _, sent, at, _ in found if BEGIN < sent < END - 100 * MS)
    frame = 8 * (60 + 28 + 2)  # UDP, IP and PPP headers; 20 Mbit/s otherwise
    assert quickest - usual == frame * 5000 - frame * 50
    assert {at - sent for _, sent, at, _ in found if sent > END + 100 * MS} == {usual}


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_router_that_crashes(kind: str, tmp_path: Path) -> None:
    found = rows(kind, "node: gateway, crash: true", tmp_path)
    clients = ("client-0", "client-1", "client-2")
    during = fates(found, BEGIN, END - 100 * MS, *clients)
    assert "delivered" not in during
    assert during["node_down"] > 20
    after = fates(found, SETTLED, 20 * S, *clients)
    assert after["delivered"] >= after.total() - (2 if kind == "lrwpan" else 0)


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_device_that_crashes_and_starts_again(kind: str, tmp_path: Path) -> None:
    found = rows(kind, "node: client-0, crash: true", tmp_path)
    assert fates(found, BEGIN, END, "client-0").total() == 0
    assert fates(found, SETTLED, 20 * S, "client-0")["delivered"] > 90
    others = fates(found, 0, 20 * S, "client-1", "client-2")
    assert others["delivered"] >= others.total() - (2 if kind == "lrwpan" else 0)


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_device_that_is_cut_off_goes_on_sending(kind: str, tmp_path: Path) -> None:
    found = rows(kind, "node: client-0, offline: true", tmp_path)
    during = fates(found, BEGIN, END - 100 * MS, "client-0")
    assert during.total() > 27
    assert "delivered" not in during or kind == "wifi"  # which may keep some until it is back
    assert during["link_down"] > 20
    assert fates(found, SETTLED, 20 * S, "client-0")["delivered"] > 90
    others = fates(found, 0, 20 * S, "client-1", "client-2")
    assert others["delivered"] >= others.total() - (2 if kind == "lrwpan" else 0)


@pytest.mark.parametrize("kind", ["csma", "wifi"])
def test_a_crash_in_the_middle_of_being_cut_off(kind: str, tmp_path: Path) -> None:
    fault = "node: gateway, offline: true}\n  - {at: 6s, for: 1s, node: gateway, crash: true"
    found = rows(kind, fault, tmp_path)
    clients = ("client-0", "client-1", "client-2")
    assert fates(found, 6 * S, 7 * S - 100 * MS, *clients)["node_down"] > 20 or kind == "wifi"
    assert "delivered" not in fates(found, 7 * S, END - 600 * MS, *clients)
    assert fates(found, SETTLED, 20 * S, *clients)["delivered"] > 270


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_run_with_faults_is_the_same_each_time(kind: str, tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        runs.append(rows(kind, "link: [client, gateway], degraded: {loss: 20%}", tmp_path / name))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("fault", ["link: [client, cloud], down: true", "node: cloud, crash: true"])
def test_a_connection_that_breaks_is_made_anew(fault: str, tmp_path: Path) -> None:
    """TCP gives up after a few minutes, and ns-3 says so."""
    (tmp_path / "models.py").write_text(MODELS.replace("100ms", "5s"))
    scenario = simcore.loads(
        f"""
simcore: 1
duration: 900s
nodes:
  client: {{model: models.py:client}}
  cloud: {{tier: cloud}}
network:
  model: ns3
  tcp: [{{from: client, to: cloud}}]
  give_up: 20s
  segments:
    - {{kind: p2p, between: [client, cloud], rate: 1Mbit/s, delay: 2ms}}
faults:
  - {{at: 12s, for: 600s, {fault}}}
""",
        base=tmp_path,
    )
    simcore.Federation(scenario, out=tmp_path / "run").run()
    with simcore.open_run(tmp_path / "run") as run:
        found: list[Row] = run.connection.execute(
            "SELECT source, sent, at, fate FROM messages WHERE fate != 'in_flight'"
        ).fetchall()
    assert set(fates(found, 0, 12 * S, "client")) == {"delivered"}
    assert "delivered" not in fates(found, 12 * S, 590 * S, "client")
    assert set(fates(found, 640 * S, 900 * S, "client")) == {"delivered"}
    drops = json.loads((tmp_path / "run" / "ns3" / "figures.json").read_text())["drops"]
    assert any(cause == "connection_lost" and count > 50 for _, cause, count in drops)
