"""Faults as people think of them: from when to when, instead of a begin and an end apart."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


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
