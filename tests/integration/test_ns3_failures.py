"""What goes wrong in ns-3, or with it, ends the run with one report."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from ns3_native import SEGMENTS, Traffic, require_ns3

import simcore
from simcore.errors import ParticipantError, SendError

pytestmark = pytest.mark.ns3


@pytest.fixture(autouse=True)
def _ns3() -> None:
    require_ns3()


def run(traffic: Traffic, folder: Path) -> simcore.Federation:
    """Run it to its end."""
    federation = simcore.Federation(traffic.scenario(folder), out=folder / "run")
    federation.run()
    return federation


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("ns3::TcpSocket::SegmentSice", 500, "ns3::TcpSocket has no attribute SegmentSice"),
        ("ns3::TcpSoket::SegmentSize", 500, "ns-3 has no class ns3::TcpSoket"),
        ("ns3::TcpSocket::SegmentSize", "many", 'value "many" is not properly formatted'),
    ],
)
def test_an_attribute_that_is_not_there(name: str, value: Any, what: str, tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS["p2p"], more=f"  defaults: {{'{name}': {value}}}")
    with pytest.raises(ParticipantError, match=what):
        run(traffic, tmp_path)


def test_a_fatal_error_of_ns3_is_in_the_report(tmp_path: Path) -> None:
    scenario = Traffic(SEGMENTS["wifi"]).scenario(tmp_path)
    scenario.network["segments"][0]["mode"] = "NoSuchMode"  # which is refused in a file
    with pytest.raises(ParticipantError) as caught:
        simcore.Federation(scenario, out=None)
    assert caught.value.node is None
    assert "ns-3 gave up when segment " in str(caught.value)
    assert 'Could not find match for WifiMode named "NoSuchMode"' in str(caught.value)


def test_a_station_that_is_too_far_away(tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS["wifi"], clients=2)
    scenario = traffic.scenario(tmp_path)
    scenario.network["positions"]["client"] = [5000, 0]
    with pytest.raises(ParticipantError, match="client-0 has not reached its access point"):
        simcore.Federation(scenario, out=None)


def disturbed(traffic: Traffic, folder: Path, number: int) -> ParticipantError:
    """What is reported when a signal reaches ns-3 in the middle of the run."""
    federation = simcore.Federation(traffic.scenario(folder), out=folder / "run")
    running = federation.network.participant.running  # type: ignore[attr-defined]
    federation.at(10**9, lambda: os.kill(running.pid, number))
    with pytest.raises(ParticipantError) as caught:
        federation.run()
    assert not Path(f"/proc/{running.pid}").exists()
    return caught.value


def test_a_process_that_is_killed(tmp_path: Path) -> None:
    error = disturbed(Traffic(SEGMENTS["csma"]), tmp_path, signal.SIGKILL)
    assert "network was killed by SIGKILL" in str(error)


def test_a_process_that_hangs(tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS["csma"], more="  timeout: 500ms")
    error = disturbed(traffic, tmp_path, signal.SIGSTOP)
    assert "rule: deadline" in str(error)


def test_a_message_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(SendError, match="a datagram carries 65507; send less, or have it go over"):
        run(Traffic(SEGMENTS["csma"], size=65508), tmp_path)


def test_the_largest_datagram_arrives(tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS["csma"], clients=1, requests=1, size=65507, answer=0)
    assert len(traffic.through_simcore(tmp_path)) == 1


def test_no_way(tmp_path: Path) -> None:
    traffic = Traffic(
        SEGMENTS["csma"],
        nodes="  island: {tier: cloud}",
        wan="{kind: p2p, between: [cloud, island], rate: 1Mbit/s, delay: 1ms}",
    )
    with pytest.raises(SendError, match="no segments lead there from client-"):
        run(traffic, tmp_path)
