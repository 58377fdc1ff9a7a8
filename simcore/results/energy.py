"""The energy of a run: what nodes drew, and what one byte or one nanosecond of computing costs.

From the tables `meter`, which is written when a run begins, and `energy`, which is complete when it
has ended. So the energy of one message, or of one inference, can be told from the bytes and the
computing that belong to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simcore.results.tables import has_rows

LIFETIME = "lifetime"
"""Measurement of a node whose battery ends: virtual time, ns."""
PARTS = ("idle", "active", "tx", "rx")
"""Parts that are no states of a node's own."""


class EnergyRow(NamedTuple):
    """What a node drew for one purpose in one of its lives: a row of the table `energy`.

    Attributes:
        node: its place in the scenario.
        part: idle, active, tx, rx, or a state of the node's own.
        ns: how long; the radio works beside the processor.
        bytes: with overhead.
    """

    node: int
    life: int
    part: str
    joule: float
    ns: int
    bytes: int
    instructions: int


class Costs(NamedTuple):
    """What a node's energy is made of: a row of the table `meter`, behind the node's place.

    Attributes:
        idle: W.
        active: while it computes, W.
        instruction: J; None where instructions are not counted.
        tx: of a transmitted byte, J; 0 without a radio.
        rx: of a received byte, J; 0 without a radio.
        overhead: bytes of each message beside its own size.
        battery: what it held at first, J; None: there is none.
    """

    idle: float
    active: float
    instruction: float | None
    tx: float
    rx: float
    overhead: int
    battery: float | None


@dataclass(slots=True)
class NodeEnergy:
    """What one node drew in all its lives.

    Attributes:
        costs: what that is made of.
        parts: J by part: idle, active, tx, rx, and its own states.
        times: ns by part.
        sent: bytes transmitted, with overhead.
        received: bytes received, with overhead.
        instructions: executed, where they are counted.
    """

    name: str
    group: str
    tier: str
    costs: Costs
    parts: dict[str, float] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    received: int = 0
    instructions: int = 0

    @property
    def total(self) -> float:
        """All of it, J."""
        return sum(self.parts.values())

    @property
    def lived(self) -> int:
        """Time for which it was up, ns."""
        return sum(time for part, time in self.times.items() if part not in ("tx", "rx"))

    @property
    def power(self) -> float:
        """Mean while it was up, W; 0 if it never was."""
        return self.total / self.lived * 1e9 if self.lived else 0.0

    @property
    def computing(self) -> float:
        """What its computing added to what an idle node draws, J."""
        costs, seconds = self.costs, self.times.get("active", 0) / 1e9
        if self.instructions and costs.instruction is not None:
            return self.instructions * costs.instruction - costs.idle * seconds
        return (costs.active - costs.idle) * seconds

    @property
    def left(self) -> float | None:
        """What its battery still held, J; None: there is none."""
        return None if self.costs.battery is None else max(0.0, self.costs.battery - self.total)

    @property
    def charge(self) -> float | None:
        """What its battery still held, as a share of what it held at first; None: there is none."""
        left, battery = self.left, self.costs.battery
        return None if left is None or not battery else left / battery


def costs(connection: sqlite3.Connection) -> Mapping[str, Costs]:
    """What the energy of each node is made of, by its name; empty for a run without `energy`."""
    if not has_rows(connection, "meter"):
        return {}
    rows = connection.execute(
        "SELECT n.name, m.idle, m.active, m.instruction, m.tx, m.rx, m.overhead, m.battery "
        "FROM meter m JOIN node n ON n.id = m.node ORDER BY m.node"
    )
    return {name: Costs(*row) for name, *row in rows}


def energy_gap(manifest: Mapping[str, Any], connection: sqlite3.Connection) -> str | None:
    """What lacks of the energy of a run that has not told of its end; None if nothing does."""
    if (manifest.get("exit") or {}).get("reason") != "running" or not has_rows(connection, "meter"):
        return None
    return (
        "only of lives of nodes that had ended; what others drew is written when the run ends, "
        "and this one goes on, or was killed"
    )


def of_batteries(connection: sqlite3.Connection) -> bool:
    """Whether all that was recorded as `LIFETIME` is of batteries, and not a model's own.

    That of a battery is its end, which is a fault of the same node at the same time.
    """
    other = """
        SELECT 1 FROM measurement m JOIN node n ON n.id = m.node
        WHERE m.name = ? AND (m.type <> 'int' OR m.value <> m.at OR (n.name, m.at)
              NOT IN (SELECT target, at FROM fault WHERE kind = 'battery')) LIMIT 1
    """
    return connection.execute(other, (LIFETIME,)).fetchone() is None


def node_energies(connection: sqlite3.Connection) -> Mapping[str, NodeEnergy]:
    """What each node with an entry under `energy` drew, by its name, in the scenario's order.

    Empty for a run without `energy`. Lives that have not ended yet are missing; see `energy_gap`.
    """
    known = costs(connection)
    if not known or not has_rows(connection, "energy"):
        return {}
    found: dict[str, NodeEnergy] = {}
    rows = connection.execute(
        "SELECT n.name, n.grp, n.tier, e.part, e.joule, e.ns, e.bytes, e.instructions "
        "FROM energy e JOIN node n ON n.id = e.node ORDER BY e.node, e.life, e.rowid"
    )
    for name, group, tier, part, joule, time, size, instructions in rows:
        node = found.setdefault(name, NodeEnergy(name, group, tier, known[name]))
        node.parts[part] = node.parts.get(part, 0.0) + joule
        node.times[part] = node.times.get(part, 0) + time
        node.sent += size if part == "tx" else 0
        node.received += size if part == "rx" else 0
        node.instructions += instructions
    return found
