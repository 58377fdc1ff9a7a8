"""The keys under `placement`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NODE = {"type": "string", "format": "node"}
_SHARE = {"type": ["string", "number"], "format": "ratio"}
_LEVEL = r"(?=(?:.*/)?\{%s\}(?:/|$))(?!.*\{%s\}.*\{%s\})"
_TOPIC = "^" + "".join(_LEVEL % (word, word, word) for word in ("device", "kind")) + "[^+#]+$"

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "Where inferences are made: on devices, at the edge, in the cloud.",
    "additionalProperties": False,
    "required": ["policy", "devices", "dispatcher"],
    "properties": {
        "policy": {
            "type": "string",
            "description": "Who decides: device, edge, cloud (always there), confidence (go up "
            "until an answer is sure enough), latency (as high as the deadline allows), or a "
            "class of one's own, as file.py:Class relative to the scenario.",
            "examples": ["confidence", "my_policy.py:Mine"],
        },
        "threshold": {
            "description": "Of the policy confidence: the least confidence of an answer that is "
            "accepted, for all places or for each.",
            "examples": ["80%", {"device": "80%", "edge": "90%"}],
            "anyOf": [
                _SHARE,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["device", "edge"],
                    "properties": {
                        "device": {**_SHARE, "description": "Of a device's own answer."},
                        "edge": {**_SHARE, "description": "Of the edge's answer."},
                    },
                },
            ],
        },
        "deadline": {
            "type": "string",
            "format": "duration",
            "description": "From taking an image to acting on its result; what takes longer is "
            "late. The policy latency keeps to it.",
            "examples": ["150ms"],
        },
        "devices": {
            "description": "Nodes or groups that take samples.",
            "examples": ["meter", ["meter", "camera-3"]],
            "anyOf": [
                {**_NODE, "description": "A node or group."},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {**_NODE, "description": "A node or group."},
                },
            ],
        },
        "dispatcher": {
            **_NODE,
            "description": "The node that asks the policy; it has `service: placement`.",
        },
        "edge": {**_NODE, "description": "Node with the edge's model."},
        "cloud": {**_NODE, "description": "Node with the cloud's model."},
        "truth": {
            "type": "string",
            "description": "A function that gives the right label for the index of an image, as "
            "file.py:function relative to the scenario; then the accuracy is measured.",
            "examples": ["my_models.py:truth"],
        },
        "period": {
            "type": "string",
            "format": "duration",
            "default": "1s",
            "description": "Time between a device's samples.",
        },
        "acknowledge": {
            "type": "boolean",
            "default": True,
            "description": "Devices say that they have acted on a result.",
        },
        "mqtt": {
            "type": "object",
            "description": "Dispatcher and devices talk over MQTT; without it, by direct messages.",
            "additionalProperties": False,
            "required": ["topic"],
            "properties": {
                "topic": {
                    "type": "string",
                    "pattern": _TOPIC,
                    "errorMessage": "a topic with {device} and {kind} in it, each once and a "
                    "level of its own",
                    "description": "Topic of each device and kind of message.",
                    "examples": ["meters/{device}/{kind}"],
                }
            },
        },
        "config": {
            "type": "object",
            "default": {},
            "description": "Handed to a policy of one's own as it is. Any keys are allowed.",
            "examples": [{"limit": 3}],
        },
    },
}
