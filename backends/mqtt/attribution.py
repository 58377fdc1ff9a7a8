"""Which message led to which packet of a broker's: causes, for traces through the broker.

A broker does not say why it sends something. But what came in at an instant and what goes out then
tell it well enough, and they are the same for the model and for a real Mosquitto; so the causes
are the same, too:

| a packet of the broker's | is caused by |
|---|---|
| an acknowledgement | what it acknowledges, by type and packet identifier |
| a PUBLISH | the PUBLISH (with QoS 2: the PUBREL) of this instant with its topic and payload |
| else, retained | the SUBSCRIBE of its client |
| else, one that waited | the acknowledgement or CONNECT of its client that let it go |
| else, a will | what ended the connection: a `tcp.fin`, a CONNECT; nothing, if silence did |
| the end of a connection | a CONNECT with the same client identifier, or the client's last packet |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from .broker import Answer
from .errors import Malformed
from .framing import Framer
from .packets import (
    Connack,
    Connect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    decode,
)
from .topics import matches

_Content = tuple[str, bytes]
"""Topic and payload."""
_ANSWERED: dict[type[Packet], type[Packet]] = {
    Connack: Connect,
    Puback: Publish,
    Pubrec: Publish,
    Pubrel: Pubrec,
    Pubcomp: Pubrel,
    Suback: Subscribe,
    Unsuback: Unsubscribe,
    Pingresp: Pingreq,
}
"""What a packet of the broker's answers."""


class _Client:
    """What is known of one connection."""

    __slots__ = ("framer", "name", "will")

    def __init__(self, connection: int) -> None:
        self.framer = Framer()
        self.name = f"\0{connection}"  # until it has said its own
        self.will: _Content | None = None


class Attribution:
    """Notes what comes in, and tells the causes of what goes out."""

    def __init__(self) -> None:
        self._clients: dict[int, _Client] = {}
        self._by_name: dict[str, _Client] = {}
        self._waiting: dict[tuple[str, int], _Content] = {}
        """Messages with QoS 2 whose PUBREL has not come, by client and packet identifier."""
        self._begin()

    def _begin(self) -> None:
        self._asked: dict[tuple[int, type[Packet], int], deque[Any]] = {}
        self._published: dict[_Content, list[Any]] = {}
        self._used: dict[tuple[int, _Content], int] = {}
        self._subscribed: dict[int, list[tuple[Subscribe, Any]]] = {}
        self._released: dict[int, Any] = {}
        self._connected: dict[str, Any] = {}
        self._last: dict[int, Any] = {}
        self._wills: dict[_Content, Any] = {}

    # -- what comes in

    def received(self, connection: int, data: bytes, cause: Any) -> None:
        """Note bytes of a client's."""
        client = self._clients.get(connection)
        if client is None:
            client = self._clients[connection] = _Client(connection)
        self._last[connection] = cause
        try:
            for packet in client.framer.feed(data):
                self._note(connection, client, decode(packet), cause)
        except Malformed:
            pass  # the broker ends the connection

    def ended(self, connection: int, cause: Any) -> None:
        """Note the end of a connection."""
        self._last.setdefault(connection, cause)
        client = self._forget(connection)
        if client is not None and client.will is not None:
            self._wills[client.will] = cause

    def _forget(self, connection: int) -> _Client | None:
        client = self._clients.pop(connection, None)
        if client is not None and self._by_name.get(client.name) is client:
            del self._by_name[client.name]
        return client

    def _note(self, connection: int, client: _Client, packet: Packet, cause: Any) -> None:
        number = getattr(packet, "identifier", 0)
        self._asked.setdefault((connection, type(packet), number), deque()).append(cause)
        match packet:
            case Connect():
                self._connect(connection, client, packet, cause)
            case Publish() if packet.qos < 2:
                self._publish((packet.topic, packet.payload), cause)
            case Publish():
                key = client.name, packet.identifier
                self._waiting.setdefault(key, (packet.topic, packet.payload))
            case Pubrel():
                content = self._waiting.pop((client.name, packet.identifier), None)
                if content is not None:
                    self._publish(content, cause)
            case Subscribe():
                self._subscribed.setdefault(connection, []).append((packet, cause))
            case Puback() | Pubrec() | Pubcomp():
                self._released[connection] = cause

    def _connect(self, connection: int, client: _Client, packet: Connect, cause: Any) -> None:
        client.name = packet.client_id or client.name
        self._connected[client.name] = self._released[connection] = cause
        other = self._by_name.get(client.name)
        if other is not None and other is not client and other.will is not None:
            self._wills[other.will] = cause  # it takes over
        self._by_name[client.name] = client
        if packet.will is not None:
            client.will = packet.will.topic, packet.will.payload
        if packet.clean:
            for key in [key for key in self._waiting if key[0] == client.name]:
                del self._waiting[key]

    def _publish(self, content: _Content, cause: Any) -> None:
        self._published.setdefault(content, []).append(cause)

    # -- what goes out

    def causes(self, answers: Sequence[Answer]) -> list[Any]:
        """The cause of each of them, or None; the instant is over then."""
        closed = [connection for connection, data in answers if data is None]
        for connection in closed:
            client = self._clients.get(connection)
            if client is not None and client.will is not None:
                self._wills.setdefault(client.will, self._last.get(connection))
        found = [
            self._closed(connection) if data is None else self._cause(connection, decode(data))
            for connection, data in answers
        ]
        for connection in closed:
            self._forget(connection)
        self._begin()
        return found

    def _cause(self, connection: int, packet: Packet) -> Any:
        if isinstance(packet, Publish):
            return self._of_publish(connection, packet)
        number = getattr(packet, "identifier", 0)
        asked = self._asked.get((connection, _ANSWERED[type(packet)], number))
        if asked:
            return asked.popleft() if len(asked) > 1 else asked[0]
        return self._released.get(connection)

    def _of_publish(self, connection: int, packet: Publish) -> Any:
        content = packet.topic, packet.payload
        if published := self._published.get(content):
            key = connection, content
            used = self._used[key] = self._used.get(key, -1) + 1
            return published[min(used, len(published) - 1)]
        if packet.retain:
            for subscribe, cause in self._subscribed.get(connection, ()):
                if any(matches(text, packet.topic) for text, _ in subscribe.filters):
                    return cause
        if content in self._wills:
            return self._wills[content]
        return self._released.get(connection)

    def _closed(self, connection: int) -> Any:
        client = self._clients.get(connection)
        if client is not None and client.name in self._connected:
            return self._connected[client.name]
        return self._last.get(connection)
