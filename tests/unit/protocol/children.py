"""Participants as real processes, spoken to frame by frame."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import PATIENCE

from simcore.protocol import frames
from simcore.protocol.channel import Channel
from simcore.protocol.frames import Advance, Init, Input, encode
from simcore.protocol.listener import Listener
from simcore.protocol.pipes import Pipes


@dataclass
class Child:
    """A participant that has said HELLO."""

    channel: Channel
    process: subprocess.Popen[bytes]

    def ask(self, frame: Any, kind: frames.Kind = "reactive") -> Any:
        """Send a frame; what the participant answers."""
        self.channel.send(encode(frame), PATIENCE)
        line = self.channel.receive(PATIENCE)
        tag = json.loads(line)["type"]
        if tag == "READY":
            return frames.decode_ready(line)
        return frames.decode_bye(line) if tag == "BYE" else frames.done_decoder(kind)(line)

    def init(self, config: Any = None, nodes: Sequence[str] = ("n",), **fields: Any) -> Any:
        """Send INIT; its READY or ERROR."""
        values = {"name": "n", "nodes": list(nodes), "seed": 7, "time": 0, "end": 10**9}
        return self.ask(Init(**{**values, "config": config or {}, **fields}))

    def advance(self, seq: int, until: int, inputs: Sequence[Input] = (), **more: Any) -> Any:
        """Send ADVANCE; its DONE or ERROR."""
        return self.ask(Advance(seq, until, list(inputs)), **more)

    def ended(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, (out or b"").decode(), err.decode()


@contextmanager
def child(
    command: Sequence[str], folder: Path, transport: str = "unix", **environment: str
) -> Iterator[Child]:
    """Start a participant; its command is one for Python."""
    listener = Listener(folder)
    stdio = transport == "stdio"
    ours, theirs = Pipes.pair()
    process = subprocess.Popen(
        [sys.executable, *command],
        env={
            **os.environ,
            "SIMCORE_TOKEN": listener.expect("n"),
            "SIMCORE_NAME": "n",
            "SIMCORE_ADDRESS": "stdio" if stdio else listener.address(transport),
            **environment,
        },
        stdin=theirs.receiving if stdio else subprocess.DEVNULL,
        stdout=theirs.sending if stdio else subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
    theirs.close()
    channel = None
    try:
        admitted = listener.admit(ours, "n", PATIENCE) if stdio else None
        channel = admitted or listener.accept("n", PATIENCE)
        yield Child(channel, process)
    finally:
        ours.close()
        if channel is not None:
            channel.close()
        listener.close()
        process.kill()
        process.communicate(timeout=PATIENCE)
