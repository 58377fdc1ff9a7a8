// SPDX-License-Identifier: GPL-2.0-only
//
// The devices of the network, what they count, and what is lost between them.
//
// Losses by chance and faults act where a frame is received: an error model at each device looks at
// who sent the frame. So a fault may concern one pair of a shared medium, and a node that is off
// neither hears nor is heard. Frames for others are nobody's loss, and cost no random number.
//
// Wi-Fi's error model sees frames without their header, so there it knows losses by chance only; the
// rest is done on the way: between two that a fault separates, no signal gets through.
#ifndef SIMCORE_NS3_DEVICES_H
#define SIMCORE_NS3_DEVICES_H

#include "messages.h"

#include "ns3/csma-module.h"
#include "ns3/lr-wpan-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/propagation-module.h"
#include "ns3/wifi-module.h"

#include <cmath>

namespace simcore
{

enum Kind : uint32_t
{
    P2P = 0,
    CSMA = 1,
    WIFI = 2,
    LRWPAN = 3,
    OTHER = 4,
};

/// What a device did; as the rows of simcore's table `link`.
struct Counters
{
    uint64_t entered = 0;
    uint64_t bytes = 0;
    uint64_t loss = 0;
    uint64_t queueFull = 0;
    uint64_t linkDown = 0;
    uint64_t busy = 0;        ///< ns
    uint64_t transmitting = NEVER; ///< since when (ns), if it is
    uint64_t waiting = 0;     ///< packets that wait now
    uint64_t longest = 0;     ///< most that waited
    uint64_t area = 0;        ///< packets times ns
    uint64_t since = 0;       ///< when `waiting` changed last, ns

    void Queue(uint64_t length, uint64_t now)
    {
        area += waiting * (now - since);
        since = now;
        waiting = length;
        longest = std::max(longest, length);
    }
};

/// What faults do to frames from one device to another.
struct Disturbance
{
    uint32_t down = 0;          ///< faults that have it down
    double through = 1.0;       ///< probability that a frame survives the others
};

class LinkErrors;

struct Device
{
    uint32_t index;
    uint32_t node;
    uint32_t segment;
    Kind kind;
    ns3::Ptr<ns3::NetDevice> link;    ///< that frames go through
    ns3::Ptr<ns3::NetDevice> network; ///< that has the addresses; differs for 6LoWPAN
    ns3::Ptr<LinkErrors> errors;
    Counters counters;
    bool off = false;
};

struct World
{
    ns3::NodeContainer nodes;
    std::vector<Device> devices;
    std::vector<Fate> off; ///< of nodes that a fault has off: what becomes of their frames; else 0
    uint32_t disturbances = 0; ///< faults that are on: without any, frames are not looked at
    bool ipv6 = false;
    std::vector<std::map<ns3::Address, uint32_t>> byAddress; ///< devices, by segment
    std::vector<std::map<uint32_t, uint32_t>> byNode; ///< devices, by segment and ns-3's own number
};

inline World&
TheWorld()
{
    static World world;
    return world;
}

/// What figures call it if a fault has a node off.
inline const char*
CauseOf(Fate fate)
{
    return fate == NODE_DOWN ? "node_down" : "offline";
}

class LinkErrors : public ns3::ErrorModel
{
  public:
    static ns3::TypeId GetTypeId()
    {
        static ns3::TypeId type = ns3::TypeId("simcore::LinkErrors")
                                      .SetParent<ns3::ErrorModel>()
                                      .AddConstructor<LinkErrors>();
        return type;
    }

    uint32_t device = 0;
    double loss = 0.0;      ///< of a frame
    double bitErrors = 0.0; ///< of a bit
    ns3::Ptr<ns3::ErrorModel> given; ///< that the device had, of a network that we did not make
    std::map<uint32_t, Disturbance> from;
    ns3::Ptr<ns3::UniformRandomVariable> random = ns3::CreateObject<ns3::UniformRandomVariable>();

  private:
    static constexpr uint32_t WIFI_HEADER = 28; // bytes, with the check sequence

    bool DoCorrupt(ns3::Ptr<ns3::Packet> frame) override
    {
        World& world = TheWorld();
        bool corrupt = given && given->IsCorrupt(frame);
        if (!corrupt && loss == 0.0 && bitErrors == 0.0 && world.disturbances == 0)
        {
            return false;
        }
        Device& own = world.devices[device];
        if (own.kind == WIFI)
        {
            double passes = (1.0 - loss) * std::pow(1.0 - bitErrors, 8.0 * (frame->GetSize() + WIFI_HEADER));
            return corrupt || (passes < 1.0 && random->GetValue() >= passes);
        }
        int64_t sender = -1;
        bool forUs = true;
        Ends(own, frame, sender, forUs);
        if (!forUs)
        {
            return corrupt;
        }
        if (Fate fate = world.off[own.node])
        {
            return Lost(own, sender, CauseOf(fate), fate, frame);
        }
        double through = 1.0;
        if (sender >= 0)
        {
            if (Fate fate = world.off[world.devices[sender].node])
            {
                return Lost(own, sender, CauseOf(fate), fate, frame);
            }
            auto found = from.find(static_cast<uint32_t>(sender));
            if (found != from.end())
            {
                if (found->second.down != 0)
                {
                    return Lost(own, sender, "link_down", LINK_DOWN, frame);
                }
                through = found->second.through;
            }
        }
        through *= 1.0 - loss;
        if (bitErrors > 0.0)
        {
            through *= std::pow(1.0 - bitErrors, 8.0 * frame->GetSize());
        }
        if (corrupt || (through < 1.0 && random->GetValue() >= through))
        {
            return Lost(own, sender, "error", LOSS, frame);
        }
        return false;
    }

    void DoReset() override
    {
    }

    /// Who sent a frame (-1: it does not say), and whether it is for this device.
    void Ends(const Device& own, ns3::Ptr<const ns3::Packet> frame, int64_t& sender, bool& forUs)
    {
        World& world = TheWorld();
        ns3::Address source;
        ns3::Address destination;
        if (own.kind == P2P || own.kind == OTHER)
        {
            auto channel = own.link->GetChannel();
            if (!channel || channel->GetNDevices() != 2)
            {
                return; // of what devices of other kinds make of a frame, nothing is known
            }
            uint32_t other = channel->GetDevice(0) == own.link ? 1 : 0;
            source = channel->GetDevice(other)->GetAddress();
            destination = own.link->GetAddress();
        }
        else if (own.kind == CSMA)
        {
            ns3::EthernetHeader header(false);
            frame->PeekHeader(header);
            source = header.GetSource();
            destination = header.GetDestination();
        }
        else
        {
            using ns3::lrwpan::LrWpanMacHeader;
            LrWpanMacHeader header;
            frame->PeekHeader(header);
            destination = header.GetDstAddrMode() == LrWpanMacHeader::SHORTADDR
                              ? ns3::Address(header.GetShortDstAddr())
                          : header.GetDstAddrMode() == LrWpanMacHeader::EXTADDR
                              ? ns3::Address(header.GetExtDstAddr())
                              : ns3::Address();
            source = header.GetSrcAddrMode() == LrWpanMacHeader::SHORTADDR
                         ? ns3::Address(header.GetShortSrcAddr())
                     : header.GetSrcAddrMode() == LrWpanMacHeader::EXTADDR
                         ? ns3::Address(header.GetExtSrcAddr())
                         : ns3::Address();
        }
        auto& known = world.byAddress[own.segment];
        auto found = known.find(source);
        sender = found == known.end() ? -1 : static_cast<int64_t>(found->second);
        auto receiver = known.find(destination);
        forUs = receiver == known.end() || receiver->second == device; // else of a group
    }

    bool Lost(const Device& own,
              int64_t sender,
              const char* cause,
              Fate fate,
              ns3::Ptr<const ns3::Packet> frame)
    {
        World& world = TheWorld();
        bool final = own.kind == P2P || own.kind == CSMA;
        if (sender >= 0 && final)
        {
            Counters& counters = world.devices[sender].counters;
            (fate == LOSS ? counters.loss : counters.linkDown)++;
        }
        TheLedger().Drop(own.node, cause, fate, frame, final);
        return true;
    }
};

/// What is on its way between two radios; see above.
class Separation : public ns3::PropagationLossModel
{
  public:
    static ns3::TypeId GetTypeId()
    {
        static ns3::TypeId type = ns3::TypeId("simcore::Separation")
                                      .SetParent<ns3::PropagationLossModel>()
                                      .AddConstructor<Separation>();
        return type;
    }

    uint32_t segment = 0;

  private:
    static constexpr double NOTHING = -1000.0; // dBm

    double DoCalcRxPower(double power,
                         ns3::Ptr<ns3::MobilityModel> a,
                         ns3::Ptr<ns3::MobilityModel> b) const override
    {
        World& world = TheWorld();
        if (world.disturbances == 0)
        {
            return power;
        }
        auto& known = world.byNode[segment];
        auto sender = known.find(a->GetObject<ns3::Node>()->GetId());
        auto receiver = known.find(b->GetObject<ns3::Node>()->GetId());
        if (sender == known.end() || receiver == known.end())
        {
            return power;
        }
        LinkErrors& errors = *world.devices[receiver->second].errors;
        auto found = errors.from.find(sender->second);
        if (found == errors.from.end())
        {
            return power;
        }
        double through = found->second.down != 0 ? 0.0 : found->second.through;
        bool lost = through < 1.0 && errors.random->GetValue() >= through;
        return lost ? NOTHING : power;
    }

    int64_t DoAssignStreams(int64_t) override
    {
        return 0;
    }
};

/// What a fault makes of a frame that a device sent in vain to another.
inline Fate
FateBetween(uint32_t from, uint32_t to)
{
    World& world = TheWorld();
    Fate fates[] = {world.off[world.devices[to].node], world.off[world.devices[from].node]};
    if (fates[0] != DELIVERED || fates[1] != DELIVERED)
    {
        return std::max(fates[0], fates[1]);
    }
    for (auto [sender, receiver] : {std::pair(from, to), std::pair(to, from)})
    {
        auto& known = world.devices[receiver].errors->from;
        auto found = known.find(sender);
        if (found != known.end() && found->second.down != 0)
        {
            return LINK_DOWN;
        }
    }
    return LOSS;
}

} // namespace simcore

#endif
