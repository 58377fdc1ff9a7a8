"""Distributions: what is written is what is drawn; the minimum holds whatever chance does."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore.distributions import Distribution, parse
from simcore.errors import UnitError

MS = 10**6
ALL = {
    "constant": "45ms",
    "only a minimum": {"min": "8ms"},
    "uniform": {"min": "8ms", "uniform": "3ms"},
    "exponential": {"min": "8ms", "exponential": "2ms"},
    "normal": {"min": "1ms", "normal": {"mean": "5ms", "std": "1ms"}},
    "normal, cut in half": {"normal": {"mean": "0ns", "std": "1ms"}},
    "normal, cut a little": {"min": "1ms", "normal": {"mean": "1ms", "std": "1ms"}},
    "normal, constant": {"normal": {"mean": "3ms", "std": "0ns"}},
    "lognormal": {"min": "1ms", "lognormal": {"median": "2ms", "sigma": 0.5}},
    "table": {"min": "1ms", "table": ["1ms", "2ms", "9ms"]},
}


def draws(value, number=4000, seed=1):
    sample = parse(value).sampler(random.Random(seed))
    return [sample() for _ in range(number)]


@pytest.mark.parametrize("value", ALL.values(), ids=ALL)
def test_the_mean_is_that_of_theory(value):
    """Within 3.29 standard errors (99.9 %) of `Distribution.mean`, for 40,000 draws.

    Means: uniform a + b/2, exponential a + b, lognormal a + m exp(s^2/2), normal truncated at 0
    a + m + s phi(m/s)/Phi(m/s) (Johnson, Kotz & Balakrishnan, Continuous Univariate
    Distributions 1, 1994, sections 13.10.1, 14.3).
    """
    drawn = draws(value, 40_000)
    mean = sum(drawn) / len(drawn)
    spread = math.sqrt(sum((x - mean) ** 2 for x in drawn) / (len(drawn) - 1))
    assert abs(mean - parse(value).mean) <= 3.29 * spread / math.sqrt(len(drawn)) + 0.5


@pytest.mark.parametrize("value", ALL.values(), ids=ALL)
def test_no_draw_falls_below_the_infimum_and_all_are_whole_nanoseconds(value):
    drawn = draws(value)
    infimum = parse(value).infimum
    assert all(type(x) is int and x >= infimum for x in drawn)
    assert min(drawn) <= infimum + (parse(value).mean - infimum) / 2 + 4 * MS


@pytest.mark.parametrize(
    ("value", "infimum"),
    [
        ("45ms", 45 * MS),
        (7, 7),
        ({"min": "8ms", "exponential": "2ms"}, 8 * MS),
        ({"lognormal": {"median": "2ms", "sigma": 0.5}}, 0),
        ({"min": "1ms", "table": ["3ms", "2ms"]}, 3 * MS),
    ],
)
def test_the_infimum_is_what_a_link_promises(value, infimum):
    assert parse(value).infimum == infimum


def test_uniform_reaches_both_ends_and_each_value_alike():
    drawn = draws({"min": "10ns", "uniform": "3ns"}, 40_000)
    assert set(drawn) == {10, 11, 12, 13}
    for value in range(10, 14):  # binomial, 99.9 %
        assert abs(drawn.count(value) - 10_000) < 3.29 * math.sqrt(40_000 * 0.25 * 0.75)


def test_quantiles():
    """Share below the median: one half, for exponential mean * ln 2 and lognormal's median."""
    for value, median in [
        ({"exponential": "2ms"}, 2 * MS * math.log(2)),
        ({"lognormal": {"median": "2ms", "sigma": 2}}, 2 * MS),
        ({"normal": {"mean": "9ms", "std": "1ms"}}, 9 * MS),
    ]:
        below = sum(x < median for x in draws(value, 40_000))
        assert abs(below - 20_000) < 3.29 * 100


def test_a_constant_draws_no_random_number():
    rng = random.Random(1)
    state = rng.getstate()
    for value in ("45ms", 12, {"min": "8ms"}):
        parse(value).sampler(rng)()
    assert rng.getstate() == state


def test_each_draw_of_a_table_is_one_of_its_values():
    assert set(draws(ALL["table"])) == {2 * MS, 3 * MS, 10 * MS}


def test_a_table_from_a_file(tmp_path):
    (tmp_path / "measured.csv").write_text("# round trips\n1ms\n\n  2ms\n")
    found = parse({"table": "measured.csv"}, tmp_path)
    assert found == Distribution(0, "table", (1.0 * MS, 2.0 * MS))
    (tmp_path / "empty.csv").write_text("# nothing\n")
    with pytest.raises(UnitError, match=r"'empty\.csv' holds no durations"):
        parse({"table": "empty.csv"}, tmp_path)
    with pytest.raises(UnitError, match="cannot read the table 'none.csv'"):
        parse({"table": "none.csv"}, tmp_path)
    with pytest.raises(UnitError, match="cannot read the table"):
        parse({"table": "a\0b"}, tmp_path)


def test_what_is_parsed_already_stays():
    found = parse("1ms")
    assert parse(found) is found


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.5, "is not a delay"),
        (True, "is not a delay"),
        (None, "is not a delay"),
        ({}, "an empty delay"),
        ({"max": "1ms"}, "unknown key 'max'"),
        ({"uniform": "1ms", "exponential": "1ms"}, "uniform and exponential together"),
        ({"uniform": 1.5}, "is not a duration"),
        ({"normal": {"mean": "1ms"}}, "normal is incomplete"),
        ({"normal": "1ms"}, "normal is incomplete"),
        ({"lognormal": {"sigma": 1}}, "lognormal is incomplete"),
        ({"table": ["1"]}, "has no unit"),
        ({"min": "-1ms"}, "is not a duration"),
    ],
    ids=repr,
)
def test_refusals(value, reason):
    with pytest.raises(UnitError, match=reason):
        parse(value)


@given(st.integers(0, 10**9), st.sampled_from(["uniform", "exponential"]), st.integers(0, 10**9))
def test_any_parameters_give_whole_draws_from_the_minimum_on(low, kind, part):
    value = {"min": f"{low}ns", kind: f"{part}ns"}
    drawn = draws(value, 20)
    assert all(type(x) is int and x >= low for x in drawn)
    if kind == "uniform":
        assert max(drawn) <= low + part
