"""Which way packets go between segments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from simcore_netmodels.ns3.routes import Routes


def walk(routes: Routes, source: int, destination: int) -> list[int] | None:
    """The nodes that a packet passes, by the tables of each."""
    target = routes.arrival(source, destination)
    if target is None:
        return None
    way = [source]
    while way[-1] != destination:
        node = way[-1]
        if target in routes.segments[node]:
            way.append(destination)
            continue
        tables = list(routes.table(node))
        exact = [via for _, via, segment in tables if segment == target]
        default = [via for _, via, segment in tables if segment is None]
        way.append((exact or default)[0])
        assert len(way) < 50, "a loop"
    return way


#   0 --\
#   1 ---[A]--- 2 --[B]-- 3 --[C]-- 4
LINE = Routes(5, [[0, 1, 2], [2, 3], [3, 4]])


def test_a_line() -> None:
    assert walk(LINE, 0, 4) == [0, 2, 3, 4]
    assert walk(LINE, 4, 1) == [4, 3, 2, 1]
    assert walk(LINE, 0, 1) == [0, 1]
    assert list(LINE.table(0)) == [(0, 2, None)]  # there is one router: it leads everywhere


def test_no_way() -> None:
    routes = Routes(4, [[0, 1], [2, 3]])
    assert routes.arrival(0, 2) is None
    assert routes.arrival(0, 1) == 0


def test_what_is_joined() -> None:
    assert Routes(5, [[0, 1], [3, 4], [1, 2]]).components() == [0, 0, 0, 3, 3]


def test_a_segment_where_a_node_has_no_address_is_none_to_speak_to_it() -> None:
    assert LINE.arrival(0, 3) == 1
    assert LINE.arrival(0, 3, among={2}) == 2
    assert LINE.arrival(0, 3, among=()) is None


def test_of_two_ways_the_first_in_the_file() -> None:
    #   0 --[A]-- 1 --[B]-- 3;  0 --[C]-- 2 --[D]-- 3
    routes = Routes(4, [[0, 1], [1, 3], [0, 2], [2, 3]])
    assert walk(routes, 0, 3) == [0, 1, 3]
    routes = Routes(4, [[0, 2], [2, 3], [0, 1], [1, 3]])
    assert walk(routes, 0, 3) == [0, 2, 3]


@given(
    st.integers(2, 8).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.lists(
                st.lists(st.integers(0, count - 1), min_size=2, max_size=4, unique=True),
                min_size=1,
                max_size=6,
            ),
        )
    )
)
def test_every_way_arrives_over_the_fewest_segments(world: tuple[int, list[list[int]]]) -> None:
    count, segments = world
    routes = Routes(count, segments)
    for source in range(count):
        near = {source}
        away = {source: 0}
        while near:  # breadth first, as plain as can be
            step = {b for members in segments for a in members if a in near for b in members}
            near = step - set(away)
            away.update(dict.fromkeys(near, max(away.values()) + 1))
        for destination in range(count):
            if destination == source:
                continue
            way = walk(routes, source, destination)
            assert (way is None) == (destination not in away)
            if way is not None:
                assert len(way) - 1 == away[destination]
