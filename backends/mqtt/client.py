"""A client of MQTT without sockets and without a clock: what comes in, and when; what goes out.

```text
             connect          opened: CONNECT       CONNACK
      off ------------> opening ------------> greeting ------------> up
       ^                   |                     |                   |
       | disconnect        | lost, or silence    |                   |
       |                   v                     v                   |
       +--------------- waiting <------------------------------------+
                           after a while: opening
```

Each call takes the time, in ns, and returns what is to be done: packets to send, connections to
open or to close, messages for the application. `next` says when `tick` is to be called.

Subscriptions are the client's as long as it lives: they are sent again when the broker has no
session of it. A message that is published while a connection is being made for the first time
waits; later, one with QoS 0 is dropped when there is no connection, and others wait.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from random import Random

from .actions import Action, Arrived, Close, Down, Dropped, Open, Send, Settled, Up
from .backoff import Backoff
from .errors import Malformed
from .framing import Framer
from .keepalive import SECOND
from .packets import (
    ACCEPTED,
    Connack,
    Connect,
    Disconnect,
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
from .sending import Request, Sending


class _State(Enum):
    OFF = auto()
    OPENING = auto()
    GREETING = auto()
    UP = auto()
    WAITING = auto()


_REFUSALS = {
    1: "it speaks another version of MQTT",
    2: "it does not accept the client's id",
    3: "it is not available",
    4: "it does not accept the user name or the password",
    5: "the client is not allowed to connect",
}
_NOT_AVAILABLE = 3
_UNANSWERED = {
    _State.OPENING: "the opening of a connection",
    _State.GREETING: "a CONNECT",
    _State.UP: "a PINGREQ",
}

OWN = 0
"""The token of what the client asks by itself: to be subscribed again."""


class Client:
    """One client of one broker.

    Args:
        hello: its CONNECT: id, session, keepalive, will, user name.
        window: how many messages with QoS 1 and 2 may be unanswered at a time.
        patience: how long it waits for a connection and a CONNACK, in ns.
        backoff: how long it waits before it connects again; None: it never does.
        random: what the jitter of `backoff` is drawn from.
    """

    def __init__(
        self,
        hello: Connect,
        *,
        window: int = 20,
        patience: int = 30 * SECOND,
        backoff: Backoff | None = Backoff(),  # noqa: B008 - it cannot change
        random: Random | None = None,
    ) -> None:
        hello.encode()  # What cannot be sent is refused now.
        self.hello = hello
        self._patience = patience
        self._backoff = backoff
        self._random = random
        self._state = _State.OFF
        self._began = False
        self._failures = 0
        self._deadline: int | None = None
        self._pinged = False
        self._spoke = 0
        self._framer = Framer()
        self._sending = Sending(window)
        self._subscriptions: dict[str, int] = {}
        self._unreleased: set[int] = set()
        self._tokens = 0
        self._actions: list[Action] = []

    @property
    def up(self) -> bool:
        """Whether the broker has accepted it, and the connection lasts."""
        return self._state is _State.UP

    @property
    def next(self) -> int | None:
        """When `tick` is to be called, in ns, if nothing else happens before."""
        return self._deadline

    # What the application wants.

    def connect(self, now: int) -> list[Action]:
        """Connect, and stay connected."""
        if self._state in (_State.OFF, _State.WAITING):
            self._open(now)
        return self._take()

    def disconnect(self, now: int) -> list[Action]:
        """Leave: no will is published. What has not been answered stays, for the next time."""
        if self._state in (_State.GREETING, _State.UP):
            self._send(now, Disconnect())
            self._actions.append(Close(at_once=False))
        elif self._state is _State.OPENING:
            self._actions.append(Close(at_once=True))
        if self._state is not _State.OFF:
            self._actions.append(Down("it has disconnected", final=True))
        self._state, self._deadline = _State.OFF, None
        return self._take()

    def publish(
        self, now: int, topic: str, payload: bytes = b"", qos: int = 0, retain: bool = False
    ) -> tuple[int, list[Action]]:
        """Publish a message: its token, and what is to be done.

        Raises:
            Malformed: it cannot be published.
        """
        message = Publish(topic, payload, qos, retain)
        replace(message, identifier=1 if qos else 0).encode()
        token = self._token()
        if self.up and not qos:
            self._send(now, message)
            self._actions.append(Settled(token))
        elif qos or not self._began:
            self._sending.put(message, token)
            self._fill(now)
        else:
            self._actions.append(Dropped(token, "there is no connection"))
        return token, self._take()

    def subscribe(self, now: int, *filters: tuple[str, int]) -> tuple[int, list[Action]]:
        """Subscribe to filters, each with its greatest QoS: a token, and what is to be done.

        Raises:
            Malformed: a filter or a QoS is none.
        """
        Subscribe(1, filters).encode()
        self._subscriptions.update(filters)
        return self._ask(now, Subscribe(0, filters))

    def unsubscribe(self, now: int, *filters: str) -> tuple[int, list[Action]]:
        """End subscriptions: a token, and what is to be done.

        Raises:
            Malformed: a filter is none.
        """
        Unsubscribe(1, filters).encode()
        for text in filters:
            self._subscriptions.pop(text, None)
        return self._ask(now, Unsubscribe(0, filters))

    # What the network says.

    def opened(self, now: int) -> list[Action]:
        """The connection has been made."""
        if self._state is _State.OPENING:
            self._state = _State.GREETING
            self._framer = Framer()
            self._send(now, self.hello)
            self._deadline = now + self._patience
        return self._take()

    def lost(self, now: int, why: str = "the connection is lost") -> list[Action]:
        """The connection has ended, or cannot be made."""
        if self._state not in (_State.OFF, _State.WAITING):
            self._fail(now, why)
        return self._take()

    def received(self, now: int, data: bytes) -> list[Action]:
        """Bytes have come."""
        try:
            for packet in self._framer.feed(data):
                if self._state in (_State.GREETING, _State.UP):
                    self._handle(now, decode(packet))
        except Malformed as error:
            self._actions.append(Close(at_once=True))
            self._fail(now, f"the broker breaks the protocol: {error}")
        return self._take()

    def tick(self, now: int) -> list[Action]:
        """The time that `next` named has come."""
        if self._deadline is None or now < self._deadline:
            return []
        match self._state:
            case _State.WAITING:
                self._open(now)
            case _State.UP if not self._pinged:
                self._send(now, Pingreq())
                self._pinged = True
            case state:
                self._actions.append(Close(at_once=True))
                self._fail(now, f"no answer to {_UNANSWERED[state]}")
        return self._take()

    # One step each.

    def _open(self, now: int) -> None:
        self._state, self._deadline = _State.OPENING, now + self._patience
        self._actions.append(Open())

    def _fail(self, now: int, why: str, *, final: bool = False) -> None:
        """There is no connection any more: try again later, if at all."""
        self._failures += 1
        final = final or self._backoff is None
        self._state, self._deadline = _State.OFF, None
        if self._backoff is not None and not final:
            self._state = _State.WAITING
            self._deadline = now + self._backoff.wait(self._failures, self._random)
        self._actions.append(Down(why, final))

    def _handle(self, now: int, packet: Packet) -> None:
        if (self._state is _State.GREETING) != isinstance(packet, Connack):
            raise Malformed(
                "MQTT-3.2.0-1", "a CONNACK is the first packet of a broker, and the only"
            )
        match packet:
            case Connack():
                self._greeted(now, packet)
            case Publish():
                self._arrived(now, packet)
            case Pubrel():
                self._unreleased.discard(packet.identifier)
                self._send(now, Pubcomp(packet.identifier))
            case Pubrec():
                self._send(now, self._sending.received(packet.identifier))
            case Puback():
                self._settle(now, self._sending.answered(packet.identifier, Publish, 1))
            case Pubcomp():
                self._settle(now, self._sending.answered(packet.identifier, Publish, 2))
            case Suback():
                token = self._sending.answered(packet.identifier, Subscribe)
                self._settle(now, token, packet.codes)
            case Unsuback():
                self._settle(now, self._sending.answered(packet.identifier, Unsubscribe))
            case Pingresp():
                self._pinged = False
                self._rest(now)
            case _:
                raise Malformed("MQTT-2.2.1", f"a broker sends no {type(packet).__name__}")

    def _greeted(self, now: int, packet: Connack) -> None:
        """The broker has answered the CONNECT."""
        if packet.code != ACCEPTED:
            self._actions.append(Close(at_once=False))
            why = f"the broker refuses it: {_REFUSALS[packet.code]}"
            self._fail(now, why, final=packet.code != _NOT_AVAILABLE)
            return
        if packet.session_present and self.hello.clean:
            raise Malformed("MQTT-3.2.2-1", "a clean session is not present")
        self._state, self._failures, self._began, self._pinged = _State.UP, 0, True, False
        self._rest(now)
        self._actions.append(Up(packet.session_present))
        if packet.session_present:
            for again in self._sending.resume():
                self._send(now, again)
        else:
            self._unreleased.clear()
            for token in self._sending.restart():
                self._actions.append(Dropped(token, "the broker has forgotten the session"))
            asked = self._sending.asked
            known = [each for each in self._subscriptions.items() if each[0] not in asked]
            if known:
                self._sending.ask(Subscribe(0, tuple(known)), OWN)
        for request in self._sending.requests():
            self._send(now, request)
        self._fill(now)

    def _arrived(self, now: int, packet: Publish) -> None:
        """A message has come: with QoS 2, it is handed on when it comes first (4.3.3)."""
        if packet.qos == 2:
            if packet.identifier not in self._unreleased:
                self._unreleased.add(packet.identifier)
                self._actions.append(Arrived(packet))
            self._send(now, Pubrec(packet.identifier))
            return
        self._actions.append(Arrived(packet))
        if packet.qos:
            self._send(now, Puback(packet.identifier))

    def _settle(self, now: int, token: int | None, codes: tuple[int, ...] = ()) -> None:
        if token is not None:
            self._actions.append(Settled(token, codes))
        self._fill(now)

    def _ask(self, now: int, packet: Request) -> tuple[int, list[Action]]:
        token = self._token()
        self._sending.ask(packet, token)
        if self.up:
            for request in self._sending.requests():
                self._send(now, request)
        return token, self._take()

    def _fill(self, now: int) -> None:
        """Send what there is room for in the window."""
        if self.up:
            for message, token in self._sending.messages():
                self._send(now, message)
                if not message.qos:
                    self._actions.append(Settled(token))

    def _send(self, now: int, packet: Packet) -> None:
        self._actions.append(Send(packet))
        self._spoke = now
        if not self._pinged:
            self._rest(now)

    def _rest(self, now: int) -> None:
        """Nothing is to be done until the keepalive asks for a ping (MQTT-3.1.2-23)."""
        if self.up:
            keepalive = self.hello.keepalive
            self._deadline = max(self._spoke + keepalive * SECOND, now) if keepalive else None

    def _token(self) -> int:
        self._tokens += 1
        return self._tokens

    def _take(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions
