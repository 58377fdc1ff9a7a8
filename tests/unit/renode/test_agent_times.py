"""The agent in exact windows: when bytes and levels go in and come out.

    test --ADVANCE--> agent in Renode, or in its stand-in --DONE--> test

What is compared is when each byte was written, to the nanosecond, whatever the windows.
"""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from renode_machine import AGENT, METER, MS, US, Chunk, Refused, fake_only, machine

BYTE = 86_806
"""Time of a byte at 115200 baud."""
END = 400 * MS
AT = 20 * MS + 400 * US
"""Between two ticks of the firmware."""


def ends(step: int, end: int = END) -> list[int]:
    return [*range(step, end, step), end]


def random_ends(seed: int) -> list[int]:
    """Windows of all lengths, from a microsecond to a hundred milliseconds."""
    rng, now, found = random.Random(seed), 0, []
    lengths = [1, 1, 2, 7, 99, 100, 101, 1000, 9973, 100_000]
    while (now := now + US * rng.choice(lengths)) < END:
        found.append(now)
    return [*found, END]


def random_chunks(seed: int) -> list[Chunk]:
    """Lines for both UARTs at several speeds, some of them while the firmware starts."""
    rng, found = random.Random(seed), []
    for uart in (0, 1):
        due = rng.randrange(20 * US)
        while due < END:
            step = rng.choice([1001, 8681, BYTE, 1_041_667])
            text = bytes(rng.choice(b"abcdefgh") for _ in range(rng.randrange(1, 60))) + b"\n"
            found.append((uart, due, step, text))
            due += step * len(text) + rng.randrange(9 * MS)
    return found


def answers_at(folder: Path, elf: str, due: int, windows: list[int]) -> list[int]:
    """When the parrot says a line back whose newline is due at a time."""
    with machine(folder, elf=elf) as it:
        it.run(windows, [(0, due - BYTE, BYTE, b"x\n")])
        assert it.said() == b"x\n"
        return [at for _, at, _ in it.outputs]


# -- what comes out --------------------------------------------------------------------------------


def test_stamps_are_those_of_instructions(tmp_path: Path):
    with machine(tmp_path, mips=125) as it:
        it.run(ends(10 * MS))
        assert it.said().startswith(b'{"dst":"gateway","kind":"boot"')
        stamps = [at for _, at, _ in it.outputs]
        assert all(at % 8 == 0 for at in stamps)
        assert all(later > sooner for sooner, later in pairwise(stamps))


def test_instructions_take_as_long_as_mips_says(tmp_path: Path):
    """Half the speed, and what the firmware does from power-on takes twice as long."""
    firsts = []
    for mips in (50, 100):
        with machine(tmp_path, mips=mips) as it:
            it.advance(MS)
            firsts.append(it.outputs[0][1])
    assert firsts[0] == pytest.approx(2 * firsts[1], rel=0.01)


def test_instructions_are_counted_while_the_processor_is_awake(parrot: str, tmp_path: Path):
    with machine(tmp_path, elf=parrot) as it:
        it.run(ends(MS, 10 * MS), [(0, 5 * MS, BYTE, b"!spin\n")])
        assert it.states[2] == "sleeping"
        it.advance(20 * MS)
        before = it.executed
        it.advance(30 * MS)
        assert it.states[-1] == "running"
        assert it.executed - before == 10 * 1000 * 125


def test_a_processor_that_is_halted(parrot: str, tmp_path: Path):
    fake_only()
    with machine(tmp_path, elf=parrot) as it:
        it.run([3 * MS, 10 * MS], [(0, 3 * MS, BYTE, b"!halt\n")])
        assert it.states == ["sleeping", "halted"]


def test_the_registers_of_a_fault(parrot: str, tmp_path: Path):
    with machine(tmp_path, elf=parrot) as it:
        assert "fault" not in it.advance(MS)
        done = it.advance(5 * MS, [(0, 2 * MS, BYTE, b"!fault\n")])
        assert done["fault"] == [0x10000, 0]  # an undefined instruction
        assert b"fault: exception " in it.said()


def test_too_much_for_an_answer(parrot: str, tmp_path: Path):
    agent = tmp_path / "agent.py"
    text = AGENT.read_text(encoding="utf-8")
    agent.write_text(text.replace("MOST_WRITTEN = 250000", "MOST_WRITTEN = 5000"))
    assert agent.read_text() != text
    with machine(tmp_path, {"agent": agent}, elf=parrot) as it:
        it.run([MS, 2 * MS], [(0, MS, BYTE, b"!flood\n")])
        assert it.outputs
        with pytest.raises(Refused, match="the firmware writes more in one window than fits"):
            it.advance(10 * MS)


# -- what goes in ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param([50 * MS], id="within"),
        pytest.param([AT, 50 * MS], id="at the boundary"),
        pytest.param([AT - US, AT, AT + US, 50 * MS], id="around it"),
        pytest.param(ends(100 * US, 50 * MS), id="many"),
        pytest.param(ends(333 * US, 50 * MS), id="odd"),
    ],
)
def test_a_byte_comes_at_its_time(windows: list[int], parrot: str, tmp_path: Path):
    """The firmware sleeps; how long it takes to answer does not depend on when within a window."""
    known = answers_at(tmp_path, parrot, AT, [50 * MS])
    assert answers_at(tmp_path, parrot, AT, windows) == known
    later = answers_at(tmp_path, parrot, AT + 123_456, [50 * MS])
    assert [at - 123_456 for at in later] == known


def test_a_byte_that_is_due_within_an_instruction_waits_for_its_end(parrot: str, tmp_path: Path):
    known = answers_at(tmp_path, parrot, AT, [50 * MS])
    for late, instructions in ((1, 1), (7, 1), (8, 1), (9, 2)):
        moved = answers_at(tmp_path, parrot, AT + late, [50 * MS])
        assert [at - 8 * instructions for at in moved] == known


def test_a_chunk_may_reach_over_many_windows(parrot: str, tmp_path: Path):
    text = b"a line that takes some time\n"
    chunk = (1, 3 * MS, 1_041_667, text)
    with machine(tmp_path, elf=parrot) as it:
        known = it.run([60 * MS], [chunk]).history
    with machine(tmp_path, elf=parrot) as it:
        it.advance(US, [chunk])  # long before it is due
        assert it.run(ends(MS, 60 * MS)[1:]).history == known
        assert it.said(1) == text and not it.said(0)


def test_more_bytes_in_a_window_than_are_scheduled_at_once(parrot: str, tmp_path: Path):
    """One window with thousands of bytes is run in parts, and nothing shows it."""
    text = b"".join(b"%d\n" % number for number in range(900))
    chunks = [(0, 2 * MS, BYTE, text), (1, 2 * MS + 77, 8681, text)]
    with machine(tmp_path, elf=parrot) as it:
        known = it.run(ends(10 * MS), chunks).history
    with machine(tmp_path, elf=parrot) as it:
        assert it.run([END], chunks).history == known
        assert it.said(0) == it.said(1) == text


def test_more_bytes_than_that_within_a_microsecond(parrot: str, tmp_path: Path):
    fake_only()  # a processor cannot read them as fast as that
    text = b"." * 700 + b"\n"
    with machine(tmp_path, elf=parrot) as it:
        it.advance(20 * MS, [(0, 10 * MS, 1, text)])
        assert it.said() == text


@pytest.mark.parametrize(("elf", "mips"), [("parrot", 125), ("parrot", 20), ("meter", 125)])
def test_windows_make_no_difference(elf: str, mips: int, parrot: str, tmp_path: Path):
    """As far as this is known: docs/renode.md, "Time"."""
    if mips == 20:
        fake_only()  # with Renode 1.16.1, some bytes are written 6.7 us later or sooner
    chunks = random_chunks(7)

    def history(windows: list[int]) -> Any:
        file = parrot if elf == "parrot" else str(METER)
        with machine(tmp_path, elf=file, mips=mips) as it:
            return it.run(windows, chunks).history

    known = history([END])
    assert len(known[0]) > 500 and {why for *_, why in known[1]} == {"off"}
    for windows in (ends(MS), ends(7777 * US), random_ends(1), random_ends(2)):
        assert history(windows) == known


@pytest.mark.parametrize("mips", [125, 20])
def test_the_same_windows_give_the_same_run(mips: int, parrot: str, tmp_path: Path):
    found = []
    for _ in range(2):
        with machine(tmp_path, elf=parrot, mips=mips) as it:
            it.run(random_ends(3), random_chunks(3))
            found.append((it.history, it.states))
    assert found[0] == found[1]


def test_a_window_that_is_over_already(parrot: str, tmp_path: Path):
    with machine(tmp_path, elf=parrot) as it:
        it.advance(MS)
        executed = it.executed
        assert it.advance(MS)["now"] == MS
        assert it.executed == executed and it.outputs == []


# -- pins ------------------------------------------------------------------------------------------

PINS = [
    ["sysbus.gpioPortD", 12, "out"], ["sysbus.gpioPortA", 0, "in"], ["sysbus.gpioPortD", 13, "out"],
]  # fmt: skip


def test_pins_that_the_firmware_drives(lamp: str, tmp_path: Path):
    with machine(tmp_path, elf=lamp, pins=PINS) as it:
        it.run(ends(10 * MS))
        assert [(pin, level) for pin, _, level in it.changes] == [(0, 1), (0, 0)] * 2
        assert [round(at / MS) for _, at, _ in it.changes] == [100, 200, 300, 400]


def test_pins_that_come_in(lamp: str, tmp_path: Path):
    """The firmware answers at once, by an interrupt, and only to what is another level."""
    levels = [(1, 150 * MS + 8, 1), (1, 160 * MS, 1), (1, 170 * MS, 0)]
    with machine(tmp_path, elf=lamp, pins=PINS) as it:
        it.run([END], levels=levels)
        seen = [(at, level) for pin, at, level in it.changes if pin == 2]
        delay = seen[0][0] - levels[0][1]
        assert seen == [(150 * MS + 8 + delay, 1), (170 * MS + delay, 0)]
        assert 0 < delay < 10 * US
        assert all(pin != 1 for pin, _, _ in it.changes)  # an input is no news


def test_two_levels_of_one_instant_keep_their_order(lamp: str, tmp_path: Path):
    with machine(tmp_path, elf=lamp, pins=PINS) as it:
        it.run([90 * MS], levels=[(1, 5 * MS, 1), (1, 5 * MS, 0), (1, 5 * MS, 1)])
        assert [level for pin, _, level in it.changes if pin == 2] == [1]


def test_windows_make_no_difference_to_pins(lamp: str, tmp_path: Path):
    rng = random.Random(5)
    times = sorted(rng.randrange(END) for _ in range(60))
    levels = [(1, at, number % 2) for number, at in enumerate(times)]

    def history(windows: list[int]) -> Any:
        with machine(tmp_path, elf=lamp, pins=PINS) as it:
            return it.run(windows, levels=levels).history

    known = history([END])
    assert len(known[2]) > 50
    for windows in (ends(MS), ends(7777 * US), random_ends(3)):
        assert history(windows) == known


def test_a_machine_without_pins_says_nothing_of_them(tmp_path: Path):
    with machine(tmp_path) as it:
        assert "pins" not in it.advance(MS)
    with machine(tmp_path, pins=PINS) as it:
        assert it.advance(MS)["pins"] == []
