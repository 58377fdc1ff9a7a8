"""The networks of `Traffic` once more, made by a user's function: one for each kind of segment.

client-0 ... client-4  --[segment]--  gateway  --[p2p]--  cloud
"""

from __future__ import annotations

import math
from typing import Any


class Site:
    """What the networks have in common: places, stacks, the long line."""

    def __init__(
        self,
        ns: Any,
        scenario: Any,
        *,
        ipv6: bool = False,
        clients: str = "client",
        radius: int = 5,
    ) -> None:
        self.ns, self.scenario, self.ipv6, self.radius = ns, scenario, ipv6, radius
        self.clients = scenario.groups[clients]
        container = ns.NodeContainer()
        container.Create(len(scenario.names))
        self.nodes = {name: container.Get(i) for i, name in enumerate(scenario.names)}
        for name, node in self.nodes.items():
            place = ns.CreateObject[ns.ConstantPositionMobilityModel]()
            place.SetPosition(ns.Vector(*self.place(name), 0))
            node.AggregateObject(place)
        stack = ns.InternetStackHelper()
        stack.SetIpv4StackInstall(not ipv6)
        stack.SetIpv6StackInstall(ipv6)
        stack.Install(container)
        for name, node in self.nodes.items():
            stack.AssignStreams(ns.NodeContainer(node), scenario.stream("node", name))
        self.addresses = ns.Ipv6AddressHelper() if ipv6 else ns.Ipv4AddressHelper()
        self.networks = 0

    def place(self, name: str) -> tuple[float, float]:
        """Clients are on a circle, everything else in the middle."""
        if name not in self.clients:
            return 0.0, 0.0
        angle = 2 * math.pi * self.clients.index(name) / len(self.clients)
        return round(self.radius * math.cos(angle), 6), round(self.radius * math.sin(angle), 6)

    def lan(self, *, hub_first: bool = False) -> tuple[list[str], Any]:
        """Who is on the segment: names and nodes."""
        names = ["gateway", *self.clients] if hub_first else [*self.clients, "gateway"]
        container = self.ns.NodeContainer()
        for name in names:
            container.Add(self.nodes[name])
        return names, container

    def streams(self, helper: Any, segment: str, names: list[str], devices: Any) -> None:
        for i, name in enumerate(names):
            alone = self.ns.NetDeviceContainer(devices.Get(i))
            helper.AssignStreams(alone, self.scenario.stream(segment, name) + 1)

    def number(self, devices: Any) -> Any:
        """Give the devices of a segment addresses of one network."""
        ns = self.ns
        self.networks += 1
        if self.ipv6:
            self.addresses.SetBase(ns.Ipv6Address(f"fd00:{self.networks}::"), ns.Ipv6Prefix(64))
        else:
            base = f"10.{self.networks}.0.0"
            self.addresses.SetBase(ns.Ipv4Address(base), ns.Ipv4Mask("255.255.0.0"))
        return self.addresses.Assign(devices)

    def line(self, rate: str, delay: str, a: str, b: str, name: str = "p2p-1") -> Any:
        """A point-to-point line and its addresses."""
        ns = self.ns
        p2p = ns.PointToPointHelper()
        p2p.DisableFlowControl()
        p2p.SetDeviceAttribute("DataRate", ns.StringValue(rate))
        p2p.SetChannelAttribute("Delay", ns.StringValue(delay))
        devices = p2p.Install(self.nodes[a], self.nodes[b])
        ns.Names.Add(name, devices.Get(0).GetChannel())
        return self.number(devices)

    def finished(self) -> dict[str, Any]:
        """With the long line, and routes: what a function returns."""
        self.line("20Mbps", "20ms", "gateway", "cloud")
        self.ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
        return self.nodes


def p2p(ns: Any, scenario: Any) -> dict[str, Any]:
    site = Site(ns, scenario)
    for client in site.clients:
        site.line("1Mbps", "2ms", client, "gateway", f"p2p-0.{client}-gateway")
    return site.finished()


def csma(ns: Any, scenario: Any) -> dict[str, Any]:
    site = Site(ns, scenario)
    names, container = site.lan()
    helper = ns.CsmaHelper()
    helper.DisableFlowControl()
    helper.SetChannelAttribute("DataRate", ns.StringValue("10Mbps"))
    helper.SetChannelAttribute("Delay", ns.StringValue("6560ns"))
    devices = helper.Install(container)
    site.streams(helper, "csma-0", names, devices)
    site.number(devices)
    return site.finished()


def wifi(ns: Any, scenario: Any) -> dict[str, Any]:
    site = Site(ns, scenario)
    names, container = site.lan(hub_first=True)
    helper = ns.WifiHelper()
    helper.DisableFlowControl()
    helper.SetStandard(ns.WIFI_STANDARD_80211g)
    helper.SetRemoteStationManager("ns3::IdealWifiManager")
    phy = ns.YansWifiPhyHelper()
    phy.SetChannel(ns.YansWifiChannelHelper.Default().Create())
    mac = ns.WifiMacHelper()
    ssid = ns.SsidValue(ns.Ssid("wifi-0"))
    mac.SetType("ns3::ApWifiMac", "Ssid", ssid)
    devices = helper.Install(phy, mac, ns.NodeContainer(container.Get(0)))
    mac.SetType("ns3::StaWifiMac", "Ssid", ssid, "ActiveProbing", ns.BooleanValue(False))
    for i in range(1, container.GetN()):
        devices.Add(helper.Install(phy, mac, ns.NodeContainer(container.Get(i))))
    site.streams(helper, "wifi-0", names, devices)
    site.number(devices)
    return site.finished()


def radios(site: Site) -> Any:
    """802.15.4 with 6LoWPAN between gateway and clients: the interfaces."""
    ns = site.ns
    names, container = site.lan(hub_first=True)
    helper = ns.LrWpanHelper()
    helper.AddPropagationLossModel("ns3::LogDistancePropagationLossModel")
    helper.SetPropagationDelayModel("ns3::ConstantSpeedPropagationDelayModel")
    devices = helper.Install(container)
    helper.CreateAssociatedPan(devices, 1)
    site.streams(helper, "lrwpan-0", names, devices)
    above = ns.SixLowPanHelper()
    upper = above.Install(devices)
    for i, name in enumerate(names):
        above.AssignStreams(
            ns.NetDeviceContainer(upper.Get(i)), site.scenario.stream("lrwpan-0", name) + 512
        )
    return site.number(upper)


def lrwpan(ns: Any, scenario: Any) -> dict[str, Any]:
    site = Site(ns, scenario, ipv6=True)
    lan = radios(site)
    wan = site.line("20Mbps", "20ms", "gateway", "cloud")
    for interfaces in (lan, wan):  # the gateway is the first of either
        interfaces.SetForwarding(0, True)
        interfaces.SetDefaultRouteInAllNodes(0)
    return site.nodes


def firmware(ns: Any, scenario: Any) -> dict[str, Any]:
    """The network of scenarios/firmware_lrwpan.yaml."""
    site = Site(ns, scenario, ipv6=True, clients="meter", radius=10)
    radios(site)
    return site.nodes
