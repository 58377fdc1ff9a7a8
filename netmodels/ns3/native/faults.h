// SPDX-License-Identifier: GPL-2.0-only
//
// Faults while ns-3 runs, each an event at its time.
//
// A pair of devices is disturbed where frames are received, or on the way; see devices.h. A node that
// is off neither hears nor is heard; a Wi-Fi radio is switched off, and a station looks for its access
// point afterwards. IP interfaces stay up: an IPv6 interface that went down does not find its
// neighbours again.
#ifndef SIMCORE_NS3_FAULTS_H
#define SIMCORE_NS3_FAULTS_H

#include "traffic.h"

namespace simcore
{

template <typename Function, typename... Values>
void
ScheduleFault(uint64_t at, Function function, Values... values)
{
    ns3::Time delay = ns3::NanoSeconds(at + TheLedger().warmUp) - ns3::Simulator::Now();
    ns3::Simulator::ScheduleWithContext(0xffffffff, delay, function, values...);
}

/// Frames from one device to another: `down` is added to the faults that have them all lost,
/// `through` multiplies the probability of those that get through.
inline void
DisturbPair(uint32_t from, uint32_t to, int32_t down, double through)
{
    World& world = TheWorld();
    Disturbance& found = world.devices[to].errors->from[from];
    found.down += down;
    found.through = through;
    world.disturbances = 1; // from now on, frames are looked at
}

/// Switch a node off, because it crashed or was cut off, or on: `fate` is 0.
inline void
Switch(uint32_t node, int32_t fate)
{
    World& world = TheWorld();
    world.disturbances = 1;
    world.off[node] = static_cast<Fate>(fate);
    for (Device& device : world.devices)
    {
        auto wifi = ns3::DynamicCast<ns3::WifiNetDevice>(device.link);
        if (device.node == node && wifi && device.off != (fate != 0))
        {
            device.off = fate != 0;
            device.off ? wifi->GetPhy()->SetOffMode() : wifi->GetPhy()->ResumeFromOff();
        }
    }
}

/// Change the rate (bit/s) of a p2p device and the delay (ns) of its channel.
inline void
ChangeLink(uint32_t device, uint64_t rate, uint64_t delay)
{
    ns3::Ptr<ns3::NetDevice> link = TheWorld().devices[device].link;
    link->SetAttribute("DataRate", ns3::DataRateValue(ns3::DataRate(rate)));
    link->GetChannel()->SetAttribute("Delay", ns3::TimeValue(ns3::NanoSeconds(delay)));
}

} // namespace simcore

#endif
