"""The MQTT of the service's own: what it says to its scenario's broker, said to the real one.

In a simulation, a client stands beside the node and takes what that sends to the broker's node
(`simcore_backends.mqtt.endpoint`). Here the node's one connection does the same, with the same
bytes. Topics below the deployment's prefix stand for the scenario's network and are not the
service's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from simcore.protocol.peer import PayloadError, plain, restore

from ...mqtt.commands import COMMANDS, read
from ...mqtt.packets import Publish, Subscribe, Unsubscribe
from ...mqtt.topics import matches
from .canonical import freeze, thaw
from .topics import Topics


class Given(NamedTuple):
    """What a scenario says of a node's MQTT.

    Attributes:
        broker: name of the broker's node.
        subscribe: filters that the node is subscribed to at its start, with the QoS of each.
        events: whether the service is told of connections.
    """

    broker: str
    subscribe: tuple[tuple[str, int], ...] = ()
    events: bool = False


class Connection(Protocol):
    """What a node needs of its connection to the broker; all of it happens sooner or later."""

    def publish(
        self, topic: str, payload: bytes, qos: int | None = None, *, retain: bool = False
    ) -> None:
        """Publish; without a QoS, with that of the node's messages."""

    def subscribe(self, text: str, qos: int) -> None:
        """Subscribe to a filter, now and whenever the connection is made again."""

    def unsubscribe(self, text: str) -> None:
        """End a subscription."""


class Mqtt:
    """A service as a client of its scenario's broker.

    Args:
        given: what the scenario says of it.
        topics: of the node.
        connection: to the real broker.

    Attributes:
        broker: name of the broker's node.
        events: whether the service is told of connections.

    Raises:
        ValueError: the scenario's subscriptions are none.
    """

    def __init__(self, given: Given, topics: Topics, connection: Connection) -> None:
        self.broker = given.broker
        self.events = given.events
        self._topics = topics
        self._connection = connection
        self._filters: set[str] = set()
        for text, qos in given.subscribe:
            self._subscribe(text, qos)

    def takes(self, kind: str) -> bool:
        """Whether a message of the service's is for the broker."""
        return isinstance(kind, str) and kind in COMMANDS

    def command(self, kind: str, text: str) -> None:
        """Do what the service says to the broker.

        Args:
            kind: one of those that it takes.
            text: the canonical text of the payload.

        Raises:
            ValueError: it is no command, or none that a deployed node can obey.
        """
        value = read(kind, restore(json.loads(text)))
        if kind == "mqtt.publish":
            self._publish(**value)
        elif kind == "mqtt.subscribe":
            self._subscribe(value["filter"], value["qos"])
        elif kind == "mqtt.unsubscribe":
            Unsubscribe(1, (value["filter"],)).encode()
            self._filters.discard(value["filter"])
            self._connection.unsubscribe(value["filter"])
        elif kind == "mqtt.disconnect":
            raise ValueError("mqtt.disconnect has no effect: a deployed node stays connected")

    def incoming(self, topic: str, payload: bytes, qos: int, retained: bool) -> Any:
        """What the service is handed of what was published.

        Raises:
            ValueError: it has not subscribed to this topic.
        """
        if not any(matches(_without_group(text), topic) for text in self._filters):
            raise ValueError("the service has not subscribed to it, in this life")
        try:
            value = thaw(payload)
        except PayloadError:
            value = plain(payload)
        return {"payload": value, "qos": qos, "retain": retained, "topic": topic}

    def _publish(self, topic: str, payload: Any, qos: int, retain: bool) -> None:
        data = payload if isinstance(payload, bytes) else freeze(payload).encode()
        # What a simulation refuses is refused here.
        Publish(topic, data, qos, retain, identifier=1 if qos else 0).encode()
        self._refuse_others((topic,))
        self._connection.publish(topic, data, qos, retain=retain)

    def _subscribe(self, text: str, qos: int) -> None:
        Subscribe(1, ((text, qos),)).encode()
        self._refuse_others((text, _without_group(text)))
        self._filters.add(text)
        self._connection.subscribe(text, qos)

    def _refuse_others(self, texts: Iterable[str]) -> None:
        if any(map(self._topics.below_prefix, texts)):
            raise ValueError(
                f"topics below {self._topics.prefix}/ are those of the nodes: "
                "have the nodes deployed with another prefix"
            )


def _without_group(text: str) -> str:
    """The filter itself, without the `$share/GROUP/` of a shared subscription."""
    return text.split("/", 2)[-1] if text.startswith("$share/") else text
