"""The JSON reader of devices and C participants, against Python's."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
from firmware_builds import FIRMWARE, library
from hypothesis import given
from hypothesis import strategies as st

NO_TEXT = ctypes.c_size_t(-1).value
DEPTH = 96


class Json(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("end", ctypes.c_void_p)]


class Reader:
    """The functions of json.h; values stay valid as long as the text that they stand in."""

    def __init__(self, folder: Path) -> None:
        self.c = library(folder, FIRMWARE / "lib" / "json.c")
        for name in ("json_parse", "json_field"):
            getattr(self.c, name).restype = Json
        for name in ("json_equals", "json_integer", "json_is_string", "json_utf8", "json_next"):
            getattr(self.c, name).restype = ctypes.c_bool
        self.c.json_begin.restype = Json
        self.c.json_text.restype = ctypes.c_size_t
        self.c.json_parse.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.c.json_text.argtypes = [Json, ctypes.c_char_p, ctypes.c_size_t]
        self.c.json_utf8.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def parse(self, text: bytes) -> tuple[Any, Json]:
        """A text without a 0 behind it, and its value."""
        kept = ctypes.create_string_buffer(text, max(len(text), 1))
        return kept, self.c.json_parse(ctypes.addressof(kept), len(text))

    def source(self, value: Json) -> bytes:
        return ctypes.string_at(value.at, value.end - value.at)

    def text(self, value: Json, room: int = 10000) -> str | None:
        buffer = ctypes.create_string_buffer(room)
        length = self.c.json_text(value, buffer, room)
        return None if length == NO_TEXT else buffer.raw[:length].decode()

    def items(self, value: Json) -> list[tuple[Json, Json]]:
        walk, found = self.c.json_begin(value), []
        while True:
            name, item = Json(), Json()
            if not self.c.json_next(ctypes.byref(walk), ctypes.byref(name), ctypes.byref(item)):
                return found
            found.append((name, item))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("library"))


def is_json(text: bytes) -> bool:
    """What RFC 8259 and UTF-8 allow; Python takes NaN and its like as well."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text.decode(), parse_constant=refuse)
    except ValueError:
        return False
    return True


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
pieces = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"', b"\\u00e9", b"\\", b"1", b"-",
                     b"0", b".5", b"e+3", b"true", b"null", b" ", b"\n", b"\xc3\xa9", b"\xc3", b"\x00",
                     b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\q"])
).map(b"".join)  # fmt: skip


@given(value=values, ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_what_is_json_is_read(reader: Reader, value: Any, ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent).encode()
    kept, found = reader.parse(b" " + text + b"\t")
    assert reader.source(found) == text
    check(reader, found, value)
    assert kept


def check(reader: Reader, found: Json, value: Any) -> None:
    """That a value says what it should, down to its leaves."""
    if isinstance(value, dict):
        items = reader.items(found)
        assert [reader.text(name) for name, _ in items] == list(value)
        for (_, item), inner in zip(items, value.values(), strict=True):
            check(reader, item, inner)
    elif isinstance(value, list):
        for (_, item), inner in zip(reader.items(found), value, strict=True):
            check(reader, item, inner)
    elif isinstance(value, str):
        assert reader.text(found) == value
        assert reader.c.json_equals(found, value.encode()) is ("\0" not in value)
        assert not reader.c.json_equals(found, value.encode() + b"x")
    else:
        assert reader.text(found) is None and reader.items(found) == []
        number = ctypes.c_int64()
        whole = type(value) is int and -(2**63) <= value < 2**63
        assert reader.c.json_integer(found, ctypes.byref(number)) is whole
        assert not whole or number.value == value


@given(text=pieces | st.binary())
def test_what_is_not_is_refused(reader: Reader, text: bytes) -> None:
    kept, found = reader.parse(text)
    assert (found.at is not None) is is_json(text)
    assert kept


@given(text=st.binary(max_size=8))
def test_utf8(reader: Reader, text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        assert not reader.c.json_utf8(text, len(text))
    else:
        assert reader.c.json_utf8(text, len(text))


def test_every_start_of_a_text_is_refused(reader: Reader) -> None:
    text = b'{"a\\u00e9":[1,-2.5e3,true,{"b":null}],"\xf0\x9f\x98\x80":"\\ud83d\\ude00"}'
    assert reader.parse(text)[1].at is not None
    for end in range(len(text)):
        assert reader.parse(text[:end])[1].at is None


def test_depth_is_bounded(reader: Reader) -> None:
    assert reader.parse(b"[" * DEPTH + b"]" * DEPTH)[1].at is not None
    assert reader.parse(b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1))[1].at is None


def test_fields_are_found_however_they_are_escaped(reader: Reader) -> None:
    kept, found = reader.parse(rb'{"x":{"type":1},"t\u0079pe":"A\u0042","type":2}')
    value = reader.c.json_field(found, b"type")
    assert reader.text(value) == "AB" and reader.c.json_equals(value, b"AB")
    assert reader.c.json_field(found, b"typ").at is None
    assert reader.c.json_field(value, b"type").at is None
    assert kept


@pytest.mark.parametrize("text", [rb'"\ud800"', rb'"\udc00"', rb'"\ud800\u0041"', rb'"\ud800x"'])
def test_half_of_a_pair_is_no_text(reader: Reader, text: bytes) -> None:
    kept, found = reader.parse(text)
    assert found.at is not None and reader.text(found) is None
    assert kept


def test_a_text_needs_room(reader: Reader) -> None:
    kept, found = reader.parse('"aé"'.encode())
    assert reader.text(found, room=4) == "aé"
    assert reader.text(found, room=3) is None
    assert kept
