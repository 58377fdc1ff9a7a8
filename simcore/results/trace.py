"""The chain of causes of one message: what led to it, and what it led to.

A sample travels from a sensor through gateway and cloud back to an actuator as several
messages. Each names its cause, so the chain is found from any of them; along it the time of
origin stays the same, which is what keeps the search to a handful of rows.
"""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from simcore.errors import UsageError
from simcore.results.store import snapshot
from simcore.results.tables import has_rows

_Key = tuple[int, int]
"""Source (order in the scenario) and number of a message."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One link of a route; times in ns, `arrived` None if the message was lost on it."""

    link: str
    entered: int
    queued: int
    transmitted: int
    arrived: int | None


@dataclass(slots=True)
class Traced:
    """One message of a chain; times in ns, `size` in bytes."""

    id: str
    depth: int
    """Causes between it and the first message of the chain."""
    asked: bool
    """Whether it is the message that was asked for."""
    source: str
    source_tier: str
    destination: str
    destination_tier: str
    kind: str
    size: int
    payload: str
    sent: int
    at: int
    fate: str
    cause: str | None
    queued: int
    waited: int
    computed: int
    hops: list[Hop] = field(default_factory=list)

    @property
    def network(self) -> int:
        """Time between sending and fate that was not spent in queues."""
        return self.at - self.sent - self.queued


@dataclass(frozen=True, slots=True)
class TracedInference:
    """The inference that a chain is about; times in ns, what there is none of is None."""

    node: str
    n: int
    sampled: int
    sent: int
    ended: int | None
    place: str | None
    reason: str | None
    label: int | str | None
    confidence: float | None
    truth: int | str | None
    own: int | str | None
    request: str
    """Message in which the device asked or told."""
    answer: str | None
    """Message that brought the final answer."""
    split: dict[str, int]
    """Parts of the latency, as in `simcore.results.inferences`; empty without an answer."""

    @property
    def latency(self) -> int | None:
        """From the picture to the final answer."""
        return None if self.ended is None else self.ended - self.sampled


def _acknowledges(message: Traced, inference: TracedInference) -> bool:
    return message.cause == inference.answer and message.source == inference.node


@dataclass(frozen=True, slots=True)
class Chain:
    """The ancestors of a message, the message, and its descendants, causes first."""

    messages: tuple[Traced, ...]
    origin: int
    """Virtual time (ns) at which the chain began."""
    inferences: tuple[TracedInference, ...] = ()
    """Those whose request is among the messages."""

    @property
    def end(self) -> int:
        """Virtual time (ns) of the last fate."""
        return max(message.at for message in self.messages)

    def along(self, inference: TracedInference) -> Chain:
        """Only what lies between a picture and the device's acknowledgement of the answer.

        Without an answer, everything that the request led to is kept.
        """
        of = {message.id: message for message in self.messages}
        path = set()
        last = of.get(inference.answer or "")
        while last is not None and last.id not in path:
            path.add(last.id)
            last = of.get(last.cause or "")
        if inference.request not in path:
            return self
        kept = [m for m in self.messages if m.id in path or _acknowledges(m, inference)]
        return replace(self, messages=tuple(kept))


def trace(connection: sqlite3.Connection, message: str) -> Chain:
    """Find the chain that a message belongs to.

    Args:
        connection: the run's database.
        message: an id such as `meter-3/17`.

    Raises:
        UsageError: there is no such message.
    """
    with snapshot(connection):
        key = _key(connection, message)
        depths = _family(connection, key)
        return _chain(connection, key, depths)


def request_of(connection: sqlite3.Connection, node: str, n: int) -> str:
    """Id of the message in which a device asked about one of its pictures, or told of it.

    Raises:
        UsageError: there is no such inference, or one in each of several lives of the device.
    """
    with snapshot(connection):
        if not has_rows(connection, "inference"):
            raise UsageError(
                "the run has no inferences: its scenario has no 'placement', or it ended before "
                "any device told of a picture"
            )
        order = _node(connection, node)
        # A number that no database can hold is none of its own.
        asked = (order, n if n.bit_length() < 64 else None)
        found = connection.execute(
            "SELECT request FROM inference WHERE node = ? AND n = ? ORDER BY request", asked
        ).fetchall()
        if not found:
            raise UsageError(f"{node} has no inference {n}{_near_inferences(connection, order)}")
        messages = [f"{node}/{number}" for (number,) in found]
        if len(messages) > 1:
            raise UsageError(
                f"{node} counted anew when it started again: it has {len(messages)} inferences "
                f"{n}; name one by its message: {', '.join(messages)}"
            )
        return messages[0]


def _near_inferences(connection: sqlite3.Connection, order: int) -> str:
    count, least, most = connection.execute(
        "SELECT count(*), min(n), max(n) FROM inference WHERE node = ?", (order,)
    ).fetchone()
    return f"; it has {count:,}, from {least} to {most}" if count else "; it takes no pictures"


def _key(connection: sqlite3.Connection, message: str) -> _Key:
    name, slash, number = message.rpartition("/")
    if not slash or not number.isascii() or not number.isdigit() or len(number) > 18:
        example = _example(connection)
        raise UsageError(f"{message!r} is no message: write its source and number{example}")
    key = (_node(connection, name), int(number))
    found = "SELECT 1 FROM message WHERE source = ? AND number = ?"
    if connection.execute(found, key).fetchone() is None:
        raise UsageError(f"{name} sent no message {number}{_near_numbers(connection, name, key)}")
    return key


def _node(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT id FROM node WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UsageError(f"the run has no node {name!r}{_near_nodes(connection, name)}")
    return int(row[0])


def _example(connection: sqlite3.Connection) -> str:
    row = connection.execute(
        "SELECT n.name, m.number FROM message m JOIN node n ON n.id = m.source LIMIT 1"
    ).fetchone()
    return f", as in {row[0]}/{row[1]}" if row else "; this run has no messages"


def _near_nodes(connection: sqlite3.Connection, name: str) -> str:
    names = [row[0] for row in connection.execute("SELECT name FROM node ORDER BY id")]
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f" (did you mean {' or '.join(near)}?)"
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"; its nodes are {', '.join(names[:10])}{more}"


def _near_numbers(connection: sqlite3.Connection, name: str, key: _Key) -> str:
    least, most, count = connection.execute(
        "SELECT min(number), max(number), count(*) FROM message WHERE source = ?", key[:1]
    ).fetchone()
    if not count:
        return "; it sent none at all"
    return f"; it sent {count:,}, from {name}/{least} to {name}/{most}"


def _family(connection: sqlite3.Connection, key: _Key) -> dict[_Key, int]:
    """Ancestors and descendants of a message, each with its distance from the first one."""
    causes = _causes(connection, key)
    ancestors = [key]
    while (cause := causes.get(ancestors[-1])) is not None and cause not in ancestors:
        ancestors.append(cause)
    ancestors.reverse()
    depths = {ancestor: depth for depth, ancestor in enumerate(ancestors)}
    effects: dict[_Key, list[_Key]] = {}
    for effect, cause in causes.items():
        effects.setdefault(cause, []).append(effect)
    waiting = [key]
    while waiting:
        current = waiting.pop()
        for effect in effects.get(current, ()):
            if effect not in depths:
                depths[effect] = depths[current] + 1
                waiting.append(effect)
    return depths


def _causes(connection: sqlite3.Connection, key: _Key) -> dict[_Key, _Key]:
    """Cause of every message whose chain began at the same instant as that of `key`."""
    row = connection.execute(
        "SELECT coalesce(t.origin, m.sent) FROM message m "
        "LEFT JOIN trail t ON t.source = m.source AND t.number = m.number "
        "WHERE m.source = ? AND m.number = ?",
        key,
    ).fetchone()
    rows = connection.execute(
        "SELECT source, number, cause_source, cause_number FROM trail "
        "WHERE origin = ? AND cause_number IS NOT NULL",
        row,
    )
    return {(source, number): (by, of) for source, number, by, of in rows}


def _chain(connection: sqlite3.Connection, asked: _Key, depths: dict[_Key, int]) -> Chain:
    _choose(connection, depths)
    # CROSS JOIN fixes the order of the loops: an unfinished run has no index on messages.
    rows = connection.execute(
        """
        SELECT m.source, m.number, s.name, s.tier, d.name, d.tier, k.name, m.size, m.payload,
               m.sent, m.at, f.name, c.name || '/' || t.cause_number, coalesce(t.queued, 0),
               coalesce(t.waited, 0), coalesce(t.computed, 0), coalesce(t.origin, m.sent)
        FROM message m CROSS JOIN temp.chosen x ON x.source = m.source AND x.number = m.number
        JOIN node s ON s.id = m.source JOIN node d ON d.id = m.destination
        JOIN kind k ON k.id = m.kind JOIN fate f ON f.id = m.fate
        LEFT JOIN trail t ON t.source = m.source AND t.number = m.number
        LEFT JOIN node c ON c.id = t.cause_source
        """
    ).fetchall()
    messages = {}
    for source, number, name, *columns, _ in rows:
        key = (source, number)
        messages[key] = Traced(f"{name}/{number}", depths[key], key == asked, name, *columns)
    for key, hop in _hops(connection):
        if key in messages:  # a run under way may have written the hop only
            messages[key].hops.append(hop)
    ordered = sorted(messages, key=lambda key: (messages[key].sent, depths[key], key))
    return Chain(tuple(messages[key] for key in ordered), rows[0][-1], _inferences(connection))


def _inferences(connection: sqlite3.Connection) -> tuple[TracedInference, ...]:
    """The inferences whose requests were chosen."""
    if not has_rows(connection, "inference"):
        return ()
    from simcore.results.inferences import load  # needs numpy, which takes time to import

    rows = connection.execute(
        """
        SELECT d.name, i.n, i.sampled, i.sent, i.ended, i.place, i.reason, i.label, i.confidence,
               i.truth, i.own, d.name || '/' || i.request, a.name || '/' || i.answer_number
        FROM inference i JOIN temp.chosen c ON c.source = i.node AND c.number = i.request
        JOIN node d ON d.id = i.node LEFT JOIN node a ON a.id = i.answer_source
        ORDER BY i.rowid
        """
    ).fetchall()
    parts = load(connection, chosen=True).parts if rows else {}
    found = []
    for place, row in enumerate(rows):
        split = {} if row[4] is None else {part: int(ns[place]) for part, ns in parts.items()}
        found.append(TracedInference(*(*row, split)))
    return tuple(found)


def _choose(connection: sqlite3.Connection, keys: Iterable[_Key]) -> None:
    """Put keys where a query can join them; a read-only connection may have temporary tables."""
    connection.execute("DROP TABLE IF EXISTS temp.chosen")
    connection.execute(
        "CREATE TEMP TABLE chosen(source INTEGER, number INTEGER, PRIMARY KEY(source, number)) "
        "WITHOUT ROWID"
    )
    connection.executemany("INSERT INTO temp.chosen VALUES (?, ?)", keys)


def _hops(connection: sqlite3.Connection) -> list[tuple[_Key, Hop]]:
    rows = connection.execute(
        "SELECT h.source, h.number, h.link, h.entered, h.queued, h.transmitted, h.arrived "
        "FROM hop h CROSS JOIN temp.chosen x ON x.source = h.source AND x.number = h.number "
        "ORDER BY h.source, h.number, h.hop"
    )
    return [((source, number), Hop(*rest)) for source, number, *rest in rows]
