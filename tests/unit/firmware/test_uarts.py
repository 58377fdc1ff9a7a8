"""Byte times on the native port, to the nanosecond; which UART a message goes to; the config.

parrot.c says what it is told on the UART on which it is told, or on the other one (`!other TEXT`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from devices import Device, device
from firmware_builds import parrot
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from support import PATIENCE

from simcore.payload import freeze, refreeze, thaw
from simcore.protocol.channel import ChannelError
from simcore.protocol.frames import Advance, Init, Input, encode

MS = 1_000_000
BYTE = 86806  # ns at 115200 baud, 10 bits: 86805.56


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parrot(tmp_path_factory.mktemp("parrot"), "native", "SANITIZE=1")


def raw(baud: int = 115200, **others: Any) -> dict[str, Any]:
    """One raw UART, and others."""
    return {"uart": {"usart2": {"mode": "raw", "peer": "hub", "baud": baud}, **others}}


def two(first: int = 115200, second: int = 115200) -> dict[str, Any]:
    """Two of them, for two peers."""
    return raw(first, usart3={"mode": "raw", "peer": "modem", "baud": second})


def texts(outputs: list[Any]) -> list[tuple[int, str, Any]]:
    return [(each.at, each.dst, thaw(refreeze(each.payload))) for each in outputs]


@pytest.mark.parametrize(
    ("baud", "byte"),
    [(300, 33333333), (9600, 1041667), (115200, 86806), (921600, 10851), (10_000_000, 1000)],
)
def test_a_byte_takes_ten_bits(program: Path, tmp_path: Path, baud: int, byte: int) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(raw(baud))
        assert bird.advance(77, "abc").next == 77 + 4 * byte
        assert texts(bird.settle(10**12)) == [(77 + 8 * byte, "hub", "abc")]


def test_lines_are_heard_one_behind_the_other(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(raw())
        done = bird.advance(5, "abc", "defgh")
        assert done.next == 5 + 4 * BYTE
        done = bird.advance(done.next - 1, "i")
        assert done.next == 5 + 4 * BYTE, "one that comes meanwhile waits"
        done = bird.advance(done.next)
        assert texts(done.outputs) == [(5 + 8 * BYTE, "hub", "abc")]
        assert done.next == 5 + 10 * BYTE
        done = bird.advance(done.next)
        assert texts(done.outputs) == [(5 + 16 * BYTE, "hub", "defgh")]
        assert done.next == 5 + 12 * BYTE
        done = bird.advance(done.next)
        assert texts(done.outputs) == [(5 + 18 * BYTE, "hub", "i")], "the transmitter is busy"
        assert done.next is None
        assert bird.advance(20 * MS, "j").next == 20 * MS + 2 * BYTE, "the wire is free again"


def test_lines_in_one_payload_are_lines_of_their_own(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(raw())
        assert bird.advance(0, "abc\nd").next == 4 * BYTE
        assert texts(bird.settle(MS)) == [(8 * BYTE, "hub", "abc"), (10 * BYTE, "hub", "d")]


def test_lines_that_are_said_at_once_leave_one_behind_the_other(
    program: Path, tmp_path: Path
) -> None:
    lines = [f'{{"dst":"a","kind":"{kind}"}}\n' for kind in ("x", "yy")]
    with device(program, tmp_path) as bird:
        bird.boot()
        heard = bird.advance(3, "".join(lines)).next
        done = bird.advance(heard)
        first = heard + len(lines[0]) * BYTE
        assert [(each.at, each.kind) for each in done.outputs] == [
            (first, "x"),
            (first + len(lines[1]) * BYTE, "yy"),
        ]


@pytest.mark.parametrize("count", [1, 1024, 1025, 2000])
def test_who_writes_more_than_waits_for_the_line_waits(
    program: Path, tmp_path: Path, count: int
) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(raw(1_000_000))  # 10 us for a byte
        heard = bird.advance(1, "x" * (count - 1)).next
        assert heard == 1 + count * 10_000
        later = bird.advance(heard - 5, "after").next
        assert later == heard
        done = bird.advance(heard)
        left = heard + count * 10_000
        said = [(left, "hub", "x" * (count - 1))] if count > 1 else []
        assert texts(done.outputs) == said
        room = left - 1024 * 10_000
        after = heard + 6 * 10_000  # when "after" has come
        if count > 1024:
            assert done.next == room
            done = bird.advance(room)  # what came meanwhile is read now, not before
        read = max(room, after)
        if room < after:
            assert done.next == after
            done = bird.advance(after)
        left = max(left, read) + 60_000
        assert texts(done.outputs) == [(left, "hub", "after")]
        room = left - 1024 * 10_000
        assert done.next == (room if room > read else None)


def test_time_is_blocked_for_a_flood(program: Path, tmp_path: Path) -> None:
    """Firmware that writes for ever goes at the speed of its line, and answers all the time."""
    with device(program, tmp_path) as bird:
        bird.boot(end=2 * MS * 1000)
        heard = bird.advance(0, "!flood").next
        assert (
            heard == len('{"src":"hub","kind":"command","id":"hub/1","payload":"!flood"}\n') * BYTE
        )
        done = bird.advance(heard)
        # 170 times 6 bytes have room; the next 6 when two are sent.
        assert done.next == heard + 2 * BYTE
        assert bird.advance(done.next).next == done.next + 6 * BYTE
        assert bird.settle(1500 * MS) == [] and bird.end() == 0
        assert "a line without its end: flood flood" in bird.log


def test_firmware_that_spins_does_not_answer(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(raw())
        heard = bird.advance(0, "!spin").next
        bird.channel.send(encode(Advance(3, heard, [])), PATIENCE)
        with pytest.raises(ChannelError):
            bird.channel.receive(0.2)


def test_a_line_that_is_too_long_is_cut(program: Path, tmp_path: Path) -> None:
    byte = 1000
    with device(program, tmp_path) as bird:
        bird.boot(raw(10_000_000))
        heard = bird.advance(0, "x" * 65536).next
        assert texts(bird.settle(10**9)) == [(heard + 65537 * byte, "hub", "x" * 65536)]
        assert bird.log == ""
        start = 1000 * MS
        heard = bird.advance(start, "x" * 65536 + "yyy\r").next
        assert texts(bird.settle(start + 1000 * MS)) == [
            (heard + 65537 * byte, "hub", "x" * 65536),  # with the first byte that is too much
            (heard + 65541 * byte, "hub", "yyy"),
        ]
        cut = (heard + 65537 * byte) / 1e9
        assert bird.log == f"{cut:.9f} s: no newline in 65536 bytes\n"


@pytest.mark.parametrize("early", [0, 1])
def test_what_is_on_the_wire_at_the_end_is_not_said(
    program: Path, tmp_path: Path, early: int
) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(raw(), end=8 * BYTE + early)
        done = bird.advance(0, "abc")
        done = bird.advance(done.next)
        assert texts(done.outputs) == ([(8 * BYTE, "hub", "abc")] if early else [])
        assert bird.end() == 0
        end = f"{4 * BYTE / 1e9:.9f} s: a line without its end: abc\n"
        assert bird.log == ("" if early else end)


def test_a_uart_that_leads_nowhere_takes_its_time(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(raw())
        heard = bird.advance(0, "!other " + "x" * 1999).next
        assert bird.advance(heard).next == heard + (2000 - 1024) * BYTE
        assert bird.settle(1000 * MS) == [] and bird.end() == 0 and bird.log == ""


def test_who_does_not_listen_can_sleep(program: Path, tmp_path: Path) -> None:
    """It is woken by each line, and sleeps on if it does not read it."""
    with device(program, tmp_path) as bird:
        bird.boot(two())
        told = bird.advance(0, f"!nap {50 * MS}").next
        assert bird.advance(told).next == told + 50 * MS
        bird.advance(told + MS, "a", "b")
        bird.advance(told + MS, "c", src="modem")
        assert texts(bird.settle(told + 50 * MS)) == [
            (told + 50 * MS + 2 * BYTE, "hub", "a"),
            (told + 50 * MS + 2 * BYTE, "modem", "c"),
            (told + 50 * MS + 4 * BYTE, "hub", "b"),
        ]
        assert bird.next is None


# Two UARTs.


def test_each_has_its_rate(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(two(9600))
        bird.advance(0, "slow")
        bird.advance(1, "quick", src="modem")
        assert bird.next == 1 + 6 * BYTE
        assert texts(bird.settle(100 * MS)) == [
            (1 + 12 * BYTE, "modem", "quick"),
            (10 * 1041667, "hub", "slow"),
        ]


def test_messages_are_told_in_the_order_of_their_times(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bird:
        bird.boot(two(1_000_000, 2_000_000))
        bird.advance(0, "a" * 9)  # heard at 100 us, said from then on
        bird.advance(50_000, "b" * 9, src="modem")  # the same, and in half the time
        done = bird.advance(100_000)
        assert texts(done.outputs) == [
            (150_000, "modem", "b" * 9),
            (200_000, "hub", "a" * 9),
        ]


def test_of_one_time_the_first_uart_comes_first(program: Path, tmp_path: Path) -> None:
    """Each says on the other what it hears, so the second one is written to first."""
    with device(program, tmp_path) as bird:
        bird.boot(two())
        bird.advance(0, "!other a")
        bird.advance(0, "!other b", src="modem")
        done = bird.advance(9 * BYTE)
        assert texts(done.outputs) == [(11 * BYTE, "hub", "b"), (11 * BYTE, "modem", "a")]


def test_a_message_of_the_peer_comes_on_its_uart(program: Path, tmp_path: Path) -> None:
    config = {"uart": {"usart2": {}, "usart3": {"mode": "raw", "peer": "modem", "baud": 9600}}}
    with device(program, tmp_path) as bird:
        bird.boot(config)
        [said] = bird.said(1, "hello", src="modem")
        assert said == ("modem", "line", '"hello"', 6, None)
        line = '{"dst":"a","kind":"k"}\n'
        assert bird.said(200 * MS, line) == [("a", "k", "null", None, None)]
        assert [each[0] for each in bird.said(400 * MS, "!other OK\n")] == ["modem"]
        assert [each[0] for each in bird.said(600 * MS, "!other " + line, src="modem")] == ["a"]
        assert bird.end() == 0 and bird.log == ""


def test_the_first_that_listens_takes_all_others(program: Path, tmp_path: Path) -> None:
    log, peer = {"mode": "log"}, {"mode": "raw", "peer": "modem"}
    with device(program, tmp_path) as bird:
        bird.boot({"uart": {"usart2": log, "usart3": peer}})
        assert bird.said(1, "hello")[0][0] == "modem"
    with device(program, tmp_path) as bird:
        bird.boot({"uart": {"usart3": {"mode": "raw", "peer": "x"}, "usart2": peer}})
        assert [each[0] for each in bird.said(1, "hello")] == ["modem"], (
            "as numbered, not as written"
        )
        assert [each[0] for each in bird.said(200 * MS, "hello", src="x")] == ["x"]


def test_a_uart_for_the_log(program: Path, tmp_path: Path) -> None:
    config = {"uart": {"usart2": {}, "usart3": {"mode": "log", "baud": 9600}}}
    with device(program, tmp_path) as bird:
        bird.boot(config)
        heard = bird.advance(5, '!other {"dst":"a","kind":"k"}\n').next
        assert bird.settle(1000 * MS) == [] and bird.end() == 0
        left = heard + 23 * 1041667
        assert bird.log == f'{left / 1e9:.9f} s: {{"dst":"a","kind":"k"}}\n'


def test_a_message_that_no_uart_takes_is_in_the_log(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bird:
        bird.boot({"uart": {"usart2": {"mode": "log"}}}, time=50)
        assert bird.advance(5 * MS + 50, "é").next is None
        assert bird.end() == 0
        assert bird.log == (
            '0.005000000 s: there is no UART for a message: {"src":"hub","kind":"command",'
            '"id":"hub/1","payload":"\\xc3\\xa9"}\n'
        )


@pytest.mark.parametrize(
    ("uart", "why"),
    [
        (5, "uart is 5, no object"),
        ("raw", 'uart is "raw", no object'),
        ({}, "uart: there has to be one"),
        ({"usart1": {}}, '"usart1" is not known; this device has usart2 and usart3'),
        ({"usart2": None}, "usart2 is null, no object"),
        ({"usart2": {"bauds": 5}}, 'usart2: "bauds" is not known; there are baud, mode and peer'),
        ({"usart2": {"baud": 299}}, "baud is 299, no whole number from 300 to 10000000"),
        ({"usart2": {"baud": 10_000_001}}, "baud is 10000001, no whole number"),
        ({"usart2": {"baud": "fast"}}, 'baud is "fast", no whole number'),
        ({"usart2": {"baud": 9600.5}}, "baud is 9600.5, no whole number"),
        ({"usart2": {"mode": "cooked"}}, 'mode is "cooked"; there are addressed, raw and log'),
        ({"usart2": {"mode": "raw"}}, "usart2: mode raw needs 'peer'"),
        ({"usart2": {"peer": "hub"}}, "usart2: 'peer' is for mode raw; this is addressed"),
        ({"usart3": {"mode": "log", "peer": "a"}}, "usart3: 'peer' is for mode raw; this is log"),
        ({"usart2": {"mode": "raw", "peer": ""}}, 'peer is "", no name of a node'),
        ({"usart2": {"mode": "raw", "peer": "a\0b"}}, "no name of a node"),
        ({"usart2": {"mode": "raw", "peer": 5}}, "peer is 5, no name of a node"),
        ({"usart2": {"mode": "raw", "peer": "x" * 5000}}, "no name of a node"),
        ({"usart2": {}, "usart3": {}}, "two are addressed; one at most can be"),
        (
            {"usart2": {"mode": "raw", "peer": "a"}, "usart3": {"mode": "raw", "peer": "a"}},
            'two have the peer "a"',
        ),
        ({"usart2": {"mode": "x" * 9000}}, "there are addressed, raw and log"),
    ],
)
def test_a_config_that_is_wrong(program: Path, tmp_path: Path, uart: Any, why: str) -> None:
    refused(program, tmp_path, {"uart": uart}, why)


@pytest.mark.parametrize("name", ["peer", "baud", "UART", ""])
def test_config_that_it_does_not_know(program: Path, tmp_path: Path, name: str) -> None:
    refused(program, tmp_path, {name: "hub"}, f'"{name}" is not known; there is uart')


def refused(program: Path, folder: Path, config: Any, why: str) -> None:
    with device(program, folder) as bird:
        frame = Init(name="d", nodes=["d"], seed=1, time=0, end=9, config=config)
        message = bird.error(encode(frame))
        assert message.startswith("config: ") and why in message and message in bird.log


# A model of the same rules, for everything at once.


@dataclass
class Wire:
    """A UART as the rules say it, in Python."""

    baud: int
    peer: str
    sent: int = 0
    heard: int = 0
    coming: deque[tuple[int, bytes]] = field(default_factory=deque)

    @property
    def byte(self) -> int:
        return (2 * 10**10 + self.baud) // (2 * self.baud)


def expected(
    bauds: tuple[int, int], given: list[tuple[int, int, bytes]]
) -> list[tuple[int, str, bytes]]:
    """What the parrot says, when, and to whom; `given`: when, on which UART, a line."""
    wires = [Wire(bauds[0], "hub"), Wire(bauds[1], "modem")]
    for at, number, line in given:
        wire = wires[number]
        wire.heard = max(at, wire.heard) + (len(line) + 1) * wire.byte
        wire.coming.append((wire.heard, line))
    said = []
    now = 0
    while any(wire.coming for wire in wires):
        now = max(now, min(wire.coming[0][0] for wire in wires if wire.coming))
        for number, wire in enumerate(wires):
            while wire.coming and wire.coming[0][0] <= now:
                line = wire.coming.popleft()[1]
                to = wires[1 - number] if line.startswith(b"!other ") else wire
                text = line.removeprefix(b"!other ")
                to.sent = max(now, to.sent) + (len(text) + 1) * to.byte
                if text:
                    said.append((to.sent, to.peer, text))
                now = max(now, to.sent - 1024 * to.byte)  # until there is room
    return sorted(said)


def driven(bird: Device, given: list[tuple[int, int, bytes]]) -> list[tuple[int, str, bytes]]:
    """What the device says, given the same."""
    outputs = []
    for at in sorted({at for at, _, _ in given}):
        outputs += bird.settle(at - 1)
        inputs = []
        for when, number, line in given:
            if when == at:
                bird.number += 1
                text, src = freeze(line), ("hub", "modem")[number]
                raw = Raw(text.encode())
                inputs.append(Input(at, f"{src}/{bird.number}", src, "d", "k", raw, 1, 0))
        outputs += bird.grant(at, inputs).outputs
    outputs += bird.settle(10**15)
    return sorted((at, to, text if isinstance(text, bytes) else text.encode())
                  for at, to, text in texts(outputs))  # fmt: skip


LINE = st.tuples(
    st.sampled_from([b"", b"!other "]), st.integers(0, 3000), st.sampled_from(b"ab\xff")
)


@settings(max_examples=150)
@given(
    bauds=st.tuples(*[st.sampled_from([300, 9600, 115200, 460800, 921600, 10_000_000])] * 2),
    steps=st.lists(
        st.tuples(
            st.sampled_from([0, 0, 1, 86805, 86806, 500_000, 10**7, 10**9]),
            st.integers(0, 1),
            LINE,
        ),
        max_size=12,
    ),
)
def test_times_are_those_of_the_rules(
    program: Path,
    tmp_path_factory: pytest.TempPathFactory,
    bauds: tuple[int, int],
    steps: list[tuple[int, int, tuple[bytes, int, int]]],
) -> None:
    at, given = 0, []
    for step, number, (begin, count, byte) in steps:
        at += step
        given.append((at, number, begin + bytes([byte]) * count))
    with device(program, tmp_path_factory.mktemp("random")) as bird:
        bird.boot(two(*bauds), end=10**15)
        assert driven(bird, given) == expected(bauds, given)
        assert bird.end() == 0 and bird.log == ""
