"""Options that are times and widths."""

from __future__ import annotations

import re

import click

from simcore.errors import UnitError
from simcore.units import duration

_INCHES = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0}


def span(
    ctx: click.Context, param: click.Parameter, value: tuple[str, str] | None
) -> tuple[int, int] | None:
    """Two virtual times such as `10s 12s`; ns."""
    if value is None:
        return None
    try:
        begin, end = map(duration, value)
    except UnitError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if begin >= end:
        raise click.BadParameter(f"{value[0]} is not before {value[1]}", ctx, param)
    return begin, end


def width(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A width such as `88mm`; inches."""
    found = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?) ?(mm|cm|in)", value.strip())
    if found is None:
        text = f"{value!r} is no width: write a number and mm, cm or in, as in 88mm"
        raise click.BadParameter(text, ctx, param)
    inches = float(found[1]) * _INCHES[found[2]]
    if not 2 <= inches <= 14:
        text = f"{value} is out of range: figures are from 51mm to 355mm wide"
        raise click.BadParameter(text, ctx, param)
    return inches
