"""A machine in QEMU that the test drives window by window: the test is simcore."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import PATIENCE, ROOT, require, unavailable

from simcore.protocol.channel import Channel, ChannelClosed
from simcore.protocol.frames import Init, Shutdown, encode
from simcore.protocol.listener import Listener
from simcore.protocol.pipes import Pipes

SOURCES = ROOT / "backends" / "qemu"
PREBUILT = SOURCES / "prebuilt" / "plugin-x86_64-linux.so"
SELFTEST = SOURCES / "selftest" / "selftest.elf"
MS = 1_000_000

Chunk = tuple[int, int, int, bytes]
"""UART, when the first byte is due, time from byte to byte, bytes."""


def program() -> str:
    """The QEMU to test: SIMCORE_QEMU, or Debian's."""
    return require(os.environ.get("SIMCORE_QEMU") or "qemu-system-arm")


def version() -> tuple[int, ...]:
    said = subprocess.check_output([program(), "--version"], text=True)
    return tuple(int(part) for part in said.split()[3].split("."))


def plugin(folder: Path, *without: str) -> Path:
    """The plug-in, or a variant of it without some of its remedies."""
    if without or shutil.which("gcc"):
        flags = "CFLAGS=" + " ".join(f"-DWITHOUT_{each}" for each in without)
        command = ["make", "-C", str(SOURCES), "plugin", f"BUILD={folder}", f"CC={require('gcc')}"]
        subprocess.run([*command, flags], check=True, capture_output=True, timeout=PATIENCE)
        return folder / "plugin.so"
    if os.uname().machine != "x86_64":
        unavailable("gcc is not installed")
    return PREBUILT


class Refused(Exception):
    """The machine has ended itself, with an ERROR and code 3."""


@dataclass
class Machine:
    """A machine under way.

    Attributes:
        outputs: all that was written: UART, time, byte.
        lost: all bytes that were not received: UART, time, why.
        executed: instructions since power-on.
        fault: CFSR and HFSR, if any is set.
    """

    channel: Channel
    process: subprocess.Popen[bytes]
    shift: int
    log: Path
    now: int = 0
    seq: int = 0
    outputs: list[tuple[int, int, int]] = field(default_factory=list)
    lost: list[tuple[int, int, str]] = field(default_factory=list)
    executed: int = 0
    fault: list[int] | None = None

    def ask(self, line: bytes) -> dict[str, Any]:
        """Say a line; what it answers."""
        self.channel.send(line, PATIENCE)
        answer: dict[str, Any] = json.loads(self.channel.receive(PATIENCE))
        if answer["type"] == "ERROR":
            assert self.process.wait(PATIENCE) == 3
            assert answer["message"] in self.log.read_text(encoding="utf-8")
            raise Refused(answer["message"])
        return answer

    def init(self) -> dict[str, Any]:
        return self.ask(encode(Init(name="m", nodes=["m"], seed=1, time=0, end=10**12, config={})))

    def advance(self, until: int, chunks: Iterable[Chunk] = ()) -> dict[str, Any]:
        """Let it run for a window, in which or after which bytes come."""
        self.seq += 1
        frame = {
            "type": "ADVANCE", "seq": self.seq, "until": until,
            "inputs": [[uart, due, step, data.hex()] for uart, due, step, data in chunks],
        }  # fmt: skip
        done = self.ask(json.dumps(frame, separators=(",", ":")).encode() + b"\n")
        assert done["type"] == "DONE" and done["seq"] == self.seq
        expected = max(until, self.now)
        assert expected <= done["now"] < expected + (1 << self.shift)
        said = [
            (uart, at, byte) for uart, at, text in done["outputs"] for byte in bytes.fromhex(text)
        ]
        assert [at for _, at, _ in said] == sorted(at for _, at, _ in said)
        assert all(self.now <= at <= done["now"] for _, at, _ in said)
        self.now = done["now"]
        self.outputs += said
        self.lost += [(uart, at, why) for uart, at, why in done["lost"]]
        self.executed, self.fault = done["executed"], done.get("fault")
        return done

    def run(self, windows: Iterable[int], chunks: Sequence[Chunk] = ()) -> Machine:
        """Windows that end at these times; each chunk is sent when it cannot be later."""
        rest = sorted(chunks, key=lambda chunk: chunk[1])
        for until in windows:
            due = [chunk for chunk in rest if chunk[1] < until]
            rest = rest[len(due) :]
            self.advance(until, due)
        return self

    def said(self, uart: int = 0) -> bytes:
        return bytes(byte for number, _, byte in self.outputs if number == uart)

    @property
    def history(self) -> tuple[Any, ...]:
        """All that happened, except how it was cut into windows."""
        return (self.outputs, self.lost, self.executed, self.fault)

    def shut_down(self) -> None:
        assert self.ask(encode(Shutdown())) == {"type": "BYE"}
        assert self.process.wait(PATIENCE) == 0


@contextmanager
def start(
    module: Path,
    folder: Path,
    *,
    elf: Path = SELFTEST,
    board: str = "netduinoplus2",
    shift: int = 3,
    icount: str | None = "shift={shift},sleep=off",
    options: str = "uart=simcore0,uart=simcore1,"
    "receiver0=0x4000440c:0x2004,receiver1=0x4000480c:0x2004",
    more: Sequence[str] = (),
    name: str = "m",
    environment: dict[str, str] | None = None,
    stdio: Pipes | None = None,
) -> Iterator[tuple[subprocess.Popen[bytes], Listener, Path]]:
    """QEMU as simcore starts it, before it has said HELLO."""
    listener = Listener(folder)
    around = {
        **os.environ, "SIMCORE_ADDRESS": "stdio" if stdio else listener.address("unix"),
        "SIMCORE_TOKEN": listener.expect(name), "SIMCORE_NAME": name,
    }  # fmt: skip
    around.update(environment or {})
    around = {variable: value for variable, value in around.items() if value}
    log = folder / "log"
    count = ["-icount", icount.format(shift=shift)] if icount else []
    command = [
        program(), "-M", board, "-kernel", str(elf), "-nodefaults", "-display", "none",
        "-monitor", "none", *count, "-rtc", "base=2024-01-01T00:00:00,clock=vm",
        "-plugin", f"file={module},{options}",
        "-chardev", "null,id=simcore0", "-chardev", "null,id=simcore1",
        "-serial", "null", "-serial", "chardev:simcore0", "-serial", "chardev:simcore1", *more,
    ]  # fmt: skip
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, env=around, stderr=sink,
            stdin=stdio.receiving if stdio else subprocess.DEVNULL,
            stdout=stdio.sending if stdio else None,
        )  # fmt: skip
    try:
        yield process, listener, log
    finally:
        process.kill()
        process.wait(PATIENCE)
        listener.close()


@contextmanager
def machine(
    module: Path, folder: Path, shift: int = 3, transport: str = "stdio", **options: Any
) -> Iterator[Machine]:
    """A machine that is ready for its first window."""
    ours, theirs = Pipes.pair()
    stdio = theirs if transport == "stdio" else None
    with (
        closing(ours),
        start(module, folder, shift=shift, stdio=stdio, **options) as (process, listener, log),
    ):
        theirs.close()
        channel = listener.admit(ours, "m", PATIENCE) if stdio else listener.accept("m", PATIENCE)
        try:
            it = Machine(channel, process, shift, log)
            ready = it.init()
            assert ready == {"type": "READY", "kind": "free_running", "next": None, "grain": 1}
            yield it
        finally:
            channel.close()


def end_of(it: Machine) -> int:
    """How it ended by itself, without a word."""
    try:
        it.channel.receive(PATIENCE)
    except ChannelClosed:
        return it.process.wait(PATIENCE)
    raise AssertionError("it said something")
