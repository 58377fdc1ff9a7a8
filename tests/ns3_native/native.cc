// SPDX-License-Identifier: GPL-2.0-only
//
// The traffic of a test in one ns-3 process, with ns-3's own simulator and no simcore: each send is
// scheduled from the event that leads to it. Compiled for tests only.
#include "participant.cc"

#include <set>

namespace
{

struct Client
{
    uint32_t node;
    uint32_t server;
    uint32_t toServer; ///< device
    uint32_t toClient; ///< device
    uint32_t size;
    uint32_t answer;
    uint64_t serve;
    uint32_t manner;
    std::vector<uint64_t> pauses; ///< before each request, ns
    uint32_t asked = 0;
};

struct Record
{
    uint64_t at;
    uint64_t id; ///< client << 32 | request << 1 | whether it is the answer
};

std::vector<Client> g_clients;
std::vector<Record> g_records;
std::set<uint64_t> g_known; ///< radios may deliver a datagram twice; the first counts

void
Ask(uint32_t number)
{
    Client& client = g_clients[number];
    uint64_t id = (static_cast<uint64_t>(number + 1) << 32) | (client.asked++ << 1);
    Send(client.node, client.toServer, client.size, id, client.manner);
}

void
Answer(uint32_t number, uint64_t id)
{
    Client& client = g_clients[number];
    Send(client.server, client.toClient, client.answer, id | 1, client.manner);
}

void
OnDelivered(uint64_t id, uint32_t, uint32_t)
{
    if (!g_known.insert(id).second)
    {
        return;
    }
    g_records.push_back({TheLedger().Now(), id});
    auto number = static_cast<uint32_t>((id >> 32) - 1);
    Client& client = g_clients[number];
    if ((id & 1) == 0)
    {
        if (client.answer != 0)
        {
            ns3::Simulator::ScheduleWithContext(client.server,
                                                ns3::NanoSeconds(client.serve),
                                                &Answer,
                                                number,
                                                id);
        }
    }
    else if (client.asked < client.pauses.size())
    {
        ns3::Simulator::ScheduleWithContext(client.node,
                                            ns3::NanoSeconds(client.pauses[client.asked]),
                                            &Ask,
                                            number);
    }
}

} // namespace

extern "C"
{
/// Without an answer, all requests are sent at their times, each pause after the last.
void
nt_client(uint32_t node, uint32_t server, uint32_t toServer, uint32_t toClient, uint32_t size,
          uint32_t answer, uint64_t serve, uint32_t manner, uint32_t count, const uint64_t* pauses)
{
    auto number = static_cast<uint32_t>(g_clients.size());
    g_clients.push_back({node, server, toServer, toClient, size, answer, serve, manner,
                         std::vector<uint64_t>(pauses, pauses + count), 0});
    uint64_t at = 0;
    for (uint32_t i = 0; i < (answer == 0 ? count : 1); i++)
    {
        at += pauses[i];
        ns3::Simulator::ScheduleWithContext(node, ns3::NanoSeconds(at), &Ask, number);
    }
}

void
nt_run(uint64_t until)
{
    TheListener() = &OnDelivered;
    ns3::Simulator::Stop(ns3::NanoSeconds(until));
    ns3::Simulator::Run();
}

uint32_t
nt_records(Record* target, uint32_t room)
{
    auto count = static_cast<uint32_t>(std::min<size_t>(room, g_records.size()));
    std::copy_n(g_records.begin(), count, target);
    return static_cast<uint32_t>(g_records.size());
}
}
