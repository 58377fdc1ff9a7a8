// SPDX-License-Identifier: GPL-2.0-only
//
// The messages that are in the network, and what becomes of each.
//
// Only sizes travel through ns-3. Each byte of a message carries the message's number as a tag, so
// that it is found again after fragmentation and reassembly, and in the traces of what is dropped.
//
// A trace that tells of a drop is a hint, seldom a verdict: radios try again, and bystanders report
// what was not for them. So a loss is certain where nothing can repeat the packet; else a message
// that has not arrived when its time is over is lost, with the fate that the last hint suggests.
#ifndef SIMCORE_NS3_MESSAGES_H
#define SIMCORE_NS3_MESSAGES_H

#include "fence.h"

#include "ns3/network-module.h"

#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace simcore
{

enum Fate : int32_t
{
    DELIVERED = 0,
    LOSS = 1,
    QUEUE_FULL = 2,
    LINK_DOWN = 3,
    NODE_DOWN = 4,
};

struct Outcome
{
    uint64_t at;
    uint64_t id;
    int32_t fate;
    int32_t reserved;
};

class MessageTag : public ns3::Tag
{
  public:
    static ns3::TypeId GetTypeId()
    {
        static ns3::TypeId type = ns3::TypeId("simcore::MessageTag")
                                      .SetParent<ns3::Tag>()
                                      .AddConstructor<MessageTag>();
        return type;
    }

    ns3::TypeId GetInstanceTypeId() const override
    {
        return GetTypeId();
    }

    uint32_t GetSerializedSize() const override
    {
        return 8;
    }

    void Serialize(ns3::TagBuffer buffer) const override
    {
        buffer.WriteU64(id);
    }

    void Deserialize(ns3::TagBuffer buffer) override
    {
        id = buffer.ReadU64();
    }

    void Print(std::ostream& out) const override
    {
        out << id;
    }

    uint64_t id = 0; ///< 0: of a stream, which repeats what is lost
};

/// The number of the message that a packet belongs to; whether it belongs to one.
inline bool
FindMessage(ns3::Ptr<const ns3::Packet> packet, uint64_t& id)
{
    ns3::ByteTagIterator tags = packet->GetByteTagIterator();
    while (tags.HasNext())
    {
        ns3::ByteTagIterator::Item item = tags.Next();
        if (item.GetTypeId() == MessageTag::GetTypeId())
        {
            MessageTag tag;
            item.GetTag(tag);
            id = tag.id;
            return true;
        }
    }
    return false;
}

class Ledger
{
  public:
    uint64_t coming = 0;           ///< messages that are to enter
    uint64_t warmUp = 0;           ///< ns-3's time at virtual time 0, ns
    uint64_t patience = NEVER;     ///< after which a message is lost, ns
    ns3::Ptr<FenceSimulator> fence; ///< null: ns-3's own simulator, for comparison
    std::vector<Outcome> outcomes;
    std::map<std::pair<uint32_t, std::string>, uint64_t> drops; ///< by node and cause

    uint64_t Now() const
    {
        return ns3::Simulator::Now().GetNanoSeconds() - warmUp;
    }

    /// A message enters; `fate` is what it will have been lost to, if nothing tells more.
    void Enter(uint64_t id, uint64_t at, Fate fate)
    {
        coming--;
        m_open[id] = fate;
        if (patience != NEVER)
        {
            m_deadlines.emplace_back(at + patience, id);
        }
    }

    void Deliver(uint64_t id)
    {
        if (Close(id, DELIVERED, Now()) && fence)
        {
            fence->Stop();
        }
    }

    void Lose(uint64_t id, Fate fate)
    {
        Close(id, fate, Now());
    }

    /// Note that a packet was dropped at a node; `final`: nothing repeats it.
    void Drop(uint32_t node, const char* cause, Fate fate, ns3::Ptr<const ns3::Packet> packet, bool final)
    {
        uint64_t id;
        if (!FindMessage(packet, id))
        {
            return;
        }
        drops[{node, cause}]++;
        auto found = m_open.find(id);
        if (found == m_open.end())
        {
            return;
        }
        if (fate != LOSS)
        {
            found->second = fate; // a fault explains what follows from it
        }
        if (final)
        {
            Lose(id, static_cast<Fate>(found->second));
        }
    }

    /// When the time of the oldest message is over (virtual ns).
    uint64_t Deadline()
    {
        while (!m_deadlines.empty() && !m_open.count(m_deadlines.front().second))
        {
            m_deadlines.pop_front();
        }
        return m_deadlines.empty() ? NEVER : m_deadlines.front().first;
    }

    /// Have the message whose time is over be lost.
    void GiveUp()
    {
        auto [at, id] = m_deadlines.front();
        Close(id, static_cast<Fate>(m_open[id]), at);
    }

    bool Empty() const
    {
        return m_open.empty() && coming == 0;
    }

  private:
    bool Close(uint64_t id, Fate fate, uint64_t at)
    {
        if (m_open.erase(id) == 0)
        {
            return false; // a duplicate, or it was given up
        }
        outcomes.push_back({at, id, fate, 0});
        if (Empty() && fence)
        {
            fence->Stop(); // what is left to happen may wait until a message enters
        }
        return true;
    }

    std::unordered_map<uint64_t, int32_t> m_open; ///< the fate that the last hint suggests
    std::deque<std::pair<uint64_t, uint64_t>> m_deadlines;
};

/// The one ledger of this process.
inline Ledger&
TheLedger()
{
    static Ledger ledger;
    return ledger;
}

} // namespace simcore

#endif
