"""Means over independent replications, and whether theory lies within their interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

N = 20
"""Replications: seeds 1 to 20."""

T_999 = 3.883
"""Student's t for N - 1 = 19 degrees of freedom, two-sided 99.9 %."""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean of N replications and half the width of its 99.9 % confidence interval."""
    assert len(values) == N
    mean = sum(values) / N
    variance = sum((value - mean) ** 2 for value in values) / (N - 1)
    return mean, T_999 * math.sqrt(variance / N)


def confirm(theory: float, values: Sequence[float], within: float) -> None:
    """The interval holds the theory, and is narrow enough (relative to it) to mean something."""
    mean, half = interval(values)
    assert half <= within * theory, f"{half / theory:.1%} is too wide to tell"
    assert abs(mean - theory) <= half, f"theory {theory:.6g}, found {mean:.6g} +- {half:.2g}"


def replicate(run: Callable[[int], Sequence[float]]) -> list[tuple[float, ...]]:
    """Figures of all replications, transposed: one tuple of N values per figure."""
    return list(zip(*(run(seed) for seed in range(1, N + 1)), strict=True))
