"""Payloads are frozen when they are sent: one canonical JSON text is recorded, digested,
measured and handed over, whatever stands behind the two nodes.

Canonical means: keys sorted, no white space, shortest floats, no NaN or infinity, string
keys only, bytes as `{"$b64": "..."}`. The rules themselves are in `simcore.protocol.peer`, for both
sides of the wire keep them.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import Any

import msgspec
from msgspec import Raw

from simcore.protocol.peer import MAX_DEPTH, PayloadError, plain, restore

__all__ = ["MAX_SIZE", "PayloadError", "freeze", "refreeze", "size_of", "thaw"]

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode
_NESTED = frozenset({dict, list})
_FLAT = frozenset({str, int, bool, float, type(None)})

MAX_SIZE = 2**40
"""First size of a message, in bytes, that is refused."""


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
            flat, count = value, 0
            for key, item in value.items():
                if type(key) is not str:
                    break
                if type(item) not in _FLAT:
                    if type(item) is not bytes:
                        break
                    if not count:
                        flat = value.copy()
                    count += 1
                    flat[key] = Raw(b'{"$b64":"%b"}' % b2a_base64(item, newline=False))
            else:
                # The common case in few steps. The encoder writes NaN and infinity as null,
                # and a key may look like what stands for bytes: those go the long way.
                text = _encode(flat).decode()
                if "null" not in text and text.count("$b64") == count:
                    return text
        return _encode(plain(value)).decode()
    except PayloadError:
        raise
    except (ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise PayloadError(f"payload cannot be written as JSON: {error}") from error


def size_of(text: str, size: int | None = None) -> int:
    """The size given for a message, or the length of its frozen payload in bytes of UTF-8."""
    return len(text.encode()) if size is None else size


def refreeze(raw: bytes | memoryview) -> str:
    """The canonical text of a payload that came as JSON text of another origin.

    It is that of `freeze` for the same value, however the text was written: 1e+22 or 1e22,
    "\\u00e9" or "é", keys in any order.

    Args:
        raw: JSON, UTF-8.

    Raises:
        PayloadError: it is not JSON, is nested too deep, or holds "$b64" without base64.
    """
    try:
        value = _decode(raw)
        text = _encode(value).decode()
        if "$b64" in text or _may_be_deep(text):
            return _encode(_canonical(value, "payload", 0)).decode()
    except PayloadError:
        raise
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise PayloadError(f"payload is no JSON that can be kept: {error}") from error
    return text


def _may_be_deep(text: str) -> bool:
    return text.count("[") + text.count("{") > MAX_DEPTH


def _canonical(value: Any, where: str, depth: int) -> Any:
    """A decoded payload with its bytes in their one form."""
    if depth > MAX_DEPTH:
        raise PayloadError(f"{where[:60]}... is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        if "$b64" in value:
            if len(value) > 1 or not isinstance(value["$b64"], str):
                raise PayloadError(
                    f"{where} has the key '$b64', which stands for bytes: "
                    'it goes alone, as {"$b64": "..."}'
                )
            try:
                return plain(restore(value))
            except PayloadError as error:
                raise PayloadError(f"{where}: {error}") from error
        return {key: _canonical(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [
            _canonical(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)
        ]
    return value


def thaw(text: str) -> Any:
    """The value of a frozen payload, a fresh copy at each call; bytes come back as bytes."""
    value = _decode(text)
    if "$b64" not in text:
        return value
    if type(value) is dict and "$b64" not in value:
        # The common case in few steps: bytes right in a mapping, and nothing else nested.
        for key, item in value.items():
            if type(item) in _NESTED:
                if type(item) is list or len(item) != 1 or type(item.get("$b64")) is not str:
                    break
                try:
                    value[key] = a2b_base64(item["$b64"], strict_mode=True)
                except ValueError:
                    break
        else:
            return value
        value = _decode(text)
    return restore(value)
