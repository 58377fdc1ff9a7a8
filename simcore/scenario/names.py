"""Node names: which exist, which group expands to what, and what was meant by one that does not.

References are checked even in a file that is wrong elsewhere, so names are taken from whatever
is readable: a node with an error in its definition still exists, and a group whose `count` is
wrong is assumed to have every member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from simcore.scenario.problems import MAX_SUGGESTIONS, did_you_mean, shorten

MAX_COUNT = 100_000
MAX_NODES = 200_000
"""Nodes of a scenario, all groups expanded."""


class Names:
    """The node names of one scenario.

    Args:
        nodes: what stands under `nodes`, valid or not.
    """

    def __init__(self, nodes: Any) -> None:
        self.known = isinstance(nodes, Mapping)
        """Whether there is anything to check references against."""
        self.counts: dict[str, int | None] = {}
        """Members by group; None for a single node."""
        self._uncertain: set[str] = set()
        self._explained: dict[str, tuple[str, str | None]] = {}
        for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
            count = node.get("count") if isinstance(node, Mapping) else None
            self.counts[name] = count
            if count is not None and (type(count) is not int or not 1 <= count <= MAX_COUNT):
                self._uncertain.add(name)
                self.counts[name] = 1
        if self.total > MAX_NODES:  # reported; expanding them would only cost memory
            self._uncertain.update(name for name, count in self.counts.items() if count)

    @property
    def total(self) -> int:
        """Nodes after expansion."""
        return sum(1 if count is None else count for count in self.counts.values())

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Member names by group; a single node is a group of one with its own name."""
        crowded = self.total > MAX_NODES
        return {
            name: (name,)
            if count is None
            else tuple(f"{name}-{index}" for index in range(1 if crowded else count))
            for name, count in self.counts.items()
        }

    @cached_property
    def all(self) -> tuple[str, ...]:
        """Names of all nodes, in the order of the scenario."""
        return tuple(name for members in self.groups.values() for name in members)

    def exists(self, name: str) -> bool:
        """Whether it names a group or a node; True where that cannot be known."""
        if not self.known or name in self.counts:
            return True
        group, index = _split(name)
        if index is None:
            return False
        count = self.counts.get(group)
        return count is not None and (group in self._uncertain or index < count)

    def members(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that a group's or node's name stands for; none if unknown."""
        if name in self.counts:
            return self.groups[name]
        return (name,) if self.exists(name) else ()

    def explain(self, name: str) -> tuple[str, str | None]:
        """Why a name is unknown: a message, and what was probably meant."""
        if name not in self._explained:
            self._explained[name] = self._explain(name)
        return self._explained[name]

    def _explain(self, name: str) -> tuple[str, str | None]:
        shown = repr(shorten(name, 60))
        group, index = _split(name)
        count = self.counts.get(group)
        if index is not None and count is not None:
            last = f"{group}-{count - 1}"
            members = f"{group}-0 to {last}" if count > 1 else last
            return f"there is no node {shown}: {group} has {members}", None
        if index is not None and group in self.counts:
            return f"there is no node {shown}: {group} has no 'count'", group
        if len(self._explained) > 2 * MAX_SUGGESTIONS:  # nobody reads on, and looking costs time
            return f"there is no node or group {shown}", None
        meant = did_you_mean(name, self.counts)
        if index is not None:
            near = did_you_mean(group, [known for known, size in self.counts.items() if size])
            if near is not None and self.exists(f"{near}-{index}"):
                meant = f"{near}-{index}"
        return f"there is no node or group {shown}", meant

    def collisions(self) -> Iterator[tuple[str, str, int]]:
        """Names that a group's expansion takes as well: (name, group, the group's count)."""
        for name in self.counts:
            group, index = _split(name)
            count = self.counts.get(group)
            if index is None or count is None or group in self._uncertain:
                continue
            if index < count:
                yield name, group, count


def _split(name: str) -> tuple[str, int | None]:
    group, dash, digits = name.rpartition("-")
    if not dash or not digits.isascii() or not digits.isdigit() or len(digits) > 6:
        return name, None
    if digits != str(int(digits)):
        return name, None
    return group, int(digits)
