"""Plug-ins of somebody else: a backend, a network model and an extension, from no file of the core."""

from __future__ import annotations

from typing import Any, ClassVar

from simcore.plugins import Plugins


class Robot:
    """A backend with one reference to a node and one to a file."""

    name = "robot"
    determinism = "exact"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "A robot.",
        "required": ["leader"],
        "properties": {
            "leader": {"type": "string", "description": "The node it follows."},
            "map": {"type": "string", "description": "A file."},
            "speed": {"$ref": "#/$defs/speed", "description": "How fast."},
        },
        "$defs": {"speed": {"type": "number", "exclusiveMinimum": 0, "maximum": 9}},
    }

    def check(self, value, path, checker):
        checker.check_node_reference((*path, "leader"), value["leader"])
        if "map" in value:
            checker.check_file((*path, "map"), value["map"])


class Carrier:
    """A network model."""

    name = "carrier"
    determinism = "statistical"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "Pigeons.",
        "properties": {
            "pigeons": {"type": "integer", "minimum": 1, "description": "How many.", "default": 1},
            "flights": {
                "type": "array",
                "description": "Who flies to whom.",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["to", "takes"],
                    "properties": {
                        "to": {"type": "string", "format": "node", "description": "Where to."},
                        "takes": {"type": "string", "format": "duration", "description": "Time."},
                    },
                },
            },
        },
    }

    def __init__(self):
        self.seen = []

    def check(self, value, path, checker):
        self.seen.append((value, checker.groups, checker.node_names, checker.duration))
        for index, flight in enumerate(value.get("flights", ())):
            if flight["to"] == "nest":
                checker.problem(
                    (*path, "flights", index, "to"), "never flies home", "nest", ["rest"]
                )


class Storms:
    """An extension."""

    name = "storms"
    determinism = "exact"
    schema: ClassVar[dict[str, Any]] = {
        "type": "array",
        "description": "Weather.",
        "items": {"type": "string", "enum": ["wind", "hail"], "description": "A kind of weather."},
    }

    def check(self, value, path, checker):
        for index, kind in enumerate(value):
            if value.index(kind) != index:
                checker.problem((*path, index), f"a second {kind}")


def plugins(**replaced):
    """What is installed, and the dummies."""
    extra = {
        "backends": {"robot": Robot()},
        "netmodels": {"carrier": Carrier()},
        "extensions": {"storms": Storms()},
    }
    return Plugins(extra={**extra, **replaced})
