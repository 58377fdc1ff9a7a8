"""The same participant without the library: msgspec and a loop, no more than the bare ping-pong."""

import os
import socket

import msgspec
from bare_pong import Advance, Done, Output

from simcore.protocol import frames

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Advance).decode

sock = socket.socket(socket.AF_UNIX)
sock.connect(os.environ["SIMCORE_ADDRESS"].removeprefix("unix:"))
token, name = os.environ["SIMCORE_TOKEN"], os.environ["SIMCORE_NAME"]
sock.sendall(encode(frames.Hello(1, token, name)) + b"\n")
sock.recv(65536)
sock.sendall(encode(frames.Ready("reactive")) + b"\n")
while b"SHUTDOWN" not in (line := sock.recv(65536)):
    advance = decode(line)
    outputs = [Output(advance.until, each.src, "pong", each.payload) for each in advance.inputs]
    sock.sendall(encode(Done(advance.seq, advance.until, outputs)) + b"\n")
sock.sendall(b'{"type":"BYE"}\n')
