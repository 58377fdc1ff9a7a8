"""The bare ping-pong with a C child: two pipes, the same lines, and nothing else.

`python bare_pipe.py WHAT CHILD`: `bytes` sends one byte there and one back; `wake` the lines of a
device on the native port that has nothing to say; `message` those of one that answers each message
with one; `window` those of an emulator in whose window nothing happens; `socket` the same as
`window`, over a socket as simcore's own. What is written and read is typed, by msgspec, as
everywhere in simcore.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from bare_pong import Advance, Done, Input, encode
from gate import Gate

REST = {
    "wake": ',"next":1000000,"outputs":[],"measures":[]}',
    "message": ',"next":1000000,"outputs":[{"at":4,"dst":"caller","kind":"pong","payload":7}],'
    '"measures":[]}',
    "window": ',"outputs":[],"lost":[],"executed":4711}',
}
REST["socket"] = REST["window"]


class Window(msgspec.Struct, tag_field="type", tag="DONE"):
    """What an emulator answers."""

    seq: int
    now: int
    outputs: list[Any] = []
    lost: list[Any] = []
    executed: int = 0


def main(what: str, child: str) -> None:
    """Send, wait for the answer, look at it."""
    gate = Gate()
    if what == "socket":
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        ends = [theirs.fileno(), ours.fileno(), ours.fileno(), theirs.fileno()]
    else:
        ends = [*os.pipe(), *os.pipe()]
    its_in, there, back, its_out = ends
    command = [child, REST[what]] if what in REST else ["cat"]
    with subprocess.Popen(command, stdin=its_in, stdout=its_out):
        for each in {its_in, its_out}:
            os.close(each)
        if what == "bytes":
            while gate.open():
                os.write(there, b".")
                assert os.read(back, 65536)
        else:
            frames(gate, there, back, what)
        for each in {there, back}:
            os.close(each)  # so the child ends, which is waited for
        if what == "socket":
            ours.detach(), theirs.detach()


def frames(gate: Gate, there: int, back: int, what: str) -> None:
    """The same with lines."""
    emulated = what in ("window", "socket")
    decode: Any = msgspec.json.Decoder(Window if emulated else Done).decode
    seq = 0
    inputs: list[Input] = []
    while gate.open():
        seq += 1
        until = seq * 1_000_000
        if what == "message":
            inputs = [Input(until, f"caller/{seq}", "caller", "device", "ping", seq, 4, until)]
        os.write(there, encode(Advance(seq, until, inputs)) + b"\n")
        done = decode(os.read(back, 65536))
        assert done.seq == seq and done.now == until


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
