"""Payloads are frozen when they are sent: one canonical JSON text is recorded, digested,
measured and handed over, whatever stands behind the two nodes.

Canonical means: keys sorted, no white space, shortest floats, no NaN or infinity, string
keys only, bytes as `{"$b64": "..."}`.
"""

from __future__ import annotations

import base64
import binascii
import operator
from math import isfinite
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode
_PLAIN = frozenset({str, int, bool, type(None)})
_FLAT = _PLAIN | {float}
_MAX_DEPTH = 64

MAX_SIZE = 2**40
"""First size of a message, in bytes, that is refused."""


class PayloadError(ValueError):
    """A value that cannot travel; the message says where in the payload and why."""


def freeze(value: Any) -> str:
    """The canonical JSON text of a payload.

    Args:
        value: JSON values (dict with string keys, list, tuple, str, int, finite float,
            bool, None) and bytes, nested at will; numpy scalars count as their values.

    Raises:
        PayloadError: anything else.
    """
    try:
        if type(value) is dict:
            for key, item in value.items():
                if type(item) not in _FLAT or type(key) is not str:
                    break
            else:
                # The common case in few steps. The encoder writes NaN and infinity as null,
                # and a key may look like what stands for bytes: those go the long way.
                text = _encode(value).decode()
                if "null" not in text and "$b64" not in text:
                    return text
        return _encode(_plain(value, "payload", 0)).decode()
    except (UnicodeEncodeError, OverflowError, msgspec.MsgspecError) as error:
        raise PayloadError(f"payload cannot be written as JSON: {error}") from error


def size_of(text: str, size: int | None = None) -> int:
    """The size given for a message, or the length of its frozen payload in bytes of UTF-8."""
    return len(text.encode()) if size is None else size


def _plain(value: Any, where: str, depth: int) -> Any:
    """A copy of `value` that consists of JSON values only."""
    if depth > _MAX_DEPTH:
        raise PayloadError(f"{where[:60]}... is nested deeper than {_MAX_DEPTH} levels")
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise PayloadError(f"{where} has the key {key!r}: keys must be strings")
        if "$b64" in value:
            raise PayloadError(
                f"{where} has the key '$b64', which stands for bytes: send bytes instead"
            )
        return {key: _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, float):
        if not isfinite(value):
            raise PayloadError(
                f"{where} is {value!r}: JSON has no such number; send None or a string"
            )
        return float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$b64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration its value, not its name
    try:
        return operator.index(value)  # numpy integers
    except TypeError:
        pass
    if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        item = value.item()  # other numpy scalars
        if type(item) is not kind:
            return _plain(item, where, depth + 1)
    raise PayloadError(
        f"{where} is a {kind.__module__}.{kind.__qualname__}: send JSON values or bytes "
        "(an array goes as .tolist() or .tobytes())"
    )


def thaw(text: str) -> Any:
    """The value of a frozen payload, a fresh copy at each call; bytes come back as bytes."""
    value = _decode(text)
    return _restore(value) if "$b64" in text else value


def _restore(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("$b64"), str):
            try:
                return base64.b64decode(value["$b64"], validate=True)
            except binascii.Error as error:
                raise PayloadError(f"'$b64' does not hold base64: {error}") from error
        return {key: _restore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item) for item in value]
    return value
