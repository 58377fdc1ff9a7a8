"""The network of a run is built in ns-3, from what simcore made of the scenario.

Standard library only: this runs in the process of ns-3.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from .binding import Binding, Settings
from .routes import Routes

SECOND = 1_000_000_000
WARM_UP = SECOND
"""Time that radios and IPv6 get before virtual time begins, ns; longer if stations need it."""
PATIENCE = 60
"""Seconds of ns-3's time until all stations must be associated."""

STREAM, SIX = 1, 2
"""How a message goes, as `native/traffic.h` has it: over TCP, over IPv6."""


class Impossible(Exception):
    """The network cannot be built; the text says why.

    Args:
        why: what is wrong.
        detail: a traceback, if code of the user's is involved.
    """

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why)
        self.detail = detail


class Network(ABC):
    """A network in ns-3, ready for messages.

    Args:
        ns3: the library.
        config: see `plan.config`.
        seed: of the run.
        names: of the scenario's nodes.
        native: whether ns-3 keeps its own simulator, to be compared with.

    Attributes:
        nodes: names of all its nodes; first those of the scenario.
        segments: what joins them: `name`, `kind`, `nodes` by number, and more.
        first: the number of the first device of each segment.
        routes: ways through the segments.
    """

    nodes: list[str]
    segments: list[dict[str, Any]]
    first: list[int]
    routes: Routes

    def __init__(
        self,
        ns3: Binding,
        config: Mapping[str, Any],
        seed: int,
        names: list[str],
        native: bool = False,
    ) -> None:
        self.ns3, self.config, self.seed = ns3, config, seed
        self.names = names
        self.order = {name: number for number, name in enumerate(names)}
        patience = config["patience"]
        library = ns3.library
        library.sn_open(*_seeds(seed), 2**64 - 1 if patience is None else patience, native)
        for name, value in config["defaults"].items():
            if (problem := ns3.default(name, value)) is not None:
                raise Impossible(f"network.defaults: {problem}")
        needed = self._make()
        library.sn_sockets(len(names))
        ns3.doing = "it warmed up"
        if config["warm_up"] is None:
            self._warm_up(WARM_UP if needed else 0)
        elif config["warm_up"]:
            library.sn_warm_up(config["warm_up"])
        if config["neighbours"] == "known":
            for number, each in enumerate(self.segments):
                library.sn_neighbours(self.first[number], len(each["nodes"]))
        for name, file in self._captures():
            library.sn_pcap(self.device(*name), file.encode())
        if config["flows"]:
            library.sn_flow_monitor()
        library.sn_begin()
        ns3.doing = ""
        self._streams = {tuple(pair) for pair in config["tcp"]}

    def let_go(self) -> None:  # noqa: B027 - most hold none
        """Nothing is wanted of it any more: what holds objects of ns-3 in Python is to go."""

    @abstractmethod
    def _make(self) -> bool:
        """Have nodes, segments and routes be there; whether they need time before virtual time."""

    def _captures(self) -> list[tuple[tuple[int, int], str]]:
        """Devices, by segment and node, and the files that they are captured in."""
        captures = self.config["pcap"]
        if not captures:
            return []
        return [
            ((number, node), f"{self.config['folder']}/{each['name']}-{self.nodes[node]}.pcap")
            for number, each in enumerate(self.segments)
            if captures is True or each["written"] in captures
            for node in each["nodes"]
        ]

    def device(self, segment: int, node: int) -> int:
        """The number of a node's device on a segment."""
        nodes: list[int] = self.segments[segment]["nodes"]
        return self.first[segment] + nodes.index(node)

    def way(self, source: str, destination: str) -> tuple[int, int, int]:
        """The node that a message leaves, the device that it goes to, and the manner: sums of
        STREAM and SIX.
        """
        start, end = self.order[source], self.order[destination]
        segment = self._arrival(start, end)
        manner = STREAM * ((start, end) in self._streams) + SIX * self._six(start, segment, end)
        return start, self.device(segment, end), manner

    def _arrival(self, source: int, destination: int) -> int:
        """The segment on which a destination is spoken to."""
        segment = self.routes.arrival(source, destination)
        if segment is None:
            raise Impossible(
                f"there is no way from {self.names[source]} to {self.names[destination]}"
            )
        return segment

    @abstractmethod
    def _six(self, source: int, segment: int, destination: int) -> bool:
        """Whether one node speaks to another over IPv6."""

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
            f"{self.nodes[missing]} has not reached its access point after {PATIENCE} s: "
            + self._nearer
        )

    _nearer = "bring it nearer with 'positions'"


class Built(Network):
    """A network of `segments`, made here."""

    def _make(self) -> bool:
        ns3, config, names = self.ns3, self.config, self.names
        self.nodes = names
        self.segments = config["segments"]
        ns3.nodes(config["ipv6"], config["positions"], [stream("node", name) for name in names])
        self.first = [self._segment(number) for number in range(len(self.segments))]
        self._reach()
        self.routes = Routes(len(names), [each["nodes"] for each in self.segments])
        ns3.doing = "addresses and routes were set"
        self._route()
        return config["ipv6"] or any(each["kind"] == "wifi" for each in self.segments)

    def _six(self, source: int, segment: int, destination: int) -> bool:
        ipv6: bool = self.config["ipv6"]
        return ipv6

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
        streams = [stream(segment["name"], self.names[node]) for node in segment["nodes"]]
        return self.ns3.segment(number, segment["kind"], segment["nodes"], streams, keys)

    def _reach(self) -> None:
        """Refuse a radio that nobody hears, which would only ever lose messages."""
        for number, each in enumerate(self.segments):
            if each["kind"] != "lrwpan":
                continue  # a station of Wi-Fi is seen not to find its access point
            alone = self.ns3.library.sn_unheard(self.first[number], len(each["nodes"]))
            if alone >= 0:
                raise Impossible(
                    f"{self.nodes[each['nodes'][alone]]} is out of reach of all others on "
                    f"{each['name']}: {self._nearer}"
                )

    def _route(self) -> None:
        library = self.ns3.library
        for node in range(len(self.names)):
            if len(self.routes.segments[node]) > 1:
                library.sn_router(node)
        for node in range(len(self.names)):
            for out, router, target in self.routes.table(node):
                member = -1 if target is None else self.first[target]
                library.sn_route(self.device(out, node), self.device(out, router), member)


def _seeds(seed: int) -> tuple[int, int]:
    """ns-3's seed and run: every other seed of simcore's gives others."""
    numbers = hashlib.sha256(str(seed).encode()).digest()
    return 1 + int.from_bytes(numbers[:4]) % 4294944000, int.from_bytes(numbers[4:10])


def stream(segment: str, node: str) -> int:
    """The first of 1024 streams that belong to a node alone, whichever others there are."""
    numbers = hashlib.sha256(f"{segment}/{node}".encode()).digest()
    return int.from_bytes(numbers[:6]) << 10
