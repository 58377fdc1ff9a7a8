"""The energy of a run: what nodes drew, and what one byte or one nanosecond of computing costs.

What nodes drew comes from the table `energy`, which is written when the run ends. What things cost
comes from the scenario that the manifest keeps, so that the energy of one message, or of one
inference, can be told from the bytes and the computing that belong to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from simcore.extensions.energy.profile import RESERVED, Profile, read_profile
from simcore.results.tables import has_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simcore.results.store import Run

    Amount = TypeVar("Amount", int, float, NDArray[np.float64], NDArray[np.int64])

PARTS = frozenset(RESERVED)
"""Parts that are no states of a node's own."""


@dataclass(slots=True)
class NodeEnergy:
    """What one node drew in all its lives.

    Attributes:
        parts: J by part: idle, active, tx, rx, and its own states.
        lived: time for which it was up, ns.
        sent: bytes transmitted, with overhead.
        received: bytes received, with overhead.
        instructions: executed, where they are counted.
        capacity: of its battery, J; None: it has none.
    """

    name: str
    group: str
    tier: str
    parts: dict[str, float] = field(default_factory=dict)
    lived: int = 0
    sent: int = 0
    received: int = 0
    instructions: int = 0
    capacity: float | None = None

    @property
    def total(self) -> float:
        """All of it, J."""
        return sum(self.parts.values())

    @property
    def power(self) -> float:
        """Mean while it was up, W; 0 if it never was."""
        return self.total / (self.lived / 1e9) if self.lived else 0.0

    @property
    def left(self) -> float | None:
        """What its battery still held, J; None: it has none."""
        return None if self.capacity is None else max(0.0, self.capacity - self.total)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a node's energy is made of.

    Attributes:
        idle: W.
        active: while it computes, W.
        instruction: J; None where instructions are not counted.
        tx: of a transmitted byte, J; 0 without a radio.
        rx: of a received byte, J; 0 without a radio.
        overhead: bytes of each message beside its own size.
        states: W, by name.
    """

    idle: float
    active: float
    instruction: float | None
    tx: float
    rx: float
    overhead: int
    states: Mapping[str, float]

    def transmitting(self, size: Amount, messages: Amount) -> Amount:
        """J of messages that the node sends, of so many bytes together; arrays as well."""
        return (size + messages * self.overhead) * self.tx  # type: ignore[return-value]

    def receiving(self, size: Amount, messages: Amount) -> Amount:
        """J of messages that the node receives, of so many bytes together; arrays as well."""
        return (size + messages * self.overhead) * self.rx  # type: ignore[return-value]

    def computing(self, time: Amount) -> Amount:
        """J that computing for a time (ns) adds to what an idle node draws; arrays as well."""
        return time * ((self.active - self.idle) * 1e-9)  # type: ignore[return-value]


def node_energies(run: Run) -> list[NodeEnergy]:
    """What each node with an entry under `energy` drew, in the order of the scenario.

    Empty for a run without `energy`, and while it is under way.
    """
    if not has_rows(run.connection, "energy"):
        return []
    found: dict[str, NodeEnergy] = {}
    rows = run.connection.execute(
        "SELECT n.name, n.grp, n.tier, e.part, e.joule, e.ns, e.bytes, e.instructions "
        "FROM energy e JOIN node n ON n.id = e.node ORDER BY e.node, e.life, e.rowid"
    )
    profiles = _profiles(run)
    for name, group, tier, part, joule, ns, size, instructions in rows:
        node = found.get(name)
        if node is None:
            profile = profiles.get(name) or profiles.get(group)
            capacity = None
            if profile is not None and profile.battery is not None:
                capacity = profile.battery / (profile.scale * 1e18)
            node = found[name] = NodeEnergy(name, group, tier, capacity=capacity)
        node.parts[part] = node.parts.get(part, 0.0) + joule
        node.instructions += instructions
        if part == "tx":
            node.sent += size
        elif part == "rx":
            node.received += size
        else:
            node.lived += ns
    return list(found.values())


def costs(run: Run) -> dict[str, Costs]:
    """What the energy of each node is made of, by its name; empty for a run without `energy`."""
    profiles = _profiles(run)
    if not profiles:
        return {}
    times: dict[str, float] = {}
    if has_rows(run.connection, "energy"):
        times = dict(
            run.connection.execute(
                "SELECT node, sum(ns) * 1.0 / sum(instructions) FROM energies "
                "WHERE instructions > 0 GROUP BY node"
            )
        )
    found = {}
    for name, group in run.connection.execute("SELECT name, grp FROM node ORDER BY id"):
        profile = profiles.get(name) or profiles.get(group)
        if profile is not None:
            found[name] = _costs(profile, times.get(name))
    return found


def _costs(profile: Profile, instruction_time: float | None) -> Costs:
    watts = {name: power / profile.scale / 1e9 for name, power in profile.powers.items()}
    instruction = None
    if profile.instruction is not None:
        instruction = profile.instruction / profile.scale / 1e18
    elif instruction_time is not None:
        instruction = watts["active"] * instruction_time / 1e9
    idle, active = watts.pop("idle"), watts.pop("active")
    radio, byte = profile.radio, profile.scale * 1e18
    tx, rx, overhead = (
        (0.0, 0.0, 0) if radio is None else (radio.tx / byte, radio.rx / byte, radio.overhead)
    )
    return Costs(idle, active, instruction, tx, rx, overhead, watts)


def _profiles(run: Run) -> dict[str, Profile]:
    """What the scenario says, by the name of a node or group."""
    entries = (run.manifest.get("resolved") or {}).get("energy") or {}
    return {name: read_profile(entry) for name, entry in entries.items()}
