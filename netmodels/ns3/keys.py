"""The keys of `network: {model: ns3}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simcore.commands import SURROUNDINGS

_NAME = {"type": "string", "format": "node"}
_END = {**_NAME, "description": "A node, or a group of nodes."}
_SHARE: dict[str, Any] = {"type": ["string", "number"], "format": "ratio"}
_PLACE = {
    "type": "array",
    "items": {"type": "number", "description": "Metres."},
    "minItems": 2,
    "maxItems": 3,
}

_OFDM = ("6Mbps", "9Mbps", "12Mbps", "18Mbps", "24Mbps", "36Mbps", "48Mbps", "54Mbps")
_DSSS = tuple(f"DsssRate{rate}" for rate in ("1Mbps", "2Mbps", "5_5Mbps", "11Mbps"))
MODES = {
    "802.11a": tuple(f"OfdmRate{rate}" for rate in _OFDM),
    "802.11b": _DSSS,
    "802.11g": (*(f"ErpOfdmRate{rate}" for rate in _OFDM), *_DSSS),
}
"""The modes of each standard of Wi-Fi, as ns-3 calls them."""
STANDARD = "802.11g"
QUEUE = 100

ONLY_OWN = ("least_delay", "warm_up", "neighbours")
"""Keys without an effect on segments."""

OF_KIND = {
    "p2p": frozenset({"between", "rate", "delay", "queue"}),
    "csma": frozenset({"nodes", "rate", "delay", "queue"}),
    "wifi": frozenset({"nodes", "access_point", "standard", "mode", "queue"}),
    "lrwpan": frozenset({"nodes", "coordinator"}),
}
"""The keys of each kind of segment, beside those that all have."""

NEEDED = {
    "p2p": ("between", "rate", "delay"),
    "csma": ("nodes", "rate", "delay"),
    "wifi": ("nodes", "access_point"),
    "lrwpan": ("nodes",),
}


def is_whole(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of `segments` has the keys that its kind needs."""
    return all(key in entry for key in NEEDED.get(entry.get("kind", ""), ("kind",)))


SEGMENT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind"],
    "properties": {
        "kind": {
            "enum": list(OF_KIND),
            "description": "`p2p`: a cable or fibre between two nodes. `csma`: a shared cable, as "
            "Ethernet was. `wifi`: an access point and its stations. `lrwpan`: IEEE 802.15.4 with "
            "6LoWPAN; it makes the whole network one of IPv6.",
        },
        "name": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_.-]{1,32}$",
            "errorMessage": "a name has up to 32 letters, digits, and _ . -",
            "description": "What it is called in the results; its kind and its number without it.",
        },
        "between": {
            "type": "array",
            "items": _END,
            "minItems": 2,
            "maxItems": 2,
            "description": "p2p: two nodes or groups; one segment per pair.",
            "examples": [["gateway", "cloud"]],
        },
        "nodes": {
            "type": "array",
            "items": _END,
            "minItems": 1,
            "description": "csma, wifi, lrwpan: the nodes or groups that are on it.",
            "examples": [["meter", "gateway"]],
        },
        "access_point": {**_NAME, "description": "wifi: the node that is the access point."},
        "coordinator": {
            **_NAME,
            "description": "lrwpan: the node that coordinates; the first one without it.",
        },
        "rate": {
            "type": "string",
            "format": "rate",
            "description": "p2p, csma: bits per second on the line.",
            "examples": ["20Mbit/s"],
        },
        "delay": {
            "type": "string",
            "format": "duration",
            "description": "p2p, csma: propagation from one end to the other.",
            "examples": ["45ms"],
        },
        "queue": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1_000_000,
            "description": "p2p, csma, wifi: packets that may wait in a device; a further one is "
            f"lost. Without it {QUEUE}, and 500 on Wi-Fi. There is no other queue.",
        },
        "standard": {
            "enum": list(MODES),
            "default": STANDARD,
            "description": "wifi: the standard.",
        },
        "mode": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_]+$",
            "description": "wifi: the one mode for all data, as ns-3 calls it; without it, ns-3's "
            "ideal rate control chooses by the strength of the signal.",
            "examples": ["ErpOfdmRate24Mbps"],
        },
        "loss": {
            **_SHARE,
            "default": "0%",
            "description": "Frames that are lost where they are received. Radios try again.",
        },
        "bit_errors": {
            **_SHARE,
            "default": 0,
            "description": "Probability that a bit is wrong, which loses its frame.",
            "examples": [1e-6],
        },
    },
}

POSITION: dict[str, Any] = {
    "description": "A place in metres, [x, y] or [x, y, z]; or how the nodes of a group are laid "
    "out.",
    "anyOf": [
        _PLACE,
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "circle": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "description": "On a circle of this radius (m), at equal distances.",
                },
                "disc": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "description": "At random in a disc of this radius (m).",
                },
                "grid": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "description": "In rows and columns this far apart (m).",
                },
                "center": {**_PLACE, "description": "The middle of all that; [0, 0] without it."},
            },
        },
    ],
}

FLOW: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["from", "to"],
    "properties": {
        "from": {**_END, "description": "Node or group that sends."},
        "to": {**_END, "description": "Node or group that receives."},
    },
}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "ns-3 simulates packets: segments of cables and radios, with IP routers between "
    "them.",
    "additionalProperties": False,
    "oneOf": [{"required": ["segments"]}, {"required": ["topology"]}],
    "properties": {
        "segments": {
            "type": "array",
            "minItems": 1,
            "items": SEGMENT,
            "description": "What joins nodes. A node of several segments is a router between them.",
        },
        "topology": {
            "type": "string",
            "description": "Instead of segments: `file.py:function`, relative to the scenario. The "
            "function makes the network by means of ns-3's Python bindings, and returns the ns-3 "
            "node of each node.",
            "examples": ["own_topology.py:build"],
        },
        "least_delay": {
            "type": "string",
            "format": "duration",
            "default": "0ns",
            "description": "With a topology: what every message takes at least. Free-running nodes "
            "need it: their windows are no longer. A delivery that comes sooner ends the run.",
            "examples": ["544us"],
        },
        "warm_up": {
            "type": "string",
            "format": "duration",
            "description": "With a topology: ns-3's time that passes before virtual time begins. "
            "Without it, a second for radios and IPv6, or until stations have access points.",
            "examples": ["30s"],
        },
        "neighbours": {
            "enum": ["known", "asked"],
            "default": "known",
            "description": "With a topology: whether devices know the hardware addresses of those "
            "on their channel when virtual time begins, or ask for them, as ARP and NDP do.",
        },
        "positions": {
            "type": "object",
            "additionalProperties": POSITION,
            "default": {},
            "description": "Where nodes or groups are; [0, 0] without it. Of effect on radios.",
            "examples": [{"gateway": [0, 0], "meter": {"circle": 10}}],
        },
        "tcp": {
            "type": "array",
            "items": FLOW,
            "default": [],
            "description": "Whose messages go over TCP, one lasting connection for each pair; all "
            "others are datagrams (UDP).",
        },
        "give_up": {
            "type": "string",
            "format": "duration",
            "default": "10s",
            "description": "A message that has not arrived after this time is lost, if its loss "
            "was not certain before.",
        },
        "defaults": {
            "type": "object",
            "additionalProperties": {
                "type": ["string", "number", "boolean"],
                "description": "The value, as ns-3 reads it.",
            },
            "propertyNames": {
                "pattern": "^ns3::.+::[^:]+$",
                "errorMessage": "an attribute is written ns3::Class::Attribute",
            },
            "default": {},
            "description": "Defaults of ns-3's attributes.",
            "examples": [{"ns3::TcpSocket::SegmentSize": 1448}],
        },
        "pcap": {
            "anyOf": [
                {"type": "boolean", "description": "All devices, or none."},
                {
                    "type": "array",
                    "items": {"type": "string", "description": "Name of a segment."},
                    "description": "The devices of these segments.",
                },
            ],
            "default": False,
            "description": "Write what devices send and receive to `ns3/` of the run's directory.",
        },
        "flow_monitor": {
            "type": "boolean",
            "default": False,
            "description": "Write ns-3's own figures of flows to `ns3/flows.xml` there.",
        },
        "log": SURROUNDINGS["log"],
        "start_timeout": SURROUNDINGS["start_timeout"],
        "timeout": SURROUNDINGS["timeout"],
    },
}
