"""What the top-level key `mqtt` says of clients, as what they send to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from simcore.payload import freeze
from simcore.units import duration

from .backoff import Backoff
from .packets import Connect, Will
from .timing import SECOND, Tuning

_TOPIC = {"type": "string", "minLength": 1}
_QOS: dict[str, Any] = {
    "enum": [0, 1, 2],
    "default": 0,
    "description": "0: at most once; 1: at least once; 2: exactly once.",
}
_TIME: dict[str, Any] = {"type": "string", "format": "duration"}

CLIENT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "A client, or a group of them. In texts, {node} stands for the node's name.",
    "properties": {
        "client_id": {
            "type": "string",
            "default": "{node}",
            "description": "What the broker knows it by. Of two with the same, the later one ends "
            "the other's connection.",
        },
        "clean": {
            "type": "boolean",
            "default": True,
            "description": "Whether the broker forgets subscriptions and what was not delivered "
            "when the connection ends.",
        },
        "keepalive": {
            **_TIME,
            "default": "60s",
            "description": "In whole seconds. After half as long again without a sign of it, the "
            "broker gives up a client; 0s: never.",
        },
        "will": {
            "type": "object",
            "additionalProperties": False,
            "required": ["topic"],
            "description": "What the broker publishes when the client is gone without saying so.",
            "properties": {
                "topic": {**_TOPIC, "description": "Where."},
                "payload": {"description": "Any value; nothing without it."},
                "qos": _QOS,
                "retain": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether the broker keeps it for those who subscribe later.",
                },
            },
        },
        "subscribe": {
            "type": "array",
            "description": "What it subscribes to at each start of the node.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["filter"],
                "properties": {
                    "filter": {
                        **_TOPIC,
                        "description": "A topic; + stands for one level, # for all that follow.",
                        "examples": ["plant/+/reading"],
                    },
                    "qos": _QOS,
                },
            },
        },
        "connect": {
            "type": "boolean",
            "default": True,
            "description": "Whether it connects when its node starts; else by a command.",
        },
        "reconnect": {
            "type": "object",
            "additionalProperties": False,
            "description": "How long it waits before it connects again: doubling from min to max.",
            "properties": {
                "min": {**_TIME, "default": "1s", "description": "After a first failure."},
                "max": {**_TIME, "default": "60s", "description": "At most."},
            },
        },
        "events": {
            "type": "boolean",
            "default": False,
            "description": "Whether its node is sent mqtt.connected and mqtt.lost.",
        },
    },
}

TRANSPORT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "When the transport under MQTT sends again (RFC 6298).",
    "properties": {
        "rto_min": {**_TIME, "default": "200ms", "description": "Least timeout."},
        "rto_initial": {
            **_TIME,
            "default": "1s",
            "description": "Timeout before a round trip was measured.",
        },
        "rto_max": {**_TIME, "default": "60s", "description": "Greatest timeout."},
        "retries": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1000,
            "default": 15,
            "description": "How often a segment is sent again before a connection is given up.",
        },
        "syn_retries": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1000,
            "default": 6,
            "description": "The same of the segment that opens a connection.",
        },
    },
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "MQTT: a broker, and the nodes that are its clients.",
    "required": ["broker", "clients"],
    "examples": [
        {
            "broker": "broker",
            "clients": {"meter": {}, "gateway": {"subscribe": [{"filter": "plant/#"}]}},
        }
    ],
    "properties": {
        "broker": {
            "type": "string",
            "format": "node",
            "description": "The broker's node: `implementation: mosquitto`, or "
            "`service: mqtt_broker`.",
        },
        "clients": {
            "type": "object",
            "description": "The clients, by node or group.",
            "additionalProperties": {"anyOf": [CLIENT, {"type": "null"}]},
        },
        "transport": TRANSPORT,
        "listen": {
            "type": "integer",
            "minimum": 0,
            "maximum": 65535,
            "description": "With --realtime: the port of TCP on this machine at which ordinary "
            "MQTT clients find the broker and may take part; 0: any that is free. The run is then "
            "labelled interactive as soon as one has come.",
            "examples": [1883],
        },
    },
}


class Wanted(NamedTuple):
    """What a client is to do.

    Attributes:
        hello: its CONNECT.
        filters: what it subscribes to, with the QoS of each.
        connect: whether it connects by itself.
        backoff: how long it waits before it connects again.
        events: whether its node is told of connections.
    """

    hello: Connect
    filters: Sequence[tuple[str, int]]
    connect: bool
    backoff: Backoff
    events: bool


def bytes_of(value: Any) -> bytes:
    """What travels for a value: bytes as they are, all else as canonical JSON text."""
    return value if isinstance(value, bytes) else freeze(value).encode()


def wanted(options: Mapping[str, Any], node: str) -> Wanted:
    """What the options of a client say of one node.

    Raises:
        Malformed: it cannot be sent.
        UnitError: a keepalive that is no whole number of seconds, or too long.
    """

    def text(template: str) -> str:
        return template.replace("{node}", node)

    will = None
    if (given := options.get("will")) is not None:
        payload = bytes_of(given["payload"]) if "payload" in given else b""
        will = Will(text(given["topic"]), payload, given.get("qos", 0), given.get("retain", False))
    reconnect = options.get("reconnect", {})
    hello = Connect(
        client_id=text(options.get("client_id", "{node}")),
        clean=options.get("clean", True),
        keepalive=duration(options.get("keepalive", "60s")) // SECOND,
        will=will,
    )
    filters = [(text(each["filter"]), each.get("qos", 0)) for each in options.get("subscribe", ())]
    backoff = Backoff(
        first=duration(reconnect.get("min", "1s")), most=duration(reconnect.get("max", "60s"))
    )
    return Wanted(
        hello, filters, options.get("connect", True), backoff, options.get("events", False)
    )


def tuning_of(options: Mapping[str, Any]) -> Tuning:
    """What `transport` says."""
    found = {
        key: value if isinstance(value, int) else duration(value) for key, value in options.items()
    }
    return Tuning(**found)


def options_of(
    clients: Mapping[str, Any], members: Mapping[str, Sequence[str]]
) -> dict[str, Mapping[str, Any]]:
    """The options by node, from those by node or group; those of a node itself win."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, options in sorted(
        clients.items(), key=lambda each: len(members[each[0]]), reverse=True
    ):
        for node in members[name]:
            found[node] = options or {}
    return found
