"""Several runs of one scenario: what differs between them, and what each variant achieves.

Runs that differ in their seed alone are trials of one variant, and give its figures an interval.
Runs of another scenario are not compared: what they would show is the difference of scenarios.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simcore.errors import UsageError
from simcore.experiments.statistics import Estimate, estimate, student_t
from simcore.results import show
from simcore.results.compare import experiment
from simcore.results.confusion import Confusion
from simcore.results.inference_figures import Point
from simcore.results.inferences import PlaceFigures, pareto
from simcore.results.judged import Judged, judge
from simcore.results.metrics import Ints
from simcore.results.split import PARTS
from simcore.results.statistics import accuracy_interval
from simcore.results.store import MANIFEST, open_run

MOST_KEYS = 4
"""Keys in which runs may differ to be called by them; beyond that, by their directories."""

MOST_DIGESTS = 6
"""Runs whose digests a caption has room for."""

POLICY = "placement.policy"
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Variant:
    """Runs that differ in their seed alone.

    Attributes:
        name: what tells them from the others.
        runs: by seed.
        efficient: no other variant is better in accuracy, latency or energy and worse in none.
    """

    name: str
    runs: tuple[Judged, ...]
    quantile: Callable[[int], float] | None
    efficient: bool = False

    def estimate(self, what: Callable[[PlaceFigures], float | None]) -> Estimate | None:
        """Mean and interval of a figure over the runs; None if any run lacks it."""
        values = [what(run.everything) for run in self.runs]
        known = [value for value in values if value is not None and not math.isnan(value)]
        if len(known) < len(values):
            return None
        return estimate(known, self.quantile)

    @property
    def accuracy(self) -> Estimate | None:
        """Share of right answers."""
        return self.estimate(lambda figures: figures.accuracy)

    @property
    def count(self) -> int:
        """How many inferences there are in all runs."""
        return sum(run.everything.n for run in self.runs)

    @property
    def accuracy_interval(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        found = self.accuracy
        right = self.estimate(lambda figures: figures.right)
        judged = self.estimate(lambda figures: figures.judged)
        if found is None or right is None or judged is None:
            return None
        return accuracy_interval(right.mean, judged.mean, found.half_width)

    @property
    def latency(self) -> Estimate | None:
        """Mean latency, ns."""
        return self.estimate(lambda figures: figures.latency.mean)

    @property
    def energy(self) -> Estimate | None:
        """Energy of a device for each inference, J."""
        return self.estimate(lambda figures: figures.energy)

    @property
    def latencies(self) -> Ints:
        """Latencies (ns) of all runs together."""
        return np.concatenate([run.latencies() for run in self.runs])

    @property
    def split(self) -> dict[str, float]:
        """Mean of each part of the latency, ns, over the runs in which anything was answered."""
        known = [run.everything.split for run in self.runs if run.everything.answered]
        return {part: math.fsum(split[part] for split in known) / len(known) for part in PARTS}

    @property
    def energies(self) -> dict[str, float]:
        """Energy (J) of a node that takes samples, by part."""
        parts: dict[str, float] = {}
        for run in self.runs:
            for group in run.groups:
                for part, joule in run.energies.get(group, {}).items():
                    share = joule / len(self.runs) / len(run.groups)
                    parts[part] = parts.get(part, 0.0) + share
        return parts

    @property
    def confusion(self) -> Confusion:
        """The confusion matrices of all runs together; nothing where labels are too many."""
        if any(run.everything.judged and not run.confusion.labels for run in self.runs):
            return Confusion()
        return Confusion.counted(
            (found.labels[truth], found.labels[answer], int(found.counts[truth, answer]))
            for found in (run.confusion for run in self.runs)
            for truth, answer in zip(*found.counts.nonzero(), strict=True)
        )

    @property
    def point(self) -> Point | None:
        """Where it stands in the plane of accuracy, latency and energy."""
        accuracy, latency, energy = self.accuracy, self.latency, self.energy
        if latency is None:
            return None
        return Point(
            name=self.name,
            accuracy=None if accuracy is None else accuracy.mean,
            interval=self.accuracy_interval,
            latency=latency.mean,
            reach=latency.half_width,
            energy=None if energy is None else energy.mean,
            efficient=self.efficient,
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """Several runs.

    Attributes:
        scenario: name of the scenario.
        variants: in the order in which they were given.
        varied: keys of the scenario in which they differ, without the seed.
        left_out: runs that are not compared, and why.
        warnings: what else differs that a reader has to know.
    """

    scenario: str
    variants: Sequence[Variant]
    varied: Sequence[str]
    left_out: Sequence[tuple[Path, str]]
    warnings: Sequence[str]

    @property
    def runs(self) -> list[Judged]:
        """All runs that are compared."""
        return [run for variant in self.variants for run in variant.runs]

    @property
    def deadlines(self) -> list[int]:
        """What counts as late, ns."""
        return sorted({run.deadline for run in self.runs if run.deadline is not None})

    @property
    def identity(self) -> str:
        """Where figures of these runs come from: scenario, seeds, digests."""
        return identity([(v.name, run.manifest) for v in self.variants for run in v.runs])


def directories(paths: Iterable[Path]) -> list[Path]:
    """The run directories among paths, and in folders of runs, as `placement` and `trials` leave.

    Those of a folder come in the order in which the command that made it ran them.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = [] if (path / MANIFEST).is_file() else _listed(path)
        found |= dict.fromkeys(inside or [path])
    return list(found)


def _listed(folder: Path) -> list[Path]:
    some = [*folder.glob(f"*/{MANIFEST}"), *folder.glob(f"*/*/{MANIFEST}")]
    runs = sorted(manifest.parent for manifest in some)
    try:
        told = json.loads((folder / "placement.json").read_text(encoding="utf-8"))
        order = [folder / run["run"] for policy in told["policies"] for run in policy["runs"]]
    except (OSError, ValueError, KeyError, TypeError):  # a folder that somebody made
        return runs
    known = [run for run in order if run in runs]
    return known + [run for run in runs if run not in known]


def compare(paths: Sequence[Path]) -> Compared:
    """Read several runs and put together what belongs together.

    Raises:
        UsageError: a path is no run, or none of them has inferences.
    """
    runs: list[Judged] = []
    left_out: list[tuple[Path, str]] = []
    for path in paths:
        with open_run(path) as opened:
            run = judge(opened)
        reason = "it has no inferences" if run is None else _unlike(run, runs)
        if run is None or reason:
            left_out.append((path, reason))
        else:
            runs.append(run)
    if not runs:
        raise UsageError(
            f"no run has inferences among {', '.join(map(str, paths))}; `compare` puts any two "
            "runs side by side"
        )
    varied = _varied(runs)
    return Compared(
        scenario=show.scenario_name(runs[0].manifest),
        variants=_variants(runs, varied),
        varied=varied,
        left_out=left_out,
        warnings=_warnings(runs),
    )


def identity(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Scenario, seeds and digests of runs of one scenario; of many, a digest over all digests.

    Args:
        runs: of each the name of its variant, and its manifest.
    """
    manifests = [manifest for _, manifest in runs]
    if len(runs) == 1:
        return show.identity(manifests[0])
    scenario = show.scenario_name(manifests[0])
    if len(runs) <= MOST_DIGESTS:
        each = [f"{name} (seed {m.get('seed')}, digest {show.digest(m)})" for name, m in runs]
        return f"{scenario}; runs {', '.join(each)}"
    seeds = ", ".join(map(str, sorted({m.get("seed") or 0 for m in manifests})))
    digests = "".join(sorted(str(m.get("digest")) for m in manifests))
    over = hashlib.sha256(digests.encode()).hexdigest()[:12]
    return f"{scenario}; {len(runs)} runs, seeds {seeds}, SHA-256 of their digests {over}"


def _unlike(run: Judged, others: Sequence[Judged]) -> str:
    """Why a run cannot be compared with others; empty if it can."""
    if not others:
        return ""
    name, wanted = (show.scenario_name(r.manifest) for r in (run, others[0]))
    if name != wanted:
        return f"it is of the scenario {name}, not of {wanted}"
    for other in others:
        same_seed = run.manifest.get("seed") == other.manifest.get("seed")
        if same_seed and _setting(run) == _setting(other):
            return f"it repeats {other.path}, and is no further trial"
    return ""


def _setting(run: Judged) -> dict[str, Any]:
    """The scenario as it was run but for its seed, as leaves by their paths."""
    return {key: value for key, value in experiment(run.manifest).items() if key != "seed"}


def _varied(runs: Sequence[Judged]) -> list[str]:
    settings = [_setting(run) for run in runs]
    keys = dict.fromkeys(key for setting in settings for key in setting)
    return [
        key
        for key in keys
        if any(s.get(key, _NOTHING) != settings[0].get(key, _NOTHING) for s in settings)
    ]


def _variants(runs: Sequence[Judged], varied: Sequence[str]) -> list[Variant]:
    groups: dict[str, list[Judged]] = {}
    for run in runs:
        setting = _setting(run)
        groups.setdefault(repr([setting.get(key) for key in varied]), []).append(run)
    quantile = student_t() if len(runs) > len(groups) else None
    names = [_name(members[0], varied) for members in groups.values()]
    if len(set(names)) < len(names):
        names = [show.label(members[0].path) for members in groups.values()]
    found = [
        Variant(
            name,
            tuple(sorted(members, key=lambda run: run.manifest.get("seed") or 0)),
            quantile if len(members) > 1 else None,
        )
        for name, members in zip(names, groups.values(), strict=True)
    ]
    # One that never gives an answer has nothing to be judged by, and says nothing of the others.
    points = [(place, point) for place, v in enumerate(found) if (point := v.point) is not None]
    costs = [(p.accuracy and -p.accuracy, p.latency, p.energy) for _, p in points]
    for (place, _), efficient in zip(points, pareto(costs), strict=True):
        found[place] = replace(found[place], efficient=efficient)
    return found


def _name(run: Judged, varied: Sequence[str]) -> str:
    """What tells a variant from the others, as `confidence, threshold 80%`."""
    if not varied:
        policy = _setting(run).get(POLICY)
        return show.label(policy or show.scenario_name(run.manifest))
    if len(varied) > MOST_KEYS:
        return show.label(run.path.name)
    setting = _setting(run)
    last = [key.rpartition(".")[2] for key in varied]
    parts = []
    for key, word in zip(varied, last, strict=True):
        if key in setting:
            short = word if last.count(word) == 1 else key
            parts.append(f"{setting[key]}" if key == POLICY else f"{short} {setting[key]}")
    return show.label(", ".join(parts) or "default")


def _warnings(runs: Sequence[Judged]) -> list[str]:
    found = []
    for what in ("inputs", "simcore", "determinism"):
        values = [run.manifest.get(what) for run in runs]
        if any(value != values[0] for value in values):
            name = {"simcore": "version of simcore"}.get(what, what)
            found.append(f"The runs differ in their {name}.")
    unfinished = [run.path.name for run in runs if not run.manifest.get("digest")]
    if unfinished:
        found.append(f"Not finished: {', '.join(unfinished)}.")
    found += [f"{run.path.name}: energy {run.energy_gap}." for run in runs if run.energy_gap]
    return found
