"""What a calibration run measured, as tables of computing times that a scenario can name.

A table is a text file of durations, one a line: a distribution that computing times are drawn
from. What was measured, and where, stands in front of it: the figures are those of one machine.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simcore.inputs import file_names
from simcore.protocol.calibration import HANDLER_MACHINE, HANDLER_TIME
from simcore.results.store import Run
from simcore.scenario.model import NodeSpec

WARM_UP = 10
"""Messages of each node that are left out: caches fill, libraries make their last preparations."""

ENOUGH = 100
"""Samples below which the 95th percentile, and the table with it, says little."""

_SCENARIO = re.compile(r"^# scenario: (.+), seed \d+$", re.MULTILINE)


@dataclass(frozen=True)
class Costs:
    """Computing times of the service of a node or group.

    Attributes:
        group: the node's or group's name.
        service: as the scenario names it.
        implementation: where it ran.
        times: wall times (ns) of its handlers, sorted, without the warm-up.
        left_out: how many the warm-up was.
        machines: what each process that hosted it said of its machine and libraries.
    """

    group: str
    service: str
    implementation: str
    times: Sequence[int]
    left_out: int
    machines: Sequence[str]

    @property
    def median(self) -> float:
        """Median, ns."""
        return float(np.median(self.times))

    @property
    def p95(self) -> float:
        """95th percentile, interpolated linearly, ns."""
        return float(np.percentile(self.times, 95))


def costs_of(run: Run, members: Sequence[NodeSpec]) -> Costs:
    """What a calibration run measured of a group with a service.

    Args:
        run: the run.
        members: the nodes of the group.
    """
    kept: list[int] = []
    left_out = 0
    machines: dict[str, None] = {}
    for spec in members:
        times = _values(run, spec.name, HANDLER_TIME)
        kept += times[WARM_UP:]
        left_out += len(times[:WARM_UP])
        machines |= dict.fromkeys(_values(run, spec.name, HANDLER_MACHINE))
    first = members[0]
    return Costs(
        group=first.group,
        service=first.options["service"],
        implementation=first.implementation,
        times=sorted(kept),
        left_out=left_out,
        machines=list(machines),
    )


def table(costs: Costs, run: Run, members: Sequence[NodeSpec]) -> str:
    """The text of a table, with what was measured in front; arguments as for `costs_of`."""
    manifest = run.manifest
    date, _, _ = manifest["times"]["started"].partition("T")
    lines = [
        f"service: {costs.service}",
        f"implementation: {costs.implementation}",
        *(f"file: {name}, SHA-256 {digest}" for name, digest in _files(manifest, members[0])),
        f"scenario: {manifest['scenario']['name']}, seed {manifest['seed']}",
        f"date: {date}",
    ]
    for each in costs.machines:
        system, _, software = each.partition("; ")
        lines += [f"machine: {system}", f"software: {software}"]
    lines.append(
        f"N: {len(costs.times)}, without the first {costs.left_out}; "
        f"median: {costs.median:.0f}ns; p95: {costs.p95:.0f}ns"
    )
    head = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return head + "".join(f"{time}ns\n" for time in costs.times)


def scenario_of(text: str) -> str | None:
    """The name of the scenario that a table was measured in; None if the text is no such table."""
    found = _SCENARIO.search(text)
    return None if found is None else found[1]


def _values(run: Run, node: str, name: str) -> list[Any]:
    rows = run.connection.execute(
        "SELECT m.value FROM measurement m JOIN node n ON n.id = m.node "
        "WHERE n.name = ? AND m.name = ? ORDER BY m.at, m.number",
        (node, name),
    )
    return [value for (value,) in rows]


def _files(manifest: Mapping[str, Any], spec: NodeSpec) -> Iterator[tuple[str, str]]:
    """Inputs of the run that the service is made of: its own file, and those in its config."""
    inputs = manifest["inputs"]
    for name in dict.fromkeys(file_names([spec.options["service"], spec.config])):
        path = posixpath.normpath(name)
        if path in inputs:
            yield path, inputs[path]
