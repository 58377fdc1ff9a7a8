"""Means and intervals of replications, against printed tables and hand calculation."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore.errors import MissingDependency
from simcore.experiments.statistics import estimate, estimates, student_t


def test_interval_of_a_textbook_sample() -> None:
    """Law, "Simulation Modeling and Analysis", example 4.26 gives 1.34 +/- 0.24 at 90 %;
    at 95 % with t(9, 0.975) = 2.262 (any table) it is +/- 0.29."""
    sample = [1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09]
    found = estimate(sample, student_t())
    assert found.count == 10
    assert found.mean == pytest.approx(1.343)
    assert found.deviation == pytest.approx(0.17**0.5, abs=0.005)
    assert found.deviation is not None
    assert found.half_width == pytest.approx(2.262 * found.deviation / 10**0.5, rel=1e-3)


def test_quantiles_of_students_t() -> None:
    quantile = student_t()
    for freedom, value in ((1, 12.706), (4, 2.776), (30, 2.042)):
        assert quantile(freedom) == pytest.approx(value, abs=5e-4)


def test_one_replication_has_no_interval() -> None:
    found = estimate([3.0], student_t())
    assert (found.mean, found.deviation, found.half_width) == (3.0, None, None)


def test_each_metric_counts_the_replications_that_have_it() -> None:
    found = estimates([{"a": 1.0, "b": 5.0}, {"a": 3.0}], student_t())
    assert list(found) == ["a", "b"]
    assert (found["a"].count, found["a"].mean) == (2, 2.0)
    assert (found["b"].count, found["b"].half_width) == (1, None)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_mean_lies_within_and_interval_is_not_negative(values: list[float]) -> None:
    found = estimate(values, student_t())
    slack = 1e-9 * max(1.0, *(abs(value) for value in values))
    assert min(values) - slack <= found.mean <= max(values) + slack
    assert found.half_width is not None and found.half_width >= 0


def test_without_scipy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingDependency, match=r"pip install 'simcore\[report\]'"):
        student_t()
