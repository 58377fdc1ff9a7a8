"""Two pipes in place of a socket: what they have to see to by themselves."""

from __future__ import annotations

import errno
import os
import socket
import threading

import pytest
from pipe_end import PipeEnd
from support import PATIENCE

from simcore.protocol import pipes
from simcore.protocol.channel import Channel, ChannelClosed
from simcore.protocol.pipes import Pipes


def test_no_program_inherits_them() -> None:
    for each in Pipes.pair():
        assert not os.get_inheritable(each.receiving)
        assert not os.get_inheritable(each.sending)
        each.close()


def test_a_pair_is_made_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    pipe = os.pipe

    def first() -> tuple[int, int]:
        if made:
            raise OSError(errno.EMFILE, "Too many open files")
        made.extend(pipe())
        return made[0], made[1]

    monkeypatch.setattr(os, "pipe", first)
    with pytest.raises(OSError, match="Too many open files"):
        Pipes.pair()
    for each in made:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(each)


def test_what_is_closed_is_not_mistaken_for_what_was_opened_since() -> None:
    ours, theirs = PipeEnd.pair()
    channel = Channel(ours, "meter")
    with theirs:
        channel.close()
        channel.close()
        ours, others = PipeEnd.pair()  # with the same numbers
        others.sendall(b"not for you\n")
        for act in (lambda: channel.send(b"x\n", PATIENCE), lambda: channel.receive(PATIENCE)):
            with pytest.raises(ChannelClosed, match="the connection to meter broke"):
                act()
        others.close()
        ours.close()


@pytest.mark.parametrize("first", [socket.SHUT_RD, socket.SHUT_WR])
def test_a_dying_process_lets_go_of_one_after_the_other(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "_LETTING_GO_MS", PATIENCE * 1000)
    ours, theirs = PipeEnd.pair()
    channel = Channel(ours, "meter")
    theirs.shutdown(first)
    later = threading.Timer(0.02, theirs.close)
    later.start()
    with pytest.raises(ChannelClosed, match="meter closed its connection") as caught:
        channel.send(b"x\n", PATIENCE) if first == socket.SHUT_RD else channel.receive(PATIENCE)
    assert caught.value.direction == "both"
    later.join()
    channel.close()


def test_as_much_is_taken_as_is_read() -> None:
    """One who reads in small pieces takes a line that is longer than what a pipe holds."""
    ours, theirs = PipeEnd.pair()
    channel = Channel(ours, "meter")
    line = bytes(range(256)) * 2**10 + b"\n"
    got = bytearray()

    def read() -> None:
        while len(got) < len(line):
            got.extend(theirs.recv(1000))

    reader = threading.Thread(target=read)
    reader.start()
    channel.send(line, PATIENCE)
    reader.join(PATIENCE)
    assert got == line
    channel.close()
    theirs.close()
