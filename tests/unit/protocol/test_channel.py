"""The channel: lines over a socket or two pipes, each wait with an end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from types import SimpleNamespace

import pytest
from pipe_end import PipeEnd
from support import PATIENCE

from simcore.protocol import channel as module
from simcore.protocol.channel import (
    Channel,
    ChannelClosed,
    ChannelError,
    DeadlinePassed,
    LineTooLong,
)
from simcore.protocol.frames import MAX_LINE
from simcore.protocol.pipes import Pipes

End = socket.socket | PipeEnd


@contextmanager
def pair(kind: str) -> Iterator[tuple[Channel, End]]:
    """A channel, and the participant's end of it."""
    ours: socket.socket | Pipes
    theirs: End
    if kind == "unix":
        ours, theirs = socket.socketpair()
    elif kind == "stdio":
        ours, theirs = PipeEnd.pair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
    channel = Channel(ours, "meter")
    try:
        with theirs:
            yield channel, theirs
    finally:
        channel.close()


every_kind = pytest.mark.parametrize("kind", ["unix", "tcp", "stdio"])
told = pytest.mark.parametrize("kind", ["unix", "stdio"])
"""Where the kernel holds little back, tells half an end from an end, and keeps last words."""


@every_kind
def test_lines_go_both_ways(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        channel.send(b"one\n", PATIENCE)
        assert theirs.recv(100) == b"one\n"
        theirs.sendall(b"two\n")
        assert channel.receive(PATIENCE) == b"two"
        assert channel.surplus == b""


@every_kind
def test_an_empty_line_is_a_line(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        theirs.sendall(b"\n")
        assert channel.receive(PATIENCE) == b""


@every_kind
def test_what_comes_unasked_is_kept_and_can_be_seen(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        theirs.sendall(b"one\ntwo\nthr")
        assert channel.receive(PATIENCE) == b"one"
        assert channel.surplus == b"two\nthr"
        assert channel.receive(PATIENCE) == b"two"
        theirs.sendall(b"ee\n")
        assert channel.receive(PATIENCE) == b"three"
        assert channel.surplus == b""


@every_kind
def test_a_line_may_come_in_parts(kind: str) -> None:
    """Each part is sent when the channel has taken the one before."""
    with pair(kind) as (channel, theirs):
        parts = [b"\xc3", b"\xa9", b"", b"x\n"]

        def idle() -> None:
            theirs.sendall(parts.pop(0))

        assert channel.receive(PATIENCE, idle=idle) == "éx".encode()
        assert parts == []


def test_a_buffer_from_before_is_read_first() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, "meter", b"one\ntw")
    with theirs:
        assert channel.receive(PATIENCE) == b"one"
        theirs.sendall(b"o\n")
        assert channel.receive(PATIENCE) == b"two"
    channel.close()


@every_kind
@pytest.mark.parametrize("size", [2**14 - 2, 2**14 - 1, 2**14, 2**18, MAX_LINE])
def test_long_lines_go_both_ways(kind: str, size: int) -> None:
    with pair(kind) as (channel, theirs):
        line = b"x" * size + b"\n"
        echo = threading.Thread(target=_echo, args=(theirs, len(line)))
        echo.start()
        channel.send(line, PATIENCE)
        assert channel.receive(PATIENCE) == line[:-1]
        echo.join(PATIENCE)


def _echo(sock: End, size: int) -> None:
    data = bytearray()
    while len(data) < size:
        data += sock.recv(2**20)
    sock.sendall(data)


@every_kind
@pytest.mark.parametrize("limit", [10, 4096, MAX_LINE])
def test_a_line_above_the_limit_is_refused_and_one_at_it_is_not(kind: str, limit: int) -> None:
    for size in (limit, limit + 1):
        with pair(kind) as (channel, theirs):
            sender = threading.Thread(target=_send_what_goes, args=(theirs, b"x" * size + b"\n"))
            sender.start()
            if size == limit:
                assert len(channel.receive(PATIENCE, limit)) == limit
            else:
                with pytest.raises(LineTooLong, match=r"meter sent more than .* newline: b'xxx"):
                    channel.receive(PATIENCE, limit)
            channel.close()
            sender.join(PATIENCE)


@told
def test_a_flood_without_newline_stops_at_the_limit(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        sent: list[int] = []
        flood = threading.Thread(target=_flood, args=(theirs, sent))
        flood.start()
        with pytest.raises(LineTooLong, match="meter sent more than 16 MiB without a newline"):
            channel.receive(PATIENCE)
        assert len(channel.surplus) <= MAX_LINE + 2
        channel.close()
        flood.join(PATIENCE)
        assert sum(sent) < MAX_LINE + 2**21, "nobody reads on"


def _send_what_goes(sock: End, data: bytes) -> None:
    with suppress(OSError):  # the other side has had enough
        sock.sendall(data)


def _flood(sock: End, sent: list[int]) -> None:
    block = b"x" * 2**16
    with suppress(OSError):
        while True:
            sent.append(sock.send(block))


# -- deadlines: the clock is real, so they are short, and nothing depends on how long they take


@every_kind
def test_silence_has_an_end(kind: str) -> None:
    silence = "meter sent nothing within 0.05 s"
    with pair(kind) as (channel, _theirs), pytest.raises(DeadlinePassed, match=silence):
        channel.receive(0.05)


@every_kind
def test_a_trickle_has_an_end(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        stop = threading.Event()
        trickle = threading.Thread(target=_trickle, args=(theirs, stop))
        trickle.start()
        with pytest.raises(DeadlinePassed, match=r"meter sent \d+ bytes without a newline within"):
            channel.receive(0.3)
        stop.set()
        trickle.join(PATIENCE)
        assert set(channel.surplus) == set(b"x")


def _trickle(sock: End, stop: threading.Event) -> None:
    while not stop.wait(0.01):
        sock.sendall(b"x")


@every_kind
def test_who_does_not_read_has_an_end(kind: str) -> None:
    why = r"meter did not read within 0.2 s: \d+ of 50000000"
    with pair(kind) as (channel, _theirs), pytest.raises(DeadlinePassed, match=why):
        channel.send(bytes(50_000_000), 0.2)


@every_kind
def test_time_in_which_simcore_itself_was_stopped_does_not_count(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = count(step=3600)
    clock = SimpleNamespace(monotonic=lambda: float(next(hours)))
    with pair(kind) as (channel, theirs):
        monkeypatch.setattr(module, "time", clock)
        channel.receive(9, idle=lambda: theirs.sendall(b"late\n"))
        theirs.sendall(b"la")
        channel.receive(9, idle=lambda: theirs.sendall(b"te\n"))
        channel.send(bytes(300_000), 99, idle=lambda: theirs.recv(2**20))
        with pytest.raises(DeadlinePassed):
            channel.receive(9)


@every_kind
def test_the_caller_is_asked_while_nothing_moves_and_may_end_the_wait(kind: str) -> None:
    class Enough(Exception):
        pass

    with pair(kind) as (channel, theirs):
        calls: list[int] = []

        def idle() -> None:
            calls.append(1)
            if len(calls) == 3:
                raise Enough

        with pytest.raises(Enough):
            channel.receive(PATIENCE, idle=idle)
        theirs.sendall(b"par")
        calls.clear()
        with pytest.raises(Enough):
            channel.receive(PATIENCE, idle=idle)
        theirs.sendall(b"t\n")
        assert channel.receive(PATIENCE) == b"part", "nothing is lost"
        calls.clear()
        with pytest.raises(Enough):
            channel.send(bytes(50_000_000), PATIENCE, idle=idle)


# -- ends


@told
def test_an_end_is_told_from_half_an_end(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ChannelClosed) as caught:
            channel.receive(PATIENCE)
        assert caught.value.direction == "sending"
        assert str(caught.value) == "meter closed the direction in which it sends"
    with pair(kind) as (channel, theirs):
        theirs.shutdown(socket.SHUT_RD)
        with pytest.raises(ChannelClosed) as caught:
            channel.send(b"x\n", PATIENCE)
        assert caught.value.direction == "receiving"
        assert str(caught.value) == "meter closed the direction in which it reads"
    with pair(kind) as (channel, theirs):
        theirs.close()
        for act in (lambda: channel.send(b"x\n", PATIENCE), lambda: channel.receive(PATIENCE)):
            with pytest.raises(ChannelClosed, match="meter closed its connection") as caught:
                act()
            assert caught.value.direction == "both"


@told
def test_what_was_said_before_the_end_is_heard(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        channel.send(b"never read\n", PATIENCE)
        theirs.sendall(b"last words\nand")
        theirs.close()
        with pytest.raises(ChannelClosed):
            channel.send(b"x\n", PATIENCE)
        assert channel.receive(PATIENCE) == b"last words"
        with pytest.raises(ChannelClosed, match="in the middle of a line, after 3 bytes"):
            channel.receive(PATIENCE)


@every_kind
def test_an_end_is_noticed(kind: str) -> None:
    with pair(kind) as (channel, theirs):
        theirs.close()
        with pytest.raises(ChannelError):
            channel.receive(PATIENCE)
