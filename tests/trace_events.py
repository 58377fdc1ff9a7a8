"""A strict reader of the Trace Event Format, as far as simcore writes it.

It refuses what viewers drop, guess at or draw wrongly: times that are no numbers, slices of one
thread that overlap without being nested, threads without a name or with the number of another,
and arrows that are not bound to a slice at both ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

_COMMON = {"name", "ph", "pid", "tid", "ts", "args"}
_KEYS = {
    "M": {"name", "ph", "pid", "args"},
    "X": _COMMON | {"cat", "dur"},
    "i": _COMMON | {"cat", "s"},
    "s": (_COMMON - {"args"}) | {"cat", "id"},
    "f": (_COMMON - {"args"}) | {"cat", "id", "bp"},
}
_METADATA = {
    "process_name": ("name", str),
    "process_sort_index": ("sort_index", int),
    "thread_name": ("name", str),
    "thread_sort_index": ("sort_index", int),
}


class Slice(NamedTuple):
    """A stretch of a thread (ns), an instant if it has no length."""

    process: str
    thread: str
    name: str
    begin: int
    end: int
    args: Mapping[str, Any]

    def __str__(self) -> str:
        span = f"{self.begin}" if self.begin == self.end else f"{self.begin}-{self.end}"
        return f"{self.process}: {self.thread}: {span} {self.name}"


class Arrow(NamedTuple):
    """From the slice where it begins to the one where it ends."""

    begin: Slice
    end: Slice


class Trace(NamedTuple):
    """What a file holds."""

    slices: list[Slice]
    arrows: list[Arrow]
    order: list[str]
    """Processes and their threads from top to bottom, as `wall time: simcore`."""
    other: Mapping[str, Any]


def read(text: str) -> Trace:
    """Read a file.

    Raises:
        AssertionError: it is not what a viewer expects.
    """
    document = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    assert document.keys() == {"displayTimeUnit", "otherData", "traceEvents"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    events = document["traceEvents"]
    for event in events:
        _check_shape(event)
    names, order = _names(event for event in events if event["ph"] == "M")
    slices = {id(event): _slice(event, names) for event in events if event["ph"] in "Xi"}
    by_thread: dict[tuple[int, int], list[Slice]] = {}
    for event in events:
        if event["ph"] in "Xi":
            by_thread.setdefault((event["pid"], event["tid"]), []).append(slices[id(event)])
    for some in by_thread.values():
        _check_nesting(some)
    arrows = _arrows((event for event in events if event["ph"] in "sf"), by_thread)
    return Trace(list(slices.values()), arrows, order, document["otherData"])


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _check_shape(event: Any) -> None:
    phase = event["ph"]
    keys = _KEYS[phase] | ({"tid"} if event["name"].startswith("thread_") else set())
    assert event.keys() == keys, event
    assert type(event["name"]) is str and event["name"], event
    for key in ("pid", "tid", "id"):
        # 0 is the kernel's idle thread for viewers.
        assert type(event.get(key, 1)) is int and 0 < event.get(key, 1) < 2**31, event
    for key in ("ts", "dur"):
        assert _ns(event.get(key, 0)) >= 0, event
    assert type(event.get("cat", "x")) is str and type(event.get("args", {})) is dict, event
    assert event.get("s", "t") == "t" and event.get("bp", "e") == "e", event


def _ns(us: Any) -> int:
    """A time, which is to be a number of microseconds without fractions of a nanosecond."""
    assert type(us) in (int, Decimal), us
    ns = us * 1000
    assert ns == int(ns), us
    return int(ns)


def _names(
    events: Iterable[Mapping[str, Any]],
) -> tuple[dict[tuple[int, int | None], str], list[str]]:
    told: dict[tuple[int, int | None], dict[str, Any]] = {}
    for event in events:
        (key, kind) = _METADATA[event["name"]]
        assert event["args"].keys() == {key} and type(event["args"][key]) is kind, event
        place = told.setdefault((event["pid"], event.get("tid")), {})
        assert key not in place, f"twice: {event}"
        place[key] = event["args"][key]
    assert all(place.keys() == {"name", "sort_index"} for place in told.values())
    threads = [tid for _, tid in told if tid is not None]
    # Some viewers know threads by their number alone, and take that of the process for its first.
    assert len(set(threads)) == len(threads) and not set(threads) & {pid for pid, _ in told}
    ranks = {
        where: (told[where[0], None]["sort_index"], place["sort_index"])
        for where, place in told.items()
        if where[1] is not None
    }
    assert len(set(ranks.values())) == len(ranks), "two threads at one place"
    names = {where: place["name"] for where, place in told.items()}
    order = [f"{names[pid, None]}: {names[pid, tid]}" for pid, tid in sorted(ranks, key=ranks.get)]
    return names, order


def _slice(event: Mapping[str, Any], names: Mapping[tuple[int, int | None], str]) -> Slice:
    process, thread = names[event["pid"], None], names[event["pid"], event["tid"]]
    begin = _ns(event["ts"])
    end = begin + _ns(event.get("dur", 0))
    return Slice(process, thread, event["name"], begin, end, event["args"])


def _check_nesting(slices: list[Slice]) -> None:
    """Slices of a thread lie one in the other or one after the other."""
    open_ones: list[Slice] = []
    for each in sorted(slices, key=lambda s: (s.begin, -s.end)):
        while open_ones and open_ones[-1].end <= each.begin:
            open_ones.pop()
        if open_ones:
            assert each.end <= open_ones[-1].end, f"{each} overlaps {open_ones[-1]}"
        if each.end > each.begin:
            open_ones.append(each)


def _arrows(
    events: Iterable[Mapping[str, Any]], by_thread: Mapping[tuple[int, int], list[Slice]]
) -> list[Arrow]:
    # An arrow is bound to the innermost slice at its time.
    begun: dict[tuple[str, str, int], tuple[int, Slice]] = {}
    arrows: dict[tuple[str, str, int], Arrow] = {}
    for event in events:
        key, at = (event["cat"], event["name"], event["id"]), _ns(event["ts"])
        at_it = [
            each
            for each in by_thread[event["pid"], event["tid"]]
            if each.begin <= at <= each.end and each.end > each.begin
        ]
        assert at_it, f"not bound to a slice: {event}"
        bound = max(at_it, key=lambda s: s.begin)
        if event["ph"] == "s":
            assert key not in begun, f"twice: {event}"
            begun[key] = (at, bound)
        else:
            before, source = begun[key]
            assert before <= at and key not in arrows, event
            arrows[key] = Arrow(source, bound)
    assert arrows.keys() == begun.keys(), "an arrow without an end"
    return list(arrows.values())
