"""Finds where two runs part: the first record, in the order of the digest, that is not the same.

Two digests say that runs differ and nothing more. Everything after the first difference is
usually its consequence, so that one record, with the field and both values, is what helps.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from simcore.results.digest import FAULT, MEASUREMENT, MESSAGE
from simcore.units import show_exact

Value = int | float | str | None
_Key = tuple[int, int, int, int]
_Record = tuple[_Key, tuple[Value, ...]]
"""Place in the order of the digest, and everything that the digest covers."""

_Pair = tuple[_Record | None, _Record | None]

_EXCERPT = 60
_CHUNK = 4096

_FIELDS: dict[int, tuple[str, ...]] = {
    FAULT: ("at", "number", "phase", "kind", "target", "detail"),
    MESSAGE: ("at", "source", "number", "destination", "kind", "size", "payload", "sent", "fate"),
    MEASUREMENT: ("at", "node", "number", "name", "type", "value"),
}
_NAMES: dict[int, Literal["fault", "message", "measurement"]] = {
    FAULT: "fault",
    MESSAGE: "message",
    MEASUREMENT: "measurement",
}
_QUERIES = {
    FAULT: """SELECT at, -1, number, at, number, phase, kind, target, detail
        FROM fault m {} ORDER BY at, number""",
    MESSAGE: """SELECT m.at, m.source, m.number, m.at, s.name, m.number, d.name, k.name, m.size,
            m.payload, m.sent, f.name
        FROM message m JOIN node s ON s.id = m.source JOIN node d ON d.id = m.destination
            JOIN kind k ON k.id = m.kind JOIN fate f ON f.id = m.fate
        {} ORDER BY m.at, m.source, m.number""",
    MEASUREMENT: """SELECT m.at, m.node, m.number, m.at, s.name, m.number, m.name, m.type, m.value
        FROM measurement m JOIN node s ON s.id = m.node
        {} ORDER BY m.at, m.node, m.number""",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """The first record in which two runs differ.

    Attributes:
        at: virtual time (ns) of the record, in the run where it comes first.
        what: sort of record.
        record: its name, as `meter-3/17` for a message, `gateway #4` for the fourth
            measurement of a node, `#2` for the second fault.
        field: the first field that differs; `occurs` if one run lacks the record, `order` if
            both have it, in different places.
        left, right: the values of both runs; times in ns, sizes in bytes.
    """

    at: int
    what: Literal["fault", "message", "measurement"]
    record: str
    field: str
    left: Value
    right: Value

    def __str__(self) -> str:
        left, right = _excerpts(self.left, self.right)
        if self.field in ("at", "sent"):
            left, right = (show_exact(int(ns or 0)) for ns in (self.left, self.right))
        return (
            f"at {show_exact(self.at)}: {self.what} {self.record}: {self.field} "
            f"is {left} in the first run and {right} in the second"
        )


def first_difference(left: sqlite3.Connection, right: sqlite3.Connection) -> Difference | None:
    """Walk two runs in the order of the digest, up to the first record that differs.

    Args:
        left, right: databases of the two runs, as `Run.connection`.

    Returns:
        None if messages, measurements and faults are all the same.
    """
    # The first of all is the earliest of the first ones of each sort.
    found = [pair for sort in _QUERIES if (pair := _first_pair(left, right, sort))]
    if not found:
        return None
    one, other = min(found, key=_earlier)
    if other is None or (one is not None and one[0] <= other[0]):
        assert one is not None
        return _describe(one, _find(right, one), swapped=False)
    return _describe(other, _find(left, other), swapped=True)


def _earlier(pair: _Pair) -> _Key:
    return min(record[0] for record in pair if record is not None)


def _first_pair(left: sqlite3.Connection, right: sqlite3.Connection, sort: int) -> _Pair | None:
    """The first two records of a sort, at the same place in the order, that differ."""
    query = _QUERIES[sort].format("")
    cursors = left.execute(query), right.execute(query)
    while True:
        ours, theirs = (cursor.fetchmany(_CHUNK) for cursor in cursors)
        if ours != theirs:  # whole chunks first: that is fast, and nearly all are equal
            for one, other in zip_longest(ours, theirs):
                # The order of nodes (second column) is not part of the digest.
                if one is None or other is None or one[3:] != other[3:]:
                    return _record(sort, one), _record(sort, other)
        if not ours and not theirs:
            return None


def _record(sort: int, row: tuple[Any, ...] | None) -> _Record | None:
    if row is None:
        return None
    at, order, number, *line = row
    return (at, order, sort, number), tuple(line)


def _find(connection: sqlite3.Connection, record: _Record) -> _Record | None:
    """The record of the same name, wherever it stands."""
    (_, _, sort, number), line = record
    of: tuple[Value, ...] = (number,)
    where = "WHERE m.number = ?"
    if sort != FAULT:
        where, of = f"{where} AND s.name = ?", (number, line[1])
    return _record(sort, connection.execute(_QUERIES[sort].format(where), of).fetchone())


def _describe(record: _Record, found: _Record | None, *, swapped: bool) -> Difference:
    (at, _, sort, number), line = record
    name = {
        FAULT: f"#{number}",
        MESSAGE: f"{line[1]}/{number}",
        MEASUREMENT: f"{line[1]} #{number}",
    }
    field, pair = _first_field(_FIELDS[sort], line, found and found[1])
    left, right = reversed(pair) if swapped else pair
    return Difference(at, _NAMES[sort], name[sort], field, left, right)


def _first_field(
    fields: tuple[str, ...], line: tuple[Value, ...], other: tuple[Value, ...] | None
) -> tuple[str, tuple[Value, Value]]:
    if other is None:
        return "occurs", ("yes", "no")
    # `at` stands first in the order, but it follows from what was sent and when.
    places = [*range(1, len(fields)), 0]
    for place in places:
        if line[place] != other[place]:
            return fields[place], (line[place], other[place])
    return "order", ("earlier", "later")


def _excerpts(left: Value, right: Value) -> tuple[str, str]:
    """Both values for people; of long texts the part where they differ."""
    if not (isinstance(left, str) and isinstance(right, str)):
        return _text(left), _text(right)
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), 0)
    start = max(0, same - _EXCERPT // 3) if max(len(left), len(right)) > _EXCERPT else 0
    return _cut(left, start), _cut(right, start)


def _text(value: Value) -> str:
    return _cut(value, 0) if isinstance(value, str) else json.dumps(value)


def _cut(text: str, start: int) -> str:
    end = start + _EXCERPT
    before, after = "..." if start else "", "..." if len(text) > end else ""
    return f"{before}{text[start:end]}{after}"
