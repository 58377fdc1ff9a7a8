"""The bare ping-pong: the same bytes over the same kind of socket, and nothing else.

Two Python processes; a blocking socket; msgspec with typed frames, payloads decoded. Each cycle is
one line that looks like an ADVANCE with one input, and one like a DONE with one output.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import msgspec


class Input(msgspec.Struct):
    """A message that comes."""

    at: int
    id: str
    src: str
    dst: str
    kind: str
    payload: Any
    size: int
    sent: int


class Advance(msgspec.Struct, tag_field="type", tag="ADVANCE"):
    """The line there."""

    seq: int
    until: int
    inputs: list[Input]


class Output(msgspec.Struct):
    """A message that goes."""

    at: int
    dst: str
    kind: str
    payload: Any


class Done(msgspec.Struct, tag_field="type", tag="DONE"):
    """The line back."""

    seq: int
    now: int
    outputs: list[Output]
    next: int | None = None
    measures: list[Any] = []


encode = msgspec.json.Encoder().encode


def ping() -> None:
    """Send, wait for the answer, look at it."""
    from gate import Gate

    decode = msgspec.json.Decoder(Done).decode
    gate = Gate()
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    if os.fork() == 0:
        ours.close()
        pong(theirs)
        os._exit(0)
    theirs.close()
    seq = 0
    value = 0.0
    while gate.open():
        seq += 1
        until = seq * 2_000_000
        text = {"n": seq, "value": value}
        size = len(encode(text))
        sent = Input(
            until, f"caller/{seq}", "caller", "echo", "ping", text, size, until - 1_000_000
        )
        ours.sendall(encode(Advance(seq, until, [sent])) + b"\n")
        done = decode(ours.recv(65536))
        assert done.seq == seq
        value = done.outputs[0].payload["value"] + 0.5


def pong(sock: socket.socket) -> None:
    """Answer whatever comes."""
    decode = msgspec.json.Decoder(Advance).decode
    while line := sock.recv(65536):
        advance = decode(line)
        outputs = [Output(advance.until, each.src, "pong", each.payload) for each in advance.inputs]
        sock.sendall(encode(Done(advance.seq, advance.until, outputs)) + b"\n")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    ping()
