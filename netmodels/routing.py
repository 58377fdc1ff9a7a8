"""Routes over the links of a latency network: fewest links, ties by the order of the links.

A star of ten thousand leaves must not cost ten thousand searches: a node with a single
neighbour has no choice, so its routes are those of the neighbour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

Route = tuple[int, ...]
"""Nodes from source to destination, both included, by their order."""


class Routes:
    """Routes between nodes that are numbered by their order.

    Args:
        edges: directed pairs of nodes, in the order of the links.
        fixed: routes that are set by hand, by (source, destination).
    """

    def __init__(
        self, edges: Iterable[tuple[int, int]], fixed: dict[tuple[int, int], Route]
    ) -> None:
        self._out: dict[int, list[int]] = {}
        self._in: dict[int, list[int]] = {}
        for source, destination in edges:
            self._out.setdefault(source, []).append(destination)
            self._in.setdefault(destination, []).append(source)
        self._edges = {(a, b) for a, bs in self._out.items() for b in bs}
        self._none: list[int] = []
        self._fixed = fixed
        self._trees: dict[int, dict[int, int]] = {}

    def find(self, source: int, destination: int) -> Route | None:
        """The route between two nodes, or None."""
        fixed = self._fixed.get((source, destination))
        if fixed is not None:
            return fixed
        if source == destination:
            return None
        if (source, destination) in self._edges:
            return source, destination
        head: list[int] = [source]
        while len(onward := self._out.get(head[-1], self._none)) == 1 and head[-1] != destination:
            if onward[0] in head:
                return None
            head.append(onward[0])
        if head[-1] == destination:
            return tuple(head)
        tail: list[int] = [destination]
        while len(back := self._in.get(tail[-1], self._none)) == 1 and tail[-1] not in head:
            if back[0] in tail:
                return None
            tail.append(back[0])
        if tail[-1] in head:
            return (*head[: head.index(tail[-1])], *reversed(tail))
        middle = self._search(head[-1], tail[-1])
        return None if middle is None else (*head[:-1], *middle, *reversed(tail[:-1]))

    def _search(self, source: int, destination: int) -> Route | None:
        tree = self._trees.get(source)
        if tree is None:
            tree = self._trees[source] = self._breadth_first(source)
        if destination not in tree:
            return None
        route = [destination]
        while route[-1] != source:
            route.append(tree[route[-1]])
        return tuple(reversed(route))

    def _breadth_first(self, source: int) -> dict[int, int]:
        tree = {source: source}
        queue = deque([source])
        while queue:
            node = queue.popleft()
            for onward in self._out.get(node, self._none):
                if onward not in tree:
                    tree[onward] = node
                    queue.append(onward)
        return tree
