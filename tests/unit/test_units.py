"""Units: what is written comes out exact, and everything else is refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore import units
from simcore.errors import UnitError

TIME = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
times = st.integers(0, units.MAX_TIME - 1)


@given(times)
def test_an_exact_time_reads_back(value):
    assert units.duration(units.show_exact(value)) == value
    assert units.duration(f"{value}ns") == value
    assert units.duration(value) == value


@given(st.integers(0, 10**6), st.sampled_from(sorted(TIME)))
def test_units_scale(number, unit):
    expected = number * TIME[unit]
    if expected < units.MAX_TIME:
        assert units.duration(f"{number}{unit}") == expected
        assert units.duration(f" {number} {unit} ") == expected
    else:
        with pytest.raises(UnitError, match="out of range"):
            units.duration(f"{number}{unit}")


@given(times, st.sampled_from(["us", "ms", "s"]))
def test_decimals_are_exact(value, unit):
    whole, rest = divmod(value, TIME[unit])
    digits = len(str(TIME[unit])) - 1
    assert units.duration(f"{whole}.{rest:0{digits}}{unit}") == value


@given(st.text(max_size=20) | st.from_regex(r"\A-?[0-9]{0,25}\.?[0-9]{0,25} ?[a-zA-Z/%]{0,6}\Z"))
def test_any_text_is_a_quantity_or_refused(text):
    for read, limit in ((units.duration, units.MAX_TIME), (units.size, None), (units.rate, None)):
        try:
            value = read(text)
        except UnitError as error:
            assert str(error)
        else:
            assert type(value) is int
            assert value >= 0 and (limit is None or value < limit)
    try:
        assert 0.0 <= units.ratio(text) <= 1.0
    except UnitError as error:
        assert str(error)


@given(st.floats(allow_nan=True))
def test_a_share_lies_between_0_and_1(value):
    if 0 <= value <= 1:
        assert units.ratio(value) == value
    else:
        with pytest.raises(UnitError):
            units.ratio(value)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.size, "64B", 64),
        (units.size, "1.5kB", 1500),
        (units.size, "2KiB", 2048),
        (units.rate, "250kbit/s", 250_000),
        (units.rate, "0.5Mbit/s", 500_000),
        (units.ratio, "1%", 0.01),
        (units.ratio, "0.25", 0.25),
        (units.ratio, 1, 1.0),
    ],
)
def test_quantities(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (units.duration, "10", "no unit"),
        (units.duration, "10sec", "unknown unit 'sec'"),
        (units.duration, "1.5ns", "finer than"),
        (units.duration, "-1s", "is not a duration"),
        (units.duration, "1e3s", "is not a duration"),
        (units.duration, 1.0, "is not a duration"),
        (units.duration, True, "is not a duration"),
        (units.duration, -1, "out of range"),
        (units.duration, 2**53, "out of range"),
        (units.duration, "١s", "is not a duration"),
        (units.size, "0.5B", "finer than"),
        (units.rate, "0bit/s", "is a fault"),
        (units.rate, "5kbps", "unknown unit 'kbps'"),
        (units.ratio, "101%", "out of range"),
        (units.ratio, "1s", "is not a share"),
        (units.ratio, True, "is not a share"),
    ],
)
def test_refusals(read, text, reason):
    with pytest.raises(UnitError, match=reason):
        read(text)
