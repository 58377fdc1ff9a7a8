"""The network of a run is built in ns-3, from what simcore made of the scenario.

Standard library only: this runs in the process of ns-3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from .binding import Binding, Settings
from .routes import Routes

SECOND = 1_000_000_000
PATIENCE = 60
"""Seconds of ns-3's time until all stations must be associated."""


class Impossible(Exception):
    """The network cannot be built; the text says why."""


class Built:
    """A network in ns-3.

    Args:
        ns3: the library.
        config: see `plan.Plan.config`.
        seed: of the run.
        names: of the nodes.
        native: whether ns-3 keeps its own simulator, to be compared with.
    """

    def __init__(
        self,
        ns3: Binding,
        config: Mapping[str, Any],
        seed: int,
        names: list[str],
        native: bool = False,
    ) -> None:
        self.ns3 = ns3
        self.names = names
        self.order = {name: number for number, name in enumerate(names)}
        self.segments: list[dict[str, Any]] = config["segments"]
        patience = config["patience"]
        library = ns3.library
        library.sn_open(*_seeds(seed), 2**64 - 1 if patience is None else patience, native)
        for name, value in config["defaults"].items():
            if (problem := ns3.default(name, value)) is not None:
                raise Impossible(f"network.defaults: {problem}")
        ns3.nodes(config["ipv6"], config["positions"], [_stream("node", name) for name in names])
        self.first = [self._segment(number) for number in range(len(self.segments))]
        self.routes = Routes(len(names), [each["nodes"] for each in self.segments])
        ns3.doing = "addresses and routes were set"
        self._route()
        library.sn_sockets()
        self._warm_up(config["warm_up"])
        for number, each in enumerate(self.segments):
            library.sn_neighbours(self.first[number], len(each["nodes"]))
        for name, file in config["pcap"]:
            library.sn_pcap(self.device(*name), file.encode())
        if config["flows"]:
            library.sn_flow_monitor()
        library.sn_begin()
        ns3.doing = ""
        self._streams = {tuple(pair) for pair in config["tcp"]}
        self._ways: dict[tuple[str, str], tuple[int, int, bool]] = {}

    def device(self, segment: int, node: int) -> int:
        """The number of a node's device on a segment."""
        nodes: list[int] = self.segments[segment]["nodes"]
        return self.first[segment] + nodes.index(node)

    def way(self, source: str, destination: str) -> tuple[int, int, bool]:
        """The node that a message leaves, the device that it goes to, and whether over TCP."""
        way = self._ways.get((source, destination))
        if way is None:
            start, end = self.order[source], self.order[destination]
            segment = self.routes.arrival(start, end)
            if segment is None:
                raise Impossible(f"there is no way from {source} to {destination}")
            way = start, self.device(segment, end), (start, end) in self._streams
            self._ways[source, destination] = way
        return way

    def _segment(self, number: int) -> int:
        segment = self.segments[number]
        keys = Settings(
            name=segment["name"].encode(),
            standard=segment.get("standard", "").encode(),
            mode=segment.get("mode", "").encode(),
            rate=segment.get("rate", 0),
            delay=segment.get("delay", 0),
            queue=segment.get("queue", 0),
            loss=segment.get("loss", 0.0),
            bit_errors=segment.get("bit_errors", 0.0),
        )
        self.ns3.doing = f"segment {segment['name']} was made"
        streams = [_stream(segment["name"], self.names[node]) for node in segment["nodes"]]
        return self.ns3.segment(number, segment["kind"], segment["nodes"], streams, keys)

    def _route(self) -> None:
        library = self.ns3.library
        for node in range(len(self.names)):
            if len(self.routes.segments[node]) > 1:
                library.sn_router(node)
        for node in range(len(self.names)):
            for out, router, target in self.routes.table(node):
                member = -1 if target is None else self.first[target]
                library.sn_route(self.device(out, node), self.device(out, router), member)

    def _warm_up(self, least: int) -> None:
        """Let ns-3 go on until it is ready: radios find their access points."""
        if least:
            self.ns3.library.sn_warm_up(least)
        for second in range(1, PATIENCE + 1):
            missing = self.ns3.library.sn_unassociated()
            if missing < 0:
                return
            self.ns3.library.sn_warm_up(least + second * SECOND)
        raise Impossible(
            f"{self.names[missing]} has not reached its access point after {PATIENCE} s: bring it "
            "nearer with 'positions'"
        )


def _seeds(seed: int) -> tuple[int, int]:
    """ns-3's seed and run: every other seed of simcore's gives others."""
    numbers = hashlib.sha256(str(seed).encode()).digest()
    return 1 + int.from_bytes(numbers[:4]) % 4294944000, int.from_bytes(numbers[4:10])


def _stream(segment: str, node: str) -> int:
    """The first of 1024 streams that belong to a node alone, whichever others there are."""
    numbers = hashlib.sha256(f"{segment}/{node}".encode()).digest()
    return int.from_bytes(numbers[:6]) << 10
