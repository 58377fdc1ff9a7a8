"""Mean and confidence interval over replications."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from simcore.errors import MissingDependency

CONFIDENCE = 0.95
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What replications tell about one metric.

    Attributes:
        count: replications that have the metric.
        mean: their mean, in the metric's unit.
        deviation: their sample standard deviation; None for fewer than two.
        half_width: half the confidence interval, mean +/- half_width; None for fewer than two.
    """

    count: int
    mean: float
    deviation: float | None
    half_width: float | None


def student_t() -> Callable[[int], float]:
    """A function from degrees of freedom to the two-sided quantile of Student's t.

    Raises:
        MissingDependency: SciPy is not installed.
    """
    try:
        from scipy.stats import t
    except ImportError:
        raise MissingDependency("scipy", extra="report", purpose="confidence intervals") from None
    return lambda freedom: float(t.ppf((1 + CONFIDENCE) / 2, freedom))


def estimate(values: Sequence[float], quantile: Callable[[int], float] | None) -> Estimate:
    """Mean and 95 % confidence interval of independent replications (Student's t).

    The interval assumes that the replications' values are about normal, as means over many
    messages are; for a percentile of few messages take it with care. See A. M. Law,
    "Simulation Modeling and Analysis", section 4.5.

    Args:
        values: one value per replication, at least one.
        quantile: from `student_t`; None leaves the interval out.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Estimate(count, mean, None, None)
    deviation = statistics.stdev(values)
    if quantile is None:
        return Estimate(count, mean, deviation, None)
    return Estimate(count, mean, deviation, quantile(count - 1) * deviation / math.sqrt(count))


def estimates(
    rows: Sequence[Mapping[Name, float]], quantile: Callable[[int], float] | None
) -> dict[Name, Estimate]:
    """An estimate for each metric that any replication has, in order of first appearance."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: estimate([row[name] for row in rows if name in row], quantile) for name in names}
