// SPDX-License-Identifier: GPL-2.0-only
//
// A network that somebody else made: what there is, and our part in it.
//
// Nodes and devices are taken as they are. All that is added is what makes them known here: counters
// and traces, and an error model at each device through which faults act. One that was there before
// goes on, behind ours.
#ifndef SIMCORE_NS3_ADOPTING_H
#define SIMCORE_NS3_ADOPTING_H

#include "traffic.h"

#include "ns3/bridge-channel.h"
#include "ns3/queue-disc.h"
#include "ns3/traffic-control-layer.h"

#include <set>
#include <sstream>

namespace simcore
{

/// Take the nodes of the scenario, by ns-3's numbers, and then all others.
inline void
AdoptNodes(const std::vector<uint32_t>& ids)
{
    World& world = TheWorld();
    std::set<uint32_t> known(ids.begin(), ids.end());
    for (uint32_t id : ids)
    {
        world.nodes.Add(ns3::NodeList::GetNode(id));
    }
    for (uint32_t id = 0; id < ns3::NodeList::GetNNodes(); id++)
    {
        if (known.count(id) == 0)
        {
            world.nodes.Add(ns3::NodeList::GetNode(id));
        }
    }
    world.off.resize(world.nodes.GetN());
}

inline Kind
KindOf(ns3::Ptr<ns3::NetDevice> device)
{
    return ns3::DynamicCast<ns3::PointToPointNetDevice>(device)        ? P2P
           : ns3::DynamicCast<ns3::CsmaNetDevice>(device)              ? CSMA
           : ns3::DynamicCast<ns3::WifiNetDevice>(device)              ? WIFI
           : ns3::DynamicCast<ns3::lrwpan::LrWpanNetDevice>(device)    ? LRWPAN
                                                                       : OTHER;
}

/// The device that has the addresses: 6LoWPAN's, if there is one above.
inline ns3::Ptr<ns3::NetDevice>
NetworkOf(ns3::Ptr<ns3::NetDevice> link)
{
    ns3::Ptr<ns3::Node> node = link->GetNode();
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        auto above = ns3::DynamicCast<ns3::SixLowPanNetDevice>(node->GetDevice(i));
        if (above && above->GetNetDevice() == link)
        {
            return above;
        }
    }
    return link;
}

/// Whether a device is one that frames go through.
inline bool
IsLink(ns3::Ptr<ns3::NetDevice> device)
{
    return !ns3::DynamicCast<ns3::LoopbackNetDevice>(device) &&
           !ns3::DynamicCast<ns3::SixLowPanNetDevice>(device);
}

/// What of a pair of devices faults can separate.
inline bool
KnowsSenders(Kind kind, ns3::Ptr<ns3::NetDevice> link)
{
    if (kind != OTHER)
    {
        return true;
    }
    ns3::PointerValue value;
    return link->GetChannel() && link->GetChannel()->GetNDevices() == 2 &&
           link->GetAttributeFailSafe("ReceiveErrorModel", value);
}

/// All devices, as JSON: an object for each, with its node and its place there.
inline std::string
Survey()
{
    World& world = TheWorld();
    std::ostringstream out;
    const char* separator = "[";
    for (uint32_t node = 0; node < world.nodes.GetN(); node++)
    {
        for (uint32_t i = 0; i < world.nodes.Get(node)->GetNDevices(); i++)
        {
            ns3::Ptr<ns3::NetDevice> link = world.nodes.Get(node)->GetDevice(i);
            if (!IsLink(link))
            {
                continue;
            }
            Kind kind = KindOf(link);
            Device device{0, node, 0, kind, link, NetworkOf(link), nullptr, {}, false};
            bool six = false;
            for (ns3::Ipv6Address address : Addresses6(device))
            {
                six |= !address.IsLinkLocal();
            }
            ns3::Ptr<ns3::Channel> channel = link->GetChannel();
            if (ns3::DynamicCast<ns3::BridgeChannel>(channel))
            {
                channel = nullptr; // its ports' channels are what frames go through
            }
            out << separator << "{\"node\":" << node << ",\"place\":" << i << ",\"kind\":" << kind
                << ",\"class\":\"" << link->GetInstanceTypeId().GetName()
                << "\",\"channel\":" << (channel ? static_cast<int64_t>(channel->GetId()) : -1)
                << ",\"name\":\"" << (channel ? ns3::Names::FindName(channel) : "")
                << "\",\"four\":" << !Addresses4(device).empty() << ",\"six\":" << six
                << ",\"separable\":" << KnowsSenders(kind, link);
            if (kind == P2P)
            {
                ns3::DataRateValue rate;
                ns3::TimeValue delay;
                link->GetAttribute("DataRate", rate);
                channel->GetAttribute("Delay", delay);
                out << ",\"rate\":" << rate.Get().GetBitRate()
                    << ",\"delay\":" << delay.Get().GetNanoSeconds();
            }
            auto wifi = ns3::DynamicCast<ns3::WifiNetDevice>(link);
            bool hub = wifi && ns3::DynamicCast<ns3::ApWifiMac>(wifi->GetMac());
            out << ",\"hub\":" << hub << "}";
            separator = ",\n";
        }
    }
    out << (separator[0] == '[' ? "[]" : "]");
    return out.str();
}

/// The place on the way between two radios where faults act; one for each channel.
inline void
Separate(ns3::Ptr<ns3::Channel> channel, uint32_t segment)
{
    auto separation = ns3::CreateObject<Separation>();
    separation->segment = segment;
    if (auto spectrum = ns3::DynamicCast<ns3::SpectrumChannel>(channel))
    {
        spectrum->AddPropagationLossModel(separation);
        return;
    }
    ns3::PointerValue found;
    channel->GetAttribute("PropagationLossModel", found);
    auto last = found.Get<ns3::PropagationLossModel>();
    if (!last)
    {
        channel->SetAttribute("PropagationLossModel", ns3::PointerValue(separation));
        return;
    }
    while (last->GetNext())
    {
        last = last->GetNext();
    }
    last->SetNext(separation);
}

inline void
OnQueueDiscDrop(uint32_t device, ns3::Ptr<const ns3::QueueDiscItem> item, const char*)
{
    Device& own = TheWorld().devices[device];
    own.counters.queueFull++;
    TheLedger().Drop(own.node, "queue_discipline", QUEUE_FULL, item->GetPacket(), true);
}

inline void
OnTrafficControlDrop(uint32_t node, ns3::Ptr<const ns3::Packet> packet)
{
    TheLedger().Drop(node, "queue_full", QUEUE_FULL, packet, true);
}

/// Take a device, by the node's number here and its place there; its number.
inline uint32_t
AdoptDevice(uint32_t node, uint32_t place, uint32_t segment, int64_t stream)
{
    static std::set<uint32_t> separated;
    ns3::Ptr<ns3::Node> found = TheWorld().nodes.Get(node);
    ns3::Ptr<ns3::NetDevice> link = found->GetDevice(place);
    Kind kind = KindOf(link);
    ns3::Ptr<ns3::NetDevice> network = NetworkOf(link);
    uint32_t index = AddDevice(segment, kind, node, link, network, Settings{}, stream);
    if (kind == WIFI && separated.insert(link->GetChannel()->GetId()).second)
    {
        Separate(link->GetChannel(), segment);
    }
    auto control = found->GetObject<ns3::TrafficControlLayer>();
    auto queue = control ? control->GetRootQueueDiscOnDevice(network) : nullptr;
    if (queue)
    {
        Connect(queue, "DropBeforeEnqueue", &OnQueueDiscDrop, index);
        Connect(queue, "DropAfterDequeue", &OnQueueDiscDrop, index);
    }
    return index;
}

/// Watch what is dropped above the devices.
inline void
WatchTrafficControl()
{
    World& world = TheWorld();
    for (uint32_t i = 0; i < world.nodes.GetN(); i++)
    {
        if (auto control = world.nodes.Get(i)->GetObject<ns3::TrafficControlLayer>())
        {
            Connect(control, "TcDrop", &OnTrafficControlDrop, i);
        }
    }
}

/// Whether there is anything that needs time before virtual time begins: radios, and IPv6.
inline bool
NeedsWarmUp()
{
    World& world = TheWorld();
    bool needs = false;
    for (const Device& device : world.devices)
    {
        needs |= device.kind == WIFI || device.kind == LRWPAN || !Addresses6(device).empty();
    }
    return needs;
}

} // namespace simcore

#endif
