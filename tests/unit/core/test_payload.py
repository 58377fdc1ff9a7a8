"""Payloads: one canonical text per value, and the value comes back from it."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore.payload import PayloadError, freeze, size_of, thaw
from simcore.protocol.peer import plain, restore

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.binary(max_size=20),
)
keys = texts.filter(lambda key: key != "$b64")
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)


@given(values)
def test_what_is_frozen_comes_back(value):
    assert equal(thaw(freeze(value)), value)


@given(values)
def test_the_text_is_canonical(value):
    """Freezing what came back, or the same keys in another order, gives the same text."""
    text = freeze(value)
    assert freeze(thaw(text)) == text
    assert freeze(backwards(value)) == text


@given(values)
def test_the_text_is_compact_json_with_sorted_keys(value):
    text = freeze(value)
    decoded = json.loads(text)
    assert json.loads(json.dumps(decoded)) == decoded
    compact = json.dumps(decoded, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if not any_number(decoded, float):  # floats are shortest, but may be written differently
        assert unescaped(text) == unescaped(compact)


@given(values)
def test_its_size_is_that_of_the_text_in_utf_8(value):
    text = freeze(value)
    assert size_of(text) == len(text.encode())


@given(values)
def test_each_value_that_comes_back_is_a_copy_of_its_own(value):
    text = freeze(value)
    first, second = thaw(text), thaw(text)
    if isinstance(first, (list, dict)):
        first.clear()
    assert equal(second, value)


@given(
    st.dictionaries(
        keys | st.sampled_from(["null", "of $b64"]),
        scalars | st.sampled_from(["$b64", "null", b"\x9e\xe9e"]),  # "null" in base64
        max_size=6,
    )
)
def test_the_short_way_leads_where_the_long_one_does(value):
    long = msgspec.json.encode(plain(value), order="deterministic").decode()
    assert freeze(value) == long
    assert equal(thaw(long), restore(msgspec.json.decode(long)))


@given(st.lists(values, max_size=3))
def test_tuples_count_as_lists(items):
    assert freeze(tuple(items)) == freeze(items)
    assert freeze({"a": tuple(items)}) == freeze({"a": items})


def test_bytes_have_one_form():
    assert freeze(b"\x00\xff") == '{"$b64":"AP8="}'
    for value in (bytearray(b"\x00\xff"), memoryview(b"\x00\xff")):
        assert freeze(value) == freeze(b"\x00\xff")
    assert thaw(freeze({"a": [b"x", {"b": b""}]})) == {"a": [b"x", {"b": b""}]}
    assert thaw('"$b64"') == "$b64"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        ([np.int64(1), {"a": np.float32(0.5)}], [1, {"a": 0.5}]),
        (enum.IntEnum("E", {"A": 4}).A, 4),
        (enum.Enum("E", {"A": "x"}, type=str).A, "x"),
    ],
    ids=repr,
)
def test_numbers_of_numpy_and_enumerations_count_as_their_values(value, plain):
    assert freeze(value) == freeze(plain)
    assert freeze({"a": value}) == freeze({"a": plain})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "payload is nan: JSON has no such number"),
        ({"a": math.inf}, "payload.a is inf: JSON has no such number"),
        ({"a": None, "b": math.nan}, "payload.b is nan"),
        ([1, [2, -math.inf]], r"payload\[1\]\[1\] is -inf"),
        ({1: 2}, "payload has the key 1: keys must be strings"),
        ({"a": {None: 2}}, "payload.a has the key None"),
        ({"$b64": "AA=="}, "the key '\\$b64', which stands for bytes"),
        ({"a": {"$b64": 1, "b": 2}}, "payload.a has the key '\\$b64'"),
        ({"a": {1, 2}}, "payload.a is a builtins.set: send JSON values"),
        (np.zeros(3), r"payload is a numpy.ndarray.*\.tolist\(\)"),
        (..., "payload is a builtins.ellipsis"),
        (1j, "payload is a builtins.complex"),
        ("\ud800", "cannot be written as JSON"),
    ],
    ids=repr,
)
def test_what_cannot_travel_is_refused_with_its_place(value, reason):
    with pytest.raises(PayloadError, match=reason):
        freeze(value)


def test_too_deep_and_circular_values_are_refused():
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(PayloadError, match="nested deeper than 64"):
        freeze(deep)
    loop: dict[str, Any] = {}
    loop["a"] = loop
    with pytest.raises(PayloadError, match="nested deeper than 64"):
        freeze(loop)


def test_broken_base64_is_refused():
    with pytest.raises(PayloadError, match="does not hold base64"):
        thaw('{"$b64":"x"}')


def equal(left: Any, right: Any) -> bool:
    """Equality that tells 1 from 1.0 and True, as JSON's texts do."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [backwards(item) for item in value]
    return value


def any_number(value: Any, kind: type) -> bool:
    if isinstance(value, dict):
        return any(any_number(item, kind) for item in value.values())
    if isinstance(value, list):
        return any(any_number(item, kind) for item in value)
    return isinstance(value, kind)


def unescaped(text: str) -> str:
    """A JSON text with one way of writing control characters."""
    for code in (*range(0x20), 0x7F):
        text = text.replace(json.dumps(chr(code))[1:-1], f"<{code}>").replace(
            f"\\u{code:04x}", f"<{code}>"
        )
    return text
