"""Faults as people think of them: from when to when, instead of a begin and an end apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(slots=True)
class FaultSpan:
    """One fault; times in ns, `end` None if it lasted to the end of the run."""

    begin: int
    end: int | None
    kind: str
    target: str
    detail: str


def spans(connection: sqlite3.Connection) -> list[FaultSpan]:
    """Every fault of a run, by its begin. An end belongs to the oldest open one of its kind."""
    found: list[FaultSpan] = []
    open_ones: dict[tuple[str, str], list[FaultSpan]] = {}
    rows = connection.execute(
        "SELECT at, phase, kind, target, detail FROM fault ORDER BY at, number"
    )
    for at, phase, kind, target, detail in rows:
        waiting = open_ones.setdefault((kind, target), [])
        if phase == "begin":
            fault = FaultSpan(at, None, kind, target, detail or "")
            found.append(fault)
            waiting.append(fault)
        elif waiting:
            waiting.pop(0).end = at
    return found


def bundles(connection: sqlite3.Connection) -> list[FaultSpan]:
    """As `spans`, but what happened to all of a group at once is one fault.

    Its target is then `sensor-* <-> hub (120 links)` or `sensor-* (60 nodes)`.
    """
    groups = dict(connection.execute("SELECT name, grp FROM node"))
    found: dict[tuple[object, ...], list[FaultSpan]] = {}
    for fault in spans(connection):
        parts = fault.target.split("->")
        # Of names that are no nodes nothing is known: they stay apart.
        ends = frozenset(groups.get(part, fault.target) for part in parts)
        key = (fault.begin, fault.end, fault.kind, fault.detail, len(parts), ends)
        found.setdefault(key, []).append(fault)
    return [
        replace(some[0], target=_together([fault.target for fault in some], groups))
        for some in found.values()
    ]


def _together(targets: list[str], groups: Mapping[str, str]) -> str:
    """One name for nodes of a group, or for links between two."""
    if len(targets) == 1:
        return targets[0]
    columns = list(zip(*(target.split("->") for target in targets), strict=True))
    if len(columns) == 1:
        return f"{_side(columns[0], groups)} ({len(targets)} nodes)"
    there, back = (groups.get(name, name) for name in targets[0].split("->"))
    known = set(targets)
    both = any(f"{end}->{begin}" in known for begin, end in zip(*columns, strict=True))
    if both and there != back:  # the names at each end, whichever way the link goes
        named = [name for column in columns for name in column]
        columns = [tuple(n for n in named if groups.get(n, n) == end) for end in (there, back)]
    left, right = (_side(column, groups) for column in columns)
    return f"{left} {'<->' if both else '->'} {right} ({len(targets)} links)"


def _side(names: Sequence[str], groups: Mapping[str, str]) -> str:
    return names[0] if len(set(names)) == 1 else f"{groups.get(names[0], names[0])}-*"
