// SPDX-License-Identifier: GPL-2.0-only
//
// What a run leaves: captures, figures of devices, drops by cause, flows.
#ifndef SIMCORE_NS3_OUTPUTS_H
#define SIMCORE_NS3_OUTPUTS_H

#include "traffic.h"

#include "ns3/flow-monitor-module.h"

#include <fstream>

namespace simcore
{

inline void
StartPcap(uint32_t device, const std::string& file)
{
    Device& own = TheWorld().devices[device];
    if (own.kind == P2P)
    {
        ns3::PointToPointHelper().EnablePcap(file, own.link, false, true);
    }
    else if (own.kind == CSMA)
    {
        ns3::CsmaHelper().EnablePcap(file, own.link, false, true);
    }
    else if (own.kind == WIFI)
    {
        ns3::YansWifiPhyHelper().EnablePcap(file, own.link, false, true);
    }
    else if (own.kind == LRWPAN)
    {
        static auto helper = new ns3::LrWpanHelper; // see MakeLrWpan
        helper->EnablePcap(file, own.link, false, true);
    }
}

inline ns3::FlowMonitorHelper&
Flows()
{
    static ns3::FlowMonitorHelper helper;
    return helper;
}

inline void
StartFlowMonitor()
{
    Flows().Install(TheWorld().nodes);
}

inline bool
WriteReport(uint64_t end, const std::string& file, const std::string& flows)
{
    World& world = TheWorld();
    std::ofstream out(file);
    out << "{\"devices\":[";
    const char* separator = "";
    for (Device& device : world.devices)
    {
        Counters& counters = device.counters;
        counters.Queue(counters.waiting, end);
        if (counters.transmitting != NEVER && counters.transmitting < end)
        {
            counters.busy += end - counters.transmitting;
        }
        out << separator << "[" << device.segment << "," << device.node << "," << counters.entered
            << "," << counters.bytes << "," << counters.loss << "," << counters.queueFull << ","
            << counters.linkDown << "," << counters.busy << "," << counters.waiting << ","
            << counters.longest << "," << counters.area << "]";
        separator = ",\n";
    }
    out << "],\n\"drops\":[";
    separator = "";
    for (const auto& [place, count] : TheLedger().drops)
    {
        out << separator << "[" << place.first << ",\"" << place.second << "\"," << count << "]";
        separator = ",\n";
    }
    out << "],\n\"events\":" << ns3::Simulator::GetEventCount() << "}\n";
    out.close();
    if (!flows.empty())
    {
        Flows().GetMonitor()->CheckForLostPackets();
        Flows().SerializeToXmlFile(flows, true, true);
    }
    return !out.fail();
}

} // namespace simcore

#endif
