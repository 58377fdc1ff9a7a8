// SPDX-License-Identifier: GPL-2.0-only
//
// How messages enter ns-3 and come out of it: datagrams, or one TCP connection for each flow.
#ifndef SIMCORE_NS3_TRAFFIC_H
#define SIMCORE_NS3_TRAFFIC_H

#include "addresses.h"

#include <memory>

namespace simcore
{

constexpr uint16_t UDP_PORT = 9;
constexpr uint16_t FIRST_TCP_PORT = 10000;

/// What is told of each delivery, in a native run; see the tests.
using Listener = void (*)(uint64_t id, uint32_t node, uint32_t size);

inline Listener&
TheListener()
{
    static Listener listener = nullptr;
    return listener;
}

inline void
Delivered(uint64_t id, uint32_t node, uint32_t size)
{
    TheLedger().Deliver(id);
    if (TheListener() != nullptr)
    {
        TheListener()(id, node, size);
    }
}

/// How a message goes.
enum Manner : uint32_t
{
    STREAM = 1, ///< over TCP
    SIX = 2,    ///< over IPv6
};

inline ns3::Address
AddressOf(uint32_t device, uint16_t port, bool six)
{
    Device& found = TheWorld().devices[device];
    return six ? ns3::Address(ns3::Inet6SocketAddress(Address6(found), port))
               : ns3::Address(ns3::InetSocketAddress(Address4(found), port));
}

inline ns3::Address
AnyAddress(uint16_t port, bool six)
{
    return six ? ns3::Address(ns3::Inet6SocketAddress(ns3::Ipv6Address::GetAny(), port))
               : ns3::Address(ns3::InetSocketAddress(ns3::Ipv4Address::GetAny(), port));
}

inline ns3::Ptr<ns3::Packet>
MakePacket(uint32_t size, uint64_t id)
{
    auto packet = ns3::Create<ns3::Packet>(size);
    MessageTag tag;
    tag.id = id;
    packet->AddByteTag(tag);
    return packet;
}

// -- datagrams

struct Ports
{
    ns3::Ptr<ns3::Socket> four;
    ns3::Ptr<ns3::Socket> six;
};

/// The sockets of each node; null where it has no such stack.
inline std::vector<Ports>&
Sockets()
{
    static std::vector<Ports> sockets;
    return sockets;
}

inline void
OnDatagram(uint32_t node, ns3::Ptr<ns3::Socket> socket)
{
    while (ns3::Ptr<ns3::Packet> packet = socket->Recv())
    {
        uint64_t id;
        if (FindMessage(packet, id))
        {
            Delivered(id, node, packet->GetSize());
        }
    }
}

inline ns3::Ptr<ns3::Socket>
OpenSocket(uint32_t node, bool six)
{
    auto socket = ns3::Socket::CreateSocket(TheWorld().nodes.Get(node),
                                            ns3::UdpSocketFactory::GetTypeId());
    NS_ABORT_MSG_IF(socket->Bind(AnyAddress(UDP_PORT, six)) != 0, "port 9 is in use");
    socket->SetRecvCallback(ns3::MakeBoundCallback(&OnDatagram, node));
    return socket;
}

inline void
OpenSockets(uint32_t node)
{
    ns3::Ptr<ns3::Node> found = TheWorld().nodes.Get(node);
    Sockets().resize(std::max<size_t>(Sockets().size(), node + 1));
    if (found->GetObject<ns3::Ipv4>())
    {
        Sockets()[node].four = OpenSocket(node, false);
    }
    if (found->GetObject<ns3::Ipv6>())
    {
        Sockets()[node].six = OpenSocket(node, true);
    }
}

/// A datagram; one without content has one byte, which carries the number.
inline void
SendDatagram(uint32_t node, uint32_t to, uint32_t size, uint64_t id, bool six)
{
    ns3::Ptr<ns3::Packet> packet = MakePacket(std::max<uint32_t>(size, 1), id);
    ns3::Ptr<ns3::Socket> socket = six ? Sockets()[node].six : Sockets()[node].four;
    if (socket->SendTo(packet, 0, AddressOf(to, UDP_PORT, six)) < 0)
    {
        auto error = socket->GetErrno();
        TheLedger().Drop(node,
                         error == ns3::Socket::ERROR_MSGSIZE          ? "too_large"
                         : error == ns3::Socket::ERROR_NOROUTETOHOST ? "no_route"
                                                                      : "refused",
                         LOSS,
                         packet,
                         true);
    }
}

// -- streams: both ends are here, so the sender's list says where in the stream a message ends

struct Stream
{
    uint32_t node;
    uint32_t to;
    uint16_t port;
    ns3::Ptr<ns3::Socket> sender;
    ns3::Ptr<ns3::Socket> listener;
    bool connected = false;
    uint64_t unsent = 0;    ///< bytes that the socket has not taken yet
    uint64_t received = 0;  ///< bytes of the oldest message that have arrived
    std::deque<std::pair<uint64_t, uint32_t>> messages; ///< number and size
};

inline std::map<std::pair<uint32_t, uint32_t>, std::shared_ptr<Stream>>&
Streams()
{
    static std::map<std::pair<uint32_t, uint32_t>, std::shared_ptr<Stream>> streams;
    return streams;
}

inline void
Pump(Stream* stream)
{
    while (stream->connected && stream->unsent > 0)
    {
        uint64_t room = std::min<uint64_t>(stream->sender->GetTxAvailable(), stream->unsent);
        auto part = static_cast<uint32_t>(std::min<uint64_t>(room, 65536));
        if (part == 0 || stream->sender->Send(MakePacket(part, 0)) <= 0)
        {
            return;
        }
        stream->unsent -= part;
    }
}

inline void
OnRoom(Stream* stream, ns3::Ptr<ns3::Socket>, uint32_t)
{
    Pump(stream);
}

inline void
OnConnected(Stream* stream, ns3::Ptr<ns3::Socket>)
{
    stream->connected = true;
    Pump(stream);
}

/// All that had not arrived is lost; the next message makes a new connection.
inline void
OnBroken(Stream* stream, ns3::Ptr<ns3::Socket>)
{
    TheLedger().drops[{stream->node, "connection_lost"}] += stream->messages.size();
    for (auto& [id, size] : stream->messages)
    {
        TheLedger().Lose(id, LOSS);
    }
    stream->sender->SetRecvCallback(ns3::MakeNullCallback<void, ns3::Ptr<ns3::Socket>>());
    stream->listener->Close();
    auto found = Streams().find({stream->node, stream->to});
    // What ns-3 still holds of it may call back: it lives on, unknown.
    static std::vector<std::shared_ptr<Stream>> broken;
    broken.push_back(found->second);
    Streams().erase(found);
}

inline void
OnBytes(Stream* stream, ns3::Ptr<ns3::Socket> socket)
{
    while (ns3::Ptr<ns3::Packet> packet = socket->Recv())
    {
        if (packet->GetSize() == 0)
        {
            return;
        }
        stream->received += packet->GetSize();
        while (!stream->messages.empty() && stream->received >= stream->messages.front().second)
        {
            auto [id, size] = stream->messages.front();
            stream->messages.pop_front();
            stream->received -= size;
            Delivered(id, TheWorld().devices[stream->to].node, size);
        }
    }
}

inline void
OnAccepted(Stream* stream, ns3::Ptr<ns3::Socket> socket, const ns3::Address&)
{
    socket->SetRecvCallback(ns3::MakeBoundCallback(&OnBytes, stream));
}

inline std::shared_ptr<Stream>
OpenStream(uint32_t node, uint32_t to, bool six)
{
    static uint16_t port = FIRST_TCP_PORT;
    auto stream = std::make_shared<Stream>();
    stream->node = node;
    stream->to = to;
    stream->port = port++;
    World& world = TheWorld();
    ns3::TypeId tcp = ns3::TcpSocketFactory::GetTypeId();
    stream->listener =
        ns3::Socket::CreateSocket(world.nodes.Get(world.devices[to].node), tcp);
    stream->listener->Bind(AnyAddress(stream->port, six));
    stream->listener->Listen();
    stream->listener->SetAcceptCallback(
        ns3::MakeNullCallback<bool, ns3::Ptr<ns3::Socket>, const ns3::Address&>(),
        ns3::MakeBoundCallback(&OnAccepted, stream.get()));
    stream->sender = ns3::Socket::CreateSocket(world.nodes.Get(node), tcp);
    stream->sender->Bind(AnyAddress(0, six));
    stream->sender->SetConnectCallback(ns3::MakeBoundCallback(&OnConnected, stream.get()),
                                       ns3::MakeBoundCallback(&OnBroken, stream.get()));
    stream->sender->SetCloseCallbacks(ns3::MakeNullCallback<void, ns3::Ptr<ns3::Socket>>(),
                                      ns3::MakeBoundCallback(&OnBroken, stream.get()));
    stream->sender->SetSendCallback(ns3::MakeBoundCallback(&OnRoom, stream.get()));
    stream->sender->Connect(AddressOf(to, stream->port, six));
    return stream;
}

inline void
SendOnStream(uint32_t node, uint32_t to, uint32_t size, uint64_t id, bool six)
{
    std::shared_ptr<Stream>& stream = Streams()[{node, to}];
    if (!stream)
    {
        stream = OpenStream(node, to, six);
    }
    uint32_t bytes = std::max<uint32_t>(size, 1);
    stream->messages.emplace_back(id, bytes);
    stream->unsent += bytes;
    Pump(stream.get());
}

inline void
Send(uint32_t node, uint32_t to, uint32_t size, uint64_t id, uint32_t manner)
{
    World& world = TheWorld();
    Fate off = std::max(world.off[node], world.off[world.devices[to].node]);
    TheLedger().Enter(id, TheLedger().Now(), std::max(off, LOSS));
    ((manner & STREAM) != 0 ? SendOnStream : SendDatagram)(node, to, size, id, (manner & SIX) != 0);
}

} // namespace simcore

#endif
