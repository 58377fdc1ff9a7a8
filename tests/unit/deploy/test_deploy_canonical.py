"""Deploy mode writes payloads letter for letter as a simulation does, with less to help it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcore_backends.services.deploy.canonical import freeze, thaw

from simcore import payload
from simcore.protocol.peer import PayloadError, restore

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(VALUES)
def test_the_same_text_as_in_a_simulation(value: Any) -> None:
    try:
        expected = payload.freeze(value)
    except PayloadError:
        with pytest.raises(PayloadError):
            freeze(value)
    else:
        assert freeze(value) == expected
        assert restore(thaw(expected.encode())) == payload.thaw(expected)


@given(st.floats(min_value=1e-7, max_value=1e-3), st.sampled_from([1, -1]))
def test_small_numbers(value: float, sign: int) -> None:
    # Where the two ways of writing a float part.
    assert freeze(sign * value) == payload.freeze(sign * value)


@pytest.mark.parametrize(
    "value", [1e-5, -1.5e-5, 9.999e-5, 1e-6, -0.0, 1e15, 1e16, 1e22, 1.5e300, 5e-324, 2**70]
)
def test_numbers_at_the_borders(value: float) -> None:
    assert freeze(value) == payload.freeze(value)


def test_keys_are_sorted_at_each_level() -> None:
    assert freeze({"b": {"z": 1, "é": 2, "a": b"\0"}, "a": []}) == (
        '{"a":[],"b":{"a":{"$b64":"AA=="},"z":1,"é":2}}'
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b'{"a":NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"1e999", "inf"),
        (b'{"$b64":"%"}', "base64"),
        (b'{"$b64":"AA==","more":1}', r"\$b64"),
        (b"[" * 66 + b"]" * 66, "deeper than 64"),
        (b"[" * 100_000, "JSON"),
        (b'"\\ud800"', "written"),
    ],
)
def test_what_is_no_payload_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        thaw(text)


def test_text_of_another_origin_is_read() -> None:
    assert thaw(b' {"b": 1.50e0, "a":\n[]} ') == json.loads('{"a":[],"b":1.5}')
