"""Two floors with a switch each, and a line to the cloud whose queue is managed: for ns-3."""


def build(ns, scenario):
    """Make the network.

    Args:
        ns: ns-3's Python bindings.
        scenario: what it is to have: `names`, `groups`, `seed`, and `stream(segment, node)`.

    Returns:
        The ns-3 node of each node of the scenario.
    """
    container = ns.NodeContainer()
    container.Create(len(scenario.names))
    nodes = {name: container.Get(i) for i, name in enumerate(scenario.names)}
    switches = ns.NodeContainer()  # not in the scenario: nobody sends to them
    switches.Create(2)
    ns.InternetStackHelper().Install(container)

    # A meter, or the gateway, at a port of its floor's switch.
    csma = ns.CsmaHelper()
    csma.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
    csma.SetChannelAttribute("Delay", ns.StringValue("500ns"))
    floors = [ns.NetDeviceContainer(), ns.NetDeviceContainer()]
    ports = [ns.NetDeviceContainer(), ns.NetDeviceContainer()]

    def plug_in(name, floor):
        both = ns.NodeContainer(nodes[name])
        both.Add(switches.Get(floor))
        cable = csma.Install(both)
        floors[floor].Add(cable.Get(0))
        ports[floor].Add(cable.Get(1))
        csma.AssignStreams(ns.NetDeviceContainer(cable.Get(0)), scenario.stream("lan", name))

    for i, name in enumerate(scenario.groups["meter"]):
        plug_in(name, i % 2)
    for floor in (0, 1):
        plug_in("gateway", floor)
        ns.BridgeHelper().Install(switches.Get(floor), ports[floor])
        ns.Names.Add(f"switch-{floor}", switches.Get(floor))  # what it is called in the results

    p2p = ns.PointToPointHelper()
    p2p.SetDeviceAttribute("DataRate", ns.StringValue("20Mbps"))
    p2p.SetChannelAttribute("Delay", ns.StringValue("45ms"))
    wan = p2p.Install(nodes["gateway"], nodes["cloud"])
    ns.Names.Add("wan", wan.Get(0).GetChannel())
    control = ns.TrafficControlHelper()
    control.SetRootQueueDisc("ns3::FqCoDelQueueDisc")
    control.Install(wan)

    addresses = ns.Ipv4AddressHelper()
    for i, devices in enumerate([*floors, wan]):
        addresses.SetBase(ns.Ipv4Address(f"10.1.{i}.0"), ns.Ipv4Mask("255.255.255.0"))
        addresses.Assign(devices)
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    return nodes
