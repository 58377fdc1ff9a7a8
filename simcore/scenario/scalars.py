"""What an unquoted word of a scenario stands for: nothing, true or false, a number, or text.

YAML 1.1 as PyYAML reads it, without what surprises: dates and `1:30` stay text, `1e3` is a
number, and numbers that one reader takes for octal and another for decimal are refused.
"""

from __future__ import annotations

import math
import re
from typing import Any

from simcore.scenario.problems import shorten

MAX_NUMBER = 100
"""Characters of a number."""

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
_FALSE = frozenset(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+)")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
# YAML 1.1 would read 1e3 as text; JSON, YAML 1.2 and people read it as a number.
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?"
)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(text: str) -> Any:
    """The value of an unquoted scalar.

    Raises:
        ValueError: it is a number that simcore does not take.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text[0] not in "0123456789+-.":
        return text
    integer = _INTEGER.fullmatch(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    if _OCTAL.fullmatch(text):
        raise ValueError(
            f"{shorten(text, 60)} starts with 0: write it without (decimal), or quote it (text)"
        )
    if not integer and not _FLOAT.fullmatch(text):
        return text
    if len(text) > MAX_NUMBER:
        raise ValueError(f"is a number of more than {MAX_NUMBER} characters")
    digits = text.replace("_", "")
    if integer:
        base = 0 if digits.lstrip("+-")[:2] in ("0b", "0x") else 10
        return int(digits, base) if digits[-1] not in "bx" or base == 10 else text
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value
