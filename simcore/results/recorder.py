"""Recording: an append to a buffer while the run is going on, written in bulk.

What is earlier than a horizon, before which nothing can happen any more, is sorted, digested
and written to SQLite in one transaction. So the memory held is bounded by the buffer, and the
database is readable at any moment, also after a kill.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import astuple

from simcore.clock import NEVER
from simcore.collection import paused
from simcore.errors import ModelError, ResultsError
from simcore.message import Fate, Message
from simcore.results.digest import FAULT, MEASUREMENT, MESSAGE, Digest
from simcore.results.tables import INDEXES, create_tables

if TYPE_CHECKING:
    from simcore.network import LinkMetrics
    from simcore.node import Node
    from simcore.results.energy import Costs, EnergyRow
    from simcore.scenario.model import NodeSpec

BUFFER = 1024
"""Messages that are held before they are written."""

_MESSAGE_COLUMNS = 9
_INSERT_MESSAGE = "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?)"

_INSERT_INFERENCE = f"INSERT INTO inference VALUES ({','.join('?' * 14)})"
_INSERT_EXCHANGE = "INSERT INTO exchange VALUES (?,?,?,?,?,?,?,?,?,?)"
_INSERT_PARTICIPANT = f"INSERT OR REPLACE INTO participant VALUES ({','.join('?' * 13)})"

# Most of what a row costs in SQLite is one execution of a statement, so many rows share one.
_BLOCK = 32


class Life(NamedTuple):
    """One life of a participant outside simcore; wall times in ns since the run was set up."""

    name: str
    number: int
    """1 for the first, one more after each restart."""
    kind: str
    implementation: str
    nodes: str
    """Names of its nodes, as a JSON array."""
    command: str
    """What was started, as a JSON array."""
    pid: int | None
    started: int
    ready: int | None
    ended: int | None
    exit: str | None
    """How its program ended, as the end of a sentence."""
    instructions: int | None = None
    """Executed by the processor that it emulates."""
    state: str | None = None
    """What that processor did at last."""


class Recorder:
    """Takes what happens in one run.

    Args:
        nodes: the scenario's nodes, in order.
        database: file to write; None keeps the digest and the counts only.

    Attributes:
        messages: messages whose fate is known and that are not written yet.
        threshold: length of `messages` at which to flush.
        written: number of messages written so far.
        exchanges: number of advances of participants written so far.
        waited: wall time (ns) for which simcore waited for their answers.
        held_from: nothing at or after this time (ns) is complete yet, though the run may have
            passed it: free-running participants have not said what they did.
    """

    def __init__(self, nodes: Sequence[NodeSpec], database: Path | None = None) -> None:
        self.digest = Digest([node.name for node in nodes])
        self.messages: list[Message] = []
        self.threshold = BUFFER
        self.written = 0
        self.held_from = NEVER
        self.measured = 0
        self.closed = False
        self.broken: ResultsError | None = None
        self._measurements: list[tuple[Any, ...]] = []
        self._faults: list[tuple[Any, ...]] = []
        self._hops: list[tuple[Any, ...]] = []
        self._late: list[tuple[int, ...]] = []
        self._exchanges: list[tuple[Any, ...]] = []
        self._inferences: list[tuple[Any, ...]] = []
        self._lives: list[Life] = []
        self._energy: list[EnergyRow] = []
        self._kinds: dict[str, str] = {}
        self.faults = 0
        self.exchanges = 0
        self.waited = 0
        self._connection: sqlite3.Connection | None = None
        if database is not None:
            self._open(database, nodes)

    def _open(self, database: Path, nodes: Sequence[NodeSpec]) -> None:
        try:
            # Another thread (progress) may be alive, but only this one writes.
            self._connection = connection = sqlite3.connect(database, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing that was committed; only a power cut might.
            connection.execute("PRAGMA synchronous = OFF")
            create_tables(connection)
            rows = [(n.order, n.name, n.group, n.tier, n.implementation) for n in nodes]
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO node VALUES (?,?,?,?,?)", rows)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise ResultsError(f"cannot write {database}: {error}") from error

    def kind(self, number: int, name: str) -> None:
        """Introduce a kind of message."""
        if self._connection is not None:
            self._write([("INSERT INTO kind VALUES (?,?)", [(number, name)])])

    def measure(self, at: int, node: Node, number: int, name: str, value: Any) -> None:
        """Record a measurement of a node.

        Raises:
            ModelError: not a bool, int of 64 bits, finite float or string.
        """
        if self.closed:
            return
        if hasattr(value, "dtype") and hasattr(value, "item"):
            value = value.item()  # numpy scalars
        kind = type(value)
        if (
            (kind is float and isfinite(value))
            or kind is bool
            or (kind is str and _is_text(value))
            or (kind is int and -(2**63) <= value < 2**63)
        ):
            self.measured += 1
            if type(name) is not str or not name or not _is_text(name):
                raise ModelError(
                    f"{node.name} cannot record {name!r}: a measurement's name is a text",
                    node=node.name,
                    now=at,
                )
            self._measurements.append((at, node.order, number, name, kind.__name__, value))
            if len(self._measurements) >= self.threshold:
                self.flush(at)
            return
        raise ModelError(
            f"{node.name} cannot record {name!r} = {value!r}: a measurement is a bool, an int of "
            "64 bits, a finite float or a string",
            node=node.name,
            now=at,
        )

    def fault(self, at: int, phase: str, kind: str, target: str, detail: str) -> None:
        """Record the begin or end of a fault.

        Args:
            phase: begin or end.
            kind: link_down, link_degraded, node_crash, node_offline or battery.
            target: "a->b" or a node's name.
            detail: canonical JSON.
        """
        self.faults += 1
        self._faults.append((at, self.faults, phase, kind, target, detail))

    def hop(self, message: Message, leg: tuple[str, int, int, int], arrived: int | None) -> None:
        """Record that a message has left one of several links; `arrived` None: lost on it.

        Args:
            leg: the link's name, when the message entered it, waited, was transmitted (ns).
        """
        self._hops.append((message.source_order, message.number, message.hop, *leg, arrived))

    def late(self, message: Message, by: int) -> None:
        """Record that a message was handed over later than it arrived, by a time (ns)."""
        self._late.append((message.source_order, message.number, message.sent, by))

    def inference(self, row: tuple[Any, ...]) -> None:
        """Record what became of an inference.

        Args:
            row: as in the table `inference`.
        """
        self._inferences.append(row)

    def exchange(self, row: tuple[Any, ...]) -> None:
        """Record one advance of a participant.

        Args:
            row: the participant's name, number of the advance, present virtual time, how far it
                was let go, numbers of inputs and outputs, when it was let go, waited for and
                had answered (ns of wall time since the run was set up), and how far it came.
        """
        self._exchanges.append(row)
        if len(self._exchanges) >= BUFFER:
            self._write(self._outside())

    def participant(self, life: Life) -> None:
        """Record what is known about a life of a participant; the last call for it counts.

        It is written with what comes next: this cannot fail.
        """
        self._kinds[life.name] = life.kind
        self._lives.append(life)

    def meters(self, costs: Mapping[int, Costs]) -> None:
        """Record what nodes' energy is made of, by their places in the scenario."""
        rows = [(node, *of_node) for node, of_node in costs.items()]
        self._write([("INSERT INTO meter VALUES (?,?,?,?,?,?,?,?)", rows)])

    def energy(self, rows: Iterable[EnergyRow]) -> None:
        """Record what nodes drew; written with what comes next."""
        self._energy += rows

    def _outside(self) -> list[tuple[str, list[Any]]]:
        """What there is to write about participants."""
        exchanges, self._exchanges = self._exchanges, []
        lives, self._lives = self._lives, []
        self.exchanges += len(exchanges)
        self.waited += sum(row[8] - row[7] for row in exchanges)
        return [*_in_blocks(_INSERT_EXCHANGE, exchanges), (_INSERT_PARTICIPANT, lives)]

    def flush(self, horizon: int) -> None:
        """Digest and write everything earlier than `horizon` (ns); nothing earlier may follow."""
        with paused():  # it would walk all nodes of the run for each few hundred rows
            self._flush(min(horizon, self.held_from))

    def _flush(self, horizon: int) -> None:
        pending = self.messages[:]
        rest = [m for m in pending if m.at >= horizon]
        if rest:
            pending = [m for m in pending if m.at < horizon]
        self.messages[:] = rest
        rows = sorted([astuple(message)[:_MESSAGE_COLUMNS] for message in pending])
        trails = [astuple(message.trail) for message in pending if message.trail is not None]
        measurements, self._measurements = _split(self._measurements, horizon)
        faults, self._faults = _split(self._faults, horizon)
        hops, self._hops = self._hops, []
        late, self._late = self._late, []
        energy, self._energy = self._energy, []
        inferences, self._inferences = self._inferences, []
        # Everything at one instant stays until the instant is over, however much it is.
        self.threshold = BUFFER + max(len(self.messages), len(self._measurements))
        # What a node measures at one instant may come out of order among nodes.
        measurements.sort(key=itemgetter(0, 1, 2))
        self.digest.update(MESSAGE, rows)
        self.digest.update(MEASUREMENT, measurements)
        self.digest.update(FAULT, faults)
        self._write(
            [
                *_in_blocks(_INSERT_MESSAGE, rows),
                *_in_blocks("INSERT INTO trail VALUES (?,?,?,?,?,?,?,?)", trails),
                ("INSERT INTO hop VALUES (?,?,?,?,?,?,?,?)", hops),
                *_in_blocks("INSERT INTO measurement VALUES (?,?,?,?,?,?)", measurements),
                ("INSERT INTO fault VALUES (?,?,?,?,?,?)", faults),
                ("INSERT INTO late VALUES (?,?,?,?)", late),
                ("INSERT INTO energy VALUES (?,?,?,?,?,?,?)", energy),
                *_in_blocks(_INSERT_INFERENCE, inferences),
                *self._outside(),
            ]
        )
        self.written += len(rows)

    def _write(self, statements: Iterable[tuple[str, list[Any]]]) -> None:
        connection = self._connection
        if connection is None:
            return
        if self.broken is not None:
            raise self.broken  # once more: a model may have caught it
        try:
            connection.execute("BEGIN")
            for statement, rows in statements:
                if rows:
                    connection.executemany(statement, rows)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # the disk may be full for this as well
                connection.rollback()
            self.broken = _unwritten(error)
            raise self.broken from error
        except BaseException:
            connection.rollback()
            raise

    def finish(self, end: int, in_flight: Iterable[Message], links: Iterable[LinkMetrics]) -> str:
        """Write the rest, but for how participants end; returns the digest.

        Args:
            end: end of the run, ns. What came at or after it did not happen.
            in_flight: messages that were sent and have no fate yet.
        """
        self.closed = True
        self.held_from = NEVER
        late = [m for m in self.messages if m.at >= end]
        kept = [m for m in self.messages if m.at < end]
        for message in (*late, *in_flight):
            if message.sent < end:
                message.at, message.fate = end, Fate.IN_FLIGHT
                kept.append(message)
        self.messages[:] = kept
        self._measurements = [row for row in self._measurements if row[0] < end]
        self._faults = [row for row in self._faults if row[0] < end]
        self.flush(end + 1)
        insert = f"INSERT INTO link VALUES ({','.join('?' * 12)})"
        self._write([(insert, [tuple(link) for link in links])])
        return self.digest.hexdigest()

    def close(self) -> None:
        """Write how participants ended, and close; what is complete becomes one file with indexes.

        Raises:
            ResultsError: it cannot be written; nothing if that was reported before.
        """
        connection = self._connection
        if connection is None:
            return
        try:
            if self.broken is None:
                self._write(self._outside())
                connection.executescript(INDEXES)
                _make_one_file(connection)
        except sqlite3.Error as error:
            raise _unwritten(error) from error
        finally:
            self._connection = None
            connection.close()

    @property
    def participants(self) -> Mapping[str, int]:
        """Number of participants outside simcore, by kind."""
        return Counter(self._kinds.values())

    @property
    def counts(self) -> Mapping[str, int]:
        """Numbers of records, for the manifest."""
        return {
            "messages": self.written,
            "measurements": self.measured,
            "faults": self.faults,
        }


def _make_one_file(connection: sqlite3.Connection) -> None:
    """Leave the write-ahead mode; not while somebody looks at the run, who keeps it in use."""
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        connection.execute("PRAGMA wal_checkpoint")  # what it can: nobody is waited for


def _unwritten(error: sqlite3.Error) -> ResultsError:
    return ResultsError(f"results cannot be written: {error}; what was written before is kept")


def _in_blocks(insert: str, rows: list[tuple[Any, ...]]) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Statements that insert rows, and what each is executed with.

    Args:
        insert: the statement that inserts one of them.
    """
    whole = len(rows) - len(rows) % _BLOCK
    blocks = [tuple(chain.from_iterable(rows[at : at + _BLOCK])) for at in range(0, whole, _BLOCK)]
    values = insert[insert.index("(") :]
    return [(insert + f",{values}" * (_BLOCK - 1), blocks), (insert, rows[whole:])]


def _is_text(value: str) -> bool:
    """Whether UTF-8 can write it: half a surrogate pair is no text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _split(rows: list[Any], horizon: int) -> tuple[list[Any], list[Any]]:
    """Rows before the horizon, and the others; the first field is the time."""
    rest = [row for row in rows if row[0] >= horizon]
    return ([row for row in rows if row[0] < horizon], rest) if rest else (rows, rest)
