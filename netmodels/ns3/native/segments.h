// SPDX-License-Identifier: GPL-2.0-only
//
// Segments: what joins nodes. One function for each kind.
#ifndef SIMCORE_NS3_SEGMENTS_H
#define SIMCORE_NS3_SEGMENTS_H

#include "watching.h"

#include "ns3/internet-module.h"
#include "ns3/lr-wpan-spectrum-value-helper.h"
#include "ns3/mobility-module.h"
#include "ns3/sixlowpan-module.h"
#include "ns3/spectrum-module.h"

namespace simcore
{

/// The keys of a segment; what a kind does not have is 0.
struct Settings
{
    const char* name;
    const char* standard; ///< of Wi-Fi, as ns-3 names it
    const char* mode;     ///< of Wi-Fi: one rate for all data; "": ns-3 chooses
    uint64_t rate;        ///< bit/s
    uint64_t delay;       ///< ns
    uint32_t queue;       ///< packets; 0: as ns-3 has it
    uint32_t reserved;
    double loss;          ///< of a frame
    double bitErrors;     ///< of a bit
};

inline uint32_t
AddDevice(uint32_t segment,
          Kind kind,
          uint32_t node,
          ns3::Ptr<ns3::NetDevice> link,
          ns3::Ptr<ns3::NetDevice> network,
          const Settings& settings,
          int64_t stream)
{
    World& world = TheWorld();
    auto index = static_cast<uint32_t>(world.devices.size());
    auto errors = ns3::CreateObject<LinkErrors>();
    errors->device = index;
    errors->loss = settings.loss;
    errors->bitErrors = settings.bitErrors;
    errors->random->SetStream(stream);
    world.devices.push_back({index, node, segment, kind, link, network, errors, {}, false});
    world.byAddress.resize(segment + 1);
    world.byNode.resize(segment + 1);
    world.byAddress[segment][link->GetAddress()] = index;
    world.byNode[segment][link->GetNode()->GetId()] = index;
    if (auto p2p = ns3::DynamicCast<ns3::PointToPointNetDevice>(link))
    {
        errors->given = ErrorsOf(link, "ReceiveErrorModel");
        p2p->SetReceiveErrorModel(errors);
        WatchQueue(p2p->GetQueue(), index, settings.queue);
        Connect(link, "MacTx", &OnEntered, index);
        Connect(link, "MacTxDrop", &OnRefused, index);
        Connect(link, "PhyTxBegin", &OnTransmit, index);
        Connect(link, "PhyTxEnd", &OnTransmitted, index);
    }
    else if (auto csma = ns3::DynamicCast<ns3::CsmaNetDevice>(link))
    {
        errors->given = ErrorsOf(link, "ReceiveErrorModel");
        csma->SetReceiveErrorModel(errors);
        WatchQueue(csma->GetQueue(), index, settings.queue);
        Connect(link, "MacTx", &OnEntered, index);
        Connect(link, "MacTxDrop", &OnRefused, index);
        Connect(link, "PhyTxBegin", &OnTransmit, index);
        Connect(link, "PhyTxEnd", &OnTransmitted, index);
        Connect(link, "PhyTxDrop", &OnCollisions, index);
    }
    else if (auto wifi = ns3::DynamicCast<ns3::WifiNetDevice>(link))
    {
        errors->given = ErrorsOf(wifi->GetPhy(), "PostReceptionErrorModel");
        wifi->GetPhy()->SetPostReceptionErrorModel(errors);
        auto queue = wifi->GetMac()->GetTxopQueue(
            wifi->GetMac()->GetQosSupported() ? ns3::AC_BE : ns3::AC_BE_NQOS);
        WatchQueue(queue, index, settings.queue);
        Connect(wifi->GetMac(), "MacTx", &OnEntered, index);
        Connect(wifi->GetMac(), "MacTxDrop", &OnRefused, index);
        Connect(wifi->GetMac(), "DroppedMpdu", &OnWifiDropped, index);
        Connect(wifi->GetPhy()->GetState(), "State", &OnWifiState, index);
    }
    else if (auto lrwpan = ns3::DynamicCast<ns3::lrwpan::LrWpanNetDevice>(link))
    {
        world.byAddress[segment][lrwpan->GetMac()->GetShortAddress()] = index;
        world.byAddress[segment][lrwpan->GetMac()->GetExtendedAddress()] = index;
        errors->given = ErrorsOf(lrwpan->GetPhy(), "PostReceptionErrorModel");
        lrwpan->GetPhy()->SetPostReceptionErrorModel(errors);
        Connect(lrwpan->GetMac(), "MacTxEnqueue", &OnLrWpanEnqueue, index);
        Connect(lrwpan->GetMac(), "MacTxDequeue", &OnLrWpanDequeue, index);
        Connect(lrwpan->GetMac(), "MacTxDrop", &OnLrWpanDropped, index);
        Connect(lrwpan->GetPhy(), "PhyTxBegin", &OnTransmit, index);
        Connect(lrwpan->GetPhy(), "PhyTxEnd", &OnTransmitted, index);
    }
    else
    {
        errors->given = ErrorsOf(link, "ReceiveErrorModel");
        link->SetAttributeFailSafe("ReceiveErrorModel", ns3::PointerValue(errors));
        ConnectIfThere(link, "MacTx", &OnEntered, index);
        ConnectIfThere(link, "MacTxDrop", &OnOtherDropped, index);
        ConnectIfThere(link, "PhyTxDrop", &OnOtherDropped, index);
    }
    return index;
}

// -- the kinds; the first node of a wireless segment is its access point or coordinator

inline ns3::NetDeviceContainer
MakeP2p(const ns3::NodeContainer& nodes, const Settings& settings)
{
    ns3::PointToPointHelper helper;
    helper.DisableFlowControl(); // else what finds the queue full is dropped above the device, unseen
    helper.SetDeviceAttribute("DataRate", ns3::DataRateValue(ns3::DataRate(settings.rate)));
    helper.SetChannelAttribute("Delay", ns3::TimeValue(ns3::NanoSeconds(settings.delay)));
    return helper.Install(nodes.Get(0), nodes.Get(1));
}

inline ns3::NetDeviceContainer
MakeCsma(const ns3::NodeContainer& nodes, const Settings& settings)
{
    ns3::CsmaHelper helper;
    helper.DisableFlowControl(); // see MakeP2p
    helper.SetChannelAttribute("DataRate", ns3::DataRateValue(ns3::DataRate(settings.rate)));
    helper.SetChannelAttribute("Delay", ns3::TimeValue(ns3::NanoSeconds(settings.delay)));
    return helper.Install(nodes);
}

inline ns3::NetDeviceContainer
MakeWifi(const ns3::NodeContainer& nodes, uint32_t segment, const Settings& settings)
{
    ns3::WifiHelper wifi;
    wifi.DisableFlowControl(); // see MakeP2p
    std::string standard = settings.standard;
    wifi.SetStandard(standard == "802.11a"   ? ns3::WIFI_STANDARD_80211a
                     : standard == "802.11b" ? ns3::WIFI_STANDARD_80211b
                                             : ns3::WIFI_STANDARD_80211g);
    std::string mode = settings.mode;
    if (mode.empty())
    {
        wifi.SetRemoteStationManager("ns3::IdealWifiManager");
    }
    else
    {
        wifi.SetRemoteStationManager("ns3::ConstantRateWifiManager",
                                     "DataMode", ns3::StringValue(mode),
                                     "ControlMode", ns3::StringValue(mode));
    }
    ns3::YansWifiPhyHelper phy;
    ns3::Ptr<ns3::YansWifiChannel> channel = ns3::YansWifiChannelHelper::Default().Create();
    auto separation = ns3::CreateObject<Separation>();
    separation->segment = segment;
    ns3::PointerValue loss;
    channel->GetAttribute("PropagationLossModel", loss);
    loss.Get<ns3::PropagationLossModel>()->SetNext(separation);
    phy.SetChannel(channel);
    ns3::WifiMacHelper mac;
    ns3::Ssid ssid(settings.name);
    mac.SetType("ns3::ApWifiMac", "Ssid", ns3::SsidValue(ssid));
    ns3::NetDeviceContainer devices = wifi.Install(phy, mac, nodes.Get(0));
    mac.SetType("ns3::StaWifiMac", "Ssid", ns3::SsidValue(ssid), "ActiveProbing",
                ns3::BooleanValue(false));
    for (uint32_t i = 1; i < nodes.GetN(); i++)
    {
        devices.Add(wifi.Install(phy, mac, nodes.Get(i)));
    }
    return devices;
}

inline ns3::NetDeviceContainer
MakeLrWpan(const ns3::NodeContainer& nodes, uint32_t segment)
{
    // Never deleted: its destructor would dispose of the channel, and nothing would arrive.
    auto helper = new ns3::LrWpanHelper;
    helper->AddPropagationLossModel("ns3::LogDistancePropagationLossModel");
    helper->SetPropagationDelayModel("ns3::ConstantSpeedPropagationDelayModel");
    ns3::NetDeviceContainer devices = helper->Install(nodes);
    helper->CreateAssociatedPan(devices, static_cast<uint16_t>(segment + 1));
    return devices;
}

/// Whether a frame of one radio can be read by another: at least one in a thousand of the shortest
/// that carry data, by ns-3's own model of errors, with 0 dBm (its default).
inline bool
Hears(ns3::Ptr<ns3::NetDevice> receiver, ns3::Ptr<ns3::NetDevice> sender)
{
    constexpr uint32_t shortest = 8 * 30;
    auto channel = ns3::DynamicCast<ns3::SpectrumChannel>(sender->GetChannel());
    double signal = channel->GetPropagationLossModel()->CalcRxPower(
        0,
        sender->GetNode()->GetObject<ns3::MobilityModel>(),
        receiver->GetNode()->GetObject<ns3::MobilityModel>());
    auto radio = ns3::DynamicCast<ns3::lrwpan::LrWpanNetDevice>(receiver)->GetPhy();
    double noise = ns3::lrwpan::LrWpanSpectrumValueHelper::TotalAvgPower(
        radio->GetNoisePowerSpectralDensity(), radio->GetCurrentChannelNum());
    double ratio = std::pow(10, signal / 10) / 1000 / noise;
    return ns3::lrwpan::LrWpanErrorModel().GetChunkSuccessRate(ratio, shortest) > 0.001;
}

/// The first radio of a segment of 802.15.4 that none of the others hears, by its place, or -1.
inline int64_t
Unheard(uint32_t first, uint32_t count)
{
    const std::vector<Device>& devices = TheWorld().devices;
    for (uint32_t i = 0; i < count; i++)
    {
        bool heard = false;
        for (uint32_t other = 0; other < count && !heard; other++)
        {
            heard = other != i && Hears(devices[first + other].link, devices[first + i].link);
        }
        if (!heard)
        {
            return i;
        }
    }
    return -1;
}

/// Random numbers of a device: streams of its own, whichever other devices there are.
inline void
AssignStreams(Kind kind, ns3::Ptr<ns3::NetDevice> device, int64_t stream)
{
    ns3::NetDeviceContainer alone(device);
    if (kind == CSMA)
    {
        ns3::CsmaHelper().AssignStreams(alone, stream);
    }
    else if (kind == WIFI)
    {
        ns3::WifiHelper::AssignStreams(alone, stream);
    }
    else if (kind == LRWPAN)
    {
        static auto helper = new ns3::LrWpanHelper; // see MakeLrWpan
        helper->AssignStreams(alone, stream);
    }
}

/// Join nodes; the number of the first of their devices, which stand in the order of the nodes.
inline uint32_t
AddSegment(uint32_t segment,
           Kind kind,
           const std::vector<uint32_t>& members,
           const std::vector<int64_t>& streams,
           const Settings& settings)
{
    World& world = TheWorld();
    ns3::NodeContainer nodes;
    for (uint32_t each : members)
    {
        nodes.Add(world.nodes.Get(each));
    }
    ns3::NetDeviceContainer links = kind == P2P    ? MakeP2p(nodes, settings)
                                    : kind == CSMA ? MakeCsma(nodes, settings)
                                    : kind == WIFI ? MakeWifi(nodes, segment, settings)
                                                   : MakeLrWpan(nodes, segment);
    ns3::NetDeviceContainer network = links;
    if (kind == LRWPAN)
    {
        network = ns3::SixLowPanHelper().Install(links);
    }
    auto first = static_cast<uint32_t>(world.devices.size());
    for (uint32_t i = 0; i < members.size(); i++)
    {
        AddDevice(segment, kind, members[i], links.Get(i), network.Get(i), settings, streams[i]);
        AssignStreams(kind, links.Get(i), streams[i] + 1);
        if (kind == LRWPAN)
        {
            ns3::SixLowPanHelper().AssignStreams(ns3::NetDeviceContainer(network.Get(i)),
                                                 streams[i] + 512);
        }
    }
    return first;
}

} // namespace simcore

#endif
