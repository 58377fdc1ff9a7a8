"""What models and services write to use MQTT: one line for each thing that a client does.

These are short for messages to the broker's node, which never get there: the client of their node
takes them (`extension`). Firmware and programs in other languages send those messages themselves.

A model's node knows the broker. A service may live in another process, and knows its own `config`
only: the broker is the node `broker` unless that says `broker: NAME`, or the call does.
"""

from __future__ import annotations

from typing import Any, Protocol

MESSAGE = "mqtt.message"
"""The kind of what arrives: its payload has topic, payload, qos and retain."""
CONNECTED = "mqtt.connected"
LOST = "mqtt.lost"
"""The kinds of what tells of connections, with `events: true`."""


class Sender(Protocol):
    """A node, or the context of a service."""

    @property
    def config(self) -> Any:
        """The scenario's `config` of its node."""

    @property
    def send(self) -> Any:
        """Sends a message."""


def publish(
    sender: Sender,
    topic: str,
    payload: Any = b"",
    qos: int = 0,
    *,
    retain: bool = False,
    cause: Any = None,
    broker: str | None = None,
) -> None:
    """Publish a message.

    Args:
        sender: the node of a model, or the context of a service.
        topic: where; without wildcards.
        payload: bytes, which travel as they are, or JSON values, which travel as text.
        qos: 0, at most once; 1, at least once; 2, exactly once.
        retain: whether the broker keeps it for those who subscribe later; without a payload, it
            forgets what it has kept.
        cause: the message that led to this one. For a service it is the one being handled.
        broker: the broker's node, if it is not to be found otherwise.
    """
    value = {"topic": topic, "payload": payload, "qos": qos, "retain": retain}
    _send(sender, broker, "mqtt.publish", value, cause)


def subscribe(sender: Sender, filter: str, qos: int = 0, *, broker: str | None = None) -> None:
    """Subscribe to topics: + stands for one level, # for all that follow."""
    _send(sender, broker, "mqtt.subscribe", {"filter": filter, "qos": qos})


def unsubscribe(sender: Sender, filter: str, *, broker: str | None = None) -> None:
    """End a subscription."""
    _send(sender, broker, "mqtt.unsubscribe", {"filter": filter})


def connect(sender: Sender, *, broker: str | None = None) -> None:
    """Connect, and stay connected; for a client with `connect: false`, or that has left."""
    _send(sender, broker, "mqtt.connect", None)


def disconnect(sender: Sender, *, broker: str | None = None) -> None:
    """Leave in order: no will is published."""
    _send(sender, broker, "mqtt.disconnect", None)


def _send(sender: Sender, broker: str | None, kind: str, value: Any, cause: Any = None) -> None:
    sender.send(broker or _broker_of(sender), kind, value, cause=cause)


def _broker_of(sender: Sender) -> str:
    federation = getattr(sender, "federation", None)
    if federation is not None:
        found: Any = federation.scenario.extensions.get("mqtt")
        if found is not None:
            return str(found["broker"])
    return str(sender.config.get("broker", "broker"))
