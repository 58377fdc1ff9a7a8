"""A device, or another participant in C, that the test drives frame by frame."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Raw
from support import PATIENCE

from simcore.payload import freeze, refreeze
from simcore.protocol import frames
from simcore.protocol.channel import Channel
from simcore.protocol.frames import Advance, Init, Input, Shutdown, encode
from simcore.protocol.listener import Listener


class Device:
    """One device that takes part; the test is simcore."""

    def __init__(self, channel: Channel, process: subprocess.Popen[bytes], log: Path) -> None:
        self.channel, self.process, self.log_file = channel, process, log
        self.seq = self.number = 0

    def ask(self, line: bytes) -> bytes:
        self.channel.send(line, PATIENCE)
        answer = self.channel.receive(PATIENCE)
        assert self.channel.surplus == b""
        return answer

    def init(self, config: Any = None, *, time: int = 0, nodes: tuple[str, ...] = ("d",)) -> Any:
        end = time + 10**12
        frame = Init(name="d", nodes=list(nodes), seed=1, time=time, end=end, config=config or {})
        return frames.decode_ready(self.ask(encode(frame)))

    def advance(self, until: int, *payloads: Any, kind: str = "command", src: str = "hub") -> Any:
        self.seq += 1
        inputs = []
        for payload in payloads:
            self.number += 1
            text = freeze(payload)
            inputs.append(Input(until, f"{src}/{self.number}", src, "d", kind,
                                Raw(text.encode()), len(text), 0))  # fmt: skip
        answer = self.ask(encode(Advance(self.seq, until, inputs)))
        done = frames.done_decoder("reactive")(answer)
        assert (done.seq, done.now, done.measures) == (self.seq, until, [])
        return done

    def said(self, until: int, *payloads: Any, **options: Any) -> list[tuple[Any, ...]]:
        done = self.advance(until, *payloads, **options)
        return [(each.dst, each.kind, refreeze(each.payload), each.size, each.cause)
                for each in done.outputs]  # fmt: skip

    def end(self) -> int:
        assert frames.decode_bye(self.ask(encode(Shutdown())))
        return self.process.wait(PATIENCE)

    def error(self, line: bytes) -> str:
        """What it tells when it cannot go on; it ends with a code of its own."""
        error = frames.decode_bye(self.ask(line))  # reads an ERROR as well
        assert isinstance(error, frames.Error)
        assert self.process.wait(PATIENCE) == 1
        return error.message

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")


@contextmanager
def device(program: Path, folder: Path, transport: str = "unix") -> Iterator[Device]:
    listener = Listener(folder)
    environment = {
        **os.environ,
        "SIMCORE_TOKEN": listener.expect("d"),
        "SIMCORE_NAME": "d",
        "SIMCORE_ADDRESS": "stdio" if transport == "stdio" else listener.address(transport),
    }
    log = folder / "log"
    ours, theirs = socket.socketpair()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [program], env=environment, stdin=theirs, stdout=theirs, stderr=sink
        )
    theirs.close()
    channel = None
    try:
        if transport == "stdio":
            channel = listener.admit(ours, "d", PATIENCE)
        else:
            channel = listener.accept("d", PATIENCE)
        yield Device(channel, process, log)
    finally:
        for each in (channel, listener, ours):
            if each is not None:
                each.close()
        process.kill()
        process.wait(PATIENCE)
