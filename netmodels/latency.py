"""Plug-in `model: latency`: links with delay, loss, rate and queue, and routes over them.

Here is what is checked before anything starts; `link_network` is the network of one run.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.clock import NEVER
from simcore.errors import UnitError
from simcore.plugins import Determinism

from .link_network import LatencyNetwork
from .links import SCHEMA, read_link

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.plugins import Path as Place
    from simcore.scenario.check import Checker
    from simcore.scenario.model import Scenario

MAX_PAIRS = 2_000_000
"""Links that one entry may stand for."""


class Latency:
    """Plug-in `model: latency`."""

    name = "latency"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = SCHEMA

    def check(self, value: Any, path: Place, checker: Checker) -> None:
        """Report unknown nodes, links that stand twice, and keys without effect."""
        seen: dict[tuple[str, str], int] = {}
        for index, entry in enumerate(value.get("links", ())):
            self._check_link(entry, (*path, "links", index), index, seen, checker)
        for index, route in enumerate(value.get("routes", ())):
            self._check_route(route, (*path, "routes", index), seen, checker)

    def _check_link(
        self,
        entry: Mapping[str, Any],
        place: Place,
        index: int,
        seen: dict[tuple[str, str], int],
        checker: Checker,
    ) -> None:
        if "delay" in entry:
            try:
                read_link({"between": ["a", "b"], "delay": entry["delay"]}, checker.base)
            except UnitError as error:
                checker.problem((*place, "delay"), str(error))
        for key in ("from", "to"):
            if "between" in entry and key in entry:
                checker.problem((*place, key), f"{key!r} has no effect beside 'between'")
        for key in ("queue", "shared"):
            if key in entry and "rate" not in entry and not checker.incomplete((*place, "rate")):
                checker.problem((*place, key), f"{key!r} has no effect without 'rate'")
        ends = entry.get("between") or [entry.get("from"), entry.get("to")]
        places = [("between", 0), ("between", 1)] if "between" in entry else [("from",), ("to",)]
        known = [
            name is not None and checker.check_node_reference((*place, *where), name)
            for name, where in zip(ends, places, strict=True)
        ]
        if all(known):
            self._check_pairs(ends, "between" in entry, place, index, seen, checker)

    def _check_pairs(
        self,
        ends: Any,
        both: bool,
        place: Place,
        index: int,
        seen: dict[tuple[str, str], int],
        checker: Checker,
    ) -> None:
        first, second = (checker.members(name) for name in ends)
        if len(first) * len(second) > MAX_PAIRS:
            checker.problem(
                place,
                f"stands for more than {MAX_PAIRS:,} links: connect the groups through a node",
            )
            return
        pairs = [(a, b) for a in first for b in second if a != b]
        if not pairs:
            checker.problem(place, "connects a node with itself")
        for pair in [*pairs, *((b, a) for a, b in pairs if both)]:
            if seen.setdefault(pair, index) != index:
                checker.problem(
                    place,
                    f"a second link from {pair[0]} to {pair[1]}: links[{seen[pair]}] is the first",
                )
                return

    def _check_route(
        self,
        route: Mapping[str, Any],
        place: Place,
        links: Mapping[tuple[str, str], int],
        checker: Checker,
    ) -> None:
        ends = [route[key] for key in ("from", "to") if key in route]
        known = [len(ends) == 2]
        known += [
            checker.check_node_reference((*place, key), route[key])
            for key in ("from", "to")
            if key in route
        ]
        via = list(route.get("via", ()))
        for index, name in enumerate(via):
            known.append(checker.check_node_reference((*place, "via", index), name))
            if known[-1] and checker.members(name) != (name,):
                checker.problem((*place, "via", index), f"{name} is a group: name one of its nodes")
                known[-1] = False
        if not all(known):
            return
        if checker.incomplete(("network", "links")):
            return
        for source in checker.members(ends[0]):
            for destination in checker.members(ends[1]):
                way = [source, *via, destination]
                for pair in itertools.pairwise(way):
                    if pair not in links:
                        checker.problem(place, f"no link from {pair[0]} to {pair[1]}")
                        return

    def least_delay(self, value: Any, names: Collection[str], base: FilePath) -> int:
        """Least delay (ns) of a link that touches one of the nodes or groups."""
        delays = [NEVER]
        for entry in value.get("links", ()):
            ends = entry.get("between") or (entry.get("from"), entry.get("to"))
            if "delay" in entry and any(end in names for end in ends):
                link = read_link({"between": ["a", "b"], "delay": entry["delay"]}, base)
                delays.append(link.delay.infimum)
        return min(delays)

    def build(self, federation: Federation, scenario: Scenario) -> LatencyNetwork:
        """Make the network of one run."""
        return LatencyNetwork(federation, scenario)

    def doctor(self) -> tuple[bool, str]:
        """Always works."""
        return True, "built in"
