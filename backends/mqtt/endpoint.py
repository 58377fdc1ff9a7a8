"""A client's end at its node: what the node wants, what the network brings, what the clock says.

An endpoint stands beside its node in simcore's process, wherever the node itself lives. What the
node sends to the broker's node are commands, and end here; what crosses the network are segments
between here and the broker. A message that arrives is handed to the node under the id of the
segment that brought it, so that causes and traces lead through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simcore.errors import SendError
from simcore.loops import MAX_DEPTH, loop_error
from simcore.message import Message
from simcore.payload import PayloadError, freeze

from .actions import Action, Arrived, Close, Down, Dropped, Open, Send, Up
from .api import CONNECTED, LOST
from .client import Client
from .commands import BadCommand, read
from .errors import Malformed
from .options import Wanted, bytes_of
from .packets import Packet, Publish
from .passing import Carrier, Origin, arrived, first, handed, of_command, of_segment, outgoing
from .segments import ALL, RST, Segment, reset
from .timing import Tuning
from .transport import Brought, End, Stream

if TYPE_CHECKING:
    from simcore.network import Path
    from simcore.node import Node

DISCONNECTED = "it has disconnected"
"""What a client says when it was told to leave."""

_ENDS = {
    End.CLOSED: "the broker has closed the connection",
    End.RESET: "the broker's node knows nothing of the connection",
    End.GIVEN_UP: "nothing was acknowledged any more",
}


class Endpoint:
    """The client of one node.

    Args:
        node: its node.
        broker: the broker's node.
        path: gives the network's way to the broker.
        wanted: what it is to do.
        tuning: of its connections.

    Attributes:
        order: of its node, and so are the following: they stand for the node as the receiver of
            segments.
        name: as results have it.
    """

    def __init__(
        self,
        node: Node,
        broker: Node,
        path: Callable[[], Path],
        wanted: Wanted,
        tuning: Tuning,
    ) -> None:
        self.node = node
        self.order = node.order
        self.name = node.name
        self._federation = node.federation
        self._broker = broker
        self._path = path
        self._wanted = wanted
        self._tuning = tuning
        self._connections = 0  # counts on through all lives: a number is used once
        self._client: Client | None = None
        self._streams: dict[int, Stream] = {}
        self._current: Stream | None = None
        self._waiting: dict[Publish, deque[Origin]] = {}
        self._armed: int | None = None
        self._instant = -1
        self._depth = 0
        self._parent: Message | None = None
        self._arriving: Message | None = None
        self._heard = 0
        self._arrivals: list[Message] = []

    @property
    def down(self) -> bool:
        """Whether a fault has stopped its node."""
        return self.node.down

    # -- the node's life

    def begin(self) -> None:
        """The node has started."""
        now = self._federation.calendar.now
        wanted = self._wanted
        self._client = client = Client(wanted.hello, backoff=wanted.backoff)
        actions: list[Action] = []
        if wanted.filters:
            actions += client.subscribe(now, *wanted.filters)[1]
        if wanted.connect:
            actions += client.connect(now)
        self._do(actions, first(now))
        self._finish()

    def end(self) -> None:
        """The node has crashed, and all that was here with it."""
        self._client = self._current = self._armed = None
        self._streams.clear()
        self._waiting.clear()
        self._arrivals.clear()

    # -- what the node wants

    def command(self, message: Message) -> None:
        """Take what the node sends to the broker's node."""
        client, now = self._client, message.sent
        if client is None:
            raise self._refusal(message, "it has not started yet")
        origin = of_command(message)
        try:
            value = read(message.kind, message.payload)
            actions = self._asked(client, now, message.kind, value, origin)
        except (BadCommand, Malformed, PayloadError) as error:
            raise self._refusal(message, str(error)) from None
        self._instant, self._depth, self._parent = now, message.depth, message.parent
        self._do(actions, origin)
        self._finish()

    def _asked(
        self, client: Client, now: int, kind: str, value: dict[str, Any], origin: Origin
    ) -> list[Action]:
        if kind == "mqtt.publish":
            topic, qos, retain = value["topic"], value["qos"], value["retain"]
            payload = bytes_of(value["payload"])
            _, actions = client.publish(now, topic, payload, qos, retain)
            message = Publish(topic, payload, qos, retain)
            if not any(isinstance(each, Send | Dropped) for each in actions):
                self._waiting.setdefault(message, deque()).append(origin)
            return actions
        if kind == "mqtt.subscribe":
            return client.subscribe(now, (value["filter"], value["qos"]))[1]
        if kind == "mqtt.unsubscribe":
            return client.unsubscribe(now, value["filter"])[1]
        return client.connect(now) if kind == "mqtt.connect" else client.disconnect(now)

    def _refusal(self, message: Message, why: str) -> SendError:
        return SendError(
            f"{self.name} cannot send {message.kind!r} to {self._broker.name}: {why}",
            node=self.name,
            now=message.sent,
        )

    # -- what the network brings

    def deliver(self, message: Message) -> None:
        """Take a segment that has arrived."""
        client, now = self._client, message.at
        if client is None or message.kind not in ALL:
            return
        self._heard = message.number
        origin = of_segment(message)
        self._instant, self._depth, self._parent = now, message.depth + 1, message
        self._arriving = message
        payload = message.payload
        stream = self._streams.get(payload["c"])
        if stream is None:
            if message.kind != RST:
                self._transmit(reset(payload["c"], origin))
        else:
            found = stream.take(now, message.kind, payload, origin)
            self._after(stream, origin, found)
        self._finish()

    def _after(self, stream: Stream, origin: Origin, found: Sequence[Brought] = ()) -> None:
        """Tell the client what has come of something that happened to a stream."""
        client, now = self._client, self._federation.calendar.now
        assert client is not None
        if stream is self._current:
            if stream.established:
                self._do(client.opened(now), origin)
            for data, by in found:
                self._do(client.received(now, data), by)
            if stream.end is not None and stream is self._current:
                self._current = None
                self._do(client.lost(now, _ENDS[stream.end]), origin)

    # -- what the clock says

    def _wake(self) -> None:
        self._armed = None
        client, now = self._client, self._federation.calendar.now
        assert client is not None
        origin = first(now)
        for stream in list(self._streams.values()):
            if stream.deadline is not None:
                stream.timeout(now)
                self._after(stream, origin)
        if client.next is not None and client.next <= now:
            self._do(client.tick(now), origin)
        self._finish()

    # -- what is done

    def _do(self, actions: Sequence[Action], origin: Origin) -> None:
        """Do what the client says, because of what `origin` names."""
        now, stream = self._federation.calendar.now, self._current
        for action in actions:
            match action:
                case Open():
                    self._connections = number = self._connections + 1
                    stream = self._current = Stream(number, self._tuning, active=True)
                    self._streams[number] = stream
                    stream.open(now, origin)
                case Send(packet) if stream is not None:
                    stream.send(now, packet.encode(), self._origin_of(packet, now, origin))
                case Close(at_once) if stream is not None:
                    stream.abort(origin) if at_once else stream.close(now, origin)
                    stream = self._current = None
                case Arrived(message) if origin.carrier is not None:
                    self._hand(arrived(self.node, self._broker, message, now, origin.carrier))
                case Up(session_present) if self._wanted.events:
                    self._tell(CONNECTED, {"session_present": session_present})
                case Down(why, final):
                    if why != DISCONNECTED:
                        self.node.record("mqtt.lost", why)
                    if self._wanted.events:
                        self._tell(LOST, {"final": final, "why": why})
                case Dropped(_, why):
                    self.node.record("mqtt.dropped", why)

    def _origin_of(self, packet: Packet, now: int, origin: Origin) -> Origin:
        """Where a packet comes from: a message that waited has an origin of its own."""
        if not isinstance(packet, Publish) or packet.dup:
            return origin
        key = Publish(packet.topic, packet.payload, packet.qos, packet.retain)
        waiting = self._waiting.get(key)
        if waiting is None:
            return origin
        found = waiting.popleft()
        if not waiting:
            del self._waiting[key]
        return found._replace(waited=found.waited + now - found.since)

    def _finish(self) -> None:
        """Send what is to be sent, see when to wake, and hand over what has arrived."""
        for stream in list(self._streams.values()):
            for segment in stream.flush():
                self._transmit(segment)
            if stream.over:
                del self._streams[stream.connection]
        self._instant, self._parent, self._arriving = -1, None, None
        self._arm()
        arrivals, self._arrivals = self._arrivals, []
        for message in arrivals:
            if not self.node.down:
                self.node.deliver(message)

    def _transmit(self, segment: Segment) -> None:
        """Let a segment enter the network, as a message of the node's."""
        node, calendar = self.node, self._federation.calendar
        now = calendar.now
        if node.down or now >= calendar.end:
            return
        number = self._federation.kind_number(segment.kind, self.name)
        message = outgoing(node, self._path(), segment, number, now)
        if self._instant == now:
            message.depth, message.parent = self._depth, self._parent
            if message.depth > MAX_DEPTH:
                raise loop_error(message)
        message.path.enter(message)

    def _hand(self, message: Message) -> None:
        """Have the node get a message when everything else has been done."""
        if self._arriving is not None:
            message.depth, message.parent = self._arriving.depth, self._arriving.parent
        self._arrivals.append(message)

    def _tell(self, kind: str, value: dict[str, Any]) -> None:
        """Tell the node of a connection; the last segment that has come stands for it."""
        text, now = freeze(value), self._federation.calendar.now
        carrier = Carrier(self._heard, len(text), now, None)
        self._hand(handed(self.node, self._broker, kind, text, now, carrier))

    def _arm(self) -> None:
        """Have `_wake` called when something is due, unless it will be called before."""
        client = self._client
        if client is None:
            return
        due = [stream.deadline for stream in self._streams.values() if stream.deadline is not None]
        if client.next is not None:
            due.append(client.next)
        if due and (self._armed is None or min(due) < self._armed):
            self._armed = min(due)
            self.node.at(self._armed, self._wake)
