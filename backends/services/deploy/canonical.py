"""The canonical JSON text of a payload, letter for letter as simcore writes it.

In a simulation `simcore.payload` makes it, with a library that an image need not have.
"""

from __future__ import annotations

import json
from typing import Any

from simcore.protocol.peer import PayloadError, plain, restore

_text = json.JSONEncoder(ensure_ascii=False).encode


def freeze(value: Any) -> str:
    """The canonical JSON text of a payload; as `simcore.payload.freeze`.

    Raises:
        PayloadError: it holds what JSON cannot.
    """
    return _write(plain(value))


def thaw(text: bytes) -> Any:
    """The decoded JSON of a payload that came as UTF-8 text, with bytes as `{"$b64": ...}`.

    Raises:
        PayloadError: it is no JSON, or holds what no payload may hold.
    """
    try:
        value = json.loads(text.decode(), parse_constant=_refuse)
        plain(restore(value))
    except PayloadError:
        raise
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"payload is no JSON: {error}") from error
    return value


def _refuse(constant: str) -> None:
    raise PayloadError(f"payload holds {constant}: JSON has no such number")


def _write(value: Any) -> str:
    if type(value) is dict:
        # UTF-8 sorts as its code points do.
        items = (f"{_text(key)}:{_write(value[key])}" for key in sorted(value))
        return f"{{{','.join(items)}}}"
    if type(value) is list:
        return f"[{','.join(map(_write, value))}]"
    if type(value) is float:
        return _float(value)
    return _text(value)


def _float(value: float) -> str:
    """The shortest digits, as Python has them; 1e+22 is 1e22 here, and 1e-05 is 0.00001."""
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        return digits
    if int(exponent) == -5:
        sign = "-" if value < 0 else ""
        return f"{sign}0.0000{digits.lstrip('-').replace('.', '')}"
    return f"{digits}e{int(exponent)}"
