// SPDX-License-Identifier: GPL-2.0-only
//
// Addresses, routes, and who is where: all of it known from the start.
//
// Nothing is learnt during a run: interfaces get addresses by hand, routes are static, and every
// neighbour is in the caches. So the first message takes no longer than the tenth, and none is lost
// because an address had to be resolved. No queue discipline is installed: packets wait in the
// queue of the device and nowhere else.
#ifndef SIMCORE_NS3_ADDRESSES_H
#define SIMCORE_NS3_ADDRESSES_H

#include "segments.h"

namespace simcore
{

inline void
InstallStack(const ns3::NodeContainer& nodes, bool ipv6, const std::vector<int64_t>& streams)
{
    ns3::InternetStackHelper stack;
    stack.SetIpv4StackInstall(!ipv6);
    stack.SetIpv6StackInstall(ipv6);
    stack.Install(nodes);
    for (uint32_t i = 0; i < nodes.GetN(); i++)
    {
        stack.AssignStreams(ns3::NodeContainer(nodes.Get(i)), streams[i]);
    }
}

/// Give the devices of a segment addresses of one network.
inline void
AssignAddresses(uint32_t first, uint32_t count)
{
    static uint32_t wide = 0; // networks 10.x.0.0/16
    static uint32_t narrow = 0; // networks of two, in 172.16.0.0/12
    static uint32_t sixes = 0; // networks fd00:x::/64; ns-3 forwards nothing for 2001:db8::/32
    World& world = TheWorld();
    bool two = count <= 2;
    uint32_t base = two ? 0xac100000 + 4 * narrow : 0x0a000000 + (wide << 16);
    if (world.ipv6)
    {
        sixes++;
    }
    else
    {
        (two ? narrow : wide)++;
    }
    for (uint32_t i = 0; i < count; i++)
    {
        ns3::Ptr<ns3::NetDevice> device = world.devices[first + i].network;
        if (world.ipv6)
        {
            uint8_t bytes[16] = {0xfd, 0x00};
            bytes[2] = sixes >> 8;
            bytes[3] = sixes;
            auto ipv6 = device->GetNode()->GetObject<ns3::Ipv6>();
            uint32_t interface = ipv6->AddInterface(device);
            ipv6->SetMetric(interface, 1);
            ipv6->SetUp(interface);
            ipv6->AddAddress(interface,
                             ns3::Ipv6InterfaceAddress(
                                 ns3::Ipv6Address::MakeAutoconfiguredAddress(
                                     device->GetAddress(), ns3::Ipv6Address(bytes)),
                                 ns3::Ipv6Prefix(64)));
        }
        else
        {
            auto ipv4 = device->GetNode()->GetObject<ns3::Ipv4>();
            uint32_t interface = ipv4->AddInterface(device);
            ipv4->AddAddress(interface,
                             ns3::Ipv4InterfaceAddress(ns3::Ipv4Address(base + 1 + i),
                                                       ns3::Ipv4Mask(two ? "/30" : "/16")));
            ipv4->SetMetric(interface, 1);
            ipv4->SetUp(interface);
        }
    }
}

/// The addresses of a device.
inline std::vector<ns3::Ipv4Address>
Addresses4(const Device& device)
{
    std::vector<ns3::Ipv4Address> found;
    auto ipv4 = device.network->GetNode()->GetObject<ns3::Ipv4>();
    int32_t interface = ipv4 ? ipv4->GetInterfaceForDevice(device.network) : -1;
    for (uint32_t i = 0; interface >= 0 && i < ipv4->GetNAddresses(interface); i++)
    {
        found.push_back(ipv4->GetAddress(interface, i).GetLocal());
    }
    return found;
}

inline std::vector<ns3::Ipv6Address>
Addresses6(const Device& device)
{
    std::vector<ns3::Ipv6Address> found;
    auto ipv6 = device.network->GetNode()->GetObject<ns3::Ipv6>();
    int32_t interface = ipv6 ? ipv6->GetInterfaceForDevice(device.network) : -1;
    for (uint32_t i = 0; interface >= 0 && i < ipv6->GetNAddresses(interface); i++)
    {
        found.push_back(ipv6->GetAddress(interface, i).GetAddress());
    }
    return found;
}

inline ns3::Ipv4Address
Address4(const Device& device)
{
    auto ipv4 = device.network->GetNode()->GetObject<ns3::Ipv4>();
    return ipv4->GetAddress(ipv4->GetInterfaceForDevice(device.network), 0).GetLocal();
}

/// The address of a device; without `global`, the one that is good on its link only.
inline ns3::Ipv6Address
Address6(const Device& device, bool global = true)
{
    auto ipv6 = device.network->GetNode()->GetObject<ns3::Ipv6>();
    uint32_t interface = ipv6->GetInterfaceForDevice(device.network);
    for (uint32_t i = 0; i < ipv6->GetNAddresses(interface); i++)
    {
        ns3::Ipv6Address found = ipv6->GetAddress(interface, i).GetAddress();
        if (found.IsLinkLocal() != global)
        {
            return found;
        }
    }
    NS_FATAL_ERROR("a device without an address");
}

/// Have a node reach the network of a segment (or everything else) by way of a neighbour.
/// `out` is the node's own device, `via` the neighbour's, `member` any device of that segment.
inline void
AddRoute(uint32_t out, uint32_t via, int64_t member)
{
    World& world = TheWorld();
    Device& own = world.devices[out];
    Device& neighbour = world.devices[via];
    ns3::Ptr<ns3::Node> node = own.network->GetNode();
    if (world.ipv6)
    {
        auto ipv6 = node->GetObject<ns3::Ipv6>();
        uint32_t interface = ipv6->GetInterfaceForDevice(own.network);
        auto routing = ns3::Ipv6StaticRoutingHelper().GetStaticRouting(ipv6);
        if (member < 0)
        {
            routing->SetDefaultRoute(Address6(neighbour, false), interface);
            return;
        }
        ns3::Ipv6Prefix prefix(64);
        routing->AddNetworkRouteTo(Address6(world.devices[member]).CombinePrefix(prefix),
                                   prefix,
                                   Address6(neighbour, false),
                                   interface);
        return;
    }
    auto ipv4 = node->GetObject<ns3::Ipv4>();
    uint32_t interface = ipv4->GetInterfaceForDevice(own.network);
    auto routing = ns3::Ipv4StaticRoutingHelper().GetStaticRouting(ipv4);
    if (member < 0)
    {
        routing->SetDefaultRoute(Address4(neighbour), interface);
        return;
    }
    Device& there = world.devices[member];
    auto other = there.network->GetNode()->GetObject<ns3::Ipv4>();
    ns3::Ipv4Mask mask =
        other->GetAddress(other->GetInterfaceForDevice(there.network), 0).GetMask();
    routing->AddNetworkRouteTo(Address4(there).CombineMask(mask), mask, Address4(neighbour), interface);
}

/// Let a node pass on what is not for it.
inline void
MakeRouter(uint32_t node)
{
    ns3::Ptr<ns3::Node> found = TheWorld().nodes.Get(node);
    if (TheWorld().ipv6)
    {
        found->GetObject<ns3::Ipv6>()->SetAttribute("IpForward", ns3::BooleanValue(true));
        auto ipv6 = found->GetObject<ns3::Ipv6>();
        for (uint32_t i = 0; i < ipv6->GetNInterfaces(); i++)
        {
            ipv6->SetForwarding(i, true);
        }
    }
}

/// Have a cache know where an address is.
template <typename Cache, typename Address>
void
Introduce(ns3::Ptr<Cache> cache, const Address& address, const ns3::Address& place)
{
    if (cache)
    {
        auto entry = cache->Lookup(address);
        entry = entry == nullptr ? cache->Add(address) : entry;
        entry->SetMacAddress(place);
        entry->MarkPermanent();
    }
}

/// Tell all devices of a segment each other's addresses. After the warm-up: what Wi-Fi looked up
/// before it was associated would be in the way.
inline void
IntroduceNeighbours(uint32_t first, uint32_t count)
{
    World& world = TheWorld();
    std::vector<std::vector<ns3::Ipv4Address>> fours;
    std::vector<std::vector<ns3::Ipv6Address>> sixes;
    for (uint32_t i = 0; i < count; i++)
    {
        fours.push_back(Addresses4(world.devices[first + i]));
        sixes.push_back(Addresses6(world.devices[first + i]));
    }
    for (uint32_t i = 0; i < count; i++)
    {
        ns3::Ptr<ns3::NetDevice> own = world.devices[first + i].network;
        if (!own->NeedsArp())
        {
            continue; // there is only one other
        }
        ns3::Ptr<ns3::ArpCache> arp;
        ns3::Ptr<ns3::NdiscCache> ndisc;
        if (!fours[i].empty())
        {
            auto ip = own->GetNode()->GetObject<ns3::Ipv4L3Protocol>();
            arp = ip->GetInterface(ip->GetInterfaceForDevice(own))->GetArpCache();
        }
        if (!sixes[i].empty())
        {
            auto ip = own->GetNode()->GetObject<ns3::Ipv6L3Protocol>();
            ndisc = ip->GetInterface(ip->GetInterfaceForDevice(own))->GetNdiscCache();
        }
        for (uint32_t k = 0; k < count; k++)
        {
            if (i == k)
            {
                continue;
            }
            ns3::Address place = world.devices[first + k].network->GetAddress();
            for (ns3::Ipv4Address address : fours[k])
            {
                Introduce(arp, address, place);
            }
            for (ns3::Ipv6Address address : sixes[k])
            {
                Introduce(ndisc, address, place);
            }
        }
    }
}

// -- what IP drops is not repeated by anyone

inline void
OnDropped4(uint32_t node,
           const ns3::Ipv4Header&,
           ns3::Ptr<const ns3::Packet> packet,
           ns3::Ipv4L3Protocol::DropReason reason,
           ns3::Ptr<ns3::Ipv4>,
           uint32_t)
{
    const char* cause = reason == ns3::Ipv4L3Protocol::DROP_NO_ROUTE      ? "no_route"
                        : reason == ns3::Ipv4L3Protocol::DROP_TTL_EXPIRED ? "too_many_hops"
                        : reason == ns3::Ipv4L3Protocol::DROP_FRAGMENT_TIMEOUT ? "fragment_missing"
                                                                               : "ip";
    TheLedger().Drop(node, cause, LOSS, packet, true);
}

inline void
OnDropped6(uint32_t node,
           const ns3::Ipv6Header&,
           ns3::Ptr<const ns3::Packet> packet,
           ns3::Ipv6L3Protocol::DropReason reason,
           ns3::Ptr<ns3::Ipv6>,
           uint32_t)
{
    const char* cause = reason == ns3::Ipv6L3Protocol::DROP_NO_ROUTE      ? "no_route"
                        : reason == ns3::Ipv6L3Protocol::DROP_TTL_EXPIRED ? "too_many_hops"
                        : reason == ns3::Ipv6L3Protocol::DROP_FRAGMENT_TIMEOUT ? "fragment_missing"
                                                                               : "ip";
    TheLedger().Drop(node, cause, LOSS, packet, true);
}

inline void
OnArpDrop(uint32_t node, ns3::Ptr<const ns3::Packet> packet)
{
    TheLedger().Drop(node, "address_unknown", LOSS, packet, true);
}

inline void
WatchIp()
{
    World& world = TheWorld();
    for (uint32_t i = 0; i < world.nodes.GetN(); i++)
    {
        ns3::Ptr<ns3::Node> node = world.nodes.Get(i);
        if (auto ipv4 = node->GetObject<ns3::Ipv4L3Protocol>())
        {
            Connect(ipv4, "Drop", &OnDropped4, i);
        }
        if (auto ipv6 = node->GetObject<ns3::Ipv6L3Protocol>())
        {
            Connect(ipv6, "Drop", &OnDropped6, i);
        }
        if (auto arp = node->GetObject<ns3::ArpL3Protocol>())
        {
            Connect(arp, "Drop", &OnArpDrop, i);
        }
    }
}

} // namespace simcore

#endif
