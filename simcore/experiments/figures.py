"""A run in a handful of numbers: what is compared from one run of an experiment to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from simcore.results.inferences import PLACES, PlaceFigures, deadline_of, load, summarise
from simcore.results.metrics import Flow, Metrics
from simcore.results.store import open_run

COUNT = "count"
"""Unit of how often something happened; where it is not told it did not happen."""
SHARE = "share"
"""Unit of a ratio from 0 to 1."""
BYTES, JOULE = "B", "J"
RECORDED = "as recorded"
"""Unit of what a model measured, which only the model knows."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number is.

    Attributes:
        name: as "latency_p99".
        of: the flow, the reason of loss or the measurement it belongs to; "all" of the run.
        unit: "ns", `COUNT`, `SHARE`, `BYTES`, `JOULE` or `RECORDED`.
    """

    name: str
    of: str
    unit: str


def figures(path: Path) -> dict[Metric, float]:
    """The figures of a run that completed.

    Delivered share, losses by reason, latency of each flow, mean and number of each
    measurement; of inferences, where they were answered, how well, how fast and at what cost.
    A figure that the run does not have, such as the latency of a flow of which
    nothing arrived, is left out.
    """
    with open_run(path) as run:
        metrics = Metrics(run.connection)
        places = summarise(load(run.connection), deadline=deadline_of(run.manifest))
        found = chain(_all(metrics), _placed(places))
        return {metric: float(value) for metric, value in found}


def _all(metrics: Metrics) -> Iterator[tuple[Metric, float]]:
    totals = metrics.totals
    yield Metric("sent", "all", COUNT), totals.sent
    if totals.sent:
        yield Metric("delivered", "all", SHARE), totals.delivered / totals.sent
    for reason, lost in totals.lost.items():
        yield Metric("lost", reason, COUNT), lost
    for flow in metrics.flows:
        yield from _latency(flow)
    for measurement in metrics.measurements:
        yield Metric("recorded", measurement.name, COUNT), measurement.n
        if measurement.mean is not None:
            unit = "ns" if measurement.duration else SHARE if measurement.boolean else RECORDED
            yield Metric("mean", measurement.name, unit), measurement.mean


def _latency(flow: Flow) -> Iterator[tuple[Metric, float]]:
    spread = flow.latency
    if spread.n:
        of = f"{flow.name} {flow.kind}"
        for name in ("mean", "p50", "p95", "p99"):
            yield Metric(f"latency_{name}", of, "ns"), getattr(spread, name)


ALL = "inferences"
"""What the figures of all inferences of a run are of."""


def at(place: str) -> str:
    """What the figures of the inferences that were answered at a place are of."""
    return ALL if place == "all" else f"{ALL}, {place}"


def _placed(places: Sequence[PlaceFigures]) -> Iterator[tuple[Metric, float]]:
    for figures in places:
        yield from _inferences(figures)
    if places:  # a place where nothing was answered has a share all the same
        for place in (p for p in PLACES if p not in [figures.place for figures in places]):
            yield Metric("share", at(place), SHARE), 0.0


def _inferences(figures: PlaceFigures) -> Iterator[tuple[Metric, float]]:
    of = at(figures.place)
    for name in ("n", "answered", "judged", "right"):
        yield Metric(name, of, COUNT), getattr(figures, name)
    yield Metric("share", of, SHARE), figures.share
    if figures.accuracy is not None:
        yield Metric("accuracy", of, SHARE), figures.accuracy
    if figures.in_time is not None:
        yield Metric("in_time", of, SHARE), figures.in_time / figures.n
    if figures.answered:
        for name in ("mean", "p50", "p95", "p99"):
            yield Metric(f"latency_{name}", of, "ns"), getattr(figures.latency, name)
        if of == ALL:
            for part, mean in figures.split.items():
                yield Metric(part, of, "ns"), mean
    for name in ("size", "uplink", "downlink"):
        yield Metric(name, of, BYTES), getattr(figures, name)
    if figures.energy is not None:
        yield Metric("energy", of, JOULE), figures.energy
    if figures.drawn is not None and of == ALL:
        yield Metric("drawn", of, JOULE), figures.drawn


def aligned(rows: Sequence[Mapping[Metric, float]]) -> list[dict[Metric, float]]:
    """The rows with a zero for every count that only others have.

    A run without a full queue has lost no message to one; without this, the mean would be
    that of the runs that did.
    """
    metrics = dict.fromkeys(metric for row in rows for metric in row)
    return [{m: row.get(m, 0.0) for m in metrics if m in row or m.unit == COUNT} for row in rows]
