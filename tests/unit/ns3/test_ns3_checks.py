"""What is wrong with `network: {model: ns3}` is told with its place, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from simcore_netmodels.ns3 import wheel

import simcore
from simcore.errors import ScenarioError

SCENARIO = """simcore: 1
duration: 10s
nodes:
  meter: {{count: 3, model: models.py:meter}}
  gateway: {{tier: edge}}
  cloud: {{tier: cloud}}
network:
  model: ns3
  segments:
    - {radio}
    - {{kind: p2p, between: [gateway, cloud], rate: 20Mbit/s, delay: 20ms}}
{more}
"""
RADIO = "{kind: wifi, nodes: [meter, gateway], access_point: gateway}"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "doctor", lambda: (True, "here"))


def problems(folder: Path, radio: str = RADIO, more: str = "") -> list[str]:
    """What is reported, without file and line."""
    (folder / "models.py").write_text("def meter(node):\n    yield node.sleep('1s')\n")
    try:
        simcore.loads(SCENARIO.format(radio=radio, more=more), base=folder)
    except ScenarioError as error:
        return [str(each).split(":", 1)[1] for each in error.problems]
    return []


def test_a_network_that_is_right(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("radio", "word", "what"),
    [
        ("{kind: wifi, nodes: [meter, gateway]}", "{", "needs 'access_point'"),
        ("{kind: csma, nodes: [meter, gateway]}", "{", "needs 'rate' and 'delay'"),
        ("{kind: lrwpan, nodes: [meter, gateway], rate: 1Mbit/s}", "rate", "'rate' has no effect"),
        ("{kind: wifi, nodes: [meter, gatway], access_point: gateway}", "gatway", "'gateway'"),
        ("{kind: wifi, nodes: [meter, gateway], access_point: meter}", "meter}", "is a group"),
        ("{kind: p2p, between: [cloud, cloud], rate: 1kbit/s, delay: 0ns}", "between", "itself"),
        ("{kind: lrwpan, nodes: [gateway]}", "nodes", "joins at least two"),
        ("{kind: wifi, nodes: [meter, gateway], access_point: gateway, mod: x}", "mod", "mode"),
        (
            "{kind: wifi, nodes: [meter, gateway], access_point: gateway, mode: ErpOfdmRate54Mbit}",
            "ErpOfdmRate54Mbit",
            "is no mode of 802.11g (did you mean 'ErpOfdmRate54Mbps'?)",
        ),
        (
            "{kind: wifi, nodes: [meter, gateway], access_point: gateway, standard: 802.11b, "
            "mode: OfdmRate24Mbps}",
            "OfdmRate24Mbps",
            "is no mode of 802.11b",
        ),
        ("{kind: wif, nodes: [meter, gateway]}", "wif", "wifi"),
    ],
)
def test_what_is_wrong_with_a_segment(radio: str, word: str, what: str, tmp_path: Path) -> None:
    (found, *_) = problems(tmp_path, radio)
    assert found.startswith(f"10:{7 + radio.rindex(word)}:")
    assert what in found


def test_a_node_that_is_on_no_segment(tmp_path: Path) -> None:
    radio = "{kind: csma, nodes: [gateway, cloud], rate: 1kbit/s, delay: 0ns}"
    (found,) = problems(tmp_path, radio)
    assert found.startswith("9:")
    assert "meter-0 is on no segment" in found


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("  positions: {metre: [0, 0]}", "did you mean 'meter'"),
        ("  positions: {meter: {center: [0, 0]}}", "needs one of circle, disc, grid"),
        ("  positions: {meter: {circle: 1, grid: 1}}", "needs one of circle, disc, grid"),
        ("  tcp: [{from: meter, to: clout}]", "did you mean 'cloud'"),
        ("  pcap: [wifi-1]", "did you mean 'wifi-0'"),
        ("  give_up: 0s", "must be more than 0"),
        ("  timeout: 0s", "must be more than 0"),
        ("  defaults: {TcpSocket.SegmentSize: 5}", "ns3::Class::Attribute"),
        ("faults: [{at: 1s, link: [meter, cloud], down: true}]", "no segment joins"),
        ("faults: [{at: 1s, link: [meter, gateway], degraded: {delay: 1ms}}]", "only a p2p"),
    ],
)
def test_what_is_wrong_elsewhere(more: str, what: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, more=more)
    assert what in found


OWN = """simcore: 1
duration: 10s
nodes:
  meter: {{count: 3, model: models.py:meter}}
  cloud: {{tier: cloud}}
network:
  model: ns3
  topology: {topology}
{more}
"""


def problems_of_own(folder: Path, topology: str = "models.py:build", more: str = "") -> list[str]:
    """What is reported of a network that a function makes."""
    source = (
        "def meter(node):\n    yield node.sleep('1s')\n\n\ndef build(ns, scenario):\n    pass\n"
    )
    (folder / "models.py").write_text(source)
    try:
        simcore.loads(OWN.format(topology=topology, more=more), base=folder)
    except ScenarioError as error:
        return [str(each).split(":", 1)[1] for each in error.problems]
    return []


@pytest.mark.parametrize(
    ("topology", "more", "what"),
    [
        ("models.py:built", "", "8:13: network.topology: models.py has no function 'built'"),
        ("modells.py:build", "", "8:13: network.topology: "),
        ("models.py", "", "8:13: network.topology: 'models.py' names no function"),
        ("models.py:build", "  positions: {meter: [0, 0]}", "'positions' has no effect beside"),
        (
            "models.py:build",
            "  segments: [{kind: p2p, between: [meter, cloud], rate: 1Mbit/s, delay: 1ms}]",
            "segments",
        ),
        ("models.py:build", "  neighbours: unknown", "neighbours"),
        ("models.py:build", "  tcp: [{from: meter, to: clout}]", "did you mean 'cloud'"),
        ("models.py:build", "  give_up: 0s", "must be more than 0"),
    ],
)
def test_what_is_wrong_with_a_network_of_ones_own(
    topology: str, more: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "lacks_bindings", lambda: None)
    (found,) = problems_of_own(tmp_path, topology, more)
    assert what in found


def test_a_network_of_ones_own_that_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "lacks_bindings", lambda: None)
    assert problems_of_own(tmp_path, more="  warm_up: 3s\n  pcap: [wan]\n  least_delay: 1ms") == []


def test_what_has_no_effect_on_segments(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, more="  least_delay: 1ms")
    assert "'least_delay' has no effect without 'topology'" in found


def test_bindings_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    (found,) = problems_of_own(tmp_path)
    assert found.startswith(
        "8:13: network.topology: ns-3's Python bindings need cppyy: pip install"
    )


def test_two_segments_of_one_name(tmp_path: Path) -> None:
    radio = "{kind: wifi, name: p2p-1, nodes: [meter, gateway], access_point: gateway}"
    (found,) = problems(tmp_path, radio)
    assert "a second segment 'p2p-1'" in found


def test_ns3_that_is_missing_is_one_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "doctor", lambda: (False, "ns-3 is not installed: pip install it"))
    (found,) = problems(tmp_path)
    assert found.startswith("8:10: network.model: ns-3 is not installed")
