"""Units exist only at the edges: YAML, the models' API and reports.

Inside simcore time is an `int` of nanoseconds, a size an `int` of bytes, a rate an `int`
of bits per second and a ratio a `float`. This module alone knows how people write them.
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


def show_exact(ns: int) -> str:
    """A virtual time for people with nothing rounded away, in seconds, as `12.000000005s`."""
    sign = "-" if ns < 0 else ""
    whole, rest = divmod(abs(ns), 10**9)
    fraction = f"{rest:09d}".rstrip("0")
    return f"{sign}{whole}.{fraction}s" if fraction else f"{sign}{whole}s"
