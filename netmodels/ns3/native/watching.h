// SPDX-License-Identifier: GPL-2.0-only
//
// What devices do is counted, and told to the ledger where something is lost.
#ifndef SIMCORE_NS3_WATCHING_H
#define SIMCORE_NS3_WATCHING_H

#include "devices.h"

namespace simcore
{

inline Counters&
CountersOf(uint32_t device)
{
    return TheWorld().devices[device].counters;
}

inline void
OnEntered(uint32_t device, ns3::Ptr<const ns3::Packet> packet)
{
    Counters& counters = CountersOf(device);
    counters.entered++;
    counters.bytes += packet->GetSize();
}

inline void
OnQueue(uint32_t device, uint32_t, uint32_t length)
{
    CountersOf(device).Queue(length, TheLedger().Now());
}

inline void
OnLrWpanEnqueue(uint32_t device, ns3::Ptr<const ns3::Packet> packet)
{
    OnEntered(device, packet);
    Counters& counters = CountersOf(device);
    counters.Queue(counters.waiting + 1, TheLedger().Now());
}

inline void
OnLrWpanDequeue(uint32_t device, ns3::Ptr<const ns3::Packet>)
{
    Counters& counters = CountersOf(device);
    counters.Queue(counters.waiting == 0 ? 0 : counters.waiting - 1, TheLedger().Now());
}

inline void
OnTransmit(uint32_t device, ns3::Ptr<const ns3::Packet>)
{
    CountersOf(device).transmitting = TheLedger().Now();
}

inline void
OnTransmitted(uint32_t device, ns3::Ptr<const ns3::Packet>)
{
    Counters& counters = CountersOf(device);
    counters.busy += TheLedger().Now() - counters.transmitting;
    counters.transmitting = NEVER;
}

inline void
OnWifiState(uint32_t device, ns3::Time, ns3::Time duration, ns3::WifiPhyState state)
{
    if (state == ns3::WifiPhyState::TX)
    {
        CountersOf(device).busy += duration.GetNanoSeconds();
    }
}

/// A packet that the queue of a wired device did not take, or that Wi-Fi's MAC turned down.
inline void
OnRefused(uint32_t device, ns3::Ptr<const ns3::Packet> packet)
{
    Device& own = TheWorld().devices[device];
    bool full = own.kind != WIFI;
    (full ? own.counters.queueFull : own.counters.linkDown)++;
    TheLedger().Drop(own.node,
                     full ? "queue_full" : "not_connected",
                     full ? QUEUE_FULL : LINK_DOWN,
                     packet,
                     true);
}

/// What a device of a kind that is not known to us did not send; it may try again.
inline void
OnOtherDropped(uint32_t device, ns3::Ptr<const ns3::Packet> packet)
{
    Device& own = TheWorld().devices[device];
    own.counters.loss++;
    TheLedger().Drop(own.node, "device", LOSS, packet, false);
}

/// A frame that csma gave up after too many attempts.
inline void
OnCollisions(uint32_t device, ns3::Ptr<const ns3::Packet> packet)
{
    Device& own = TheWorld().devices[device];
    own.counters.loss++;
    TheLedger().Drop(own.node, "medium_busy", LOSS, packet, true);
}

inline void
OnWifiDropped(uint32_t device, ns3::WifiMacDropReason reason, ns3::Ptr<const ns3::WifiMpdu> mpdu)
{
    Device& own = TheWorld().devices[device];
    bool full = reason == ns3::WIFI_MAC_DROP_FAILED_ENQUEUE;
    bool late = reason == ns3::WIFI_MAC_DROP_EXPIRED_LIFETIME;
    uint64_t id;
    if (FindMessage(mpdu->GetPacket(), id))
    {
        (full ? own.counters.queueFull : own.counters.loss)++;
    }
    Fate fate = full ? QUEUE_FULL : LOSS;
    auto& known = TheWorld().byAddress[own.segment];
    auto receiver = known.find(mpdu->GetHeader().GetAddr1());
    if (!full && receiver != known.end())
    {
        fate = FateBetween(device, receiver->second);
    }
    // An acknowledgement that was lost looks the same as a frame that was: no verdict.
    TheLedger().Drop(own.node,
                     full ? "queue_full" : (late ? "waited_too_long" : "no_acknowledgement"),
                     fate,
                     mpdu->GetPacket(),
                     full);
}

inline void
OnLrWpanDropped(uint32_t device, ns3::Ptr<const ns3::Packet> packet)
{
    Device& own = TheWorld().devices[device];
    own.counters.loss++;
    TheLedger().Drop(own.node, "no_acknowledgement", LOSS, packet, false);
}

template <typename... Ts>
void
Connect(ns3::Ptr<ns3::Object> source, const char* name, void (*sink)(uint32_t, Ts...), uint32_t index)
{
    bool there = source->TraceConnectWithoutContext(name, ns3::MakeBoundCallback(sink, index));
    NS_ABORT_MSG_IF(!there, "this ns-3 has no trace " << name);
}

/// As Connect, of packets, where a class may have no such trace.
inline void
ConnectIfThere(ns3::Ptr<ns3::Object> source,
               const char* name,
               void (*sink)(uint32_t, ns3::Ptr<const ns3::Packet>),
               uint32_t index)
{
    ns3::TypeId::TraceSourceInformation found;
    if (source->GetInstanceTypeId().LookupTraceSourceByName(name, &found) &&
        found.callback == "ns3::Packet::TracedCallback")
    {
        Connect(source, name, sink, index);
    }
}

/// The error model that something has by its attribute; null: none.
inline ns3::Ptr<ns3::ErrorModel>
ErrorsOf(ns3::Ptr<ns3::Object> owner, const char* attribute)
{
    ns3::PointerValue value;
    return owner->GetAttributeFailSafe(attribute, value) ? value.Get<ns3::ErrorModel>() : nullptr;
}

template <typename Q>
void
WatchQueue(Q queue, uint32_t device, uint32_t size)
{
    if (size != 0)
    {
        queue->SetMaxSize(ns3::QueueSize(ns3::QueueSizeUnit::PACKETS, size));
    }
    Connect(queue, "PacketsInQueue", &OnQueue, device);
}

} // namespace simcore

#endif
