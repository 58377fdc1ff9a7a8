"""What an experiment leaves behind: `trials.csv` (tidy) and `trials.json` (everything)."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
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
    """Write both files; paths in them are relative to `out`, which can so be moved.

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
        "format": 1,
        "scenario": scenario,
        "base_seed": base,
        "wanted": wanted,
        "confidence": CONFIDENCE,
        "summary": [_estimate(metric, found) for metric, found in summary.items()],
        "trials": [_trial(trial, out) for trial in trials],
    }
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        (out / "trials.json").write_text(text + "\n", encoding="utf-8")
        with (out / "trials.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            for trial in trials:
                for metric, value in trial.metrics.items():
                    head = (trial.job.number, trial.job.seed)
                    rows.writerow((*head, metric.name, metric.of, metric.unit, repr(value)))
    except OSError as error:
        raise ResultsError(f"cannot write to {out}: {error.strerror}") from error
