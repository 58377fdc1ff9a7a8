"""Delays and computing times: a minimum plus a non-negative random part.

The minimum is what links give to the participants at their two ends as lookahead, so it is
written apart from the randomness and never eroded by it. One grammar serves link delays,
computing costs and the times of faults. Standard library only.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

from simcore.errors import UnitError
from simcore.units import duration

Sampler = Callable[[], int]

_DURATION = {"type": "string", "format": "duration"}
_PARTS = ("uniform", "exponential", "normal", "lognormal", "table")

SCHEMA: dict[str, Any] = {
    "description": "A constant duration, or a minimum plus one non-negative random part.",
    "examples": ["45ms", {"min": "8ms", "exponential": "2ms"}],
    "anyOf": [
        _DURATION,
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "min": {
                    **_DURATION,
                    "description": "Least value; what is drawn is added to it.",
                    "default": "0ns",
                },
                "uniform": {**_DURATION, "description": "Uniform between 0 and this."},
                "exponential": {**_DURATION, "description": "Exponential with this mean."},
                "normal": {
                    "description": "Normal, drawn again while negative.",
                    "errorMessage": "needs a mean and a standard deviation, as in "
                    "{mean: 10ms, std: 2ms}",
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["mean", "std"],
                    "properties": {
                        "mean": {**_DURATION, "description": "Mean before truncation at 0."},
                        "std": {
                            **_DURATION,
                            "description": "Standard deviation before truncation.",
                        },
                    },
                },
                "lognormal": {
                    "description": "Lognormal: median * exp(sigma * N(0, 1)).",
                    "errorMessage": "needs a median and a sigma, as in {median: 10ms, sigma: 0.5}",
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["median", "sigma"],
                    "properties": {
                        "median": {**_DURATION, "description": "Median."},
                        "sigma": {
                            "type": "number",
                            "minimum": 0,
                            "maximum": 5,
                            "description": "Standard deviation of the logarithm.",
                        },
                    },
                },
                "table": {
                    "description": "Measured values, each as likely: a list of durations, or a "
                    "text file with one a line, relative to the scenario; lines that begin with # "
                    "are comments.",
                    "anyOf": [
                        {"type": "string"},
                        {"type": "array", "minItems": 1, "items": _DURATION},
                    ],
                },
            },
        },
    ],
}
"""JSON Schema fragment of a distribution."""


@dataclass(frozen=True)
class Distribution:
    """A parsed distribution; draws are whole nanoseconds.

    Attributes:
        minimum: least part, ns.
        kind: constant, uniform, exponential, normal, lognormal or table.
        values: the parameters of the random part, ns (sigma of lognormal: no unit).
    """

    minimum: int
    kind: str = "constant"
    values: tuple[float, ...] = ()

    @property
    def infimum(self) -> int:
        """Largest ns that no draw falls below."""
        return self.minimum + (int(min(self.values)) if self.kind == "table" else 0)

    @property
    def mean(self) -> float:
        """Expected value in ns, before rounding to whole nanoseconds."""
        low, kind, values = self.minimum, self.kind, self.values
        if kind == "uniform":
            return low + values[0] / 2
        if kind == "exponential":
            return low + values[0]
        if kind == "normal":
            mean, std = values
            if std == 0:
                return low + mean
            # Mean of a normal truncated below at 0 (Johnson, Kotz & Balakrishnan,
            # Continuous Univariate Distributions 1, 1994, section 13.10.1).
            unit = NormalDist()
            return low + mean + std * unit.pdf(-mean / std) / unit.cdf(mean / std)
        if kind == "lognormal":
            median, sigma = values
            return low + median * math.exp(sigma * sigma / 2)
        if kind == "table":
            return low + sum(values) / len(values)
        return float(low)

    def sampler(self, rng: random.Random) -> Sampler:
        """A function that draws from `rng`, one ns value a call; a constant draws nothing."""
        low, values, uniform01 = self.minimum, self.values, rng.random
        if self.kind == "uniform":
            span = int(values[0]) + 1
            return lambda: low + int(uniform01() * span)
        if self.kind == "exponential":
            scale, log = values[0], math.log
            return lambda: low + int(0.5 - log(1.0 - uniform01()) * scale)
        if self.kind == "normal":
            return lambda: low + _truncated_normal(rng, *values)
        if self.kind == "lognormal":
            median, sigma = values
            return lambda: low + int(0.5 + median * math.exp(sigma * rng.gauss(0.0, 1.0)))
        if self.kind == "table":
            whole = [low + int(value) for value in values]
            return lambda: whole[int(uniform01() * len(whole))]
        return lambda: low


def _truncated_normal(rng: random.Random, mean: float, std: float) -> int:
    while True:  # mean >= 0, so at least every second draw is taken
        value = rng.gauss(mean, std)
        if value >= 0:
            return int(value + 0.5)


def _table(value: str | Sequence[str], base: Path | None) -> tuple[float, ...]:
    if isinstance(value, str):
        path = (base or Path()) / value
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:  # not there, not UTF-8, or a name that none can have
            raise UnitError(f"cannot read the table {value!r}: {error}") from error
        entries = (line.strip() for line in lines)
        value = [entry for entry in entries if entry and not entry.startswith("#")]
        if not value:
            raise UnitError(f"the table {path.name!r} holds no durations")
    return tuple(float(duration(entry)) for entry in value)


def parse(value: object, base: Path | None = None) -> Distribution:
    """Read a distribution as it stands in a scenario or in a service's call.

    Args:
        value: a duration (text, or an int of ns) or a mapping as `SCHEMA` describes it.
        base: folder that the file name of a table is relative to.

    Raises:
        UnitError: not a distribution; the message says why.
    """
    if isinstance(value, Distribution):
        return value
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return Distribution(duration(value))
    if not isinstance(value, Mapping):
        raise UnitError(f"{value!r} is not a delay: write a duration such as 45ms, or a mapping")
    unknown = sorted(set(value) - {"min", *_PARTS})
    if unknown:
        raise UnitError(
            f"unknown key {unknown[0]!r}: a delay takes min and one of {', '.join(_PARTS)}"
        )
    parts = [part for part in _PARTS if part in value]
    if len(parts) > 1:
        raise UnitError(f"{parts[0]} and {parts[1]} together: a delay takes one random part")
    low = duration(value.get("min", "0ns"))
    if not parts:
        if "min" not in value:
            raise UnitError(f"an empty delay: it takes min and one of {', '.join(_PARTS)}")
        return Distribution(low)
    kind = parts[0]
    part: Any = value[kind]
    try:
        if kind in ("uniform", "exponential"):
            return Distribution(low, kind, (float(duration(part)),))
        if kind == "normal":
            return Distribution(
                low, kind, (float(duration(part["mean"])), float(duration(part["std"])))
            )
        if kind == "lognormal":
            return Distribution(low, kind, (float(duration(part["median"])), float(part["sigma"])))
        return Distribution(low, kind, _table(part, base))
    except (KeyError, TypeError, IndexError) as error:
        raise UnitError(f"{kind} is incomplete: {part!r}") from error
