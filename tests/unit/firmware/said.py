"""Lines that firmware may say: what they mean, and a generator of more of them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, NamedTuple

from hypothesis import strategies as st

from simcore.payload import freeze, refreeze

TEXTS = "dst, kind and re are texts: "
SIZE = "size is no whole number above 0: "
FIELD = "a field that no message has: "
NEEDS = "a message needs dst and kind: "

MESSAGES = [
    (b'{"dst":"a","kind":"k"}', ("a", "k", "null", None, None)),
    (b'{"kind":"k","payload":[1,{"x":null}],"dst":"a"}', ("a", "k", '[1,{"x":null}]', None, None)),
    (b'{"dst":"a","kind":"k","re":"hub/1","size":7}', ("a", "k", "null", 7, "hub/1")),
    (b'{"dst":"a","kind":"k","size":1099511627775}', ("a", "k", "null", 2**40 - 1, None)),
    (
        b'{ "dst" : "\\u0061" ,\t"kind" : "\\"\\\\\\n\\u00e9" } ',
        ("a", '"\\\né', "null", None, None),
    ),
    (b'{"d\\u0073t":"a","kind":"k","payload":1e22}', ("a", "k", "1e22", None, None)),
    (b'{"dst":"a","dst":"b","kind":"k","payload":1,"payload":2}', ("b", "k", "2", None, None)),
    (b'{"dst":"a","kind":"k","payload":{"$b64":"AAE"}}', None),
    (b'{"dst":"a","kind":"k","payload":"\\ud800"}', None),
    (b'{"dst":"a","kind":"k","payload":1e999}', None),
    (b'{"dst":"a","kind":"k","payload":' + b"[" * 95 + b"]" * 95 + b"}", None),
    (b'{"dst":"a","kind":"k","payload":' + b"[" * 94 + b"[],[]" + b"]" * 94 + b"}", None),
    (
        b'{"dst":"a","kind":"k","payload":"' + b"[" * 200 + b'"}',
        ("a", "k", f'"{"[" * 200}"', None, None),
    ),
    (
        b'{"dst":"a","kind":"k","payload":"\\"' + b"[" * 200 + b'"}',
        ("a", "k", f'"\\"{"[" * 200}"', None, None),
    ),
    (b'{"dst":"a","kind":"' + b"k" * 4095 + b'"}', ("a", "k" * 4095, "null", None, None)),
    ('{"dst":"ä","kind":"k"}'.encode(), ("ä", "k", "null", None, None)),
    (b'{"dst":"\\ud83d\\ude00","kind":"k"}', ("\U0001f600", "k", "null", None, None)),
]
"""Lines, and what they say; None: a payload that ends the run, as it does from any participant."""

NO_MESSAGES = [
    (b"plain text", ""),
    (b"42", ""),
    (b'["dst"]', ""),
    (b' {"dst":"a","kind":"k"}', ""),
    (b"{", ""),
    (b"{}", NEEDS),
    (b"{} {}", ""),
    (b'{"dst":"a"}', NEEDS),
    (b'{"kind":"a"}', NEEDS),
    (b'{"dst":"","kind":"k"}', TEXTS),
    (b'{"dst":"","dst":"a","kind":"k"}', TEXTS),
    (b'{"dst":5,"kind":"k"}', TEXTS),
    (b'{"dst":"a\\u0000","kind":"k"}', TEXTS),
    (b'{"dst":"\\ud800","kind":"k"}', TEXTS),
    (b'{"dst":"' + b"a" * 4096 + b'","kind":"k"}', TEXTS),
    (b'{"dst":"a","kind":"k","re":null}', TEXTS),
    (b'{"dst":"a","kind":"k","re":""}', TEXTS),
    (b'{"dst":"a","kind":"k","size":0}', SIZE),
    (b'{"dst":"a","kind":"k","size":-0}', SIZE),
    (b'{"dst":"a","kind":"k","size":1.0}', SIZE),
    (b'{"dst":"a","kind":"k","size":"7"}', SIZE),
    (b'{"dst":"a","kind":"k","size":0,"size":1}', SIZE),
    (b'{"dst":"a","kind":"k","size":99999999999999999999}', SIZE),
    (b'{"dst":"a","kind":"k","size":1099511627776}', SIZE),
    (b'{"dst":"a","kind":"k","paylaod":1}', FIELD),
    (b'{"dst":"a","kind":"k","\\ud800":1}', FIELD),
    (b'{"size":0,"x":1,"dst":5}', SIZE),
    (b'{"x":1,"size":0,"dst":5}', FIELD),
    (b'{"dst":5,"size":0,"x":1}', TEXTS),
    (b'{"dst":"a","kind":"k"', ""),
    (b'{"dst":"a","kind":"k",}', ""),
    (b'{"dst":"a","kind":"k","payload":NaN}', ""),
    (b'{"dst":"a","kind":"k","payload":01}', ""),
    (b'{"dst":"a","kind":"k","payload":"\xff"}', ""),
    (b'{"dst":"a","kind":"k","payload":"\xed\xa0\x80"}', ""),
    (b'{"dst":"a","kind":"k","payload":"\t"}', ""),
    (b'{"dst":"a","kind":"k","payload":' + b"[" * 96 + b"]" * 96 + b"}", ""),
    (b'{"dst":"a","kind":"k","payload":' + b"[" * 50_000, ""),
    (b'{"dst":"a","kind":"k"} {"dst":"a","kind":"k"}', ""),
    (b"\x00\x01 \x7f \xc3\xa9", ""),
]
"""Lines that are no message, and what stands before them in the log."""

_NUMBERS = ["0", "-0", "1", "007", "1.0", "1e3", "-5", "1099511627775", "1099511627776", "12345678901234567890",
            "1e999", "9" * 400, "-", ".5", "1.", "0x10", "NaN", "-Infinity", "tru", "true", "null"]  # fmt: skip
_STRINGS = [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\x01"', b'"\xff"',
            b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\\x"', b'"\\u12g4"', b'"\\/\\b\\f\\n\\r\\t"', b'""',
            b'"\xc3\xa9"', b'"' + b"x" * 4095 + b'"', b'"' + b"\xc3\xa9" * 2048 + b'"', b'"unclosed'] + [
            b"[" * depth + b"]" * depth for depth in (63, 64, 65, 94, 95, 96, 97)] + [
            b'{"$b64":"AAE="}', b'{"$b64":"@"}', b'{"$b64":1}', b'{"$b64":"AAE=","x":1}', b"[1,]", b'{"a":1,}']  # fmt: skip


def _written(value: Any, ascii: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii).encode()


PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_values = st.one_of(
    st.builds(_written, PAYLOADS, st.booleans()),
    st.sampled_from(_NUMBERS).map(str.encode),
    st.sampled_from(_STRINGS),
)
_names = st.sampled_from([b'"payload"', b'"size"', b'"re"', b'"dst"', b'"kind"', b'"d\\u0073t"',
                          b'"extra"', b'"\\ud800"', b'""', b"dst"])  # fmt: skip
_members = st.one_of(
    st.sampled_from([b'"size":17', b'"re":"hub/3"', b'"size" : 1']),
    st.builds(b'"payload":%b'.__mod__, _values),
    st.builds(lambda name, value: name + b":" + value, _names, _values),
)


@st.composite
def _objects(draw: st.DrawFn) -> bytes:
    members = [b'"dst":"gateway"', b'"kind":"digit"', *draw(st.lists(_members, max_size=3))]
    gap = draw(st.sampled_from([b"", b"", b" ", b"\t", b"\r "]))
    text = (gap + b"," + gap).join(draw(st.permutations(members)))
    return b"{" + gap + text + gap + b"}"


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    line = bytearray(draw(_objects()))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(line)))
        line[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(line)


LINES = st.one_of(
    _objects(),
    _objects(),
    _damaged(),
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([line for line, _ in [*MESSAGES, *NO_MESSAGES]]),
)
"""Lines of all kinds; some hold newlines, and are several."""


class Written(NamedTuple):
    """What an engine tells of bytes that were written."""

    uart: int
    at: int
    bytes: str


def message(source: str, number: int, kind: str, payload: Any, at: int = 0) -> Any:
    """What is known of a message that arrives."""
    return SimpleNamespace(
        sender=SimpleNamespace(name=source), number=number, kind=kind, at=at, text=freeze(payload)
    )


def parts(output: Any) -> tuple[Any, ...]:
    """What a message says, and nothing of how it is written.

    Raises:
        PayloadError: its payload ends the run.
    """
    return output.dst, output.kind, refreeze(output.payload), output.size, output.cause
