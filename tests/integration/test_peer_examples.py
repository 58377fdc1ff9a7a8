"""The three thermostats in `scenarios/participants`, driven frame by frame: each speaks the
protocol in its own language, and all say the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec import Raw
from support import PATIENCE, ROOT, require

from simcore.payload import freeze, refreeze
from simcore.protocol import frames
from simcore.protocol.channel import Channel
from simcore.protocol.frames import Advance, Init, Input, Shutdown, encode
from simcore.protocol.listener import Listener
from simcore.protocol.pipes import Pipes
from simcore.protocol.schema import wire_schema

EXAMPLES = ROOT / "scenarios" / "participants"
MS = 1_000_000


def python_command(folder: Path) -> list[str]:
    return [sys.executable, str(EXAMPLES / "thermostat.py")]


def node_command(folder: Path) -> list[str]:
    return [require("node"), str(EXAMPLES / "thermostat.js")]


def c_command(folder: Path) -> list[str]:
    program = folder / "thermostat"
    source = EXAMPLES / "thermostat.c"
    checks = ["-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    build = [require("gcc"), "-O2", *checks, "-o", str(program), str(source)]
    subprocess.run(build, check=True, timeout=PATIENCE)
    return [str(program)]


Command = Callable[[Path], list[str]]
WAYS: list[tuple[Command, str]] = [
    (python_command, "unix"),
    (python_command, "tcp"),
    (python_command, "stdio"),
    (node_command, "unix"),
    (node_command, "tcp"),
    (c_command, "stdio"),
]
every_way = pytest.mark.parametrize(
    ("command", "transport"),
    WAYS,
    ids=[f"{command.__name__.removesuffix('_command')}-{way}" for command, way in WAYS],
)


@contextmanager
def started(
    command: list[str], transport: str, folder: Path
) -> Iterator[tuple[Channel, subprocess.Popen[bytes]]]:
    """A participant that has said HELLO, and its process."""
    listener = Listener(folder)
    options: dict[str, Any] = {}
    ours = None
    environment = {
        **os.environ,
        "SIMCORE_TOKEN": listener.expect("heating"),
        "SIMCORE_NAME": "heating",
        "ASAN_OPTIONS": "detect_leaks=0",  # it ends without freeing what it holds
        "SIMCORE_ADDRESS": "stdio" if transport == "stdio" else listener.address(transport),
    }
    if transport == "stdio":
        ours, theirs = Pipes.pair()
        options = {"stdin": theirs.receiving, "stdout": theirs.sending}
    process = subprocess.Popen(command, env=environment, **options)
    channel = None
    try:
        if ours is not None:
            theirs.close()
            channel = listener.admit(ours, "heating", PATIENCE)
        else:
            channel = listener.accept("heating", PATIENCE)
        yield channel, process
    finally:
        if channel is not None:
            channel.close()
        listener.close()
        process.kill()
        process.wait(PATIENCE)


def talk(channel: Channel, frame: Any) -> bytes:
    channel.send(encode(frame), PATIENCE)
    line = channel.receive(PATIENCE)
    assert channel.surplus == b""
    jsonschema.validate(json.loads(line), wire_schema())
    return line


def reading(at: int, number: int, payload: Any, kind: str = "reading", src: str = "room") -> Input:
    text = freeze(payload)
    id = f"{src}/{number}"
    return Input(at, id, src, "heating", kind, Raw(text.encode()), len(text), at - 5)


def init_at(time: int) -> Init:
    return Init(name="heating", nodes=["heating"], seed=7, time=time, end=2**53 - 1, config=CONFIG)


CONFIG = {"note": 'a "panel": \\', "low": 19, "high": 21.5, "panel": "panel", "period_ms": 250}

# One thing to skip after the other: names in strings, quotes, backslashes, nesting, numbers.
HARD = {
    "a": '"celsius": 3, {[\\" ü € 😀 \n\t\u2028 \\',
    "b": [{"celsius": -5}, [], {}, [[["]"]]], None, True, 1e300, -0.0],
    "celsius": 18.25,
    "payload": {"kind": "x"},
    "{}": "}",
    "z\\": [b"\x00\xff"],
}

SCRIPT: list[tuple[int, list[Input]]] = [
    (100 * MS, [reading(100 * MS, 1, {"celsius": 18.9})]),
    (200 * MS, [reading(200 * MS, 2, {"celsius": 20}), reading(200 * MS, 3, HARD, src='r"ö\\')]),
    (251 * MS, []),
    (251 * MS, [reading(251 * MS, 4, "celsius", kind="other")]),
    (300 * MS, [reading(300 * MS, 5, {"celsius": 21.50001})]),
    (501 * MS, [reading(501 * MS, 6, {"celsius": 30, "text": "x" * 3_000_000})]),
    (751 * MS, []),
]


@every_way
def test_every_thermostat_says_the_same(command: Command, transport: str, tmp_path: Path) -> None:
    with started(command(tmp_path), transport, tmp_path) as (channel, process):
        init = init_at(1 * MS)
        ready = frames.decode_ready(talk(channel, init))
        assert (ready.kind, ready.next, ready.grain) == ("reactive", 251 * MS, 1)
        said = []
        for seq, (until, inputs) in enumerate(SCRIPT, 1):
            done = frames.done_decoder("reactive")(talk(channel, Advance(seq, until, inputs)))
            assert (done.seq, done.now) == (seq, until)
            said += [
                (each.at, each.dst, each.kind, refreeze(each.payload), each.cause, each.spent)
                for each in done.outputs
            ]
            said += [(each.at, each.name, each.value) for each in done.measures]
            said.append(done.next)
        assert frames.decode_bye(talk(channel, Shutdown()))
        assert process.wait(PATIENCE) == 0
    think = (0, 3 * MS)
    assert said == [
        (103 * MS, "room", "heat", '{"on":true}', "room/1", think),
        251 * MS,
        (203 * MS, "room", "heat", '{"on":true}', "room/2", think),
        (203 * MS, 'r"ö\\', "heat", '{"on":true}', 'r"ö\\/3', think),
        251 * MS,
        (251 * MS, "panel", "status", '{"on":true,"readings":3}', None, None),
        (251 * MS, "heating", True),
        501 * MS,
        501 * MS,
        (303 * MS, "room", "heat", '{"on":false}', "room/5", think),
        501 * MS,
        (504 * MS, "room", "heat", '{"on":false}', "room/6", think),
        (501 * MS, "panel", "status", '{"on":false,"readings":5}', None, None),
        (501 * MS, "heating", False),
        751 * MS,
        (751 * MS, "panel", "status", '{"on":false,"readings":5}', None, None),
        (751 * MS, "heating", False),
        1001 * MS,
    ]


@every_way
def test_fields_of_later_versions_are_ignored(
    command: Command, transport: str, tmp_path: Path
) -> None:
    with started(command(tmp_path), transport, tmp_path) as (channel, _process):
        init = json.loads(encode(init_at(0)))
        later = {"aa": {"type": "ADVANCE", "until": [3]}, "type": "", "zz": "}"}
        channel.send(_line({**later, **init}), PATIENCE)
        assert frames.decode_ready(channel.receive(PATIENCE)).next == 250 * MS
        message = {"id": "r/1", "src": "r", "dst": "heating", "kind": "reading", "at": 5,
                   "payload": {"celsius": 1}, "size": 3, "sent": 1}  # fmt: skip
        inputs = [{"aa": [1, {"celsius": 2}], **message, "zz": {"kind": 3}}]
        advance = {**later, "type": "ADVANCE", "seq": 1, "until": 5, "inputs": inputs}
        channel.send(_line(advance), PATIENCE)
        done = frames.done_decoder("reactive")(channel.receive(PATIENCE))
        assert [each.cause for each in done.outputs] == ["r/1"]


@every_way
def test_it_ends_when_simcore_is_gone(command: Command, transport: str, tmp_path: Path) -> None:
    with started(command(tmp_path), transport, tmp_path) as (channel, process):
        talk(channel, init_at(0))
        channel.close()
        assert process.wait(PATIENCE) == 1


@every_way
def test_it_ends_when_simcore_gives_up(command: Command, transport: str, tmp_path: Path) -> None:
    with started(command(tmp_path), transport, tmp_path) as (channel, process):
        channel.send(encode(frames.Error("the token is another's")), PATIENCE)
        assert process.wait(PATIENCE) == 1


@pytest.mark.parametrize("name", ["thermostat.py", "thermostat.js", "thermostat.c"])
def test_it_is_short_enough_to_be_read_at_once(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 80


MINIMAL = re.compile(r"<!-- file: minimal.py -->\n```python\n(.*?)```", re.DOTALL)


def test_the_participant_in_15_lines(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    (text,) = MINIMAL.findall(page)
    assert len([line for line in text.splitlines() if line]) == 15
    (tmp_path / "minimal.py").write_text(text, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "minimal.py")]
    with started(command, "stdio", tmp_path) as (channel, process):
        assert frames.decode_ready(talk(channel, init_at(0))) == frames.Ready("reactive")
        done = frames.done_decoder("reactive")(talk(channel, Advance(1, 5, [reading(5, 1, 3)])))
        assert [(each.at, each.dst, each.cause) for each in done.outputs] == [(5, "room", "room/1")]
        assert frames.decode_bye(talk(channel, Shutdown())) == frames.Bye()
        assert process.wait(PATIENCE) == 0


def _line(frame: dict[str, Any]) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"
