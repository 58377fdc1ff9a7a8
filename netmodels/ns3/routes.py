"""Which way packets go: computed by simcore, so that it does not depend on a routing protocol.

Nodes of several segments pass packets on. The way to a segment is the one over the fewest segments;
of several, the one whose segments and nodes come first in the file. A destination with several
addresses is spoken to at the one that is nearest to the source. Standard library only: the checks
of a scenario use it, and so does the process in which ns-3 runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Sequence


class Routes:
    """Ways through segments.

    Args:
        count: number of nodes.
        segments: the nodes of each segment, by number.
    """

    def __init__(self, count: int, segments: Sequence[Sequence[int]]) -> None:
        self._members = segments
        self.segments: list[list[int]] = [[] for _ in range(count)]
        """The segments of each node, in their order."""
        for number, members in enumerate(segments):
            for node in members:
                self.segments[node].append(number)
        self._routers = [
            [node for node in members if len(self.segments[node]) > 1] for members in segments
        ]
        self._trees: dict[int, dict[int, tuple[int, int]]] = {}

    def towards(self, segment: int) -> dict[int, tuple[int, int]]:
        """By segment: how many segments away the given one is, and the router that leads there."""
        tree = self._trees.get(segment)
        if tree is None:
            tree = self._trees[segment] = {segment: (0, -1)}
            queue = deque([segment])
            while queue:
                near = queue.popleft()
                for router in self._routers[near]:
                    for further in self.segments[router]:
                        if further not in tree:
                            tree[further] = (tree[near][0] + 1, router)
                            queue.append(further)
        return tree

    def first(self, node: int, segment: int) -> tuple[int, int, int] | None:
        """How a node reaches a segment that it is not on.

        Returns:
            How many segments away it is, the segment that the packet leaves on, and the router
            that it goes to; None: there is no way.
        """
        tree = self.towards(segment)
        ways = [(*tree[own], own) for own in self.segments[node] if own in tree]
        if not ways:
            return None
        away, router, out = min(ways, key=lambda way: way[0])
        return away, out, router

    def arrival(
        self, source: int, destination: int, among: Container[int] | None = None
    ) -> int | None:
        """The segment on which a destination is spoken to; None: there is no way.

        Args:
            among: the segments where it has an address; None: all.
        """
        best: tuple[int, int] | None = None
        for segment in self.segments[destination]:
            if among is not None and segment not in among:
                continue
            if segment in self.segments[source]:
                return segment
            way = self.first(source, segment)
            if way is not None and (best is None or way[0] < best[0]):
                best = way[0], segment
        return None if best is None else best[1]

    def components(self) -> list[int]:
        """For each node, a number that those share which segments lead to from each other."""
        found = [-1] * len(self.segments)
        for start in range(len(found)):
            queue = deque([start] if found[start] < 0 else [])
            while queue:
                node = queue.popleft()
                if found[node] < 0:
                    found[node] = start
                    queue += [each for own in self.segments[node] for each in self._members[own]]
        return found

    def table(self, node: int) -> Iterator[tuple[int, int, int | None]]:
        """The routes of a node.

        Yields:
            Segment that the packet leaves on, neighbour that it goes to, segment that it is for;
            None: all others.
        """
        own = self.segments[node]
        if len(own) == 1:
            routers = [router for router in self._routers[own[0]] if router != node]
            if len(routers) <= 1:
                for router in routers:
                    yield own[0], router, None
                return
        for segment in range(len(self._members)):
            if segment not in own and (way := self.first(node, segment)) is not None:
                yield way[1], way[2], segment
