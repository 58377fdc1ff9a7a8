"""Two runs side by side: what they were made from, what came out, and where they part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from simcore.results.difference import Difference, first_difference
from simcore.results.inferences import PlaceFigures, summarise
from simcore.results.metrics import Flow, Metrics
from simcore.results.store import Run

FLOWING = ("delivered", "p50", "p95", "p99")
INFERRED = ("n", "accuracy", "p50", "p95", "energy")
"""Number, share of right answers, percentiles of the latency (ns), mean energy of devices (J)."""

Pair = tuple[Any, Any]
"""The value in the first and in the second run; None where one has none."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two runs. Times in ns; every mapping holds differences only.

    `flows`, `inferences` and `measurements` hold every flow, place and measurement of either run,
    for reading side by side: per flow the 50th, 95th and 99th percentile of its latency; per place
    where inferences were answered, and of all, what it is in `INFERRED`; per measurement its mean.
    """

    digests: tuple[str | None, str | None]
    scenario: Mapping[str, Pair]
    """Keys of the resolved scenario, as dotted paths; but for its expectations."""
    inputs: Mapping[str, Pair]
    versions: Mapping[str, Pair]
    other: Mapping[str, Pair]
    """Seed, duration, platform, exactness, windows, and how the runs ended."""
    counts: Mapping[str, Pair]
    flows: Mapping[str, Mapping[str, Pair]]
    inferences: Mapping[str, Mapping[str, Pair]]
    measurements: Mapping[str, Pair]
    durations: Sequence[str]
    """Those of the measurements that are times."""
    difference: Difference | None

    @property
    def same(self) -> bool:
        """Whether both runs finished with the same digest."""
        first, second = self.digests
        return first is not None and first == second

    def as_dict(self) -> dict[str, Any]:
        """Everything as values that JSON knows."""
        document = asdict(self)
        document["same"] = self.same
        return document


def compare(first: Run, second: Run) -> Comparison:
    """Compare two runs; the first different record is looked for only if digests differ."""
    a, b = first.manifest, second.manifest
    figures = Metrics(first.connection), Metrics(second.connection)
    digests = (a.get("digest") or None, b.get("digest") or None)
    same = digests[0] is not None and digests[0] == digests[1]
    return Comparison(
        digests=digests,
        scenario=differing(experiment(a), experiment(b)),
        inputs=differing(a.get("inputs") or {}, b.get("inputs") or {}),
        versions=differing(_versions(a), _versions(b)),
        other=differing(_other(a), _other(b)),
        counts=differing(_counts(figures[0]), _counts(figures[1])),
        flows=_side_by_side(_flows(figures[0]), _flows(figures[1]), FLOWING),
        inferences=_side_by_side(_inferences(figures[0]), _inferences(figures[1]), INFERRED),
        measurements=_means(*figures),
        durations=_durations(*figures),
        difference=None if same else first_difference(first.connection, second.connection),
    )


def experiment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The scenario as it was run, as leaves by their paths; what is expected changes no run."""
    resolved = manifest.get("resolved") or {}
    return flatten({key: resolved[key] for key in resolved if key != "expect"})


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves of a nested document by their dotted paths, as `network.links.0.delay`."""
    if isinstance(value, Mapping) and value:
        entries = [(str(key), entry) for key, entry in value.items()]
    elif isinstance(value, list) and value:
        entries = [(str(place), entry) for place, entry in enumerate(value)]
    else:
        return {path: value}
    leaves: dict[str, Any] = {}
    for key, entry in entries:
        leaves |= flatten(entry, f"{path}.{key}" if path else key)
    return leaves


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    """Keys whose values differ, in the order of the first, then of the second mapping."""
    missing = object()
    return {
        key: (first.get(key), second.get(key))
        for key in dict.fromkeys([*first, *second])
        if first.get(key, missing) != second.get(key, missing)
    }


def _versions(manifest: Mapping[str, Any]) -> dict[str, Any]:
    packages, parts = manifest.get("versions") or {}, manifest.get("parts") or {}
    return {"simcore": manifest.get("simcore"), **packages, **parts}


def _other(manifest: Mapping[str, Any]) -> dict[str, Any]:
    ended = (manifest.get("exit") or {}).get("reason")
    keys = ("seed", "duration_ns", "determinism", "platform")
    windows = manifest.get("windows")
    told = flatten(windows, "windows") if windows else {}
    return {**{key: manifest.get(key) for key in keys}, **told, "ended": ended}


def _counts(figures: Metrics) -> dict[str, int]:
    totals = figures.totals
    lost = {f"lost.{reason}": n for reason, n in totals.lost.items()}
    return {
        "sent": totals.sent,
        "delivered": totals.delivered,
        "in_flight": totals.in_flight,
        **lost,
        "measurements": sum(m.n for m in figures.measurements),
    }


def _flows(figures: Metrics) -> dict[str, dict[str, Any]]:
    return {f"{flow.name} {flow.kind}": _percentiles(flow) for flow in figures.flows}


def _percentiles(flow: Flow) -> dict[str, Any]:
    latency = flow.latency
    found = {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99}
    shown = {name: None if math.isnan(ns) else ns for name, ns in found.items()}
    return {"delivered": flow.counts.delivered, **shown}


def _inferences(figures: Metrics) -> dict[str, dict[str, Any]]:
    return {each.place: _inferred(each) for each in summarise(figures.inferred)}


def _inferred(figures: PlaceFigures) -> dict[str, Any]:
    times = {name: getattr(figures.latency, name) for name in ("p50", "p95")}
    return {
        "n": figures.n,
        "accuracy": figures.accuracy,
        **{name: None if math.isnan(ns) else ns for name, ns in times.items()},
        "energy": figures.energy,
    }


def _side_by_side(
    first: Mapping[str, Mapping[str, Any]],
    second: Mapping[str, Mapping[str, Any]],
    columns: Sequence[str],
) -> dict[str, dict[str, Pair]]:
    return {
        name: {
            column: (first.get(name, {}).get(column), second.get(name, {}).get(column))
            for column in columns
        }
        for name in dict.fromkeys([*first, *second])
    }


def _means(first: Metrics, second: Metrics) -> dict[str, Pair]:
    means = [{m.name: m.mean for m in figures.measurements} for figures in (first, second)]
    names = dict.fromkeys([*means[0], *means[1]])
    return {name: (means[0].get(name), means[1].get(name)) for name in names}


def _durations(first: Metrics, second: Metrics) -> list[str]:
    """Measurements that are durations wherever they were recorded."""
    kinds: dict[str, bool] = {}
    for m in (*first.measurements, *second.measurements):
        kinds[m.name] = kinds.get(m.name, True) and m.duration
    return [name for name, duration in kinds.items() if duration]
