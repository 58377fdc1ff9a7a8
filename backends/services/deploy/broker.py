"""The connection to an MQTT broker: made again whenever it is lost, with growing pauses.

One thread does everything. A message is acknowledged when the service has handled it, so one that
is under way when the machine loses its power comes again; one that was handled when only the
connection was lost is not handled again. The broker keeps a session: with QoS 1
or 2, what is sent to a service that is away for a while reaches it when it is back.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from random import Random
from typing import Any, NamedTuple, Protocol

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from .options import Access
from .topics import Topics

log = logging.getLogger("simcore")

KEEPALIVE = 60
"""Seconds without a word after which a broker and a client take each other for gone."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two attempts to connect; each pause is twice the last."""

SLICE = 0.5
"""Seconds within which a request to end is seen."""

FAREWELL = 5.0
"""Seconds that the last messages get to be acknowledged."""

OUTBOX = 10_000
"""Messages that wait for the broker; of more, the oldest are dropped."""


class Listener(Protocol):
    """Whom a connection tells what comes of it."""

    def receive(self, topic: str, payload: bytes, retained: bool = False, qos: int = 0) -> None:
        """A message has arrived."""

    def connected(self, session_present: bool) -> None:
        """Messages can be sent and received; whether the broker has kept the session."""

    def lost(self, why: str) -> None:
        """They cannot any more."""


class _Outgoing(NamedTuple):
    """A message that waits for the broker."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Broker:
    """A node's connection to its broker.

    Args:
        access: where the broker is.
        topics: of the node.
        client: its name at the broker, which knows a client by it when it comes back.
        random: draws pauses, so that a fleet does not come back all at once.

    Attributes:
        listener: is told of what arrives; to be set before the first `step`.

    Raises:
        OSError: the certificates cannot be read.
    """

    listener: Listener

    def __init__(self, access: Access, topics: Topics, client: str, random: Random) -> None:
        self._access = access
        self._topics = topics
        self._random = random
        self._outbox: deque[_Outgoing] = deque()
        self._filters = {topics.subscription: access.qos}
        self._asked: dict[int | None, list[str]] = {}
        self._session_present = False
        self._dropped = 0
        self._handled: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._open = False
        self._pauses = 0
        self._again = 0.0
        self._since: float | None = None
        self._client = self._make(client)

    def _make(self, name: str) -> Client:
        access = self._access
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_queued_messages_set(OUTBOX)
        client.will_set(self._topics.status, "offline", access.qos, retain=True)
        if access.user is not None:
            client.username_pw_set(access.user, access.password)
        if access.tls:
            client.tls_set(access.authority)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_open = _without_delay
        client.connect_async(access.host, access.port, KEEPALIVE)
        return client

    def publish(
        self, topic: str, payload: bytes, qos: int | None = None, *, retain: bool = False
    ) -> None:
        """Send a message, or keep it until the broker can be reached.

        Args:
            topic: where.
            payload: as it travels.
            qos: None: that of the node's messages.
            retain: whether the broker keeps it.
        """
        message = _Outgoing(topic, payload, self._access.qos if qos is None else qos, retain)
        if self._since is None:
            self._keep(message)
        else:
            self._send(message)

    def subscribe(self, text: str, qos: int) -> None:
        """Subscribe to a filter, now and whenever the connection is made again."""
        self._filters[text] = qos
        if self._client.is_connected():
            self._ask([text])

    def unsubscribe(self, text: str) -> None:
        """End a subscription."""
        self._filters.pop(text, None)
        if self._client.is_connected():
            self._client.unsubscribe(text)

    def _ask(self, filters: list[str]) -> None:
        """Subscribe to filters over the connection that there is."""
        _, number = self._client.subscribe([(text, self._filters[text]) for text in filters])
        self._asked[number] = filters

    def _send(self, message: _Outgoing) -> None:
        info = self._client.publish(*message)
        if info.rc is MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self._drop(message.topic)

    def _keep(self, message: _Outgoing) -> None:
        if len(self._outbox) >= OUTBOX:
            self._drop(self._outbox.popleft().topic)
        self._outbox.append(message)

    def _drop(self, topic: str) -> None:
        if not self._dropped:
            log.error("%s dropped: %d messages wait for the broker", topic, OUTBOX)
        self._dropped += 1

    def step(self, most: float | None) -> None:
        """Send and receive for a while.

        Args:
            most: seconds after which to return at the latest; None: when it likes.
        """
        patience = SLICE if most is None else min(most, SLICE)
        if not self._open:
            pause = self._again - time.monotonic()
            if pause > 0:
                time.sleep(min(pause, patience))
            else:
                self._connect()
        elif self._client.loop(patience) is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lost()

    def _connect(self) -> None:
        if self._handled:
            self._before, self._handled = self._handled, {}
        try:
            self._client.reconnect()
            self._open = True
        except (OSError, ValueError) as error:  # a host's name may be no name at all
            log.warning("no connection to the broker at %s: %s", self._access, error)
            self._lost()

    def _lost(self) -> None:
        """Have the next attempt made after a pause."""
        now = time.monotonic()
        if self._since is not None and now - self._since > LONGEST_PAUSE:
            self._pauses = 0
        was, self._open, self._since = self._since, False, None
        pause = min(FIRST_PAUSE * 2**self._pauses, LONGEST_PAUSE)
        self._pauses = min(self._pauses + 1, 30)
        self._again = now + pause * self._random.uniform(0.5, 1)
        if was is not None:
            self.listener.lost("the connection is lost")

    def close(self) -> None:
        """Send what waits, say that the node is offline, and part."""
        client = self._client
        if self._since is None:
            if self._outbox:
                log.error("%d messages were never sent", len(self._outbox))
            return
        # What comes from now on is not acknowledged, so that it comes again.
        client.manual_ack_set(True)
        client.on_message = None
        last = client.publish(self._topics.status, "offline", self._access.qos, retain=True)
        deadline = time.monotonic() + FAREWELL
        code = last.rc
        while code is MQTTErrorCode.MQTT_ERR_SUCCESS and time.monotonic() < deadline:
            if last.is_published():
                client.disconnect()
                return
            code = client.loop(SLICE)
        # Without a word of parting, the broker itself says that the node is offline.
        log.error("the broker at %s has not acknowledged all messages", self._access)

    # -- what paho calls

    def _on_connect(self, _client: Client, _user: Any, flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            log.error("the broker at %s refuses the connection: %s", self._access, reason)
            return
        self._session_present = flags.session_present
        self._asked.clear()
        self._ask(list(self._filters))

    def _on_subscribe(
        self, client: Client, _user: Any, number: int, reasons: Any, _more: Any
    ) -> None:
        asked = self._asked.pop(number, [])
        for text, reason in zip(asked, reasons, strict=False):
            if reason.is_failure:
                log.error("the broker refuses %s: %s", text, reason)
                if text == self._topics.subscription:
                    client.disconnect()
                    return
        if self._topics.subscription in asked:
            self._begin()

    def _begin(self) -> None:
        """Say that the node is online, and send what waits."""
        log.info("connected to the broker at %s: %s", self._access, self._topics.subscription)
        self._since = time.monotonic()
        self._client.publish(self._topics.status, "online", self._access.qos, retain=True)
        if self._dropped:
            log.error("%d messages were dropped", self._dropped)
            self._dropped = 0
        while self._outbox:
            self._send(self._outbox.popleft())
        self.listener.connected(self._session_present)

    def _on_disconnect(
        self, _client: Client, _user: Any, _flags: Any, reason: Any, _more: Any
    ) -> None:
        if reason.is_failure and self._since is not None:
            log.warning("the connection to the broker at %s is lost: %s", self._access, reason)

    def _on_message(self, _client: Client, _user: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError as error:
            log.warning("a message refused: its topic is no text: %s", error)
            return
        payload = bytes(message.payload)
        content = hash((topic, payload))
        # Sent again by the broker, because the acknowledgement was lost with the connection.
        again = message.dup and self._before.get(message.mid) == content
        if not again:
            self.listener.receive(topic, payload, message.retain, message.qos)
        if message.qos:
            self._handled[message.mid] = content


def _without_delay(_client: Client, _user: Any, sock: Any) -> None:
    # Small messages at once: Nagle's algorithm would hold an answer back by 40 ms.
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
