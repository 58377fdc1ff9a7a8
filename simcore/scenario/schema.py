"""The published JSON Schema of scenarios, put together from what is installed.

The common part stands here; each backend, network model and extension brings its own
fragment. Validation, `python -m simcore schema`, the editors' completion and the reference in
`docs/` all use the one result, so they cannot disagree. An implementation's or model's keys
are closed: what no fragment names is refused, except inside `config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simcore.errors import UsageError
from simcore.plugins import Plugin, Plugins
from simcore.scenario.names import MAX_COUNT

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFAULT_IMPLEMENTATION = "python_model"
DEFAULT_NETWORK = "direct"
DEFAULT_TIER = "device"
DEFAULT_SEED = 1
NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_.-]*$"

_HEAD: Mapping[str, Any] = {
    "simcore": {
        "description": "Version of the scenario format.",
        "const": 1,
    },
    "name": {
        "description": "Short name of the experiment, used in reports. Default: the file's name.",
        "type": "string",
        "minLength": 1,
        "examples": ["meter-reading"],
    },
    "description": {
        "description": "What the experiment is about, in a sentence or two.",
        "type": "string",
        "default": "",
        "examples": ["Twenty meters report to a gateway over a lossy radio link."],
    },
    "seed": {
        "description": "Seed of all random numbers. The same file with the same seed gives the "
        "same run; another seed gives an independent repetition. Below 2^63.",
        "type": "integer",
        "minimum": 0,
        "maximum": 2**63 - 1,
        "default": DEFAULT_SEED,
        "examples": [42],
    },
    "duration": {
        "description": "Virtual time at which the run ends; more than zero, below 2^53 ns "
        "(104 days).",
        "type": "string",
        "format": "duration",
        "examples": ["60s", "1.5h"],
    },
    "quantum": {
        "description": "Length of the windows of free-running nodes where the least delay of "
        "their links is shorter, or unknown. What arrives inside a window is then handed over "
        "at its end: the run says how often and how late.",
        "type": "string",
        "format": "duration",
        "examples": ["1ms"],
    },
    "window": {
        "description": "Longest window of free-running nodes. Without it, the least delay of "
        "their links. The results of a run without `quantum` do not depend on it.",
        "type": "string",
        "format": "duration",
        "examples": ["100us"],
    },
}

COMMON_NODE: Mapping[str, Any] = {
    "count": {
        "description": "Makes this a group of so many equal nodes: `meter` with `count: 3` is "
        "`meter-0`, `meter-1` and `meter-2`. Without it there is one node, `meter`.",
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_COUNT,
        "examples": [20],
    },
    "tier": {
        "description": "Where in the system the node belongs; groups metrics and figures.",
        "enum": ["device", "network", "edge", "cloud"],
        "default": DEFAULT_TIER,
    },
    "config": {
        "description": "Handed to the model or service as it is. Any keys are allowed.",
        "type": "object",
        "default": {},
        "examples": [{"period": "1s"}],
    },
}
"""Keys of every node, beside `implementation`."""

_EXPECT: Mapping[str, Any] = {
    "description": "What must hold at the end of the run; a run that misses one exits with code 1.",
    "type": "array",
    "items": {
        "description": "A comparison: counts (`sent`, `delivered`, `lost`, `in_flight`, each also "
        "of one kind of message, as `sent.reading`) and statistics (`mean`, `min`, `max`, `p50`, "
        "`p90`, `p95`, `p99`, `sum`, `count` of `latency`, `network`, `queueing`, `computing` or "
        "`end_to_end`, by kind of message, or of `record.NAME`), with `+ - * /`, on both sides of "
        "`< <= > >= == !=`. Numbers may carry `%` or a unit.",
        "type": "string",
        "format": "expectation",
    },
    "default": [],
    "examples": [
        ["delivered / sent >= 98%", "p99(latency.reading) <= 150ms", "mean(record.accuracy) > 0.9"]
    ],
}


def published_schema(plugins: Plugins) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of scenarios for the given plug-ins.

    Raises:
        UsageError: two plug-ins define different things under one name.
    """
    defs: dict[str, Any] = {}
    properties: dict[str, Any] = {
        **_HEAD,
        "nodes": _nodes(plugins, defs),
        "network": _network(plugins, defs),
    }
    for name, extension in plugins.extensions.items():
        if name in properties or name == "expect":
            raise UsageError(f"the extension {name!r} takes a key of the scenario format itself")
        properties[name] = _hoist(extension, defs)
    properties["expect"] = _EXPECT
    return {
        "$schema": DIALECT,
        "title": "simcore scenario",
        "description": "One experiment: its nodes, the network between them, and what is "
        "expected of it.",
        "type": "object",
        "properties": properties,
        "required": ["simcore", "duration", "nodes"],
        "additionalProperties": False,
        "$defs": defs,
    }


def _nodes(plugins: Plugins, defs: dict[str, Any]) -> dict[str, Any]:
    implementation = {
        "description": "What stands behind the node. Its own keys stand beside this one.",
        "enum": list(plugins.backends),
        "default": DEFAULT_IMPLEMENTATION,
    }
    common = {**COMMON_NODE, "implementation": implementation}
    for name, backend in plugins.backends.items():
        defs[f"node_{name}"] = _closed(_hoist(backend, defs), common)
    return {
        "description": "The nodes by name, at least one. Their order here breaks ties between "
        "messages of the same instant.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {
            "pattern": NAME_PATTERN,
            "maxLength": 100,
            "errorMessage": "a node's name starts with a letter and holds letters, digits, "
            "'_', '.' and '-'",
        },
        "additionalProperties": _choice(
            "implementation", implementation, plugins.backends, "node", DEFAULT_IMPLEMENTATION
        ),
    }


def _network(plugins: Plugins, defs: dict[str, Any]) -> dict[str, Any]:
    model = {
        "description": "The network model. Its own keys stand beside this one.",
        "enum": list(plugins.netmodels),
    }
    for name, netmodel in plugins.netmodels.items():
        defs[f"network_{name}"] = _closed(_hoist(netmodel, defs), {"model": model})
    return {
        "description": "How messages get from node to node. Default: the model `direct`.",
        **_choice("model", model, plugins.netmodels, "network", None),
        "required": ["model"],
        "default": {"model": DEFAULT_NETWORK},
    }


def _choice(
    key: str, chooser: Mapping[str, Any], names: Mapping[str, Any], prefix: str, default: str | None
) -> dict[str, Any]:
    """A mapping whose schema depends on one of its keys."""
    cases = []
    for name in names:
        condition: dict[str, Any] = {"properties": {key: {"const": name}}}
        if name != default:
            condition["required"] = [key]
        cases.append({"if": condition, "then": {"$ref": f"#/$defs/{prefix}_{name}"}})
    return {"type": "object", "properties": {key: chooser}, "allOf": cases}


def _closed(fragment: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    own = fragment.get("properties", {})
    taken = sorted(set(own) & set(common))
    if taken:
        raise UsageError(f"a plug-in's schema redefines the common key {taken[0]!r}")
    return {
        "type": "object",
        **fragment,
        "properties": {**common, **own},
        "additionalProperties": False,
    }


def _hoist(plugin: Plugin, defs: dict[str, Any]) -> dict[str, Any]:
    """A plug-in's fragment, its definitions moved to where references look for them."""
    fragment = dict(plugin.schema)
    for name, definition in fragment.pop("$defs", {}).items():
        if defs.setdefault(name, definition) != definition:
            raise UsageError(f"two plug-ins define different schemas named {name!r}")
    return fragment
