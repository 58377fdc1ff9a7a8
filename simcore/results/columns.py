"""A run's tables as people read them: names instead of ids, every column with its unit.

The recorder stores numbers in narrow tables, because that is fast to write. Everything that
leaves a run (DataFrames, CSV, Parquet, their data dictionary) comes from the queries below,
so that all of them have the same columns with the same meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
        Column("kind", "str", "", "link_down, link_degraded or node_crash"),
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

TABLES = (MESSAGES, MEASUREMENTS, FAULTS, LINKS, NODES, HOPS, PARTICIPANTS, EXCHANGES, LATE)
