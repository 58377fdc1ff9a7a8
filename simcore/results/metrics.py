"""The figures of a run: counts, latencies and measurements, from its database with numpy.

A run may hold a million messages, so counting and joining are done on whole columns; no
Python object outlives the fetch of a row. pandas is not needed.

Latency of a delivered message = network + queueing + computing; `end_to_end` runs from the
first message of its chain of causes. All are in ns. A flow is (source group, destination
group, kind).

Percentiles interpolate linearly between the two closest ranks: definition 7 of R. J. Hyndman
and Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996)
361-365; the default of numpy and R.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.results.statistics import Measurement, measurements
from simcore.results.store import snapshot

if TYPE_CHECKING:
    from simcore.results.inferences import Inferences

DELIVERED, IN_FLIGHT = 0, 1
PARTS = ("latency", "network", "queueing", "computing", "end_to_end")

_MESSAGE = np.dtype(
    [
        ("at", "i8"),
        ("source", "i4"),
        ("number", "i8"),
        ("destination", "i4"),
        ("kind", "i8"),
        ("size", "i8"),
        ("sent", "i8"),
        ("fate", "i4"),
    ]
)
_TRAIL = np.dtype(
    [
        ("source", "i4"),
        ("number", "i8"),
        ("origin", "i8"),
        ("queued", "i8"),
        ("waited", "i8"),
        ("computed", "i8"),
    ]
)

Ints = NDArray[np.int64]
Records = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Spread:
    """How a duration is distributed over the delivered messages of a flow or node; in ns.

    All but `n` are NaN if nothing was delivered.
    """

    n: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the messages sent: `sent` = `delivered` + all of `lost` + `in_flight`."""

    sent: int
    delivered: int
    in_flight: int
    lost: Mapping[str, int] = field(default_factory=dict)
    """By reason; only reasons that occurred."""

    @property
    def lost_total(self) -> int:
        """For all reasons together."""
        return sum(self.lost.values())


@dataclass(frozen=True, slots=True)
class Flow:
    """The messages of one kind from one group to another."""

    source: str
    destination: str
    kind: str
    counts: Counts
    size: int
    """Bytes sent."""
    latency: Spread
    network: Spread
    queueing: Spread
    computing: Spread
    end_to_end: Spread

    @property
    def name(self) -> str:
        """As `meter -> gateway`."""
        return f"{self.source} -> {self.destination}"


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What one node sent and received; `latency` is that of the messages it sent."""

    name: str
    group: str
    tier: str
    implementation: str
    sent: int
    lost: int
    received: int
    latency: Spread


class Metrics:
    """Figures of one run, computed when asked for and kept.

    Args:
        connection: the run's database, as `Run.connection`. A run that is being written is
            read once, in one consistent state.
        deadline: from when on an inference is late, ns; None if the scenario does not say.
    """

    def __init__(self, connection: sqlite3.Connection, deadline: int | None = None) -> None:
        self._connection = connection
        self.deadline = deadline
        with snapshot(connection):
            read = connection.execute
            self._nodes = read("SELECT id, name, grp, tier, implementation FROM node").fetchall()
            kinds = read("SELECT id, name FROM kind ORDER BY id").fetchall()
            self._fates: dict[int, str] = dict(read("SELECT id, name FROM fate ORDER BY id"))
            self._messages = _fetch(connection, "message", _MESSAGE)
            self._kinds = _number_kinds(self._messages, kinds)
            self._parts = _parts(self._messages, _fetch(connection, "trail", _TRAIL))
            self.measurements: tuple[Measurement, ...] = measurements(connection)
        self._delivered: NDArray[np.bool_] = self._messages["fate"] == DELIVERED

    # --- what `expect` asks for ---

    def kinds(self) -> Sequence[str]:
        """Kinds of the messages that were sent, sorted."""
        return sorted(self._kinds[kind] for kind in np.unique(self._messages["kind"]).tolist())

    def record_names(self) -> Sequence[str]:
        """Names of the measurements that were recorded, sorted."""
        return [measurement.name for measurement in self.measurements]

    def count(self, what: str, *, reason: str | None = None, kind: str | None = None) -> int:
        """How many messages were `sent`, `delivered`, `lost` (for a reason) or are `in_flight`."""
        fate = self._messages["fate"]
        chosen = {
            "sent": np.ones(len(fate), dtype=bool),
            "delivered": fate == DELIVERED,
            "in_flight": fate == IN_FLIGHT,
            "lost": fate > IN_FLIGHT,
        }[what]
        if reason is not None:
            chosen &= np.isin(fate, [id for id, name in self._fates.items() if name == reason])
        return int(np.count_nonzero(chosen & self._of_kind(kind)))

    def series(self, name: str, *, kind: str | None = None) -> Ints:
        """One of `PARTS` (ns) for each delivered message, by time of delivery in the database."""
        return self._parts[name][self._delivered & self._of_kind(kind)]

    def record(self, name: str) -> NDArray[np.float64] | None:
        """Every number recorded under a name (bool: 0 or 1); None if some are texts."""
        summary = next((m for m in self.measurements if m.name == name), None)
        if summary is None or summary.texts:
            return None
        rows = self._connection.execute(
            "SELECT value FROM measurement WHERE name = ? ORDER BY rowid", (name,)
        )
        return np.fromiter((value for (value,) in rows), dtype=np.float64)

    def record_count(self, name: str) -> int:
        """How many values were recorded under a name, texts included."""
        return next((m.n for m in self.measurements if m.name == name), 0)

    def inferences(self, measure: str, *, place: str | None = None) -> NDArray[Any] | None:
        """A measure of each inference, of one place or of all, for those with an answer.

        Args:
            measure: one of `simcore.expect.tree.MEASURES`; times in ns, sizes in bytes, energies
                in J. Or a truth value: `right` of those that can be judged, `placed` (at the
                place) or `in_time` of all.
            place: device, edge or cloud.

        Returns:
            None if the run cannot tell: no truth, no deadline, no energy.
        """
        from simcore.results.inferences import measured  # which needs this module

        found: NDArray[Any] | None
        found = measured(self.inferred, measure, place=place, deadline=self.deadline)
        return found

    @cached_property
    def inferred(self) -> Inferences:
        """What became of each inference."""
        from simcore.results.inferences import load

        return load(self._connection)

    def _of_kind(self, kind: str | None) -> NDArray[np.bool_]:
        if kind is None:
            return np.ones(len(self._messages), dtype=bool)
        ids = [id for id, name in self._kinds.items() if name == kind]
        return np.isin(self._messages["kind"], ids)

    # --- aggregates ---

    @cached_property
    def totals(self) -> Counts:
        """All messages of the run."""
        return self._counts(self._messages["fate"])

    def _counts(self, fates: NDArray[Any]) -> Counts:
        ids, numbers = np.unique(fates, return_counts=True)
        by_fate = dict(zip(ids.tolist(), numbers.tolist(), strict=True))
        lost = {self._fates[id]: n for id, n in by_fate.items() if id > IN_FLIGHT}
        return Counts(len(fates), by_fate.get(DELIVERED, 0), by_fate.get(IN_FLIGHT, 0), lost)

    @cached_property
    def _groups(self) -> tuple[list[str], Ints]:
        """Names of the groups in scenario order, and the group of each node."""
        names = list(dict.fromkeys(group for _, _, group, _, _ in self._nodes))
        places = {name: place for place, name in enumerate(names)}
        of_node = np.zeros(max((row[0] for row in self._nodes), default=-1) + 1, dtype=np.int64)
        for id, _, group, _, _ in self._nodes:
            of_node[id] = places[group]
        return names, of_node

    @cached_property
    def _flow_of_message(self) -> tuple[Ints, Ints]:
        """Codes of the flows that occurred, and for each message the place of its flow."""
        names, of_node = self._groups
        messages, kinds = self._messages, max(self._kinds, default=0) + 1
        code = of_node[messages["source"]] * len(names) + of_node[messages["destination"]]
        codes, flow = np.unique(code * kinds + messages["kind"], return_inverse=True)
        return codes, flow

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Every flow that occurred, in the order of the groups in the scenario."""
        names, _ = self._groups
        kinds = max(self._kinds, default=0) + 1
        codes, flow = self._flow_of_message
        order = np.argsort(flow, kind="stable")
        bounds = np.searchsorted(flow[order], np.arange(len(codes) + 1))
        found = []
        for place, code in enumerate(codes.tolist()):
            members = order[bounds[place] : bounds[place + 1]]
            pair, kind = divmod(code, kinds)
            source, destination = divmod(pair, len(names))
            done = members[self._delivered[members]]
            spreads = {part: spread(self._parts[part][done]) for part in PARTS}
            counts = self._counts(self._messages["fate"][members])
            size = int(self._messages["size"][members].sum())
            found.append(
                Flow(names[source], names[destination], self._kinds[kind], counts, size, **spreads)
            )
        return tuple(found)

    def flow_series(self, flow: Flow, part: str = "latency") -> Ints:
        """One of `PARTS` (ns) for each delivered message of a flow."""
        _, of_message = self._flow_of_message
        place = self.flows.index(flow)
        values: Ints = self._parts[part][(of_message == place) & self._delivered]
        return values

    @cached_property
    def nodes(self) -> tuple[NodeFigures, ...]:
        """Every node, in the order of the scenario."""
        messages, length = self._messages, len(self._groups[1])
        lost = messages["fate"] > IN_FLIGHT
        sent = np.bincount(messages["source"], minlength=length)
        lost_by = np.bincount(messages["source"][lost], minlength=length)
        received = np.bincount(messages["destination"][self._delivered], minlength=length)
        spreads = _spreads(
            self._parts["latency"][self._delivered], messages["source"][self._delivered], length
        )
        return tuple(
            NodeFigures(
                name,
                group,
                tier,
                how,
                int(sent[id]),
                int(lost_by[id]),
                int(received[id]),
                spreads[id],
            )
            for id, name, group, tier, how in sorted(self._nodes)
        )


def spread(values: Ints) -> Spread:
    """Mean, percentiles and maximum of some durations (ns)."""
    if len(values) == 0:
        return Spread(0, *[float("nan")] * 5)
    p50, p95, p99 = np.percentile(values, (50, 95, 99)).tolist()
    return Spread(len(values), float(values.mean()), p50, p95, p99, float(values.max()))


def _spreads(values: Ints, owner: NDArray[Any], owners: int) -> list[Spread]:
    """The spread of the values of each owner; sorted once rather than searched per owner."""
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(owners + 1))
    return [spread(values[order[a:b]]) for a, b in itertools.pairwise(bounds)]


def _fetch(connection: sqlite3.Connection, table: str, dtype: np.dtype[np.void]) -> Records:
    """The columns of `dtype` as one array; rows go straight into it, none is kept."""
    rows = connection.execute(f"SELECT {', '.join(dtype.names or ())} FROM {table} ORDER BY rowid")
    return np.fromiter(rows, dtype=dtype)


def _number_kinds(messages: Records, kinds: Sequence[tuple[int, str]]) -> dict[int, str]:
    """Number the kinds in the order of their names: in the database they are large and sparse."""
    names = sorted(name for _, name in kinds)
    place = np.array([names.index(name) for _, name in kinds], dtype="i8")
    if len(messages):
        messages["kind"] = place[np.searchsorted([id for id, _ in kinds], messages["kind"])]
    return dict(enumerate(names))


def _parts(messages: Records, trail: Records) -> dict[str, Ints]:
    """The parts of the latency of every message; meaningful for delivered ones."""
    place = _rows_of(messages, trail)
    queued, waited, computed = (np.zeros(len(messages), dtype=np.int64) for _ in range(3))
    origin = messages["sent"].astype(np.int64)
    for column, name in ((queued, "queued"), (waited, "waited"), (computed, "computed")):
        column[place] = trail[name]
    origin[place] = trail["origin"]
    travel = messages["at"] - messages["sent"]
    return {
        "latency": travel + waited + computed,
        "network": travel - queued,
        "queueing": queued + waited,
        "computing": computed,
        "end_to_end": messages["at"] - origin,
    }


def _rows_of(messages: Records, trail: Records) -> Ints:
    """For each row of the trail the row of its message."""
    if len(trail) == 0:
        return np.zeros(0, dtype=np.int64)
    numbers = int(max(messages["number"].max(), trail["number"].max())) + 1
    keys = messages["source"].astype(np.int64) * numbers + messages["number"]
    order = np.argsort(keys)
    wanted = trail["source"].astype(np.int64) * numbers + trail["number"]
    rows: Ints = order[np.searchsorted(keys, wanted, sorter=order)]
    return rows
