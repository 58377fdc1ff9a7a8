"""A network that a function of the user's made, by means of ns-3's Python bindings.

What the function has to say is which ns-3 node stands for which node of the scenario. All else is
found: devices, the channels that join them, and their addresses. This runs in the process of ns-3.
"""

from __future__ import annotations

import difflib
import gc
import json
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simcore.errors import UsageError
from simcore.protocol.loading import load_object

from . import bindings
from .binding import KINDS
from .building import Impossible, Network, stream
from .routes import Routes

_KIND_NAMES = {number: kind for kind, number in KINDS.items()}
_NAME = re.compile("[A-Za-z0-9_.-]{1,32}")


class Wanted:
    """What a network is to have; the second argument of the user's function.

    Attributes:
        names: of all nodes of the scenario, in its order.
        groups: names of nodes by group; a node without `count` is a group of one.
        seed: of the run.
    """

    def __init__(self, names: list[str], groups: Mapping[str, list[str]], seed: int) -> None:
        self.names = tuple(names)
        self.groups = {group: tuple(members) for group, members in groups.items()}
        self.seed = seed

    def stream(self, segment: str, node: str) -> int:
        """A number for `AssignStreams`: the first of 1024 that belong to a node on a segment.

        So a device's random numbers do not depend on which others there are.
        """
        return stream(segment, node)


class Adopted(Network):
    """A network of a function of the user's."""

    _nearer = "bring it nearer, or say with 'warm_up' how long to wait"

    def _make(self) -> bool:
        ns3, library = self.ns3, self.ns3.library
        ns3.doing = "its Python bindings were loaded"
        ns = bindings.load(Path(self.config["wheel"]), self.config["headers"])
        ns3.doing = f"{self.config['topology']} was called"
        ids = self._call(ns)
        ns3.doing = "the nodes and devices of the topology were looked at"
        named = ns3.adopt_nodes(ids)
        self.nodes = [*self.names]
        for number in range(len(ids), len(named)):
            self.nodes.append(named[number] or f"node-{number}")
        found = ns3.survey()
        self._devices = self._take(found)
        needed: bool = library.sn_adopted()
        self._look_at_addresses()
        self._describe()
        return needed

    def let_go(self) -> None:
        """Forget the user's modules: a capture is written to its end when its device goes."""
        for name in set(sys.modules) - self._known:
            del sys.modules[name]
        gc.collect()

    # -- the user's function

    def _call(self, ns: Any) -> list[int]:
        """ns-3's number of the node that stands for each of the scenario's."""
        reference = self.config["topology"]
        self._known = set(sys.modules)
        try:
            build = load_object(reference, Path(self.config["base"]))
            answer = build(ns, Wanted(self.names, self.config["groups"], self.seed))
        except UsageError as error:
            raise Impossible(f"network.topology: {error}", _trace(error)) from error
        except Exception as error:
            raise Impossible(
                f"network.topology: {reference} raised {type(error).__name__}: {error}",
                _trace(error),
            ) from error
        return self._read(f"network.topology: {reference}", answer, ns)

    def _read(self, who: str, answer: Any, ns: Any) -> list[int]:
        if not isinstance(answer, Mapping):
            raise Impossible(
                f"{who} returned {_shown(answer)}: it is to return the ns-3 node of each node of "
                f"the scenario, as {{{self.names[0]!r}: node, ...}}"
            )
        for name in answer:
            if name not in self.order:
                close = difflib.get_close_matches(str(name), self.names, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                raise Impossible(f"{who} returned a node for {name!r}, which is none{hint}")
        missing = [name for name in self.names if name not in answer]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise Impossible(f"{who} returned no node for {missing[0]}{more}")
        known: dict[int, str] = {}
        kinds = (ns.Node, ns.Ptr["ns3::Node"])
        for name in self.names:
            if not isinstance(answer[name], kinds) or not answer[name]:
                raise Impossible(
                    f"{who} returned {_shown(answer[name])} for {name}, which is no ns-3 node"
                )
            number = int(answer[name].GetId())
            if number in known:
                raise Impossible(
                    f"{who} returned the same ns-3 node for {known[number]} and {name}"
                )
            known[number] = name
        return list(known)

    # -- what it made

    def _take(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take all devices, those of a channel one after another: that is a segment."""
        channels: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for number, device in enumerate(found):
            alone = (1, number)  # what has no channel is by itself, behind those that have
            channels.setdefault(
                (0, device["channel"]) if device["channel"] >= 0 else alone, []
            ).append(device)
        self.segments, self.first = [], []
        taken: list[dict[str, Any]] = []
        for number, (_, devices) in enumerate(sorted(channels.items())):
            hubs = [device for device in devices if device["hub"]]
            if len(hubs) == 1:
                devices.remove(hubs[0])
                devices.insert(0, hubs[0])
            kind = _KIND_NAMES[devices[0]["kind"]]
            name = devices[0]["name"] or f"{kind}-{number}"
            self._check_name(name)
            self.segments.append(
                {
                    "name": name,
                    "written": name,
                    "kind": kind,
                    "class": devices[0]["class"],
                    "nodes": [device["node"] for device in devices],
                    "hub": len(hubs) == 1,
                    "separable": all(device["separable"] for device in devices),
                    "rate": devices[0].get("rate", 0),
                    "delay": devices[0].get("delay", 0),
                }
            )
            self.first.append(len(taken))
            for device in devices:
                self.ns3.library.sn_adopt_device(
                    device["node"],
                    device["place"],
                    number,
                    stream(name, self.nodes[device["node"]]),
                )
                taken.append(device)
        return taken

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise Impossible(
                f"a channel is called {name!r}: a name has up to 32 letters, digits, and _ . -"
            )
        if any(each["name"] == name for each in self.segments):
            raise Impossible(f"two channels are called {name!r}: one of them has it from Names.Add")

    def _look_at_addresses(self) -> None:
        """Where each node can be spoken to, and how."""
        count = len(self.nodes)
        self._addressed: list[dict[int, dict[str, Any]]] = [{} for _ in range(count)]
        elsewhere = set()
        for number, segment in enumerate(self.segments):
            for place, node in enumerate(segment["nodes"]):
                device = self._devices[self.first[number] + place]
                if device["four"] or device["six"]:
                    self._addressed[node].setdefault(number, device)
                if device["channel"] < 0:
                    elsewhere.add(node)
        for number, name in enumerate(self.names):
            if not self._addressed[number]:
                raise Impossible(
                    f"network.topology: {name} has no address: its node needs an internet stack "
                    "(InternetStackHelper) and its devices addresses (Ipv4AddressHelper or "
                    "Ipv6AddressHelper)"
                )
        # Nobody knows what devices without a channel reach: each other, as far as we can tell.
        self.routes = Routes(count, [*(each["nodes"] for each in self.segments), sorted(elsewhere)])

    def _families(self, node: int) -> tuple[bool, bool]:
        devices = self._addressed[node].values()
        return any(each["four"] for each in devices), any(each["six"] for each in devices)

    def _arrival(self, source: int, destination: int) -> int:
        among = self._addressed[destination]
        found = self.routes.arrival(source, destination, among)
        return next(iter(among)) if found is None else found

    def _six(self, source: int, segment: int, destination: int) -> bool:
        device = self._addressed[destination][segment]
        four, _ = self._families(source)
        return not (four and device["four"])

    def _captures(self) -> list[tuple[tuple[int, int], str]]:
        written = {each["name"]: each for each in self.segments}
        captures = self.config["pcap"]
        for name in captures if isinstance(captures, list) else ():
            if name not in written:
                raise Impossible(
                    f"network.pcap: there is no segment {name!r}; there are {', '.join(written)}"
                )
            if written[name]["kind"] == "other":
                raise Impossible(
                    f"network.pcap: there are no captures of {written[name]['class']}, on {name}"
                )
        return [
            (place, file)
            for place, file in super()._captures()
            if self.segments[place[0]]["kind"] != "other"
        ]

    def _describe(self) -> None:
        """Tell simcore what it has got."""
        described = {
            "nodes": self.nodes,
            "segments": self.segments,
            "families": [self._families(node) for node in range(len(self.names))],
            "joined": self.routes.components(),
        }
        Path(self.config["described"]).write_text(json.dumps(described), encoding="utf-8")


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text[:60]}..." if len(text) > 63 else text


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
