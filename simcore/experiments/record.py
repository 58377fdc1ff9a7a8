"""What an experiment leaves behind: a CSV file (tidy) and a JSON file (everything)."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simcore.errors import ResultsError
from simcore.experiments.figures import Metric
from simcore.experiments.statistics import CONFIDENCE, Estimate
from simcore.experiments.trials import Trial

COLUMNS = ("trial", "seed", "metric", "of", "unit", "value")


def claim(out: Path) -> None:
    """Make the experiment's directory.

    Raises:
        ResultsError: it exists and holds something, or cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise ResultsError(f"{out} is not empty; choose another directory with --out")
    except OSError as error:
        raise ResultsError(f"cannot write to {out}: {error.strerror}") from error


def _shown(metric: Metric) -> dict[str, str]:
    return {"metric": metric.name, "of": metric.of, "unit": metric.unit}


def _trial(trial: Trial, out: Path) -> dict[str, Any]:
    return {
        "trial": trial.job.number,
        "seed": trial.job.seed,
        "run": os.path.relpath(trial.job.path, out),
        "exit_code": trial.exit_code,
        "error": trial.error,
        "digest": trial.digest,
        "metrics": [{**_shown(metric), "value": value} for metric, value in trial.metrics.items()],
    }


def _estimate(metric: Metric, found: Estimate) -> dict[str, Any]:
    return {
        **_shown(metric),
        "count": found.count,
        "mean": found.mean,
        "deviation": found.deviation,
        "half_width": found.half_width,
    }


def write(
    out: Path,
    *,
    scenario: str,
    base: int,
    wanted: int,
    trials: Sequence[Trial],
    summary: Mapping[Metric, Estimate],
) -> None:
    """Write `trials.csv` and `trials.json`.

    Args:
        out: the experiment's directory.
        scenario: name of the scenario.
        base: seed of the first trial.
        wanted: how many trials were asked for; fewer are here after Ctrl-C.
        trials: those that ended.
        summary: one estimate per metric.

    Raises:
        ResultsError: the directory cannot be written.
    """
    document = {
        "wanted": wanted,
        "summary": [_estimate(metric, found) for metric, found in summary.items()],
        "trials": [_trial(trial, out) for trial in trials],
    }
    rows = [
        (trial.job.number, trial.job.seed, metric.name, metric.of, metric.unit, repr(value))
        for trial in trials
        for metric, value in trial.metrics.items()
    ]
    leave(out, "trials", scenario, base, document, [COLUMNS, *rows])


def leave(
    out: Path,
    name: str,
    scenario: str,
    base: int,
    document: Mapping[str, Any],
    rows: Iterable[Sequence[object]],
) -> None:
    """Write NAME.json and NAME.csv; paths in them are relative to `out`, which can so be moved.

    Args:
        out: the experiment's directory.
        name: of the experiment's kind.
        scenario: name of the scenario.
        base: first seed.
        document: what the JSON file says beside these.
        rows: of the CSV file, the names of its columns first.

    Raises:
        ResultsError: the directory cannot be written.
    """
    head = {"format": 1, "scenario": scenario, "base_seed": base, "confidence": CONFIDENCE}
    try:
        text = json.dumps({**head, **document}, indent=2, ensure_ascii=False, allow_nan=False)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    except OSError as error:
        raise ResultsError(f"cannot write to {out}: {error.strerror}") from error
