"""A device, or another participant in C, that the test drives frame by frame."""

from __future__ import annotations

import os
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
from simcore.protocol.pipes import Pipes


class Device:
    """One device that takes part; the test is simcore."""

    def __init__(self, channel: Channel, process: subprocess.Popen[bytes], log: Path) -> None:
        self.channel, self.process, self.log_file = channel, process, log
        self.seq = self.number = 0
        self.next: int | None = None

    def ask(self, line: bytes) -> bytes:
        self.channel.send(line, PATIENCE)
        answer = self.channel.receive(PATIENCE)
        assert self.channel.surplus == b""
        return answer

    def init(self, config: Any = None, *, time: int = 0, end: int = 10**12) -> Any:
        frame = Init(name="d", nodes=["d"], seed=1, time=time, end=time + end, config=config or {})
        return frames.decode_ready(self.ask(encode(frame)))

    def boot(self, config: Any = None, **options: Any) -> Any:
        """Let it start; what it says then."""
        return self.advance(self.init(config, **options).next)

    def advance(self, until: int, *payloads: Any, kind: str = "command", src: str = "hub") -> Any:
        """Grant it an instant, at which these come."""
        inputs = []
        for payload in payloads:
            self.number += 1
            text = freeze(payload)
            inputs.append(Input(until, f"{src}/{self.number}", src, "d", kind,
                                Raw(text.encode()), len(text), 0))  # fmt: skip
        return self.grant(until, inputs)

    def grant(self, until: int, inputs: list[Input]) -> Any:
        """The same, with any inputs."""
        self.seq += 1
        answer = self.ask(encode(Advance(self.seq, until, inputs)))
        done = frames.done_decoder("reactive")(answer)
        assert (done.seq, done.now, done.measures) == (self.seq, until, [])
        assert [each.at for each in done.outputs] == sorted(each.at for each in done.outputs)
        self.next = done.next
        return done

    def settle(self, until: int) -> list[Any]:
        """Grant it what it asks for, up to a time; what it says."""
        outputs: list[Any] = []
        while self.next is not None and self.next <= until:
            outputs += self.advance(self.next).outputs
        return outputs

    def said(
        self, at: int, *payloads: Any, within: int = 100_000_000, **options: Any
    ) -> list[tuple[Any, ...]]:
        """What it says before these come, and within a time behind that."""
        outputs = self.settle(at - 1) + self.advance(at, *payloads, **options).outputs
        outputs += self.settle(at + within)
        return [(each.dst, each.kind, refreeze(each.payload), each.size, each.cause)
                for each in outputs]  # fmt: skip

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
    ours, theirs = Pipes.pair()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [program], env=environment, stdin=theirs.receiving, stdout=theirs.sending, stderr=sink
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
