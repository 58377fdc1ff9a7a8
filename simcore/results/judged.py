"""What the inferences of a run amount to: read once, for reports and figures."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcore.results import show
from simcore.results.confusion import Confusion, confusion
from simcore.results.energy import energy_gap, node_energies
from simcore.results.inferences import (
    PLACES,
    Inferences,
    PlaceFigures,
    deadline_of,
    load,
    summarise,
)
from simcore.results.metrics import Ints
from simcore.results.store import Run, snapshot
from simcore.results.tables import has_rows


@dataclass(frozen=True, slots=True)
class Judged:
    """A run with inferences.

    Attributes:
        path: the run directory.
        manifest: what `manifest.json` says.
        inferences: all of them.
        figures: of all, then of each place.
        confusion: of all answers.
        energies: energy (J) of a node by part, means over the nodes of each group; empty if the
            run counts none.
        energy_gap: what lacks of them, and of the energy of inferences; None if nothing does.
        groups: groups of nodes that take samples.
        deadline: what counts as late, ns; None without one.
    """

    path: Path
    manifest: Mapping[str, Any]
    inferences: Inferences
    figures: Sequence[PlaceFigures]
    confusion: Confusion
    energies: Mapping[str, Mapping[str, float]]
    energy_gap: str | None
    groups: Sequence[str]
    deadline: int | None

    @property
    def everything(self) -> PlaceFigures:
        """The figures of all inferences."""
        return self.figures[0]

    def latencies(self, place: str | None = None) -> Ints:
        """Latencies (ns) of what was answered, at one place or anywhere."""
        chosen = self.inferences.answered
        if place is not None:
            chosen = chosen & (self.inferences.place == PLACES.index(place))
        return self.inferences.latency[chosen]


def judge(run: Run) -> Judged | None:
    """Read the inferences of a run; None if it has none."""
    if not has_rows(run.connection, "inference"):
        return None
    deadline = deadline_of(run.manifest)
    with snapshot(run.connection):
        inferences = load(run.connection)
        return Judged(
            path=run.path,
            manifest=run.manifest,
            inferences=inferences,
            figures=summarise(inferences, deadline=deadline),
            confusion=confusion(run.connection),
            energies=_energies(run.connection),
            energy_gap=energy_gap(run.manifest, run.connection),
            groups=_groups(run.connection, np.unique(inferences.node).tolist()),
            deadline=deadline,
        )


def _groups(connection: sqlite3.Connection, nodes: Sequence[int]) -> list[str]:
    chosen = set(nodes)
    rows = connection.execute("SELECT id, grp FROM node ORDER BY id")
    return list(dict.fromkeys(show.label(group) for id, group in rows if id in chosen))


def _energies(connection: sqlite3.Connection) -> dict[str, dict[str, float]]:
    """What a node of each group drew, by part; means over its nodes."""
    found: dict[str, dict[str, float]] = {}
    members: Counter[str] = Counter()
    for node in node_energies(connection).values():
        members[node.group] += 1
        parts = found.setdefault(node.group, {})
        for part, joule in node.parts.items():
            parts[part] = parts.get(part, 0.0) + joule
    return {
        group: {part: joule / members[group] for part, joule in parts.items()}
        for group, parts in found.items()
    }
