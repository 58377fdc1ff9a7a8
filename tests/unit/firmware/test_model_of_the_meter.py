"""The model of the meter that Renode's stand-in runs says what the meter itself says.

the same messages --> native port, with app/meter.c    --> messages
                  --> model, on the stand-in of Renode  --> lines --> the same messages
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import firmware_builds
from devices import device
from renode_machine import MS, fake_only, machine
from simcore_backends.firmware.lines import message_of

from simcore.payload import refreeze
from simcore.protocol.frames import Output

END = 14_500 * MS
ASKED: list[tuple[int, Any, str]] = [
    (1_100, "ack 1", "command"),
    (1_200, "report", "command"),
    (1_300, "ack 7", "command"),
    (1_400, {"any": ["thing", 1]}, "thing"),
    (1_500, None, "ack"),
    (2_250, "mode local", "command"),
    (3_250, "next 126", "command"),
    (5_250, "period 300", "command"),
    (5_260, "period 0", "command"),
    (6_800, "mode raw", "command"),
    (7_250, "to somebody-else", "command"),
    (7_260, "to some body", "command"),
    (7_270, "x" * 200, "command"),
    (7_300, 'quo"te \u20ac', "command"),
    (9_010, "report", "command"),
]
"""When (ms), what, of which kind."""


def told(each: Output) -> tuple[Any, ...]:
    return (each.dst, each.kind, refreeze(each.payload), each.size, each.cause)


def test_it_says_the_same(tmp_path: Path):
    fake_only()
    with device(firmware_builds.native(tmp_path), tmp_path) as it:
        said = list(it.boot().outputs)
        for at, payload, kind in ASKED:
            said += it.settle(at * MS - 1)
            said += it.advance(at * MS, payload, kind=kind).outputs
        said += it.settle(END)
    chunks = []
    for number, (at, payload, kind) in enumerate(ASKED, 1):
        line = {"src": "hub", "kind": kind, "id": f"hub/{number}", "payload": payload}
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        chunks.append((0, at * MS, 8681, text))
    with machine(tmp_path) as emulated:
        emulated.run([*range(10 * MS, END, 10 * MS), END], chunks)
        lines = emulated.said().splitlines()
    assert len(lines) > 40
    assert [told(message_of(0, line)) for line in lines] == [told(each) for each in said]
