"""The tables of `run.sqlite`: narrow and numeric, because that is fast to write.

What people read comes from the views here and from `simcore.results.columns`.
"""

from __future__ import annotations

import sqlite3

from simcore.message import Fate

NO_ANSWER = "no answer"
"""Reason of inferences that their device was left alone with, and nothing tells why."""
UNDER_WAY = "under way"
"""Reason of inferences that the end of the run cut off; nobody knows what became of them."""

TABLES = """
PRAGMA user_version = 1;
CREATE TABLE node(id INTEGER PRIMARY KEY, name TEXT, grp TEXT, tier TEXT, implementation TEXT);
CREATE TABLE kind(id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE fate(id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE message(
    at INTEGER, source INTEGER, number INTEGER, destination INTEGER, kind INTEGER,
    size INTEGER, payload TEXT, sent INTEGER, fate INTEGER);
CREATE TABLE trail(
    source INTEGER, number INTEGER, origin INTEGER, cause_source INTEGER,
    cause_number INTEGER, queued INTEGER, waited INTEGER, computed INTEGER);
CREATE TABLE hop(
    source INTEGER, number INTEGER, hop INTEGER, link TEXT, entered INTEGER,
    queued INTEGER, transmitted INTEGER, arrived INTEGER);
CREATE TABLE measurement(
    at INTEGER, node INTEGER, number INTEGER, name TEXT, type TEXT, value);
CREATE TABLE fault(
    at INTEGER, number INTEGER, phase TEXT, kind TEXT, target TEXT, detail TEXT);
CREATE TABLE link(
    name TEXT, source TEXT, destination TEXT, entered INTEGER, delivered INTEGER,
    loss INTEGER, queue_full INTEGER, link_down INTEGER, bytes INTEGER, busy INTEGER,
    queue_mean REAL, queue_max INTEGER);
CREATE TABLE late(source INTEGER, number INTEGER, at INTEGER, late INTEGER);
CREATE TABLE meter(
    node INTEGER PRIMARY KEY, idle REAL, active REAL, instruction REAL, tx REAL, rx REAL,
    overhead INTEGER, battery REAL);
CREATE TABLE energy(
    node INTEGER, life INTEGER, part TEXT, joule REAL, ns INTEGER, bytes INTEGER,
    instructions INTEGER);
CREATE TABLE inference(
    node INTEGER, n INTEGER, sampled INTEGER, sent INTEGER, ended INTEGER, place TEXT,
    reason TEXT, label, confidence REAL, truth, own, request INTEGER, answer_source INTEGER,
    answer_number INTEGER);
CREATE TABLE participant(
    name TEXT, life INTEGER, kind TEXT, implementation TEXT, nodes TEXT, command TEXT,
    pid INTEGER, started INTEGER, ready INTEGER, ended INTEGER, exit TEXT,
    instructions INTEGER, state TEXT,
    PRIMARY KEY (name, life));
CREATE TABLE exchange(
    participant TEXT, seq INTEGER, at INTEGER, until INTEGER, inputs INTEGER, outputs INTEGER,
    begun INTEGER, awaited INTEGER, done INTEGER, reached INTEGER);
CREATE VIEW messages AS
    SELECT s.name || '/' || m.number AS id, s.name AS source, m.number AS number,
        d.name AS destination, k.name AS kind, m.size AS size, m.payload AS payload,
        m.sent AS sent, f.name AS fate, m.at AS at, coalesce(t.origin, m.sent) AS origin,
        c.name || '/' || t.cause_number AS cause, coalesce(t.queued, 0) AS queued,
        coalesce(t.waited, 0) AS waited, coalesce(t.computed, 0) AS computed
    FROM message m JOIN node s ON s.id = m.source JOIN node d ON d.id = m.destination
        JOIN kind k ON k.id = m.kind JOIN fate f ON f.id = m.fate
        LEFT JOIN trail t ON t.source = m.source AND t.number = m.number
        LEFT JOIN node c ON c.id = t.cause_source;
CREATE VIEW measurements AS
    SELECT m.at AS at, n.name AS node, m.number AS number, m.name AS name, m.type AS type,
        m.value AS value
    FROM measurement m JOIN node n ON n.id = m.node;
CREATE VIEW late_messages AS
    SELECT s.name || '/' || m.number AS id, s.name AS source, m.number AS number,
        d.name AS destination, k.name AS kind, m.sent AS sent, l.late AS late
    FROM late l JOIN message m ON m.source = l.source AND m.number = l.number
        JOIN node s ON s.id = m.source JOIN node d ON d.id = m.destination
        JOIN kind k ON k.id = m.kind;
CREATE VIEW energies AS
    SELECT n.name AS node, n.grp AS grp, n.tier AS tier, e.life AS life, e.part AS part,
        e.joule AS joule, e.ns AS ns, e.bytes AS bytes, e.instructions AS instructions
    FROM energy e JOIN node n ON n.id = e.node;
"""

# Made at the end of a run (a reader of an unfinished one does without): keeping them up to
# date while writing would cost more than the rows.
INDEXES = """
CREATE INDEX IF NOT EXISTS message_id ON message(source, number);
CREATE INDEX IF NOT EXISTS trail_id ON trail(source, number);
CREATE INDEX IF NOT EXISTS trail_cause ON trail(cause_source, cause_number);
CREATE INDEX IF NOT EXISTS hop_id ON hop(source, number);
"""


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables and views of a run's database."""
    connection.executescript(TABLES)
    fates = [(fate.value, fate.name.lower()) for fate in Fate]
    connection.executemany("INSERT INTO fate VALUES (?,?)", fates)


def has_rows(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a table holds anything; runs of older versions lack some tables."""
    found = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if connection.execute(found, (table,)).fetchone() is None:
        return False
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None
