"""A run's tables as people read them: names instead of ids, every column with its unit.

The recorder stores numbers in narrow tables, because that is fast to write. Everything that
leaves a run (DataFrames, CSV, Parquet, their data dictionary) comes from the queries below,
so that all of them have the same columns with the same meaning.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

ColumnType = Literal["int", "float", "str"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `unit` is "" for names, texts and plain numbers."""

    name: str
    type: ColumnType
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `sql` yields `columns` in their order."""

    name: str
    columns: tuple[Column, ...]
    sql: str
    of: str | None = None
    """The table in the database that is empty in most runs, and absent from old ones."""
    computed: Callable[[sqlite3.Connection], Iterator[tuple[Any, ...]]] | None = None
    """Gives the last columns of each row, where SQL cannot."""

    def chunks(self, connection: sqlite3.Connection, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows, some at a time."""
        cursor = connection.execute(self.sql)
        more = None if self.computed is None else self.computed(connection)
        while rows := cursor.fetchmany(size):
            if more is not None:
                computed = itertools.islice(more, len(rows))
                rows = [(*row, *rest) for row, rest in zip(rows, computed, strict=True)]
            yield rows


_DELIVERED = "CASE WHEN m.fate = 0 THEN {} END"
_QUEUED, _WAITED, _COMPUTED = (
    f"coalesce(t.{part}, 0)" for part in ("queued", "waited", "computed")
)

MESSAGES = Table(
    "messages",
    (
        Column("id", "str", "", "source/number"),
        Column("source", "str", "", "node that sent it"),
        Column("number", "int", "", "counter of its source"),
        Column("destination", "str", "", "node it was sent to"),
        Column("kind", "str", "", "kind of message"),
        Column("size", "int", "B", "size on the network"),
        Column("payload", "str", "", "content as canonical JSON"),
        Column("sent", "int", "ns", "virtual time at which it left its source"),
        Column("at", "int", "ns", "virtual time of its fate; end of the run if in flight"),
        Column("fate", "str", "", "delivered, in_flight, or why it was lost"),
        Column("cause", "str", "", "id of the message that led to it; empty for a first one"),
        Column("origin", "int", "ns", "virtual time at which its chain of causes began"),
        Column("latency", "int", "ns", "network + queueing + computing; delivered ones only"),
        Column("network", "int", "ns", "part of the latency: transmission and propagation"),
        Column("queueing", "int", "ns", "part of the latency: queued + waited"),
        Column("computing", "int", "ns", "part of the latency: computed before it was sent"),
        Column("queued", "int", "ns", "time in the queues of links"),
        Column("waited", "int", "ns", "time its computation waited for a worker"),
        Column("end_to_end", "int", "ns", "from origin to delivery; delivered ones only"),
    ),
    f"""
    SELECT s.name || '/' || m.number, s.name, m.number, d.name, k.name, m.size, m.payload,
           m.sent, m.at, f.name, c.name || '/' || t.cause_number, coalesce(t.origin, m.sent),
           {_DELIVERED.format(f"m.at - m.sent + {_WAITED} + {_COMPUTED}")},
           {_DELIVERED.format(f"m.at - m.sent - {_QUEUED}")},
           {_DELIVERED.format(f"{_QUEUED} + {_WAITED}")},
           {_DELIVERED.format(_COMPUTED)},
           {_QUEUED}, {_WAITED},
           {_DELIVERED.format("m.at - coalesce(t.origin, m.sent)")}
    FROM message m
    JOIN node s ON s.id = m.source JOIN node d ON d.id = m.destination
    JOIN kind k ON k.id = m.kind JOIN fate f ON f.id = m.fate
    LEFT JOIN trail t ON t.source = m.source AND t.number = m.number
    LEFT JOIN node c ON c.id = t.cause_source
    ORDER BY m.at, m.source, m.number
    """,
)

MEASUREMENTS = Table(
    "measurements",
    (
        Column("at", "int", "ns", "virtual time at which it was recorded"),
        Column("node", "str", "", "node that recorded it"),
        Column("number", "int", "", "counter of its node"),
        Column("name", "str", "", "name given by the model"),
        Column("type", "str", "", "bool, int, float or str"),
        Column("value", "float", "as recorded", "the number (bool: 0 or 1); empty for a text"),
        Column("text", "str", "", "the text; empty for a number"),
    ),
    """
    SELECT m.at, n.name, m.number, m.name, m.type,
           CASE WHEN m.type <> 'str' THEN m.value END, CASE WHEN m.type = 'str' THEN m.value END
    FROM measurement m JOIN node n ON n.id = m.node
    ORDER BY m.at, m.node, m.number
    """,
)

FAULTS = Table(
    "faults",
    (
        Column("at", "int", "ns", "virtual time"),
        Column("number", "int", "", "order among the faults of the run"),
        Column("phase", "str", "", "begin or end"),
        Column("kind", "str", "", "link_down, link_degraded, node_crash, node_offline or battery"),
        Column("target", "str", "", "link as source->destination, or node"),
        Column("detail", "str", "", "what else is known, as JSON"),
    ),
    "SELECT at, number, phase, kind, target, detail FROM fault ORDER BY at, number",
)

LINKS = Table(
    "links",
    (
        Column("name", "str", "", "link as source->destination"),
        Column("source", "str", "", "node it leaves"),
        Column("destination", "str", "", "node it leads to"),
        Column("entered", "int", "", "messages that entered"),
        Column("delivered", "int", "", "messages that came out"),
        Column("loss", "int", "", "messages lost at random"),
        Column("queue_full", "int", "", "messages lost to a full queue"),
        Column("link_down", "int", "", "messages lost because the link was down"),
        Column("bytes", "int", "B", "bytes that entered"),
        Column("busy", "int", "ns", "time spent transmitting"),
        Column("queue_mean", "float", "messages", "mean length of the queue over the run"),
        Column("queue_max", "int", "messages", "greatest length of the queue"),
    ),
    """
    SELECT name, source, destination, entered, delivered, loss, queue_full, link_down, bytes,
           busy, queue_mean, queue_max
    FROM link ORDER BY rowid
    """,
)

NODES = Table(
    "nodes",
    (
        Column("name", "str", "", "name of the node"),
        Column("group", "str", "", "name in the scenario, before expansion"),
        Column("tier", "str", "", "device, network, edge or cloud"),
        Column("implementation", "str", "", "what stood behind the node"),
    ),
    "SELECT name, grp, tier, implementation FROM node ORDER BY id",
)

HOPS = Table(
    "hops",
    (
        Column("id", "str", "", "message, as source/number"),
        Column("hop", "int", "", "position on its route, from 0"),
        Column("link", "str", "", "link as source->destination"),
        Column("entered", "int", "ns", "virtual time at which it entered the link"),
        Column("queued", "int", "ns", "time in the link's queue"),
        Column("transmitted", "int", "ns", "time being transmitted"),
        Column("arrived", "int", "ns", "virtual time at which it came out; empty if lost on it"),
    ),
    """
    SELECT n.name || '/' || h.number, h.hop, h.link, h.entered, h.queued, h.transmitted, h.arrived
    FROM hop h JOIN node n ON n.id = h.source
    ORDER BY h.source, h.number, h.hop
    """,
)

PARTICIPANTS = Table(
    "participants",
    (
        Column("name", "str", "", "participant outside simcore: its node, or the group it hosts"),
        Column("life", "int", "", "1 for the first, one more after each restart"),
        Column("kind", "str", "", "reactive, free_running or network"),
        Column("implementation", "str", "", "what stands behind its nodes, or the network model"),
        Column("nodes", "str", "", "names of its nodes, as a JSON array"),
        Column("command", "str", "", "what was started, as a JSON array"),
        Column("pid", "int", "", "process number; empty if it was not started"),
        Column("started", "int", "wall ns", "when it was started, since the run was set up"),
        Column("ready", "int", "wall ns", "when it was ready; empty if it never was"),
        Column("ended", "int", "wall ns", "when its end was seen; empty if the run was killed"),
        Column("exit", "str", "", "how its program ended"),
        Column("instructions", "int", "", "executed by the processor that it emulates, if any"),
        Column("state", "str", "", "running, sleeping or halted, if its emulator says so"),
        Column("exchanges", "int", "", "advances it answered, in all its lives"),
        Column(
            "waited", "int", "wall ns", "time for which simcore waited for it, in all its lives"
        ),
    ),
    """
    SELECT p.name, p.life, p.kind, p.implementation, p.nodes, p.command, p.pid, p.started,
           p.ready, p.ended, p.exit, p.instructions, p.state, coalesce(e.count, 0),
           coalesce(e.waited, 0)
    FROM participant p LEFT JOIN (
        SELECT participant, count(*) AS count, sum(done - awaited) AS waited
        FROM exchange GROUP BY participant) e ON e.participant = p.name
    ORDER BY p.started, p.name
    """,
    of="participant",
)

EXCHANGES = Table(
    "exchanges",
    (
        Column("participant", "str", "", "name of the participant"),
        Column("seq", "int", "", "number of the advance, from 1 in each life"),
        Column("at", "int", "ns", "virtual time of the run when it was let go"),
        Column("until", "int", "ns", "how far it was let go: inclusive for a reactive one"),
        Column("reached", "int", "ns", "how far it came; a network stops at its first delivery"),
        Column("inputs", "int", "", "messages it was handed"),
        Column("outputs", "int", "", "messages it sent; of a network, delivered and lost ones"),
        Column("begun", "int", "wall ns", "when it was let go, since the run was set up"),
        Column("awaited", "int", "wall ns", "when simcore began to wait for its answer"),
        Column("done", "int", "wall ns", "when simcore had its answer"),
    ),
    """
    SELECT participant, seq, at, until, reached, inputs, outputs, begun, awaited, done
    FROM exchange ORDER BY rowid
    """,
    of="exchange",
)

LATE = Table(
    "late",
    (
        Column("id", "str", "", "message, as source/number"),
        Column("source", "str", "", "node that sent it"),
        Column("destination", "str", "", "node it was sent to"),
        Column("kind", "str", "", "kind of message"),
        Column("sent", "int", "ns", "virtual time at which it left its source"),
        Column("late", "int", "ns", "how much later than it came it was handed over"),
    ),
    """
    SELECT id, source, destination, kind, sent, late FROM late_messages
    ORDER BY sent, source, number, late
    """,
    of="late",
)

ENERGY = Table(
    "energy",
    (
        Column("node", "str", "", "node that drew it"),
        Column("life", "int", "", "1 for the first, one more after each restart of the node"),
        Column("part", "str", "", "what for: idle, active, tx, rx, or a state of the node's own"),
        Column("joule", "float", "J", "energy drawn"),
        Column("ns", "int", "ns", "how long; the radio works beside the processor"),
        Column("bytes", "int", "B", "transmitted or received, with overhead; else 0"),
        Column("instructions", "int", "", "executed, where they are counted; else 0"),
    ),
    """
    SELECT n.name, e.life, e.part, e.joule, e.ns, e.bytes, e.instructions
    FROM energy e JOIN node n ON n.id = e.node ORDER BY e.node, e.life, e.rowid
    """,
    of="energy",
)


def _walked(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    from simcore.results.inferences import rows  # needs numpy, which takes time to import

    return rows(connection)


INFERENCES = Table(
    "inferences",
    (
        Column("node", "str", "", "device that took the picture"),
        Column("n", "int", "", "which of its pictures, from 1"),
        Column("place", "str", "", "device, edge or cloud; empty without an answer"),
        Column("reason", "str", "", "why it was answered there"),
        Column("label", "str", "", "the final answer"),
        Column("truth", "str", "", "what would be right, if the scenario says"),
        Column("right", "int", "", "1 if label is truth, 0 if not"),
        Column("own", "str", "", "the device's own answer, if it has computed one"),
        Column("confidence", "float", "", "of the final answer, from 0 to 1"),
        Column("request", "str", "", "id of the message in which the device asked or told"),
        Column("answer", "str", "", "id of the message that brought the answer; empty if kept"),
        Column("sampled", "int", "ns", "virtual time at which the picture was taken"),
        Column("sent", "int", "ns", "virtual time at which the device sent the request"),
        Column("ended", "int", "ns", "virtual time at which the device had its final answer"),
        Column("latency", "int", "ns", "ended - sampled, and the sum of the next seven"),
        Column("sampling", "int", "ns", "from the picture to the request, without computing"),
        Column("radio", "int", "ns", "transmission and propagation over links of devices"),
        Column("wan", "int", "ns", "the same over other links of the cloud"),
        Column("lan", "int", "ns", "the same over all other links"),
        Column("queueing", "int", "ns", "in queues of links, and waiting for workers"),
        Column("computing", "int", "ns", "of device, dispatcher and models, as declared"),
        Column("other", "int", "ns", "the rest: waits of protocols"),
        Column("messages", "int", "", "from the request to the answer, and its acknowledgement"),
        Column("size", "int", "B", "of these messages"),
        Column("uplink", "int", "B", "of those that the device sent"),
        Column("downlink", "int", "B", "of those that the device received"),
        Column("energy", "float", "J", "that the device drew for it, beyond being idle"),
        Column("drawn", "float", "J", "all that the device drew, shared among its inferences"),
    ),
    """
    SELECT d.name, i.n, i.place, i.reason, CAST(i.label AS TEXT), CAST(i.truth AS TEXT),
           i.label = i.truth, CAST(i.own AS TEXT), i.confidence, d.name || '/' || i.request,
           a.name || '/' || i.answer_number, i.sampled, i.sent, i.ended, i.ended - i.sampled
    FROM inference i JOIN node d ON d.id = i.node LEFT JOIN node a ON a.id = i.answer_source
    ORDER BY i.rowid
    """,
    of="inference",
    computed=_walked,
)

TABLES = (
    MESSAGES,
    MEASUREMENTS,
    FAULTS,
    LINKS,
    NODES,
    HOPS,
    PARTICIPANTS,
    EXCHANGES,
    LATE,
    ENERGY,
    INFERENCES,
)
