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

inline ns3::Address
AddressOf(uint32_t device, uint16_t port)
{
    Device& found = TheWorld().devices[device];
    return TheWorld().ipv6 ? ns3::Address(ns3::Inet6SocketAddress(Address6(found), port))
                           : ns3::Address(ns3::InetSocketAddress(Address4(found), port));
}

inline ns3::Address
AnyAddress(uint16_t port)
{
    return TheWorld().ipv6
               ? ns3::Address(ns3::Inet6SocketAddress(ns3::Ipv6Address::GetAny(), port))
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

inline std::vector<ns3::Ptr<ns3::Socket>>&
Sockets()
{
    static std::vector<ns3::Ptr<ns3::Socket>> sockets;
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

inline void
OpenSocket(uint32_t node)
{
    auto socket = ns3::Socket::CreateSocket(TheWorld().nodes.Get(node),
                                            ns3::UdpSocketFactory::GetTypeId());
    NS_ABORT_MSG_IF(socket->Bind(AnyAddress(UDP_PORT)) != 0, "port 9 is in use");
    socket->SetRecvCallback(ns3::MakeBoundCallback(&OnDatagram, node));
    Sockets().push_back(socket);
}

/// A datagram; one without content has one byte, which carries the number.
inline void
SendDatagram(uint32_t node, uint32_t to, uint32_t size, uint64_t id)
{
    ns3::Ptr<ns3::Packet> packet = MakePacket(std::max<uint32_t>(size, 1), id);
    if (Sockets()[node]->SendTo(packet, 0, AddressOf(to, UDP_PORT)) < 0)
    {
        auto error = Sockets()[node]->GetErrno();
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
OpenStream(uint32_t node, uint32_t to)
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
    stream->listener->Bind(AnyAddress(stream->port));
    stream->listener->Listen();
    stream->listener->SetAcceptCallback(
        ns3::MakeNullCallback<bool, ns3::Ptr<ns3::Socket>, const ns3::Address&>(),
        ns3::MakeBoundCallback(&OnAccepted, stream.get()));
    stream->sender = ns3::Socket::CreateSocket(world.nodes.Get(node), tcp);
    stream->sender->Bind(AnyAddress(0));
    stream->sender->SetConnectCallback(ns3::MakeBoundCallback(&OnConnected, stream.get()),
                                       ns3::MakeBoundCallback(&OnBroken, stream.get()));
    stream->sender->SetCloseCallbacks(ns3::MakeNullCallback<void, ns3::Ptr<ns3::Socket>>(),
                                      ns3::MakeBoundCallback(&OnBroken, stream.get()));
    stream->sender->SetSendCallback(ns3::MakeBoundCallback(&OnRoom, stream.get()));
    stream->sender->Connect(AddressOf(to, stream->port));
    return stream;
}

inline void
SendOnStream(uint32_t node, uint32_t to, uint32_t size, uint64_t id)
{
    std::shared_ptr<Stream>& stream = Streams()[{node, to}];
    if (!stream)
    {
        stream = OpenStream(node, to);
    }
    uint32_t bytes = std::max<uint32_t>(size, 1);
    stream->messages.emplace_back(id, bytes);
    stream->unsent += bytes;
    Pump(stream.get());
}

inline void
Send(uint32_t node, uint32_t to, uint32_t size, uint64_t id, bool stream)
{
    TheLedger().Enter(id, TheLedger().Now());
    (stream ? SendOnStream : SendDatagram)(node, to, size, id);
}

} // namespace simcore

#endif
