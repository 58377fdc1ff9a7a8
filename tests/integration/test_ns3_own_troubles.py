"""What users' functions may make, and what they may do wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ns3_native import require_bindings

import simcore
from simcore.errors import LookaheadError, ParticipantError, SendError, UsageError

pytestmark = [pytest.mark.ns3, pytest.mark.slow]

MODELS = """
def sender(node):
    while True:
        yield node.sleep("100ms")
        node.send("b", kind="reading", size=60)
"""

ADDRESSES = """
def finished(ns, *containers):
    ns.InternetStackHelper().InstallAll()
    addresses = ns.Ipv4AddressHelper()
    for i, devices in enumerate(containers):
        addresses.SetBase(ns.Ipv4Address(f"10.0.{i}.0"), ns.Ipv4Mask("255.255.255.0"))
        addresses.Assign(devices)
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()


def pair(ns, helper):
    nodes = ns.NodeContainer()
    nodes.Create(2)
    return nodes, helper.Install(nodes)
"""


@pytest.fixture(autouse=True)
def _bindings() -> None:
    require_bindings()


def scenario(folder: Path, function: str, more: str = "", network: str = "") -> simcore.Scenario:
    """Node a sends to node b every 100 ms; a function joins them."""
    (folder / "models.py").write_text(MODELS)
    (folder / "net.py").write_text(ADDRESSES + function)
    return simcore.loads(
        f"""
simcore: 1
duration: 5s
nodes:
  a: {{model: models.py:sender}}
  b: {{tier: edge}}
network:
  model: ns3
  topology: net.py:build
  give_up: 2s
{network}
{more}
""",
        base=folder,
    )


def fates(folder: Path, *arguments: Any, **keys: Any) -> list[tuple[int, int, str]]:
    """When each message was sent and when its fate came (ms), and its fate."""
    simcore.Federation(scenario(folder, *arguments, **keys), out=folder / "run").run()
    with simcore.open_run(folder / "run") as run:
        return [
            (sent // 10**6, at // 10**6, fate)
            for sent, at, fate in run.connection.execute(
                "SELECT sent, at, fate FROM messages WHERE fate != 'in_flight' ORDER BY sent"
            )
        ]


# -- what it may make ------------------------------------------------------------------------------

SIMPLE = """
def build(ns, scenario):
    helper = ns.SimpleNetDeviceHelper()
    helper.SetChannelAttribute("Delay", ns.StringValue("7ms"))
    nodes, devices = pair(ns, helper)
    finished(ns, devices)
    return {"a": nodes.Get(0), "b": nodes.Get(1)}
"""


def test_devices_of_another_kind_can_be_cut_off(tmp_path: Path) -> None:
    faults = (
        "faults: [{at: 1s, for: 1s, link: [a, b], down: true}, {at: 2.5s, node: b, crash: true}]"
    )
    found = fates(tmp_path, SIMPLE, more=faults)
    assert {at - sent for sent, at, fate in found if fate == "delivered"} == {7}
    assert {fate for sent, _, fate in found if 1000 < sent < 1990} == {"link_down"}
    assert {fate for sent, _, fate in found if 2000 < sent < 2490} == {"delivered"}
    assert {fate for sent, _, fate in found if 2500 < sent < 2990} == {"node_down"}


def test_a_switch_that_is_no_node_of_the_scenario(tmp_path: Path) -> None:
    """a --[csma]-- switch --[csma]-- b, which look up each other's addresses across it."""
    found = fates(
        tmp_path,
        """
def build(ns, scenario):
    nodes = ns.NodeContainer()
    nodes.Create(3)
    csma = ns.CsmaHelper()
    ends, ports = ns.NetDeviceContainer(), ns.NetDeviceContainer()
    for i in (0, 2):
        both = ns.NodeContainer(nodes.Get(i))
        both.Add(nodes.Get(1))
        line = csma.Install(both)
        ends.Add(line.Get(0))
        ports.Add(line.Get(1))
    ns.BridgeHelper().Install(nodes.Get(1), ports)
    finished(ns, ends)
    return {"a": nodes.Get(0), "b": nodes.Get(2)}
""",
    )
    assert len(found) == 49
    assert {fate for *_, fate in found} == {"delivered"}


ADHOC = """
KEPT = []


def build(ns, scenario):
    wifi, mac, phy = ns.WifiHelper(), ns.WifiMacHelper(), ns.YansWifiPhyHelper()
    mac.SetType("ns3::AdhocWifiMac")
    phy.SetChannel(ns.YansWifiChannelHelper.Default().Create())
    nodes = ns.NodeContainer()
    nodes.Create(2)
    mobility = ns.MobilityHelper()
    mobility.Install(nodes)
    devices = wifi.Install(phy, mac, nodes)
    KEPT.append(devices)
    finished(ns, devices)
    return {"a": nodes.Get(0), "b": nodes.Get(1)}
"""


def test_wifi_without_an_access_point(tmp_path: Path) -> None:
    faults = "faults: [{at: 1s, for: 1s, link: [a, b], down: true}]"
    found = fates(tmp_path, ADHOC, more=faults, network="  pcap: [wifi-0]\n  neighbours: asked")
    assert {fate for sent, _, fate in found if sent < 990 or sent > 2000} == {"delivered"}
    assert {fate for sent, _, fate in found if 1000 < sent < 1450} == {"link_down"}  # not kept
    captures = sorted((tmp_path / "run" / "ns3").glob("*.pcap"))
    assert [each.name for each in captures] == ["wifi-0-a.pcap", "wifi-0-b.pcap"]
    assert all(each.stat().st_size > 49 * 60 for each in captures)  # though a module keeps devices


def test_a_queue_discipline_that_drops(tmp_path: Path) -> None:
    """Its drops are final, and told at once."""
    function = """
def build(ns, scenario):
    helper = ns.PointToPointHelper()
    helper.SetDeviceAttribute("DataRate", ns.StringValue("2kbps"))
    helper.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("1p"))
    nodes, devices = pair(ns, helper)
    ns.InternetStackHelper().InstallAll()
    control = ns.TrafficControlHelper()
    control.SetRootQueueDisc("ns3::FifoQueueDisc", "MaxSize", ns.StringValue("2p"))
    control.Install(devices)
    addresses = ns.Ipv4AddressHelper()
    addresses.SetBase(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    addresses.Assign(devices)
    return {"a": nodes.Get(0), "b": nodes.Get(1)}
"""
    found = fates(tmp_path, function, network="  warm_up: 0s")
    full = [(sent, at) for sent, at, fate in found if fate == "queue_full"]
    assert len(full) > 20
    assert all(sent == at for sent, at in full)


# -- what it may do wrong --------------------------------------------------------------------------

GOOD = """
    nodes, devices = pair(ns, ns.PointToPointHelper())
    finished(ns, devices)
"""


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("    raise ValueError('no idea')\n", "net.py:build raised ValueError: no idea"),
        ("    return None\n", "returned None: it is to return the ns-3 node of each node"),
        (f"{GOOD}    return {{'a': nodes.Get(0)}}\n", "returned no node for b"),
        (
            f"{GOOD}    return {{'a': nodes.Get(0), 'bb': nodes.Get(1)}}\n",
            "returned a node for 'bb', which is none (did you mean 'b'?)",
        ),
        (
            f"{GOOD}    return {{'a': nodes.Get(0), 'b': 5}}\n",
            "returned 5 for b, which is no ns-3 node",
        ),
        (
            f"{GOOD}    return dict.fromkeys('ab', nodes.Get(0))\n",
            "returned the same ns-3 node for a and b",
        ),
        (
            "    nodes, _ = pair(ns, ns.PointToPointHelper())\n"
            "    return {'a': nodes.Get(0), 'b': nodes.Get(1)}\n",
            "a has no address: its node needs an internet stack",
        ),
        (f"{GOOD}    ns.Simulator.Run()\n", "simcore runs the simulation: leave out Simulator.Run"),
        (
            "    ns.PointToPointHelper().SetDeviceAttribute('Rate', ns.StringValue('1Mbps'))\n",
            "ns-3 gave up when net.py:build was called",
        ),
    ],
)
def test_what_a_function_may_do_wrong(body: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(ParticipantError) as caught:
        simcore.Federation(scenario(tmp_path, f"\ndef build(ns, scenario):\n{body}"), out=None)
    assert what in str(caught.value)
    assert "raised" not in what or "net.py" in str(caught.value).split("Traceback")[1]


def test_nodes_that_nothing_joins(tmp_path: Path) -> None:
    function = """
def build(ns, scenario):
    helper = ns.PointToPointHelper()
    (one, left), (two, right) = pair(ns, helper), pair(ns, helper)
    finished(ns, left, right)
    return {"a": one.Get(0), "b": two.Get(0)}
"""
    with pytest.raises(SendError, match="no channels lead there from a"):
        simcore.Federation(scenario(tmp_path, function), out=None).run()


PAIR = f"""
def build(ns, scenario):
{GOOD}
    return {{"a": nodes.Get(0), "b": nodes.Get(1)}}
"""


def test_a_promise_that_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(LookaheadError, match="network.least_delay promises 1000000000 ns, and a/1"):
        simcore.Federation(scenario(tmp_path, PAIR, network="  least_delay: 1s"), out=None).run()


def test_a_promise_that_is_kept_changes_nothing(tmp_path: Path) -> None:
    usual = simcore.Federation(scenario(tmp_path, SIMPLE), out=None).run()
    promising = scenario(tmp_path, SIMPLE, network="  least_delay: 7ms")
    assert simcore.Federation(promising, out=None).run() == usual


def test_a_capture_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ParticipantError, match=r"no segment 'p2p-3'; there are p2p-0"):
        simcore.Federation(scenario(tmp_path, PAIR, network="  pcap: [p2p-3]"), out=None)


@pytest.mark.parametrize(
    ("function", "fault", "what"),
    [
        (ADHOC, "link: [a, b], degraded: {rate: 1kbit/s}", "only a p2p segment changes its rate"),
        (PAIR, "link: [a, a], down: true", "nothing joins a and a"),
        (
            SIMPLE.replace("Create(2)", "Create(3)").replace(
                "pair(ns, helper)",
                "(n := ns.NodeContainer(), n.Create(3), helper.Install(n))[::2]",
            ),
            "link: [a, b], down: true",
            "frames of ns3::SimpleNetDevice, on other-0, do not say whom they are from",
        ),
    ],
)
def test_a_fault_that_cannot_be(function: str, fault: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        simcore.Federation(
            scenario(tmp_path, function, more=f"faults: [{{at: 1s, {fault}}}]"), out=None
        )
    assert str(caught.value).startswith("faults[0]")
    assert what in str(caught.value)
