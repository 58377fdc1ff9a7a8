"""A stretch of the virtual time of one node that takes samples: what it did, and waited for.

The means of a run hide how an inference comes about. Here a few of them stand on one axis: the
samples, the messages of the node, what its images waited for and were computed by elsewhere, the
answers, and the faults that concern the node.
"""

from __future__ import annotations

import difflib
import math
import sqlite3
from bisect import bisect_left
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import accumulate

from simcore.errors import UsageError
from simcore.results.faults import FaultSpan, spans
from simcore.results.store import snapshot

MOST_IMAGES = 4
"""Images that are shown where nobody chose a stretch."""

MOST_CHOSEN = 500
"""Images of a stretch that somebody chose."""

_CANDIDATES = 50
"""Nodes among which one is chosen."""


@dataclass(frozen=True, slots=True)
class Image:
    """One inference; times in ns, `ended` and `place` None if it has no answer."""

    n: int
    sampled: int
    sent: int
    ended: int | None
    place: str | None
    right: bool | None
    request: int | None
    computing: int
    """When the device began to compute; `sent` if it did not."""

    @property
    def end(self) -> int:
        """When its answer came; without one, when the device sent its message."""
        return self.sent if self.ended is None else self.ended


@dataclass(frozen=True, slots=True)
class Transit:
    """A message of the node on its way; times in ns."""

    sent: int
    at: int
    outgoing: bool
    delivered: bool


@dataclass(frozen=True, slots=True)
class Work:
    """What an image of the node waited for and was computed by elsewhere; times in ns."""

    node: str
    tier: str
    begin: int
    started: int
    """When its computation began: before, it waited for a worker."""
    end: int


@dataclass(frozen=True, slots=True)
class Moments:
    """What a node did in some windows [begin, end) of virtual time (ns), which are in order."""

    node: str
    windows: Sequence[tuple[int, int]]
    images: Sequence[Image]
    transits: Sequence[Transit]
    work: Sequence[Work]
    faults: Sequence[FaultSpan]


def moments(
    connection: sqlite3.Connection,
    *,
    node: str | None = None,
    between: tuple[int, int] | None = None,
) -> Moments:
    """Some virtual time of a node of a run with inferences.

    Args:
        connection: the run's database.
        node: its name; None for one to which much happened.
        between: from when to when, ns; None for a few images that were answered in different
            places, or during a fault.

    Raises:
        UsageError: no such node, it takes no samples, or it took none or too many between these
            times.
    """
    with snapshot(connection):
        faults = spans(connection)
        best = None
        candidates = _candidates(_names(connection), node)
        taken = _images(connection, [id for id, _ in candidates])
        for id, name in candidates:
            images = taken[id]
            own = [fault for fault in faults if name in fault.target.split("->")]
            some = _choose(images, own) if between is None else _inside(images, [between])
            if best is None or len(some) > len(best[-1]):
                best = (id, name, images, own, some)
        if best is None:
            raise UsageError("no node of the run takes samples")
        id, name, images, own, some = best
        if not some:
            who = "no node took an" if node is None else f"{node} took no"
            raise UsageError(f"{who} image between these times")
        windows = [between] if between is not None else _windows(some)
        inside = _inside(images, windows)
        if len(inside) > MOST_CHOSEN:
            raise UsageError(
                f"{name} took {len(inside):,} images between these times, and a figure shows "
                f"{MOST_CHOSEN}: choose a shorter stretch"
            )
        return Moments(
            node=name,
            windows=windows,
            images=inside,
            transits=_transits(connection, id, windows),
            work=_work(connection, id, inside),
            faults=[f for f in own if _touches(windows, f.begin, f.end)],
        )


def _inside(images: Sequence[Image], windows: Sequence[tuple[int, int]]) -> list[Image]:
    """Those that are under way in one of the windows."""
    return [image for image in images if _touches(windows, image.sampled, image.end)]


def _touches(windows: Sequence[tuple[int, int]], begin: int, end: int | None) -> bool:
    return any(begin < b and (end is None or end >= a) for a, b in windows)


def _names(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    rows = connection.execute(
        "SELECT id, name FROM node WHERE id IN (SELECT node FROM inference) ORDER BY id"
    )
    return [(id, name) for id, name in rows]


def _candidates(names: Sequence[tuple[int, str]], node: str | None) -> Sequence[tuple[int, str]]:
    if node is None:
        return names[:_CANDIDATES]
    found = [(id, name) for id, name in names if name == node]
    if not found:
        known = [name for _, name in names]
        near = difflib.get_close_matches(node, known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else f"; {len(known)} do: {known[0]}, ..."
        raise UsageError(f"no node {node!r} of the run takes samples{hint}")
    return found


def _images(connection: sqlite3.Connection, nodes: Sequence[int]) -> dict[int, list[Image]]:
    """What each of some nodes took, by time."""
    rows = connection.execute(
        "SELECT i.node, i.n, i.sampled, i.sent, i.ended, i.place, i.label = i.truth, i.request, "
        "coalesce(t.computed, 0) FROM inference i "
        "LEFT JOIN trail t ON t.source = i.node AND t.number = i.request "
        f"WHERE i.node IN ({_marks(nodes)}) ORDER BY i.sampled, i.n",
        nodes,
    )
    found: dict[int, list[Image]] = {}
    for node, n, sampled, sent, ended, place, right, request, computed in rows:
        judged = None if right is None else bool(right)
        began = max(sampled, sent - computed)
        image = Image(n, sampled, sent, ended, place, judged, request, began)
        found.setdefault(node, []).append(image)
    return found


def _choose(images: Sequence[Image], faults: Sequence[FaultSpan]) -> list[Image]:
    """A few images that came about in different ways, by time: the first of each."""
    found: dict[tuple[str | None, bool], Image] = {}
    begins = sorted(fault.begin for fault in faults)
    # Of all faults that begin no later than one of them, when the last one ends.
    lasting = list(accumulate((_until(f) for f in sorted(faults, key=lambda f: f.begin)), max))
    for image in images:
        before = bisect_left(begins, image.end)
        hit = before > 0 and lasting[before - 1] >= image.sampled
        found.setdefault((image.place, hit), image)
    # Answers of different places first, then what a fault touched.
    some = sorted(found.items(), key=lambda item: (item[0][1], item[0][0] is None))
    return sorted((image for _, image in some[:MOST_IMAGES]), key=lambda image: image.sampled)


def _until(fault: FaultSpan) -> float:
    return math.inf if fault.end is None else fault.end


def _windows(images: Sequence[Image]) -> list[tuple[int, int]]:
    """Windows of equal length around images, joined where they overlap."""
    length = max((image.end - image.sampled for image in images), default=1)
    margin = max(1, length // 10)
    found: list[tuple[int, int]] = []
    for image in images:
        begin, end = max(0, image.sampled - margin), image.sampled + length + margin
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _transits(
    connection: sqlite3.Connection, id: int, windows: Sequence[tuple[int, int]]
) -> list[Transit]:
    rows = connection.execute(
        "SELECT m.sent, m.at, m.source = :id, f.name = 'delivered' FROM message m "
        "JOIN fate f ON f.id = m.fate WHERE (m.source = :id OR m.destination = :id) "
        "AND m.sent < :end AND m.at >= :begin ORDER BY m.sent, m.at",
        {"id": id, "begin": windows[0][0], "end": windows[-1][1]},
    )
    found = [Transit(sent, at, bool(out), bool(done)) for sent, at, out, done in rows]
    return [transit for transit in found if _touches(windows, transit.sent, transit.at)]


def _work(connection: sqlite3.Connection, id: int, images: Sequence[Image]) -> list[Work]:
    """What was computed elsewhere on the way from requests to their answers.

    A run that is under way or was killed has no indexes, so each query here is one pass at most.
    """
    sent = {image.request: image.sent for image in images if image.request is not None}
    own = f"source = ? AND number IN ({_marks(sent)})"
    known = connection.execute(f"SELECT number, origin FROM trail WHERE {own}", (id, *sent))
    origins = set({**sent, **dict(known)}.values())
    rows = connection.execute(
        "SELECT source, number, cause_source, cause_number, waited, computed FROM trail "
        f"WHERE origin IN ({_marks(origins)})",
        tuple(origins),
    ).fetchall()
    effects: dict[tuple[int, int], list[tuple[int, int]]] = {}
    spent: dict[tuple[int, int], tuple[int, int]] = {}
    for source, number, cause_source, cause_number, *times in rows:
        effects.setdefault((cause_source, cause_number), []).append((source, number))
        spent[source, number] = (times[0], times[1])
    waiting, reached = [(id, number) for number in sent], set()
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting += effects.get(key, ())
    working = {key for key in reached if any(spent.get(key, ())) and key[0] != id}
    return _placed(connection, {key: spent[key] for key in working})


def _placed(
    connection: sqlite3.Connection, spent: Mapping[tuple[int, int], tuple[int, int]]
) -> list[Work]:
    """Where and when messages were computed that waited and took so long (ns), by time."""
    nodes = {id: rest for id, *rest in connection.execute("SELECT id, name, tier FROM node")}
    sources, numbers = {source for source, _ in spent}, {number for _, number in spent}
    rows = connection.execute(
        f"SELECT source, number, sent FROM message WHERE source IN ({_marks(sources)}) "
        f"AND number IN ({_marks(numbers)}) ORDER BY sent, source, number",
        (*sources, *numbers),
    )
    found = []
    for source, number, sent in rows:
        if (source, number) in spent:
            waited, computed = spent[source, number]
            name, tier = nodes[source]
            found.append(Work(name, tier, sent - computed - waited, sent - computed, sent))
    return found


def _marks(values: Sized) -> str:
    return ",".join("?" * len(values))
