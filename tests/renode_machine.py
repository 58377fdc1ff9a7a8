"""A machine in Renode, or in what stands in for it, that the test drives: the test is simcore.

SIMCORE_RENODE names a Renode to be tested instead of the stand-in; what only the stand-in can do is
skipped then.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, ROOT

from simcore.protocol.channel import Channel, ChannelClosed
from simcore.protocol.frames import Init, Shutdown, encode
from simcore.protocol.listener import Listener

AGENT = ROOT / "backends" / "renode" / "agent.py"
PLATFORM = ROOT / "backends" / "renode" / "stm32f405.repl"
METER = ROOT / "firmware" / "prebuilt" / "meter-stm32f4.elf"
FAKE = Path(__file__).parent / "renode_fake" / "fake_renode.py"
REAL = os.environ.get("SIMCORE_RENODE")

US, MS = 1000, 1_000_000
FLAGS = ("--plain", "--disable-xwt", "--port", "-2")
"""Of what simcore starts: without --port -2, Renode opens a port to all the world."""

Chunk = tuple[int, int, int, bytes]
"""UART, when the first byte is due, time from byte to byte, bytes."""
Level = tuple[int, int, int]
"""Pin, when, level."""


def fake_only() -> None:
    """Skip what only the stand-in can do."""
    if REAL:
        pytest.skip("only what stands in for Renode can do that")


def install(folder: Path, **environment: str) -> Path:
    """A program `renode` in a folder, which is the stand-in; with what it finds in its environment."""
    program = folder / "renode"
    words = " ".join(f"{name}='{value}'" for name, value in environment.items())
    program.write_text(f"#!/bin/sh\nexec env {words} '{sys.executable}' '{FAKE}' \"$@\"\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def firmware(folder: Path, text: str = "parrot") -> Path:
    """An ELF file in which the stand-in finds a model: `parrot`, or `fake: lamp`."""
    header = bytes.fromhex("7f454c46010101" + "00" * 9) + (2).to_bytes(2, "little")
    header += (40).to_bytes(2, "little")
    words = [1, 0x0800_0009, 52, 0, 0]
    header += b"".join(word.to_bytes(4, "little") for word in words)
    for half in (52, 32, 1, 0, 0, 0):
        header += half.to_bytes(2, "little")
    code = (0x2002_0000).to_bytes(4, "little") + (0x0800_0009).to_bytes(4, "little")
    code += b"\xfe\xe7" + text.encode() + b"\0"
    segment = [1, 84, 0x0800_0000, 0x0800_0000, len(code), len(code), 5, 4]
    path = folder / "firmware.elf"
    path.write_bytes(header + b"".join(word.to_bytes(4, "little") for word in segment) + code)
    return path


def config(**changes: Any) -> dict[str, Any]:
    """What INIT holds; the shipped platform, the meter, both UARTs of the port."""
    return {
        "platform": PLATFORM.read_text(encoding="utf-8"), "script": None, "elf": str(METER),
        "mips": 125, "seed": 1, "uarts": ["sysbus.usart2", "sysbus.usart3"], "pins": [],
        **changes,
    }  # fmt: skip


class Refused(Exception):
    """The machine has ended itself, with an ERROR and code 3."""


@dataclass
class Machine:
    """A machine under way.

    Attributes:
        outputs: all that was written: UART, time, byte.
        lost: all bytes that were not received: UART, time, why.
        changes: all that became of pins: pin, time, level.
        states: what the processor did in each window.
    """

    channel: Channel
    process: subprocess.Popen[bytes]
    log_file: Path
    now: int = 0
    seq: int = 0
    outputs: list[tuple[int, int, int]] = field(default_factory=list)
    lost: list[tuple[int, int, str]] = field(default_factory=list)
    changes: list[Level] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    executed: int = 0

    def ask(self, line: bytes) -> dict[str, Any]:
        """Say a line; what it answers."""
        self.channel.send(line, PATIENCE)
        answer: dict[str, Any] = json.loads(self.channel.receive(PATIENCE))
        if answer["type"] == "ERROR":
            assert self.process.wait(PATIENCE) == 3
            assert answer["message"] in self.log
            raise Refused(answer["message"])
        return answer

    def init(self, **changes: Any) -> dict[str, Any]:
        frame = Init(name="m", nodes=["m"], seed=1, time=0, end=10**12, config=config(**changes))
        return self.ask(encode(frame))

    def advance(
        self, until: int, chunks: Iterable[Chunk] = (), levels: Sequence[Level] = ()
    ) -> dict[str, Any]:
        """Let it run for a window, in which or after which bytes and levels come."""
        self.seq += 1
        frame: dict[str, Any] = {
            "type": "ADVANCE", "seq": self.seq, "until": until,
            "inputs": [[uart, due, step, data.hex()] for uart, due, step, data in chunks],
        }  # fmt: skip
        if levels:
            frame["pins"] = levels
        done = self.ask(json.dumps(frame, separators=(",", ":")).encode() + b"\n")
        assert done["type"] == "DONE" and done["seq"] == self.seq
        assert done["now"] == max(until, self.now)
        self._note(done)
        return done

    def _note(self, done: dict[str, Any]) -> None:
        said = [
            (uart, at, byte) for uart, at, text in done["outputs"] for byte in bytes.fromhex(text)
        ]
        changes = [(pin, at, level) for pin, at, level in done.get("pins", [])]
        for times in ([at for _, at, _ in said], [at for _, at, _ in changes]):
            assert times == sorted(times)
            assert all(self.now <= at <= done["now"] for at in times)
        self.now = done["now"]
        self.outputs += said
        self.changes += changes
        self.lost += [(uart, at, why) for uart, at, why in done["lost"]]
        self.states.append(done["state"])
        self.executed = done["executed"]

    def run(
        self, windows: Iterable[int], chunks: Sequence[Chunk] = (), levels: Sequence[Level] = ()
    ) -> Machine:
        """Windows that end at these times; each input is sent when it cannot be later."""
        for until in windows:
            due = [chunk for chunk in chunks if self.now <= chunk[1] < until]
            self.advance(until, due, [each for each in levels if self.now <= each[1] < until])
        return self

    def said(self, uart: int = 0) -> bytes:
        return bytes(byte for number, _, byte in self.outputs if number == uart)

    @property
    def history(self) -> tuple[Any, ...]:
        """All that happened, except how it was cut into windows."""
        return (self.outputs, self.lost, self.changes, self.executed)

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def shut_down(self) -> None:
        assert self.ask(encode(Shutdown())) == {"type": "BYE"}
        assert self.process.wait(PATIENCE) == 0


@contextmanager
def start(
    folder: Path, *, agent: Path = AGENT, flags: Sequence[str] = FLAGS, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], Listener, Path]]:
    """Renode as simcore starts it, before it has said HELLO."""
    listener = Listener(folder)
    private = {name: folder / name for name in ("tmp", "home")}
    for each in private.values():
        each.mkdir(exist_ok=True)
    around = {
        **os.environ, "SIMCORE_ADDRESS": listener.address("tcp"),
        "SIMCORE_TOKEN": listener.expect("m"), "SIMCORE_NAME": "m", "TMPDIR": str(private["tmp"]),
        "HOME": str(private["home"]), "XDG_CONFIG_HOME": str(private["home"]), **environment,
    }  # fmt: skip
    log = folder / "log"
    path = str(agent).replace(" ", "\\ ")
    program = [REAL] if REAL else [sys.executable, str(FAKE)]
    command = [*program, *flags, "-e", f"include @{path}"]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, env=around, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    try:
        yield process, listener, log
    finally:
        process.kill()
        process.wait(PATIENCE)
        listener.close()


class Over(Exception):
    """It has ended before it was let in."""


def let_in(process: subprocess.Popen[bytes], listener: Listener) -> Channel:
    """Wait for its HELLO, as long as it lives."""
    ended = 0

    def idle() -> None:
        nonlocal ended
        ended += process.poll() is not None
        if ended > 2:  # what it said last may be under way
            raise Over

    return listener.accept("m", PATIENCE, idle)


@contextmanager
def connected(folder: Path, **options: Any) -> Iterator[Machine]:
    """A machine that has said HELLO."""
    with start(folder, **options) as (process, listener, log):
        channel = let_in(process, listener)
        try:
            yield Machine(channel, process, log)
        finally:
            channel.close()


@contextmanager
def machine(
    folder: Path, options: dict[str, Any] | None = None, **changes: Any
) -> Iterator[Machine]:
    """A machine that is ready for its first window; `changes` are of its config."""
    with connected(folder, **(options or {})) as it:
        ready = it.init(**changes)
        assert ready == {"type": "READY", "kind": "free_running", "next": None, "grain": 1000}
        yield it


def end_of(it: Machine) -> int:
    """How it ended by itself, without a word."""
    try:
        said = it.channel.receive(PATIENCE)
    except ChannelClosed:
        return it.process.wait(PATIENCE)
    raise AssertionError(f"it said {said!r}")
