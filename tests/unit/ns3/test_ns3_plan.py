"""What ns-3 is given for the `network` of a scenario."""

from __future__ import annotations

import math

import pytest
from simcore_netmodels.ns3 import plan

from simcore.clock import NEVER

GROUPS = {
    "meter": ("meter-0", "meter-1", "meter-2"),
    "gateway": ("gateway",),
    "cloud": ("cloud",),
}
P2P = {"kind": "p2p", "between": ["meter", "gateway"], "rate": "1Mbit/s", "delay": "2ms"}
WIFI = {"kind": "wifi", "nodes": ["meter", "gateway"], "access_point": "gateway"}
LRWPAN = {"kind": "lrwpan", "nodes": ["meter", "gateway"], "coordinator": "gateway"}


def test_a_p2p_entry_stands_for_one_segment_per_pair() -> None:
    found = plan.segments({"segments": [P2P]}, GROUPS)
    assert [each.nodes for each in found] == [(f"meter-{i}", "gateway") for i in range(3)]
    assert len({each.name for each in found}) == 3


def test_the_access_point_comes_first() -> None:
    (found,) = plan.segments({"segments": [WIFI]}, GROUPS)
    assert found.nodes == ["gateway", "meter-0", "meter-1", "meter-2"]
    assert set(found.pairs()) == {
        pair for i in range(3) for pair in (("gateway", f"meter-{i}"), (f"meter-{i}", "gateway"))
    }


def test_lrwpan_makes_it_ipv6() -> None:
    assert plan.is_ipv6({"segments": [P2P, LRWPAN]})
    assert not plan.is_ipv6({"segments": [P2P, WIFI]})


@pytest.mark.parametrize(
    ("entry", "least"),
    [
        (P2P, 30 * 8 * 1000 + 2_000_000),  # PPP, IPv4 and UDP headers at 1 Mbit/s
        (WIFI, 20_000),  # the OFDM preamble
        (LRWPAN, 17 * 8 * 4000),  # 17 bytes at 250 kbit/s
    ],
)
def test_least_delay(entry: dict[str, object], least: int) -> None:
    found = plan.segments({"segments": [entry]}, GROUPS)
    assert plan.least_delay(found, ["meter-1"]) == least
    assert plan.least_delay(found, ["cloud"]) == NEVER


def test_segments_of_others_count_for_the_least_delay() -> None:
    """Beside free-running nodes ns-3 goes on from boundary to boundary, with all that is in it."""
    groups = GROUPS | {"cloud": ["cloud"], "far": ["far"]}
    wire = {"kind": "p2p", "between": ["cloud", "far"], "rate": "1Gbit/s", "delay": "5us"}
    found = plan.segments({"segments": [LRWPAN, wire]}, groups)
    assert plan.least_delay(found, ["meter-1"]) == plan.least_delay(found, ["far"]) < 6_000


def places(how: object, seed: int = 1) -> list[list[float]]:
    found = plan.places({"positions": {"meter": how}}, GROUPS, seed)
    return [found[name] for name in GROUPS["meter"]]


def test_places() -> None:
    assert places([1, 2]) == [[1.0, 2.0, 0.0]] * 3
    assert places({"grid": 2, "center": [5, 5, 1]}) == [[4, 4, 1], [6, 4, 1], [4, 6, 1]]
    for x, y, _ in places({"circle": 10}):
        assert math.hypot(x, y) == pytest.approx(10)
    scattered = places({"disc": 10})
    assert all(math.hypot(x, y) <= 10 for x, y, _ in scattered)
    assert len({tuple(place) for place in scattered}) == 3
    assert places({"disc": 10}) == scattered
    assert places({"disc": 10}, seed=2) != scattered


def test_flows_over_tcp() -> None:
    found = plan.flows({"tcp": [{"from": "meter", "to": "cloud"}]}, GROUPS)
    assert found == {(f"meter-{i}", "cloud") for i in range(3)}
