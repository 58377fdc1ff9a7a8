"""Payloads that come back over the wire: one canonical text, however they were written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simcore.payload import PayloadError, freeze, refreeze, thaw
from simcore.protocol import peer
from simcore.protocol.peer import plain, restore

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), floats, texts, st.binary(max_size=20),
    st.integers(-(2**200), 2**200), st.sampled_from([1e22, 5e-324, -0.0, 1e16, 1.7e308, 0.1]),
)  # fmt: skip
keys = texts.filter(lambda key: key != "$b64")
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)


@given(values)
@example(1e22)
@example(5e-324)
@example(-0.0)
@example({"é": "€😀\u2028\x7f", "b": b"\x00\xff"})
@example(2**64)
@example(-(2**1000))
def test_what_the_standard_library_writes_becomes_what_simcore_writes(value: Any) -> None:
    text = freeze(value)
    assert refreeze(json.dumps(plain(value)).encode()) == text
    assert refreeze(json.dumps(plain(value), ensure_ascii=False, indent=1).encode()) == text
    assert refreeze(peer._encode(plain(value)).encode()) == text
    assert refreeze(text.encode()) == text
    assert refreeze(memoryview(text.encode())) == text


@given(values)
def test_both_sides_restore_the_same(value: Any) -> None:
    text = freeze(value)
    assert freeze(restore(json.loads(text))) == text == freeze(thaw(text))


@given(values)
def test_a_copy_shares_nothing_with_its_original(value: Any) -> None:
    copy = plain(value)
    text = json.dumps(copy)
    spoil(value)
    assert json.dumps(copy) == text
    copy = json.loads(text)
    spoil(restore(copy))
    assert json.dumps(copy) == text


def spoil(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value["spoilt"] = 1
    if isinstance(value, list):
        for item in value:
            spoil(item)
        value.append(1)


@given(values)
def test_keys_in_any_order_give_one_text(value: Any) -> None:
    assert refreeze(json.dumps(plain(value), sort_keys=True).encode()) == freeze(value)


def test_bytes_get_their_one_form() -> None:
    assert refreeze(b'{"$b64":"AB=="}') == freeze(b"\x00") == '{"$b64":"AA=="}'
    assert refreeze(b'[{"a":{"\\u0024b64":"AB=="}}]') == '[{"a":{"$b64":"AA=="}}]'
    assert refreeze(b'"$b64"') == '"$b64"'


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_bounded_as_in_freeze(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    for depth, leaf in ((64, "3"), (64, '{"$b64":""}')):
        text = opening * depth + leaf + closing * depth
        assert refreeze(text.encode()) == text == freeze(restore(json.loads(text)))
    for depth in (65, 5000):
        with pytest.raises(PayloadError, match="nested deeper than 64|recursion"):
            refreeze((opening * depth + "3" + closing * depth).encode())
    wide = "[" + ",".join(["[]"] * 100) + "]"
    assert refreeze(wide.encode()) == wide


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":{"$b64":"x"}}', "payload.a: '\\$b64' does not hold base64"),
        (b'{"a":[{"$b64":"AA==","b":1}]}', r"payload.a\[0\] has the key '\$b64'"),
        (b'{"$b64":3}', r"payload has the key '\$b64'"),
        (b"NaN", "payload is no JSON that can be kept"),
        (b"[1e999]", "Number out of range"),
        (b'"\xff"', "payload is no JSON that can be kept: .*utf-8"),
        (b'"\\ud800"', "payload is no JSON that can be kept"),
        (b"1" * 5000, "Integer value out of range"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_cannot_be_kept_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        refreeze(raw)


@pytest.mark.parametrize(
    "value", ["\ud800", {"a": "\ud800"}, {"\ud800": 1}, ["x", {"b": ["\ud800"]}]]
)
def test_both_sides_refuse_half_a_character_alike(value: Any) -> None:
    with pytest.raises(PayloadError) as inside:
        freeze(value)
    with pytest.raises(PayloadError) as outside:
        plain(value)
    assert str(inside.value) == str(outside.value)


def test_too_long_numbers_are_payload_errors() -> None:
    with pytest.raises(PayloadError, match="4300 digits"):
        freeze(10**5000)
