"""What lines on a serial port mean, in Python, and on the native port, which is in C."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devices import Device, device
from firmware_builds import make
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from said import LINES, MESSAGES, NO_MESSAGES, PAYLOADS, Written, message, parts
from simcore_backends.firmware import lines
from simcore_backends.firmware.uart import Uarts

from simcore.payload import PayloadError, thaw
from simcore.protocol import frames
from simcore.protocol.frames import Advance, Input, Output, encode


@pytest.mark.parametrize(("line", "expected"), MESSAGES)
def test_a_line_that_addresses_a_node_is_a_message(line: bytes, expected: Any) -> None:
    found = lines.message_of(7, line)
    assert isinstance(found, Output) and (found.at, found.src, found.spent) == (7, None, None)
    if expected is None:
        with pytest.raises(PayloadError):
            parts(found)
    else:
        assert parts(found) == expected


@pytest.mark.parametrize(("line", "why"), NO_MESSAGES)
def test_any_other_line_is_for_the_log(line: bytes, why: str) -> None:
    assert lines.message_of(7, line) == why


@settings(max_examples=500)
@given(LINES)
def test_the_quick_way_finds_what_the_long_way_finds(line: bytes) -> None:
    quick, long = lines.message_of(7, line), lines._message_of_any(7, line)
    if line[:1] != b"{":
        assert quick == ""
    elif isinstance(quick, Output) and isinstance(long, Output):
        assert bytes(quick.payload) == bytes(long.payload)
        assert (quick.dst, quick.kind, quick.size, quick.cause) == (
            (long.dst, long.kind, long.size, long.cause)
        )
    else:
        assert quick == long


@pytest.mark.parametrize(
    ("line", "payload"),
    [
        (b"hello", "hello"),
        (b'{"dst":"a","kind":"k"}', '{"dst":"a","kind":"k"}'),
        ('é "\\ \t \x00'.encode(), 'é "\\ \t \x00'),
        (b"\xff\x00", b"\xff\x00"),
        (b"\xed\xa0\x80", b"\xed\xa0\x80"),
    ],
)
def test_raw_every_line_is_a_message_to_one_node(line: bytes, payload: str | bytes) -> None:
    found = lines.raw_message_of(5, line, "modem")
    assert (found.at, found.dst, found.kind) == (5, "modem", "line")
    assert (found.size, found.cause) == (len(line) + 1, None)
    assert thaw(parts(found)[2]) == payload


@pytest.mark.parametrize(
    ("payload", "line", "raw"),
    [
        ("period 20", '"period 20"', b"period 20"),
        ('ü"\n\u2028\0', '"ü\\"\\n\u2028\\u0000"', 'ü"\n\u2028\0'.encode()),
        ("", '""', b""),
        (b"\x00\xff", '{"$b64":"AP8="}', b"\x00\xff"),
        ("$b64", '"$b64"', b"$b64"),
        ({"b": [1.5, None], "a": True}, '{"a":true,"b":[1.5,null]}', b'{"a":true,"b":[1.5,null]}'),
        ([b"\x00"], '[{"$b64":"AA=="}]', b'[{"$b64":"AA=="}]'),
        (42, "42", b"42"),
        (None, "null", b"null"),
    ],
)
def test_a_message_is_a_line(payload: Any, line: str, raw: bytes) -> None:
    arrived = message('h"ü', 3, "k\t", payload)
    head = '{"src":"h\\"ü","kind":"k\\t","id":"h\\"ü/3","payload":'
    assert lines.line_of(arrived) == f"{head}{line}}}\n".encode()
    assert lines.raw_line_of(arrived) == raw + b"\n"


@pytest.mark.parametrize(
    ("at", "line", "entry"),
    [
        (0, b"", "0.000000000 s: why: "),
        (100_000_000, b"words", "0.100000000 s: why: words"),
        (
            61_000_000_001,
            b"\x00\x1f ~\x7f\xc3\xa9\\",
            "61.000000001 s: why: \\x00\\x1f ~\\x7f\\xc3\\xa9\\",
        ),
    ],
)
def test_an_entry_of_the_log(at: int, line: bytes, entry: str) -> None:
    assert lines.log_entry(at, "why: ", line) == entry


# The native port, told the same.

BAUD = 10_000_000
UARTS = {
    "usart2": {"baud": BAUD, "mode": "addressed"},
    "usart3": {"baud": BAUD, "mode": "raw", "peer": "wire"},
}


class Pair:
    """The device in C, and what its lines mean in Python.

    What comes on one UART of it goes out on the other: messages from `wire` are lines that it
    says on the addressed one, and messages from others come back to `wire` as raw lines.
    """

    def __init__(self, bird: Device) -> None:
        self._bird = bird
        self._uarts = Uarts(UARTS)
        self._now = self._number = self._seen = 0
        bird.init({"uart": UARTS})
        bird.advance(0)

    def _ask(self, until: int, inputs: list[Input]) -> tuple[int | None, list[Any] | None]:
        self._now = until
        self._bird.seq += 1
        answer = self._bird.ask(encode(Advance(self._bird.seq, until, inputs)))
        following = json.loads(answer).get("next")
        try:
            done: Any = frames.done_decoder("reactive")(answer)
            return following, [(each.at, *parts(each)) for each in done.outputs]
        except (frames.ProtocolError, PayloadError):
            return following, None

    def in_c(self, arrived: list[Any]) -> tuple[list[Any] | None, list[str]]:
        inputs = [
            Input(each.at, f"{each.sender.name}/{each.number}", each.sender.name, "d", each.kind,
                  Raw(each.text.encode()), len(each.text), 0)
            for each in arrived
        ]  # fmt: skip
        said: list[Any] | None = []
        following, found = self._ask(arrived[0].at, inputs)
        while True:
            said = None if said is None or found is None else said + found
            if following is None:
                break
            following, found = self._ask(following, [])
        log = self._bird.log
        entries, self._seen = log[self._seen :].splitlines(), len(log)
        return said, entries

    def in_python(self, arrived: list[Any]) -> tuple[list[Any] | None, list[str]]:
        written: list[Written] = []
        for each in arrived:
            taken = self._uarts.take(each)
            assert taken is not None
            uart, due, step, text = taken
            data = bytes.fromhex(text)
            begin = 0
            while begin < len(data):
                behind = data.index(b"\n", begin) + 1
                # What is read is written when the whole line is there, as soon as there is room.
                at = due + (behind - 1) * step
                for some in range(begin, behind, 1000):
                    at = max(at, written[-1].at) if written else at
                    piece = data[some : min(some + 1000, behind)]
                    written.append(Written(1 - uart, at, piece.hex()))
                    at += 1000 * step
                begin = behind
        said, log = self._uarts.say(written, 2**53)
        try:
            return [(each.at, *parts(each)) for each in said], log
        except PayloadError:
            return None, log

    def compare(self, source: str, payloads: list[Any], kind: str = "k") -> None:
        at = self._now + 1_000
        arrived = []
        for payload in payloads:
            self._number += 1
            arrived.append(message(source, self._number, kind, payload, at))
        assert self.in_c(arrived) == self.in_python(arrived)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("crossing")
    sources = f"APP_SOURCES={Path(__file__).parent / 'crossing.c'} lib/json.c"
    make("native", folder, "APP=crossing", sources, "SANITIZE=1")
    with device(folder / "native" / "crossing", folder) as bird:
        yield Pair(bird)
        assert bird.end() == 0


@pytest.mark.parametrize("line", [line for line, _ in [*MESSAGES, *NO_MESSAGES]])
def test_the_native_port_reads_lines_alike(pair: Pair, line: bytes) -> None:
    pair.compare("wire", [line])
    pair.compare("wire", [line + b"\r"])


@settings(max_examples=300)
@given(st.lists(LINES | PAYLOADS, min_size=1, max_size=4))
@example([b"", b"\r", b"\r\r", b"\n\n", b"x" * 65535])
@example([b"x" * 65536, b"y"])
@example([b"x" * 65537, b"y"])
@example([b"x" * 65536 + b"\r", b"y"])
@example([b"x" * 65535 + b"\ry", b"y" * 200_000])
def test_the_native_port_reads_any_line_alike(pair: Pair, said: list[Any]) -> None:
    pair.compare("wire", said)


@settings(max_examples=200)
@given(
    st.text(min_size=1, max_size=8).filter("wire".__ne__),
    st.text(min_size=1, max_size=8),
    st.lists(PAYLOADS | st.binary(max_size=8), min_size=1, max_size=4),
)
@example("hub", "command", ["x" * 60_000])
def test_the_native_port_writes_lines_alike(
    pair: Pair, source: str, kind: str, payloads: list[Any]
) -> None:
    pair.compare(source, payloads, kind)
