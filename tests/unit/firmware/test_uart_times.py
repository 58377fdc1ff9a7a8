"""How long bytes take on a UART, where messages go, and that windows change nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import Written, message
from simcore_backends.firmware.uart import Flood, Receiver, Transmitter, Uarts, byte_time

from simcore.payload import refreeze, thaw

B = 86806
"""A byte at 115200 baud, ns."""
EVER = 2**53


@pytest.mark.parametrize(
    ("baud", "time"),
    [(300, 33_333_333), (9600, 1_041_667), (115200, B), (921600, 10851), (10_000_000, 1000)],
)
def test_a_byte_is_ten_bits(baud: int, time: int) -> None:
    assert byte_time(baud) == time


@given(st.integers(300, 10_000_000))
def test_a_byte_is_right_to_half_a_nanosecond(baud: int) -> None:
    assert abs(byte_time(baud) - Fraction(10**10, baud)) <= Fraction(1, 2)


# Transmitters.


def spread(at: int, gap: int, text: bytes) -> tuple[list[int], bytes]:
    """Bytes that are written with a gap between them."""
    return [at + i * gap for i in range(len(text))], text


def test_what_is_written_at_once_goes_byte_after_byte() -> None:
    port = Transmitter("usart2")
    assert port.write(*spread(1000, 0, b"ab\n\ncd")) == [
        (1000 + 3 * B, b"ab", False),
        (1000 + 4 * B, b"", False),
    ]
    assert port.write(*spread(2000, 0, b"\n")) == [(1000 + 7 * B, b"cd", False)]


def test_what_is_written_slowly_waits_for_nothing() -> None:
    port = Transmitter("usart2")
    assert port.write(*spread(0, 100_000, b"abc\n")) == [(300_000 + B, b"abc", False)]
    assert port.write(*spread(10**9, B, b"abc\n")) == [(10**9 + 4 * B, b"abc", False)]


@pytest.mark.parametrize(
    ("stamps", "at"),
    [
        ([0, 0], 2 * B),
        ([0, B], 2 * B),
        ([0, B + 1], 2 * B + 1),
        ([0, 2 * B - 1], 3 * B - 1),
        ([0, 0, 2 * B], 3 * B),
        ([0, 0, 2 * B + 1], 3 * B + 1),
        ([0, B + 1, B + 1], 3 * B + 1),
        ([0, 1, 2, 10**6, 10**6 + 5], 10**6 + 2 * B),
    ],
)
def test_a_gap_in_a_line_delays_the_rest(stamps: list[int], at: int) -> None:
    text = b"abcdefg"[: len(stamps) - 1]
    assert Transmitter("usart2").write(stamps, text + b"\n") == [(at, text, False)]


def test_a_line_of_the_longest_length_is_whole() -> None:
    port = Transmitter("usart2", 10_000_000)
    text = b"x" * 65536 + b"\n"
    assert port.write(*spread(0, 1000, text)) == [(65537 * 1000, b"x" * 65536, False)]


def test_a_longer_line_is_cut_where_that_shows() -> None:
    port = Transmitter("usart2", 10_000_000)
    text = b"x" * 65536 + b"y" * 65536 + b"z\n"
    assert port.write(*spread(0, 1000, text)) == [
        (65537 * 1000, b"x" * 65536, True),
        (131073 * 1000, b"y" * 65536, True),
        (131074 * 1000, b"z", False),
    ]


def test_so_many_bytes_may_wait() -> None:
    port = Transmitter("usart2")
    assert port.write([5] * 65536, (b"x" * 1023 + b"\n") * 64)
    with pytest.raises(Flood) as caught:
        port.write([5 + B - 1], b"x")
    assert (caught.value.uart, caught.value.at, caught.value.baud) == ("usart2", 5 + B - 1, 115200)
    assert "floods usart2: more than 65536 bytes" in str(caught.value)


def test_the_byte_that_is_too_much_is_the_one_behind() -> None:
    with pytest.raises(Flood) as caught:
        Transmitter("usart2").write([5] * 65536 + [6], b"x" * 65537)
    assert caught.value.at == 6


def test_a_byte_that_is_complete_waits_no_more() -> None:
    port = Transmitter("usart2")
    port.write([5] * 65536, b"x" * 65536)
    assert port.write([5 + B], b"\n") == [(5 + 65537 * B, b"x" * 65536, False)]


def write_in_parts(port: Transmitter, stamps: list[int], text: bytes, size: int) -> None:
    for begin in range(0, len(text), size):
        port.write(stamps[begin : begin + size], text[begin : begin + size])


@pytest.mark.parametrize("gap", [100, 1000, 50_000])
def test_a_flood_is_told_at_the_byte_that_is_too_much(gap: int) -> None:
    count = 200_000
    stamps, text = spread(7, gap, b"x" * count)
    free, flooded = 0, None
    for stamp in stamps:
        free = max(free, stamp) + B
        if -(-(free - stamp) // B) > 65536:  # bytes that are not complete, one by one
            flooded = stamp
            break
    assert flooded is not None
    for size in (count, 1000, 997):
        with pytest.raises(Flood) as caught:
            write_in_parts(Transmitter("usart2"), stamps, text, size)
        assert caught.value.at == flooded


# Receivers.


def test_lines_come_one_after_the_other() -> None:
    port = Receiver()
    assert port.take(1000, 10) == (1000 + B, B)
    assert port.take(2000, 5) == (1000 + 11 * B, B)
    assert port.take(10**9, 1) == (10**9 + B, B)


# All of a device.


def say(uart: int, at: int, text: bytes, gap: int = 500) -> list[Written]:
    return [Written(uart, at + i * gap, f"{byte:02x}") for i, byte in enumerate(text)]


def told(outputs: Sequence[Any]) -> list[tuple[int, str, Any]]:
    return [(each.at, each.dst, thaw(refreeze(each.payload))) for each in outputs]


TWO = {"usart2": {"mode": "addressed"}, "usart3": {"baud": 9600, "mode": "raw", "peer": "modem"}}
ADDRESSED = {"usart2": {"baud": 115200, "mode": "addressed"}}


@pytest.mark.parametrize("options", [None, {"usart2": {}}, ADDRESSED])
def test_without_a_word_there_is_one_that_is_addressed(options: Any) -> None:
    uarts = Uarts(options)
    assert uarts.names == ("usart2",)
    text = b'{"dst":"hub","kind":"k","payload":1}\r\nwords\n'
    said, log = uarts.say(say(0, 0, text), EVER)
    assert told(said) == [(38 * B, "hub", 1)]
    assert log == [f"0.{44 * B:09} s: words"]


def test_a_device_that_was_switched_on_later() -> None:
    uarts = Uarts(start=10**9)
    line = b'{"src":"hub","kind":"k","id":"hub/1","payload":1}\n'
    assert uarts.take(message("hub", 1, "k", 1, 10**9 + 7)) == (0, 7 + B, B, line.hex())
    said, log = uarts.say(say(0, 0, b'{"dst":"a","kind":"k"}\n!\n'), EVER)
    assert [each.at for each in said] == [10**9 + 23 * B]
    assert log == [f"0.{25 * B:09} s: !"]


def test_messages_go_to_the_uart_of_their_source_else_to_the_first() -> None:
    for options in (TWO, {"usart1": {"mode": "log"}, **TWO}, {**TWO, "usart1": {"mode": "log"}}):
        uarts = Uarts(options)
        first, second = (uarts.names.index(name) for name in TWO)
        hub = uarts.take(message("hub", 1, "k", "x"))
        modem = uarts.take(message("modem", 1, "k", "x"))
        assert hub is not None and modem is not None
        assert (hub[0], modem[0], bytes.fromhex(modem[3])) == (first, second, b"x\n")
    uarts = Uarts(dict(reversed(TWO.items())))
    hub = uarts.take(message("hub", 1, "k", "x"))
    assert hub == (0, 1041667, 1041667, b"x\n".hex()), "the first may be a raw one"


def test_a_message_that_no_uart_takes_is_in_the_log() -> None:
    uarts = Uarts({"usart2": {"mode": "log"}})
    assert uarts.take(message("hub", 1, "k", "x", 5)) is None
    assert uarts.say([], 5) == ([], [])
    said, log = uarts.say(say(0, 0, b"\n{}\n"), EVER)
    line = '{"src":"hub","kind":"k","id":"hub/1","payload":"x"}'
    assert said == []
    assert log == [
        f"0.000000005 s: there is no UART for a message: {line}",
        f"0.{4 * B:09} s: {{}}",
    ]


def test_notes_stand_in_order_of_time() -> None:
    uarts = Uarts()
    uarts.note(20, "two")
    uarts.note(10, "one")
    uarts.note(20, "three")
    log = uarts.say([], 21)[1]
    assert [entry.split(": ") for entry in log] == [
        ["0.000000010 s", "one"],
        ["0.000000020 s", "two"],
        ["0.000000020 s", "three"],
    ]


def test_what_is_complete_later_waits_for_its_window() -> None:
    uarts = Uarts(TWO)
    assert uarts.say(say(1, 0, b"slow\n") + say(0, 3000, b"q\n"), 3000 + 2 * B) == ([], [])
    assert uarts.say([], 3000 + 2 * B + 1) == ([], [f"0.{3000 + 2 * B:09} s: q"])
    assert told(uarts.say([], EVER)[0]) == [(5 * 1041667, "modem", "slow")]


def test_at_one_instant_the_first_uart_is_first() -> None:
    raw = [{"mode": "raw", "peer": name} for name in "ab"]
    for order in ((0, 1), (1, 0)):
        uarts = Uarts(dict(zip(("usart2", "usart3"), raw, strict=True)))
        written = [Written(uart, 0, b"x\n".hex()) for uart in order]
        assert [each.dst for each in uarts.say(written, EVER)[0]] == ["a", "b"]


def test_a_line_that_is_cut_is_told_of() -> None:
    uarts = Uarts({"usart2": {"baud": 10_000_000}})
    said, log = uarts.say(say(0, 0, b"x" * 65540 + b"\n", 1000), EVER)
    assert said == []
    assert log == [
        "0.065537000 s: no newline in 65536 bytes",
        "0.065537000 s: " + "x" * 65536,
        "0.065541000 s: xxxx",
    ]


@pytest.mark.parametrize(
    ("at", "end", "words"),
    [
        (1, "", "ab cd e"),
        (B, "", "ab cd e"),
        (B + 1, "a", "ab cd e"),
        (3 * B + 1, "ab\\x0d", "ab cd e"),
        (4 * B, "ab\\x0d", "ab cd e"),
        (4 * B + 1, "", "cd e"),
        (5 * B + 1, "c", "cd e"),
        (8 * B, "", "e"),
        (8 * B + 1, "e", ""),
        (10 * B, "e", ""),
    ],
)
def test_at_the_end_half_a_line_is_in_the_log(at: int, end: str, words: str) -> None:
    time = f"0.{at:09} s: "
    half = [f"{time}a line without its end: {end}"] if end else []
    last = [f"{time}written, and not sent in whole: {word}" for word in words.split()]
    for unsent, entries in ((False, half), (True, last or half)):
        uarts = Uarts()
        uarts.say([Written(0, 0, b"ab\r\ncd\ne".hex())], at)
        assert uarts.end(at, unsent=unsent) == entries


@pytest.mark.parametrize("unsent", [False, True])
def test_what_is_complete_at_an_end_that_comes_too_soon(unsent: bool) -> None:
    """The run ends before the window is over, for the sake of another device."""
    start = 10**9
    uarts = Uarts({"usart2": {"baud": 10_000_000}}, start)
    written = b'log\n{"dst":"hub","kind":"k","payload":[1]}\nhalf'
    uarts.say(say(0, 0, written, 0), 1)
    assert uarts.end(10**6, unsent=unsent) == [
        "0.000004000 s: log",
        "0.000043000 s: not passed on any more: k to hub: [1]",
        "0.001000000 s: a line without its end: half",
    ]


def test_the_end_of_a_line_that_was_cut() -> None:
    uarts = Uarts({"usart2": {"baud": 10_000_000}})
    uarts.say(say(0, 0, b"x" * 65536 + b"y", 1000), 65537_000)
    assert uarts.end(65537_000) == ["0.065537000 s: a line without its end: " + "x" * 65536]


# Any bytes, any windows.

BAUDS = st.sampled_from([300, 9600, 115200, 921600, 10_000_000])
TEXT = st.binary(max_size=3) | st.sampled_from([b"\n", b"\r\n", b"a\n", b"line\n", b"\n\n"])
GAPS = st.sampled_from([0, 0, 8, 500, 86806, 1_000_000, 33_333_333])
CHUNKS = st.lists(st.tuples(st.integers(0, 1), GAPS, TEXT), max_size=30)
WINDOWS = st.lists(st.tuples(st.integers(1, 10**8), st.integers(0, 7)), max_size=20)


def stamped(chunks: list[tuple[int, int, bytes]]) -> list[Written]:
    at, found = 0, []
    for uart, gap, text in chunks:
        at += gap
        if text:
            found.append(Written(uart, at, text.hex()))
    return found


def expected(written: list[Written], bauds: list[int]) -> list[tuple[int, str, bytes]]:
    """Byte by byte: complete at max(when it was written, when the one before was) + its time."""
    free, line = [0, 0], [b"", b""]
    found = []
    for uart, at, text in written:
        for byte in bytes.fromhex(text):
            free[uart] = max(at, free[uart]) + byte_time(bauds[uart])
            if byte != 10:
                line[uart] += bytes([byte])
                continue
            whole = line[uart].removesuffix(b"\r")
            if whole:
                found.append((free[uart], uart, whole))
            line[uart] = b""
    return [(at, "ab"[uart], text) for at, uart, text in sorted(found, key=lambda each: each[:2])]


@settings(max_examples=300)
@given(st.lists(BAUDS, min_size=2, max_size=2), CHUNKS, WINDOWS)
def test_windows_change_nothing(
    bauds: list[int], chunks: list[tuple[int, int, bytes]], windows: list[tuple[int, int]]
) -> None:
    written = stamped(chunks)
    options = {
        name: {"baud": baud, "mode": "raw", "peer": peer}
        for name, baud, peer in zip(("usart2", "usart3"), bauds, "ab", strict=True)
    }
    uarts = Uarts(options)
    begin, taken, found = 0, 0, []
    for length, beyond in [*windows, (EVER, 0)]:
        until = begin + length
        # An instruction that is under way may still write, a little later than the end.
        count = max(taken, sum(each.at <= until + beyond for each in written))
        said, log = uarts.say(written[taken:count], until)
        assert log == [] and all(begin <= each.at < until for each in said)
        for at, peer, payload in told(said):
            found.append((at, peer, payload.encode() if isinstance(payload, str) else payload))
        begin, taken = until, count
    assert found == expected(written, bauds)


@given(st.integers(0, 10**6), CHUNKS)
def test_how_bytes_share_records_changes_nothing(
    start: int, chunks: list[tuple[int, int, bytes]]
) -> None:
    written = [each._replace(uart=0) for each in stamped(chunks)]
    single = [
        Written(0, at, f"{byte:02x}") for _, at, text in written for byte in bytes.fromhex(text)
    ]
    one, other = Uarts(start=start), Uarts(start=start)
    assert one.say(written, EVER) == other.say(single, EVER)
    assert one.end(EVER) == other.end(EVER)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 50)), max_size=20), BAUDS)
def test_no_byte_overtakes_another_on_the_way_in(lines: list[tuple[int, int]], baud: int) -> None:
    port, step, at, free = Receiver(baud), byte_time(baud), 0, 0
    for gap, count in lines:
        at += gap
        due, by = port.take(at, count)
        for k in range(count):
            free = max(at, free) + step
            assert due + k * by == free
