"""The participant's side of the protocol in C, with a program that uses all of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from devices import device
from firmware_builds import FIRMWARE, native
from msgspec import Raw
from support import PATIENCE, require

from simcore.protocol import frames
from simcore.protocol.frames import Advance, Init, Input, Shutdown, encode

NODE = 'no"de\\ é😀'


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("talker") / "talker"
    sources = [
        Path(__file__).parent / "talker.c",
        FIRMWARE / "native" / "simcore_wire.c",
        FIRMWARE / "lib" / "json.c",
    ]
    checks = ["-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    command = [require("gcc"), "-std=c11", "-O1", f"-I{FIRMWARE}", *checks, "-o", program, *sources]
    subprocess.run(command, check=True, timeout=PATIENCE)
    return program


def init(kind: str) -> bytes:
    config = {"kind": kind}
    return encode(Init(name="d", nodes=["a", NODE], seed=9, time=5, end=2**53 - 1, config=config))


def given(at: int, kind: str = "k", text: str = '{"x":[1,"ü\\u0000"]}') -> Input:
    return Input(at, f"{NODE}/1", NODE, NODE, kind, Raw(text.encode()), 7, at - 3)


def test_reactive(talker: Path, tmp_path: Path) -> None:
    with device(talker, tmp_path) as program:
        assert frames.decode_ready(program.ask(init("reactive"))) == frames.Ready("reactive", 5)
        answer = program.ask(encode(Advance(1, 100, [given(100), given(100, text="null")])))
        done = frames.done_decoder("reactive")(answer)
        assert isinstance(done, frames.Done)
        assert (done.seq, done.now, done.next) == (1, 100, 109)
        first, second = done.outputs
        assert (first.at, first.src, first.dst, first.kind) == (150, NODE, NODE, 'echo "\\\t')
        assert (first.size, first.cause, first.spent) == (8, f"{NODE}/1", (3, 50))
        assert (bytes(first.payload), bytes(second.payload)) == (
            b'{"x":[1,"\xc3\xbc\\u0000"]}',
            b"null",
        )
        assert [(each.at, each.node, each.name, each.value) for each in done.measures] == [
            (100, NODE, "size", 21.5)
        ] * 2
        empty = frames.done_decoder("reactive")(program.ask(encode(Advance(2, 109, []))))
        assert (empty.outputs, empty.measures, empty.next) == ([], [], 118)
        assert program.end() == 0 and program.log == ""


def test_free_running(talker: Path, tmp_path: Path) -> None:
    with device(talker, tmp_path, "tcp") as program:
        ready = frames.decode_ready(program.ask(init("free_running")))
        assert ready == frames.Ready("free_running", None, 1000)
        done = frames.done_decoder("free_running")(program.ask(encode(Advance(1, 1000, []))))
        assert [(each.at, each.src, each.dst) for each in done.outputs] == [(5, "a", "b")]
        assert (done.now, done.next) == (1000, None)
        assert program.end() == 0


def test_it_can_fail(talker: Path, tmp_path: Path) -> None:
    with device(talker, tmp_path, "stdio") as program:
        program.ask(init("reactive"))
        error = frames.decode_bye(program.ask(encode(Advance(1, 5, [given(5, kind="fail")]))))
        assert error == frames.Error('told to "fail"\n')
        assert program.process.wait(PATIENCE) == 3


@pytest.mark.parametrize("line", [encode(Shutdown()), b'{"type":"INIT","protocol":1}\n', b"{}\n"])
def test_what_is_no_init(talker: Path, tmp_path: Path, line: bytes) -> None:
    with device(talker, tmp_path) as program:
        program.channel.send(line, PATIENCE)
        assert program.process.wait(PATIENCE) == 1
        assert "what came is no INIT" in program.log


def test_another_protocol(talker: Path, tmp_path: Path) -> None:
    with device(talker, tmp_path) as program:
        line = init("reactive").replace(b'"protocol":1', b'"protocol":2')
        program.channel.send(line, PATIENCE)
        assert program.process.wait(PATIENCE) == 1
        assert "simcore speaks protocol 2" in program.log


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["unix", "tcp", "stdio"])
def test_the_contract_kit_finds_nothing(tmp_path: Path, transport: str) -> None:
    meter = native(tmp_path, "SANITIZE=1")
    given = ['command="period 30"', 'command="mode local"', 'command="report"', 'ack={"index":0}']
    inputs = [word for each in given for word in ("--input", each)]
    command = [sys.executable, "-m", "simcore", "contract", "--transport", transport,
               "--peer", "gateway", *inputs, "--", str(meter)]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0 and "0 broken" in done.stdout, done.stdout + done.stderr
