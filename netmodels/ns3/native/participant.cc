// SPDX-License-Identifier: GPL-2.0-only
//
// ns-3 for simcore: what the Python child calls, by way of ctypes.
//
// The one file that is compiled. It is linked with ns-3, so its licence is ns-3's, and it is loaded
// by a process of its own. Functions that can be refused return a text, or null.
#include "adopting.h"
#include "defaults.h"
#include "faults.h"
#include "giving_up.h"
#include "outputs.h"
#include "serving.h"

using namespace simcore;

extern "C"
{
/// Whom to tell when ns-3 gives up; the process ends right after that.
void
sn_on_giving_up(Farewell farewell)
{
    TellWhenGivingUp(farewell);
}

/// Begin: before any node is made. `native`: with ns-3's own simulator, for comparison.
void
sn_open(uint32_t seed, uint64_t run, uint64_t patience, int native)
{
    ns3::Time::SetResolution(ns3::Time::NS);
    ns3::RngSeedManager::SetSeed(seed);
    ns3::RngSeedManager::SetRun(run);
    // Addresses are given by hand, so there is nothing to find out about them.
    ns3::Config::SetDefault("ns3::Icmpv6L4Protocol::DAD", ns3::BooleanValue(false));
    ns3::Config::SetDefault("ns3::Icmpv6L4Protocol::RsMaxRetransmissionCount",
                            ns3::UintegerValue(1));
    TheLedger().patience = patience;
    if (native == 0)
    {
        auto fence = ns3::CreateObject<FenceSimulator>();
        TheLedger().fence = fence;
        ns3::Simulator::SetImplementation(fence);
    }
}

/// Set the default of an attribute, as `ns3::TcpSocket::SegmentSize`; what is wrong, or null.
const char*
sn_default(const char* name, const char* value)
{
    static std::string problem;
    problem = DefaultProblem(name, value);
    return problem.empty() ? nullptr : problem.c_str();
}

void
sn_nodes(uint32_t count, int ipv6, const double* positions, const int64_t* streams)
{
    World& world = TheWorld();
    world.ipv6 = ipv6 != 0;
    world.off.resize(count);
    world.nodes.Create(count);
    for (uint32_t i = 0; i < count; i++)
    {
        auto place = ns3::CreateObject<ns3::ConstantPositionMobilityModel>();
        place->SetPosition({positions[3 * i], positions[3 * i + 1], positions[3 * i + 2]});
        world.nodes.Get(i)->AggregateObject(place);
    }
    InstallStack(world.nodes, world.ipv6, std::vector<int64_t>(streams, streams + count));
}

uint32_t
sn_segment(uint32_t segment,
           uint32_t kind,
           uint32_t count,
           const uint32_t* nodes,
           const int64_t* streams,
           const Settings* settings)
{
    uint32_t first = AddSegment(segment,
                                static_cast<Kind>(kind),
                                std::vector<uint32_t>(nodes, nodes + count),
                                std::vector<int64_t>(streams, streams + count),
                                *settings);
    AssignAddresses(first, count);
    return first;
}

void
sn_router(uint32_t node)
{
    MakeRouter(node);
}

void
sn_route(uint32_t out, uint32_t via, int64_t member)
{
    AddRoute(out, via, member);
}

// -- a network that somebody else made

/// Take its nodes: those of the scenario, by ns-3's numbers, then all others. How many there are.
uint32_t
sn_adopt_nodes(uint32_t count, const uint32_t* ids)
{
    AdoptNodes(std::vector<uint32_t>(ids, ids + count));
    return TheWorld().nodes.GetN();
}

/// The name that a node has in ns-3; empty: none.
const char*
sn_name(uint32_t node)
{
    static std::string name;
    name = ns3::Names::FindName(TheWorld().nodes.Get(node));
    return name.c_str();
}

/// Its devices, as JSON.
const char*
sn_survey()
{
    static std::string found;
    found = Survey();
    return found.c_str();
}

uint32_t
sn_adopt_device(uint32_t node, uint32_t place, uint32_t segment, int64_t stream)
{
    return AdoptDevice(node, place, segment, stream);
}

/// The last step of taking it; whether it needs time before virtual time begins.
int
sn_adopted()
{
    WatchTrafficControl();
    return NeedsWarmUp();
}

// -- either

/// Open the sockets of the first nodes and connect what watches; the last step of building.
void
sn_sockets(uint32_t count)
{
    WatchIp();
    for (uint32_t i = 0; i < count; i++)
    {
        OpenSockets(i);
    }
}

/// Go on to a time (ns, exclusive), before virtual time begins.
void
sn_warm_up(uint64_t until)
{
    if (TheLedger().fence)
    {
        GoOn(until);
        ns3::Simulator::Schedule(ns3::NanoSeconds(until) - ns3::Simulator::Now(), [] {});
        GoOn(until + 1);
    }
    else
    {
        ns3::Simulator::Stop(ns3::NanoSeconds(until) - ns3::Simulator::Now());
        ns3::Simulator::Run();
    }
}

/// A node that is no station of its access point, or -1.
int64_t
sn_unassociated()
{
    for (const Device& device : TheWorld().devices)
    {
        auto wifi = ns3::DynamicCast<ns3::WifiNetDevice>(device.link);
        auto station = wifi ? ns3::DynamicCast<ns3::StaWifiMac>(wifi->GetMac()) : nullptr;
        if (station && !station->IsAssociated())
        {
            return device.node;
        }
    }
    return -1;
}

/// The first radio of a segment of 802.15.4 that none of the others hears, by its place, or -1.
int64_t
sn_unheard(uint32_t first, uint32_t count)
{
    return Unheard(first, count);
}

void
sn_neighbours(uint32_t first, uint32_t count)
{
    IntroduceNeighbours(first, count);
}

/// Virtual time 0 is now.
void
sn_begin()
{
    TheLedger().warmUp = ns3::Simulator::Now().GetNanoSeconds();
    for (Device& device : TheWorld().devices)
    {
        uint64_t waiting = device.counters.waiting;
        device.counters = Counters();
        device.counters.waiting = device.counters.longest = waiting;
    }
    TheLedger().drops.clear();
}

// -- the exchange

/// Have a way be known: from now on, messages on it enter without anybody being asked.
void
sn_way(const char* source, const char* destination, uint32_t node, uint32_t to, uint32_t manner)
{
    TheExchange().Know(source, destination, {node, to, manner});
}

/// Have a message enter at a virtual time (ns), which has not passed.
void
sn_enter(const char* id, uint64_t at, uint64_t size, uint32_t node, uint32_t to, uint32_t manner)
{
    TheExchange().Enter(id, at, size, {node, to, manner});
}

/// Go on to a virtual time (ns, exclusive), or to the end of the instant of the first delivery, and
/// answer; whether somebody listens.
int
sn_answer(int out, uint64_t seq, uint64_t until)
{
    return TheExchange().Answer(out, seq, until);
}

/// Answer until a line comes that is the caller's: that line, or an empty one if nobody is there any
/// more; null if a signal came.
const char*
sn_serve(int in, int out)
{
    const std::string* line = TheExchange().Serve(in, out);
    return line == nullptr ? nullptr : line->c_str();
}

/// Go on to a virtual time (ns, exclusive), whether messages are under way or not; none arrive.
void
sn_catch_up(uint64_t until)
{
    GoOn(until + TheLedger().warmUp);
}

/// How far ns-3 has come (virtual ns).
uint64_t
sn_now()
{
    return TheLedger().Now();
}

uint64_t
sn_events()
{
    return ns3::Simulator::GetEventCount();
}

// -- faults, at a virtual time (ns) that has not passed

void
sn_disturb(uint64_t at, uint32_t from, uint32_t to, int32_t down, double through)
{
    ScheduleFault(at, &DisturbPair, from, to, down, through);
}

/// Switch a node off, with the fate of what is lost by that, or on (0).
void
sn_switch(uint64_t at, uint32_t node, int32_t fate)
{
    ScheduleFault(at, &Switch, node, fate);
}

void
sn_link(uint64_t at, uint32_t device, uint64_t rate, uint64_t delay)
{
    ScheduleFault(at, &ChangeLink, device, rate, delay);
}

// -- outputs

void
sn_pcap(uint32_t device, const char* file)
{
    StartPcap(device, file);
}

void
sn_flow_monitor()
{
    StartFlowMonitor();
}

/// Write the figures of the run, as JSON, and FlowMonitor's if there is a name for them. What the
/// last messages have left behind, as acknowledgements, has a second to pass.
int
sn_report(uint64_t end, const char* file, const char* flows)
{
    sn_catch_up(std::min(end, TheLedger().Now() + 1000000000));
    return WriteReport(end, file, flows) ? 0 : -1;
}

void
sn_close()
{
    ns3::Simulator::Destroy();
    Streams().clear();
    Sockets().clear();
    ns3::Names::Clear();
    TheWorld() = World(); // the last who has hold of devices: captures are written to their ends
}
}
