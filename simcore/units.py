"""Units exist only at the edges: YAML, the models' API and reports.

Inside simcore time is an `int` of nanoseconds, a size an `int` of bytes, a rate an `int`
of bits per second, a power an `int` of nanowatts, an energy an `int` of attojoules (a nanowatt
for a nanosecond) and a ratio a `float`. This module alone knows how people write them.
It uses the standard library only, for participants copy it.
"""

from __future__ import annotations

import re
from decimal import Decimal

from simcore.errors import UnitError

MAX_TIME = 2**53
"""First virtual time (ns) that is refused: 104 days, exact in JavaScript and JSON."""

_TIME = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 24 * 3600 * 10**9,
}
_SIZE = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_RATE = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
_POWER = {"nW": 1, "uW": 10**3, "mW": 10**6, "W": 10**9, "kW": 10**12}
_ENERGY = {
    "aJ": 1,
    "pJ": 10**6,
    "nJ": 10**9,
    "uJ": 10**12,
    "mJ": 10**15,
    "J": 10**18,
    "kJ": 10**21,
    "mWh": 36 * 10**17,
    "Wh": 36 * 10**20,
    "kWh": 36 * 10**23,
}
_CURRENT = {"nA": 1, "uA": 10**3, "mA": 10**6, "A": 10**9}
_CHARGE = {"uAh": 36 * 10**14, "mAh": 36 * 10**17, "Ah": 36 * 10**20}
_VOLTAGE = {"mV": 1, "V": 10**3}
_NUMBER = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([A-Za-z/%µ]*)", re.ASCII)

known_durations: dict[str | int, int] = {}
"""What `duration` has read before: models repeat a handful of literals."""


def _quantity(text: object, units: dict[str, int], what: str, example: str) -> int:
    known = ", ".join(units)
    if not isinstance(text, str):
        raise UnitError(
            f"{text!r} is not a {what}: write a number and a unit ({known}), as in {example}"
        )
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise UnitError(
            f"{text!r} is not a {what}: write a number and a unit ({known}), as in {example}"
        )
    number, unit = match.groups()
    if not unit:
        raise UnitError(f"{text!r} has no unit: a {what} needs one of {known}, as in {example}")
    if unit not in units:
        raise UnitError(
            f"{text!r} has the unknown unit {unit!r}: a {what} takes {known}, as in {example}"
        )
    value = Decimal(number) * units[unit]
    if value != value.to_integral_value():
        raise UnitError(f"{text!r} is finer than the smallest {what}, 1 {next(iter(units))}")
    return int(value)


def duration(text: str | int) -> int:
    """Nanoseconds of a duration such as `250us`, `10ms`, `1.5s`, `2h`.

    Args:
        text: number and unit (ns, us, ms, s, min, h, d), or an `int` that already counts
            nanoseconds (for models that compute their durations).

    Raises:
        UnitError: no unit, unknown unit, a float, negative, finer than 1 ns, or not
            below 2**53 ns.
    """
    value = known_durations.get(text) if type(text) is str else None
    if value is not None:
        return value
    value = text if type(text) is int else _quantity(text, _TIME, "duration", "10ms")
    if not 0 <= value < MAX_TIME:
        raise UnitError(
            f"{text!r} is out of range: a duration is at least 0 and below 2^53 ns (104 days)"
        )
    if type(text) is str and len(known_durations) < 4096:
        known_durations[text] = value
    return value


def size(text: str) -> int:
    """Bytes of a size such as `64B`, `4kB`, `1MiB`.

    Raises:
        UnitError: as for `duration`.
    """
    return _quantity(text, _SIZE, "size", "64kB")


def rate(text: str) -> int:
    """Bits per second of a rate such as `250kbit/s`, `20Mbit/s`; at least 1.

    Raises:
        UnitError: as for `duration`, and for a rate of zero.
    """
    value = _quantity(text, _RATE, "rate", "250kbit/s")
    if value == 0:
        raise UnitError(
            f"{text!r} is not a rate: a link that carries nothing is a fault, not a rate"
        )
    return value


def ratio(text: str | float) -> float:
    """A probability or share, as `1%` or `0.01`.

    Raises:
        UnitError: not a number with or without %, or outside 0 to 1.
    """
    value: float
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        value = float(text)
    else:
        match = _NUMBER.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None or match.group(2) not in ("", "%"):
            raise UnitError(f"{text!r} is not a share: write 1% or 0.01")
        number = Decimal(match.group(1))
        value = float(number / 100 if match.group(2) else number)
    if not 0.0 <= value <= 1.0:
        raise UnitError(f"{text!r} is out of range: a share lies between 0 and 1 (0% and 100%)")
    return value


def power(text: str) -> int:
    """Nanowatts of a power such as `5.5mW`, or of a current at a voltage, as `12mA at 3.3V`.

    Raises:
        UnitError: as for `duration`, but for its limit.
    """
    return _electric(text, _POWER, _CURRENT, "power", "5.5mW or 12mA at 3V")


def energy(text: str) -> int:
    """Attojoules (1e-18 J) of an energy such as `2uJ`, `1.2Wh`, or `2400mAh at 3V`.

    Raises:
        UnitError: as for `duration`, but for its limit.
    """
    return _electric(text, _ENERGY, _CHARGE, "quantity of energy", "2uJ or 2400mAh at 3V")


def _electric(
    text: str, units: dict[str, int], factors: dict[str, int], what: str, example: str
) -> int:
    """A quantity, or one that becomes it when it is multiplied by a voltage."""
    first, at, volts = text.partition(" at ") if isinstance(text, str) else (text, "", "")
    if not at:
        return _quantity(text, units, what, example)
    voltage = _quantity(volts, _VOLTAGE, "voltage", "3.3V")
    value = Decimal(_quantity(first, factors, f"{what} at a voltage", example)) * voltage / 1000
    if value != value.to_integral_value():
        raise UnitError(f"{text!r} is finer than the smallest {what}, 1 {next(iter(units))}")
    return int(value)


def seconds(value: float) -> int:
    """Nanoseconds of a number of seconds, rounded to the nearest."""
    return round(value * 1e9)


def show_duration(ns: float, digits: int = 4) -> str:
    """A duration for people: the largest unit that leaves a number of at least one."""
    magnitude = abs(ns)
    for unit, scale in (
        ("h", _TIME["h"]),
        ("min", _TIME["min"]),
        ("s", 10**9),
        ("ms", 10**6),
        ("us", 10**3),
    ):
        if magnitude >= scale and not (unit in ("h", "min") and magnitude < 10 * scale):
            return f"{ns / scale:.{digits}g} {unit}"
    return f"{ns:.{digits}g} ns"


def show_si(value: float, unit: str, digits: int = 4) -> str:
    """A quantity for people, with the prefix that leaves a number of at least one, as `1.2 mJ`."""
    for prefix, scale in (("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("u", 1e-6)):
        if abs(value) >= scale:
            return f"{value / scale:.{digits}g} {prefix}{unit}"
    return f"{value / 1e-9:.{digits}g} n{unit}" if value else f"0 {unit}"


def show_exact(ns: int) -> str:
    """A virtual time for people with nothing rounded away, in seconds, as `12.000000005s`."""
    sign = "-" if ns < 0 else ""
    whole, rest = divmod(abs(ns), 10**9)
    fraction = f"{rest:09d}".rstrip("0")
    return f"{sign}{whole}.{fraction}s" if fraction else f"{sign}{whole}s"
