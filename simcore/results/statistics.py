"""Summaries of what models measured, with how far they can be trusted.

A mean without an interval invites conclusions that the run does not carry. Both intervals
here take the recorded values as independent: for values that follow each other closely in
time they are too narrow, and replications with other seeds are the remedy.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass, replace
from statistics import NormalDist

from simcore.results.energy import LIFETIME, of_batteries

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Measurement:
    """All values recorded under one name, over all nodes.

    `mean`, `std_error`, `low`, `high`, `minimum` and `maximum` are in the unit that the model
    recorded; None where there is nothing to compute them from. For truth values `mean` is
    the share of true ones and `low`, `high` are its Wilson score interval. `duration` says that
    the unit is known to be the nanosecond.
    """

    name: str
    n: int
    boolean: bool
    mean: float | None
    std_error: float | None
    low: float | None
    high: float | None
    minimum: float | None
    maximum: float | None
    texts: tuple[tuple[str, int], ...] = ()
    """The most frequent texts and how often each came, if texts were recorded."""
    duration: bool = False


def normal_interval(mean: float, std_error: float) -> tuple[float, float]:
    """The interval of a mean by the normal approximation, good from some 30 values on."""
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * std_error
    return mean - reach, mean + reach


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """The score interval of a proportion, sound for few values and near 0 and 1.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22 (1927) 209-212.

    Args:
        successes: how many of the values were true.
        n: how many there are, at least 1.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = successes / n
    middle = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends rounding may push a bound past 0 or 1, or off the share itself.
    return max(0.0, min(share, (middle - reach) / scale)), min(
        1.0, max(share, (middle + reach) / scale)
    )


def accuracy_interval(
    right: float, judged: float, half_width: float | None
) -> tuple[float, float] | None:
    """The interval of a share of right answers, over one run or several that differ in their seed.

    Runs with other seeds see other delays and losses, but often the same images: then they agree
    with each other far better than with what another set of images would give. So the interval
    over runs is never taken narrower than that of one.

    Args:
        right: how many answers are right, mean over the runs.
        judged: how many there are, mean over the runs.
        half_width: half the interval of the share over the runs; None for one run.

    Returns:
        The bounds, from 0 to 1; None if nothing could be judged.
    """
    if not judged:
        return None
    share = right / judged
    low, high = wilson_interval(round(right), round(judged))
    if half_width is not None:
        low, high = min(low, share - half_width), max(high, share + half_width)
    return max(0.0, low), min(1.0, high)


def measurements(connection: sqlite3.Connection) -> tuple[Measurement, ...]:
    """Every measurement of a run, by name. Two passes, so that the variance is exact."""
    texts = _texts(connection)
    numbers = connection.execute(
        """
        WITH centre AS (
            SELECT name, avg(value) AS mean FROM measurement WHERE type <> 'str' GROUP BY name
        )
        SELECT m.name, count(*), sum(m.type = 'bool'), sum(m.value), c.mean,
               sum((m.value - c.mean) * (m.value - c.mean)), min(m.value), max(m.value)
        FROM measurement m JOIN centre c ON c.name = m.name WHERE m.type <> 'str'
        GROUP BY m.name
        """
    )
    found = {}
    for name, n, booleans, total, mean, squares, low, high in numbers:
        if booleans == n:
            found[name] = _proportion(name, int(total), n)
        else:
            found[name] = _mean(name, n, mean, squares, low, high, texts.pop(name, ()))
    for name, counted in texts.items():
        n = sum(count for _, count in counted)
        if name in found:  # truth values and texts under one name
            n += found[name].n
        found[name] = Measurement(name, n, False, None, None, None, None, None, None, counted[:5])
    if LIFETIME in found and of_batteries(connection):
        found[LIFETIME] = replace(found[LIFETIME], duration=True)
    return tuple(found[name] for name in sorted(found))


def _texts(connection: sqlite3.Connection) -> dict[str, tuple[tuple[str, int], ...]]:
    found: dict[str, list[tuple[str, int]]] = {}
    rows = connection.execute(
        "SELECT name, value, count(*) AS n FROM measurement WHERE type = 'str' "
        "GROUP BY name, value ORDER BY name, n DESC, value"
    )
    for name, value, n in rows:
        found.setdefault(name, []).append((str(value), n))
    return {name: tuple(values) for name, values in found.items()}


def _proportion(name: str, successes: int, n: int) -> Measurement:
    share = successes / n
    std_error = math.sqrt(share * (1 - share) / n)
    low, high = wilson_interval(successes, n)
    lowest = float(successes == n)
    return Measurement(name, n, True, share, std_error, low, high, lowest, float(successes > 0))


def _mean(
    name: str,
    n: int,
    mean: float,
    squares: float,
    minimum: float,
    maximum: float,
    texts: tuple[tuple[str, int], ...],
) -> Measurement:
    total = n + sum(count for _, count in texts)
    if n < 2:
        return Measurement(name, total, False, mean, None, None, None, minimum, maximum, texts[:5])
    std_error = math.sqrt(squares / (n - 1) / n)
    low, high = normal_interval(mean, std_error)
    return Measurement(name, total, False, mean, std_error, low, high, minimum, maximum, texts[:5])
