"""Routes: fewest links, ties by the order of the links, also through stars and chains."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcore_netmodels.routing import Routes


def two_way(*pairs):
    return [edge for a, b in pairs for edge in ((a, b), (b, a))]


def plain_search(edges, source, destination):
    """Breadth first, neighbours in the order of the links: what a route is by definition."""
    before = {source: source}
    queue = deque([source])
    while queue:
        node = queue.popleft()
        for a, b in edges:
            if a == node and b not in before:
                before[b] = node
                queue.append(b)
    if destination not in before or source == destination:
        return None
    route = [destination]
    while route[-1] != source:
        route.append(before[route[-1]])
    return tuple(reversed(route))


nodes = st.integers(0, 7)
graphs = st.lists(
    st.tuples(nodes, nodes).filter(lambda pair: pair[0] != pair[1]), unique=True, max_size=20
)


@given(graphs)
def test_routes_are_those_of_a_plain_search(edges):
    routes = Routes(edges, {})
    for source in range(8):
        for destination in range(8):
            expected = plain_search(edges, source, destination)
            assert routes.find(source, destination) == expected


@pytest.mark.parametrize(
    ("edges", "route"),
    [
        (two_way((0, 1), (1, 3), (0, 2), (2, 3)), (0, 1, 3)),
        (two_way((0, 2), (2, 3), (0, 1), (1, 3)), (0, 2, 3)),
        (two_way((0, 1), (1, 2), (2, 3), (0, 3)), (0, 3)),
    ],
    ids=["first link first", "the other way round", "direct"],
)
def test_ties_go_by_the_order_of_the_links(edges, route):
    """A square 0 - 1 - 3 - 2 - 0."""
    assert Routes(edges, {}).find(0, 3) == route


def test_a_route_set_by_hand_wins_in_its_direction():
    routes = Routes(two_way((0, 1), (1, 2), (0, 2)), {(0, 2): (0, 1, 2)})
    assert routes.find(0, 2) == (0, 1, 2)
    assert routes.find(2, 0) == (2, 0)


def test_the_leaves_of_a_star_reach_each_other_without_a_search_each():
    """leaf 1 ... 5000 --- hub 0 --- 5001 --- 5002."""
    edges = two_way(*((leaf, 0) for leaf in range(1, 5001)), (0, 5001), (5001, 5002))
    routes = Routes(edges, {})
    searches = []
    plain = routes._breadth_first
    routes._breadth_first = lambda source: searches.append(source) or plain(source)
    assert routes.find(7, 8) == (7, 0, 8)
    assert all(routes.find(leaf, 5002) == (leaf, 0, 5001, 5002) for leaf in range(1, 5001))
    assert all(routes.find(5002, leaf) == (5002, 5001, 0, leaf) for leaf in range(1, 5001))
    assert len(searches) <= 2


def test_one_way_rings():
    ring = [(0, 1), (1, 2), (2, 0), (3, 0)]
    routes = Routes(ring, {})
    assert routes.find(0, 2) == (0, 1, 2)
    assert routes.find(3, 2) == (3, 0, 1, 2)
    assert routes.find(0, 3) is None
    assert routes.find(0, 9) is None
