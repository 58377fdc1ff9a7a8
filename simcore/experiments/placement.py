"""All placements of one scenario: the same devices, models and seed under one policy after another.

Each is an ordinary run, in a process and a directory of its own, and digest for digest what
`run SCENARIO --set placement.policy=POLICY` gives. What the scenario expects, it expects of its own
policy: the runs of others are made without, or each would say that it failed. What they say
together is how accurate, how fast and how thrifty each policy is, and which of them no other one
beats.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simcore.errors import ScenarioError, UsageError
from simcore.experiments import record
from simcore.experiments.figures import ALL, SHARE, Metric, aligned, at
from simcore.experiments.statistics import Estimate, estimates, student_t
from simcore.experiments.trials import Job, Trial, plan
from simcore.results import show
from simcore.results.inferences import PLACES, pareto
from simcore.results.statistics import accuracy_interval
from simcore.scenario import load
from simcore.scenario.model import Scenario

POLICIES = ("device", "edge", "cloud", "confidence", "latency")

ACCURACY = Metric("accuracy", ALL, SHARE)
LATENCY = Metric("latency_mean", ALL, "ns")
ENERGY = Metric("energy", ALL, "J")
_JUDGED = (ACCURACY, LATENCY, ENERGY)


@dataclass(frozen=True, slots=True)
class Left:
    """A policy that cannot run in a scenario, and why."""

    policy: str
    why: str


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of one policy.

    Attributes:
        policy: as the scenario would name it.
        trials: its runs, by seed.
        summary: an estimate for each metric of those that completed.
        best: whether no other policy is better in accuracy, mean latency or energy per inference
            and worse in none of them; None if none of its inferences was answered, or if fewer than
            two of the three are known of all policies.
    """

    policy: str
    trials: tuple[Trial, ...]
    summary: Mapping[Metric, Estimate]
    best: bool | None = None

    def mean(self, name: str, place: str = "all") -> float | None:
        """Mean over the completed runs of a figure of the inferences; None without it."""
        found = (e.mean for m, e in self.summary.items() if (m.name, m.of) == (name, at(place)))
        return next(found, None)

    @property
    def answers(self) -> bool:
        """Whether any of its inferences was answered; if not, it cannot be judged."""
        return self.mean(LATENCY.name) is not None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the accuracy."""
        found, right, judged = self.summary.get(ACCURACY), self.mean("right"), self.mean("judged")
        if found is None or right is None or judged is None:
            return None
        return accuracy_interval(right, judged, found.half_width)


def choose(
    path: Path,
    asked: Sequence[str],
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    until: str | None = None,
) -> tuple[Scenario, list[str], list[Left]]:
    """The scenario, the policies that it can be run with, and those that it cannot.

    Args:
        path: the YAML file.
        asked: policies; empty for all that are built in, and the scenario's own.
        overrides, seed, until: as in `load`.

    Raises:
        ScenarioError: the scenario is invalid, or a policy of one's own is.
        UsageError: it has no section `placement`, a policy is unknown, or none can be run.
    """
    scenario = load(path, overrides=overrides, seed=seed, until=until)
    section = scenario.extensions.get("placement")
    if section is None:
        raise UsageError(
            f"{path} has no section 'placement', which says which nodes take pictures and where "
            "they can be looked at; docs/placement.md shows one"
        )
    policies = list(dict.fromkeys(asked or (*POLICIES, section["policy"])))
    chosen, left = [], []
    for policy in policies:
        if policy not in POLICIES and ":" not in policy:
            raise UsageError(
                f"unknown policy {policy!r}: write file.py:Class, or one of {', '.join(POLICIES)}"
            )
        try:
            load(path, overrides=(*overrides, _override(policy)), seed=seed, until=until)
        except ScenarioError as error:
            if ":" in policy:
                raise
            left.append(Left(policy, error.problems[0].message))
        else:
            chosen.append(policy)
    if not chosen:
        why = "; ".join(f"{each.policy}: {each.why}" for each in left)
        raise UsageError(f"{path} can be run with none of the policies asked for ({why})")
    return scenario, chosen, left


def _override(policy: str) -> str:
    return f"placement.policy={policy}"


def jobs(
    path: Path,
    policies: Sequence[str],
    *,
    own: str,
    base: int,
    out: Path,
    replications: int = 1,
    overrides: Sequence[str] = (),
    until: str | None = None,
) -> dict[str, list[Job]]:
    """The runs of each policy: in OUT/POLICY, or OUT/POLICY/trial-000 and on of several.

    All policies have the same seeds: base, base + 1, ... `own` is the scenario's, of which it
    expects what it expects.
    """
    found: dict[str, list[Job]] = {}
    number = 0
    short = (re.sub(r"[^\w.-]", "-", policy.rpartition(":")[2]) for policy in policies)
    for policy, name in zip(policies, show.distinct(short), strict=True):
        changes = (*overrides, _override(policy), *(() if policy == own else ("expect=[]",)))
        planned = plan(
            path, replications, base=base, out=out / name, overrides=changes, until=until
        )
        if replications == 1:
            planned = [replace(planned[0], path=out / name)]
        found[policy] = [replace(job, number=number + job.number) for job in planned]
        number += replications
    return found


def compared(planned: Mapping[str, Sequence[Job]], ended: Sequence[Trial]) -> list[Placed]:
    """What came of each policy, in the order of `planned`, as far as it has ended."""
    found = []
    for policy, of_policy in planned.items():
        numbers = {job.number for job in of_policy}
        trials = sorted((t for t in ended if t.job.number in numbers), key=lambda t: t.job.number)
        rows = aligned([trial.metrics for trial in trials if not trial.failed])
        quantile = student_t() if len(rows) > 1 else None
        found.append(Placed(policy, tuple(trials), estimates(rows, quantile)))
    candidates = [each for each in found if each.answers]
    known = known_of(candidates)
    if len(known) < 2:
        return found
    points = [[_cost(each, metric) for metric in known] for each in candidates]
    best = {each.policy: is_best for each, is_best in zip(candidates, pareto(points), strict=True)}
    return [replace(each, best=best.get(each.policy)) for each in found]


def known_of(placed: Sequence[Placed]) -> list[Metric]:
    """What is known of all that answer anything, of accuracy, latency and energy."""
    judged = [each for each in placed if each.answers]
    return [m for m in _JUDGED if judged and all(each.mean(m.name) is not None for each in judged)]


def _cost(placed: Placed, metric: Metric) -> float | None:
    value = placed.mean(metric.name)
    return -value if metric == ACCURACY and value is not None else value


def write(
    out: Path,
    *,
    scenario: str,
    base: int,
    placed: Sequence[Placed],
    left: Sequence[Left],
) -> None:
    """Write `placement.json` (everything) and `placement.csv` (one row for each run).

    Raises:
        ResultsError: the directory cannot be written.
    """
    document = {
        "policies": [_policy(each, out) for each in placed],
        "left_out": [{"policy": each.policy, "why": each.why} for each in left],
    }
    columns = ("policy", "seed", "run", "front", *_COLUMNS)
    completed = [(each, t) for each in placed for t in each.trials if not t.failed]
    rows = [_row(each, trial, out) for each, trial in completed]
    record.leave(out, "placement", scenario, base, document, [columns, *rows])


_COLUMNS: Mapping[str, tuple[str, str]] = {
    "n": ("n", "all"),
    "answered": ("answered", "all"),
    "judged": ("judged", "all"),
    "right": ("right", "all"),
    "accuracy": ("accuracy", "all"),
    "latency_mean_ns": ("latency_mean", "all"),
    "latency_p50_ns": ("latency_p50", "all"),
    "latency_p95_ns": ("latency_p95", "all"),
    "latency_p99_ns": ("latency_p99", "all"),
    "in_time": ("in_time", "all"),
    "energy_J": ("energy", "all"),
    "drawn_J": ("drawn", "all"),
    "size_B": ("size", "all"),
    "uplink_B": ("uplink", "all"),
    "downlink_B": ("downlink", "all"),
    **{f"share_{place}": ("share", place) for place in PLACES},
}
"""Columns of the CSV file: which figure of which place."""


def _row(placed: Placed, trial: Trial, out: Path) -> list[object]:
    told = {(metric.name, metric.of): value for metric, value in trial.metrics.items()}
    values = (told.get((name, at(place))) for name, place in _COLUMNS.values())
    run = os.path.relpath(trial.job.path, out)
    shown = ("" if value is None else f"{value:.15g}" for value in values)
    return [placed.policy, trial.job.seed, run, int(bool(placed.best)), *shown]


def _policy(placed: Placed, out: Path) -> dict[str, Any]:
    return {
        "policy": placed.policy,
        "front": placed.best,
        "accuracy_interval": placed.interval,
        "summary": [
            {
                "metric": metric.name,
                "of": metric.of,
                "unit": metric.unit,
                "count": found.count,
                "mean": found.mean,
                "half_width": found.half_width,
            }
            for metric, found in placed.summary.items()
        ],
        "runs": [
            {
                "seed": trial.job.seed,
                "run": os.path.relpath(trial.job.path, out),
                "exit_code": trial.exit_code,
                "error": trial.error,
                "digest": trial.digest,
            }
            for trial in placed.trials
        ],
    }
