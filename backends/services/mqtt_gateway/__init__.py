"""A service that stands between MQTT and nodes that do not speak it.

What it subscribes to goes to nodes as ordinary messages, and what nodes send it is published. Its
own node is a client of the broker (`mqtt.clients`). In YAML: `service: mqtt_gateway`, with a
`config` of

- `subscribe`: what goes to nodes, a list of `{filter, to, kind, qos, size}`. In `to`, `{1}` is what
  the first wildcard of the filter stands for, `{2}` the second; `size` is what it weighs on its way
  to the node, where that is not the length of its JSON text;
- `publish`: what comes from nodes, a list of `{topic, from, kind, qos, retain}`. `from` is a node
  or a group, `kind` that of the message; without them, all are meant. In `topic`, `{source}` is
  the node's name and `{kind}` the message's kind. The first entry that fits counts;
- `broker`: the broker's node (default `broker`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.units import size

from ...mqtt import api
from ...mqtt.errors import Malformed
from ...mqtt.topics import check_filter, check_name, matches, stray

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.protocol.service import Context, Incoming
    from simcore.scenario.check import Checker

_TEXT = {"type": "string", "minLength": 1}
_QOS = {"enum": [0, 1, 2], "default": 0, "description": "Quality of service."}
_PLACE = re.compile(r"\{(\d+)\}")


class MqttGateway:
    """Brings messages of topics to nodes, and those of nodes to topics."""

    schema: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "broker": {
                "type": "string",
                "format": "node",
                "default": "broker",
                "description": "The broker's node.",
            },
            "subscribe": {
                "type": "array",
                "description": "What goes from topics to nodes.",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["filter", "to", "kind"],
                    "properties": {
                        "filter": {**_TEXT, "description": "Topics; + and # are wildcards."},
                        "to": {
                            **_TEXT,
                            "description": "A node; {1} is what the first wildcard stands for.",
                        },
                        "kind": {**_TEXT, "description": "Kind of the message to the node."},
                        "qos": _QOS,
                        "size": {
                            "type": "string",
                            "format": "size",
                            "description": "What it weighs on its way to the node; the length of "
                            "its JSON text without it.",
                            "examples": ["16B"],
                        },
                    },
                },
            },
            "publish": {
                "type": "array",
                "description": "What goes from nodes to topics; the first entry that fits counts.",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["topic"],
                    "properties": {
                        "topic": {
                            **_TEXT,
                            "description": "Where; {source} is the node's name, {kind} the kind.",
                        },
                        "from": {
                            **_TEXT,
                            "format": "node",
                            "description": "A node or group; all without it.",
                        },
                        "kind": {**_TEXT, "description": "Of the message; any without it."},
                        "qos": _QOS,
                        "retain": {
                            "type": "boolean",
                            "default": False,
                            "description": "Whether the broker keeps it.",
                        },
                    },
                },
            },
        },
    }

    @staticmethod
    def check(config: Mapping[str, Any], path: Path, checker: Checker) -> None:
        """Report filters and topics that are none, and nodes that are not there."""
        for index, rule in enumerate(config.get("subscribe", ())):
            place = (*path, "subscribe", index)
            try:
                wildcards = _wildcards(check_filter(rule["filter"]))
            except Malformed as error:
                checker.problem((*place, "filter"), str(error))
                continue
            asked = [int(number) for number in _PLACE.findall(rule["to"])]
            found = stray(_PLACE.sub("", rule["to"]))
            if found is not None:
                what = f"{found} stands for nothing, {{1}} does for the filter's first wildcard"
                checker.problem((*place, "to"), what)
            elif not asked:
                checker.check_node_reference((*place, "to"), rule["to"])
            elif not 1 <= min(asked) <= max(asked) <= wildcards:
                checker.problem(
                    (*place, "to"), f"the filter has {_count(wildcards)}, counted from {{1}}"
                )
        for index, rule in enumerate(config.get("publish", ())):
            try:
                check_name(rule["topic"])
            except Malformed as error:
                checker.problem((*path, "publish", index, "topic"), str(error))
            if (found := stray(rule["topic"], "{source}", "{kind}")) is not None:
                checker.problem(
                    (*path, "publish", index, "topic"),
                    f"{found} stands for nothing, {{source}} does for the node's name and {{kind}} "
                    "for the message's kind",
                )

    def start(self, ctx: Context) -> None:
        """Subscribe."""
        for rule in ctx.config.get("subscribe", ()):
            api.subscribe(ctx, rule["filter"], rule.get("qos", 0))

    def on_message(self, ctx: Context, msg: Incoming) -> None:
        """Pass a message on, in either direction."""
        if msg.kind == api.MESSAGE:
            self._to_nodes(ctx, msg.payload)
        elif msg.kind not in (api.CONNECTED, api.LOST):
            self._to_topics(ctx, msg)

    def _to_nodes(self, ctx: Context, message: Mapping[str, Any]) -> None:
        topic = message["topic"]
        for rule in ctx.config.get("subscribe", ()):
            if matches(rule["filter"], topic):
                weight = size(rule["size"]) if "size" in rule else None
                to = _destination(rule, topic)
                ctx.send(to, rule["kind"], message["payload"], size=weight)

    def _to_topics(self, ctx: Context, msg: Incoming) -> None:
        for rule in ctx.config.get("publish", ()):
            if rule.get("kind", msg.kind) == msg.kind and _is_from(rule.get("from"), msg.source):
                topic = rule["topic"].replace("{source}", msg.source).replace("{kind}", msg.kind)
                qos, retain = rule.get("qos", 0), rule.get("retain", False)
                api.publish(ctx, topic, msg.payload, qos, retain=retain)
                return
        ctx.record("unexpected", msg.kind)


def _count(wildcards: int) -> str:
    return "1 wildcard" if wildcards == 1 else f"{wildcards} wildcards"


def _wildcards(text: str) -> int:
    return sum(level in ("+", "#") for level in text.split("/"))


def _destination(rule: Mapping[str, Any], topic: str) -> str:
    """The node that a message on a topic goes to."""
    found = _found(rule["filter"], topic)
    return _PLACE.sub(lambda place: found[int(place[1]) - 1], rule["to"])


def _found(text: str, topic: str) -> list[str]:
    """What the wildcards of a filter stand for in a topic that it matches."""
    found, levels = [], topic.split("/")
    for index, level in enumerate(text.split("/")):
        if level == "+":
            found.append(levels[index])
        elif level == "#":
            found.append("/".join(levels[index:]))
    return found


def _is_from(wanted: str | None, source: str) -> bool:
    """Whether a node is the one that is wanted, or of that group."""
    if wanted is None or wanted == source:
        return True
    group, dash, index = source.rpartition("-")
    return bool(dash) and group == wanted and index.isdecimal()
