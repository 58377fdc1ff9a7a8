"""From the `network` of a scenario to the segments, places and flows that ns-3 is to be given."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simcore.clock import NEVER
from simcore.streams import stream
from simcore.units import duration, rate, ratio

from .keys import QUEUE, STANDARD

GIVE_UP = "10s"

_LEAST_FRAME = {"p2p": 30, "csma": 46}
"""Bytes of a frame that no datagram is shorter than."""
_LEAST_AIR = {"wifi": 20_000, "lrwpan": 17 * 32_000}
"""Time on air that no frame is shorter than, ns: the preamble of OFDM; 17 bytes at 250 kbit/s."""

MAX_DATAGRAM = 65_507
"""Bytes that a datagram carries at most; ns-3 has the same bound over IPv6."""


@dataclass
class Segment:
    """What joins nodes.

    Attributes:
        name: in the results.
        kind: p2p, csma, wifi or lrwpan.
        nodes: names; first the access point or the coordinator.
        keys: what else ns-3 is given: `rate` (bit/s), `delay` (ns), `queue`, `loss` ...
        written: name of the entry of `segments` that it stems from.
        has_hub: of Wi-Fi: whether all frames go to the first node or come from it.
    """

    name: str
    kind: str
    nodes: Sequence[str]
    keys: dict[str, Any] = field(default_factory=dict)
    written: str = ""
    has_hub: bool = True

    @property
    def least_delay(self) -> int:
        """What every frame takes at least, ns."""
        if self.kind in _LEAST_AIR:
            return _LEAST_AIR[self.kind]
        bits = 8 * _LEAST_FRAME[self.kind]
        line: int = bits * 10**9 // self.keys["rate"]
        return line + int(self.keys["delay"])

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs of nodes, in both directions, between which frames travel."""
        if self.kind == "wifi" and self.has_hub:
            hub, *stations = self.nodes
            for station in stations:
                yield hub, station
                yield station, hub
            return
        for a in self.nodes:
            for b in self.nodes:
                if a != b:
                    yield a, b


def segments(value: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> list[Segment]:
    """The segments of a network, groups expanded.

    Args:
        value: `network` of a scenario.
        groups: names of nodes by group; a single node is its own group.
    """
    found = []
    for index, entry in enumerate(value["segments"]):
        kind = entry["kind"]
        name = entry.get("name", f"{kind}-{index}")
        keys: dict[str, Any] = {
            "loss": ratio(entry.get("loss", 0.0)),
            "bit_errors": ratio(entry.get("bit_errors", 0.0)),
        }
        if kind in ("p2p", "csma"):
            keys |= {"rate": rate(entry["rate"]), "delay": duration(entry["delay"])}
            keys["queue"] = entry.get("queue", QUEUE)
        elif kind == "wifi":
            keys |= {"standard": entry.get("standard", STANDARD), "mode": entry.get("mode", "")}
            keys["queue"] = entry.get("queue", 0)
        if kind == "p2p":
            first, second = (groups[end] for end in entry["between"])
            pairs = [(a, b) for a in first for b in second if a != b]
            for a, b in pairs:
                own = name if len(pairs) == 1 else f"{name}.{a}-{b}"
                found.append(Segment(own, kind, (a, b), keys, name))
            continue
        nodes = list(dict.fromkeys(node for end in entry["nodes"] for node in groups[end]))
        hub = entry.get("access_point", entry.get("coordinator"))
        if hub is not None:
            nodes = [hub, *(node for node in nodes if node != hub)]
        found.append(Segment(name, kind, nodes, keys, name))
    return found


def is_ipv6(value: Mapping[str, Any]) -> bool:
    """Whether the network is one of IPv6."""
    return any(entry.get("kind") == "lrwpan" for entry in value.get("segments", ()))


def places(
    value: Mapping[str, Any], groups: Mapping[str, Sequence[str]], seed: int
) -> dict[str, list[float]]:
    """Where nodes are (m), by name; those that are not named are at the origin."""
    found: dict[str, list[float]] = {}
    for group, how in value.get("positions", {}).items():
        nodes = groups[group]
        if not isinstance(how, Mapping):
            found |= {node: _three(how) for node in nodes}
            continue
        center = _three(how.get("center", (0, 0)))
        for number, node in enumerate(nodes):
            x, y = _layout(how, number, len(nodes), stream(seed, node, "position"))
            found[node] = [round(x + center[0], 6), round(y + center[1], 6), center[2]]
    return found


def _three(place: Sequence[float]) -> list[float]:
    return [*map(float, place), 0.0][:3]


def _layout(
    how: Mapping[str, Any], number: int, count: int, rng: random.Random
) -> tuple[float, float]:
    """Where one of some nodes is, seen from the middle (m)."""
    if "grid" in how:
        columns = math.ceil(math.sqrt(count))
        rows = math.ceil(count / columns)
        row, column = divmod(number, columns)
        return (column - (columns - 1) / 2) * how["grid"], (row - (rows - 1) / 2) * how["grid"]
    if "circle" in how:
        angle, away = 2 * math.pi * number / count, how["circle"]
    else:
        angle, away = 2 * math.pi * rng.random(), how["disc"] * math.sqrt(rng.random())
    return away * math.cos(angle), away * math.sin(angle)


def flows(value: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    """Whose messages go over TCP: sources and destinations."""
    return {
        (source, destination)
        for flow in value.get("tcp", ())
        for source in groups[flow["from"]]
        for destination in groups[flow["to"]]
        if source != destination
    }


def least_delay(found: Sequence[Segment], names: Collection[str]) -> int:
    """What every message takes at least (ns), where one of some nodes can send or receive any.

    The segments of others count as well: beside free-running nodes ns-3 goes on at the boundaries
    of windows only, and what enters it within one has to come out behind its end.
    """
    if not any(node in names for each in found for node in each.nodes):
        return NEVER
    return min(each.least_delay for each in found)


def config(
    value: Mapping[str, Any],
    found: Sequence[Segment],
    groups: Mapping[str, Sequence[str]],
    names: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """What the process of ns-3 is handed for a network of segments.

    That is not all; see `common`.
    """
    order = {name: number for number, name in enumerate(names)}
    where = places(value, groups, seed)
    return {
        "ipv6": is_ipv6(value),
        "positions": [where.get(name, [0.0, 0.0, 0.0]) for name in names],
        "segments": [
            {
                "name": each.name,
                "written": each.written,
                "kind": each.kind,
                "nodes": [order[node] for node in each.nodes],
                **each.keys,
            }
            for each in found
        ],
    }


def common(
    value: Mapping[str, Any], groups: Mapping[str, Sequence[str]], names: Sequence[str]
) -> dict[str, Any]:
    """What the process of ns-3 is handed besides, whoever makes its network.

    The library and the folder for its files are still to be added.
    """
    order = {name: number for number, name in enumerate(names)}
    return {
        "patience": duration(value.get("give_up", GIVE_UP)),
        "defaults": {name: _text(each) for name, each in value.get("defaults", {}).items()},
        "tcp": sorted([order[a], order[b]] for a, b in flows(value, groups)),
        "warm_up": duration(value["warm_up"]) if "warm_up" in value else None,
        "neighbours": value.get("neighbours", "known"),
        "pcap": value.get("pcap", False),
        "flows": value.get("flow_monitor", False),
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
