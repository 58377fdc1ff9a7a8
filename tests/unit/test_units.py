"""Units: what is written comes out exact, and everything else is refused with a reason."""

from __future__ import annotations

import re

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


@pytest.mark.parametrize(
    ("text", "nanowatts"),
    [
        ("5.5mW", 5_500_000),
        ("0W", 0),
        ("12mA at 3.3V", 39_600_000),
        ("0.28 uA at 3300 mV", 924),
        ("1.5kW", 1_500_000_000_000),
    ],
)
def test_power(text, nanowatts):
    assert units.power(text) == nanowatts


@pytest.mark.parametrize(
    ("text", "attojoules"),
    [
        ("0.5nJ", 500_000_000),
        ("1.9uJ", 1_900_000_000_000),
        ("2400mAh at 3V", 25_920 * 10**18),
        ("1Wh", 3_600 * 10**18),
        ("1aJ", 1),
    ],
)
def test_energy(text, attojoules):
    assert units.energy(text) == attojoules


@pytest.mark.parametrize(
    ("read", "text", "why"),
    [
        (units.power, "5", "has no unit: a power needs one of nW, uW"),
        (units.power, "5J", "unknown unit 'J'"),
        (units.power, "3mA", "unknown unit 'mA': a power takes"),
        (units.power, "3mA at 3", "'3' has no unit: a voltage needs"),
        (units.power, "1nA at 1mV", "finer than the smallest power, 1 nW"),
        (units.power, 5, "is not a power"),
        (units.energy, "2400mAh", "2400mAh at 3V"),
        (units.energy, "3mA at 3V", "unknown unit 'mA'"),
        (units.energy, "0.5aJ", "finer than the smallest quantity of energy, 1 aJ"),
    ],
)
def test_what_is_no_power_or_energy(read, text, why):
    with pytest.raises(UnitError, match=re.escape(why)):
        read(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 W"), (1.2345e-9, "1.234 nW"), (0.0396, "39.6 mW"), (1.0, "1 W"), (2_500.0, "2.5 kW")],
)
def test_quantities_for_people(value, text):
    assert units.show_si(value, "W") == text
