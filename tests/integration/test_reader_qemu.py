"""The prebuilt reader on an emulated Cortex-M4 keeps to the rules as Python does.

What comes is fixed before: a result for each image, asked for or not, after a drawn time or never.
The processor's tick of a millisecond makes its times a little later than those of its twin; the
draws are such that no decision hangs on it.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import qemu_machine
from firmware_builds import PREBUILT
from reader_twin import Twin
from simcore_backends.firmware.lines import message_of

from simcore.payload import freeze, refreeze, thaw

MS = 1_000_000
BYTE = 86806  # ns at 115200 baud
PERIOD = 100 * MS
SAMPLES = 90
SLACK = 3000  # us
TRIPS = {"quick": (5, 25), "slow": (70, 95)}  # ms on the way to the device; its line takes 15 more


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    qemu_machine.program()
    return qemu_machine.plugin(tmp_path_factory.mktemp("plugin"))


def line(number: int, kind: str, payload: Any) -> bytes:
    head = f'{{"src":"gateway","kind":"{kind}","id":"gateway/{number}","payload":'
    return f"{head}{freeze(payload)}}}\n".encode()


def account(rule: str) -> tuple[Twin, list[qemu_machine.Chunk]]:
    """What the twin says, and what comes over the line: of the first draws that are clear."""
    for seed in range(100):
        found = drawn(rule, random.Random(f"{rule} {seed}"))
        if found is not None:
            return found
    raise AssertionError("no draws are clear")


def drawn(rule: str, chance: random.Random) -> tuple[Twin, list[qemu_machine.Chunk]] | None:
    """The same of one draw; None: a decision hangs on less than the slack."""
    twin = Twin()
    setup = f"rule {rule}; next 37; period {PERIOD // MS}"
    chunks = [(0, 3 * MS, BYTE, line(1, "setup", setup))]
    begin = 3 * MS + len(chunks[0][3]) * BYTE
    twin.set_up(setup, begin)
    for n in range(1, SAMPLES + 1):
        twin.wake()
        keeper = twin.keeper
        assert keeper is not None
        margin = abs(keeper.round_trip - keeper.rule.limit * 1000)
        if keeper.rule.kind == "latency" and margin <= SLACK:
            return None
        least, most = TRIPS["slow" if n // 15 % 2 else "quick"]
        at = begin + n * PERIOD + chance.randrange(least, most) * MS
        if chance.random() < 0.2:
            continue
        result = {"n": n, "label": n % 10, "place": "edge", "confidence": 0.5, "why": "sure"}
        text = line(n + 1, "result", result)
        heard = at + len(text) * BYTE
        if heard >= begin + (n + 1) * PERIOD:  # the next sample comes first
            at -= heard - (begin + (n + 1) * PERIOD) + 5 * MS
            heard = at + len(text) * BYTE
        chunks.append((0, at, BYTE, text))
        twin.act(result, heard, "gateway", f"gateway/{n + 1}")
    return twin, chunks


@pytest.mark.parametrize(
    "rule", ["local", "remote", "both", "confidence 850", "latency 60", "latency 45"]
)
def test_it_keeps_to_the_rules(module: Path, tmp_path: Path, rule: str) -> None:
    twin, chunks = account(rule)
    if rule.startswith("latency"):
        whys = {thaw(text).get("why") for _, _, text, _, _ in twin.said}
        assert whys >= {"in time", "late", "probe"}
    elf = PREBUILT / "reader-stm32f4.elf"
    end = twin.next - PERIOD // 10
    with qemu_machine.machine(module, tmp_path, elf=elf) as reader:
        reader.run([*range(10 * MS, end, 10 * MS), end], chunks)
        lines = reader.said().splitlines()
    messages = [message_of(0, each) for each in lines if each.startswith(b"{")]
    assert len(messages) == len(twin.said)
    for ours, theirs in zip(messages, twin.said, strict=True):
        said, expected = thaw(refreeze(ours.payload)), thaw(theirs[2])
        late = said.pop("at", 0) - expected.pop("at", 0)
        assert 0 <= late <= SLACK
        assert (ours.dst, ours.kind, ours.size, ours.cause) == (*theirs[:2], *theirs[3:])
        assert said == expected
    shown = [int(each.removeprefix(b"shows ")) for each in lines if each.startswith(b"shows ")]
    assert shown == twin.shown
