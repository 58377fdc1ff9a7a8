"""What carries the streams of a container, with the test in the engine's place.

test, as simcore --- pipes --- Streams --- socket --- test, as the engine
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcore_backends.docker.streams import Pieces, Streams
from support import PATIENCE

from simcore.protocol.pipes import Pipes


def piece(source: int, text: bytes) -> bytes:
    return bytes([source, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@given(
    sent=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=8),
    cuts=st.lists(st.integers(min_value=1, max_value=30), max_size=40),
)
def test_pieces_are_put_together_however_they_were_cut(
    sent: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(piece(source, text) for source, text in sent)
    pieces, got = Pieces(), {True: b"", False: b""}
    for cut in [*cuts, len(stream)]:
        for is_stdout, text in pieces.feed(stream[:cut]):
            got[is_stdout] += text
        stream = stream[cut:]
    for is_stdout, source in ((True, 1), (False, 2)):
        assert got[is_stdout] == b"".join(text for each, text in sent if each == source)


class World:
    """A container's streams under way."""

    def __init__(self, log: Path, stdio: bool) -> None:
        self._log = log
        self.engine, its = socket.socketpair()
        self.engine.settimeout(PATIENCE)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.simcore = containers = None
        if stdio:
            self.simcore, containers = Pipes.pair()
            self.simcore.settimeout(PATIENCE)
        ends = None if containers is None else (containers.receiving, containers.sending)
        self.streams = Streams(its, file, ends)
        self.turns = 0
        turn = self.streams._turn

        def counted() -> bool:
            self.turns += 1
            return turn()

        self.streams._turn = counted  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self.streams.carry, daemon=True)
        self._thread.start()

    def prints(self, source: int, text: bytes) -> None:
        self.engine.sendall(piece(source, text))

    def end(self) -> str:
        """The container ends; what its log says."""
        self.engine.shutdown(socket.SHUT_WR)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.streams.close()
        return self._log.read_text()

    def close(self) -> None:
        self.engine.close()
        self._thread.join(PATIENCE)
        if self.simcore is not None:
            self.simcore.close()

    def hears(self, wanted: int) -> bytes:
        assert self.simcore is not None
        found = b""
        while len(found) < wanted:
            part = self.simcore.recv(1 << 16)
            assert part, found
            found += part
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "log", stdio=True)
    yield made
    made.close()


def test_all_goes_to_the_log_of_one_that_is_connected_otherwise(tmp_path: Path) -> None:
    world = World(tmp_path / "log", stdio=False)
    world.prints(1, b"one\n")
    world.prints(2, b"two\n")
    assert world.end() == "one\ntwo\n"
    world.close()


def test_standard_output_is_handed_on_and_the_rest_logged(world: World) -> None:
    world.prints(2, b"warning\n")
    world.prints(1, b'{"frame": "HELLO"}\n')
    assert world.hears(19) == b'{"frame": "HELLO"}\n'
    assert world.end() == "warning\n"


def test_what_simcore_says_reaches_the_container(world: World) -> None:
    assert world.simcore is not None
    world.simcore.send(b"ADVANCE\n")
    assert world.engine.recv(100) == b"ADVANCE\n"
    world.simcore.close()
    assert world.engine.recv(100) == b"", "and its end is the end of the container's input"
    assert world.end() == ""


def test_both_directions_at_once(world: World) -> None:
    """Neither waits for the other, though much more is under way than fits on the way."""
    much = bytes(range(256)) * (1 << 14)  # 4 MiB
    got = bytearray()

    def write() -> None:
        assert world.simcore is not None
        view = memoryview(much)
        while view:
            view = view[world.simcore.send(view) :]

    def read() -> None:
        while len(got) < len(much):
            got.extend(world.engine.recv(1 << 16))

    threads = [threading.Thread(target=target, daemon=True) for target in (write, read)]
    threads.append(threading.Thread(target=world.prints, args=(1, much), daemon=True))
    for each in threads:
        each.start()
    assert world.hears(len(much)) == much
    for each in threads:
        each.join(PATIENCE)
    assert got == much


def test_last_words_are_heard(world: World) -> None:
    """More than fits into a pipe, and then its end."""
    words = bytes(300_000)
    sender = threading.Thread(target=world.prints, args=(1, words), daemon=True)
    sender.start()
    reader = threading.Thread(target=world.hears, args=(len(words),), daemon=True)
    sender.join(PATIENCE)
    reader.start()
    assert world.end() == ""
    reader.join(PATIENCE)
    assert not reader.is_alive()


def test_what_nobody_listens_to_goes_to_the_log(world: World) -> None:
    assert world.simcore is not None
    world.simcore.close()
    assert world.engine.recv(10) == b""
    world.prints(1, b"anybody there?\n")
    assert world.end() == "anybody there?\n"


def test_it_waits_and_does_not_look_all_the_time(world: World) -> None:
    """Also when nobody listens any more, which a poll would tell of each time."""
    assert world.simcore is not None
    world.simcore.close()
    assert world.engine.recv(10) == b""
    turns = world.turns
    for number in range(20):
        world.prints(2, b"%d\n" % number)
    log = world.end()
    assert log.split() == [str(number) for number in range(20)]
    assert world.turns - turns <= 30


def test_a_container_that_does_not_listen_is_heard_to_its_end(world: World) -> None:
    assert world.simcore is not None
    world.prints(1, bytes(1000))
    world.engine.shutdown(socket.SHUT_RD)
    sender = threading.Thread(target=_sends_until_it_cannot, args=(world.simcore,), daemon=True)
    sender.start()
    sender.join(PATIENCE)
    assert not sender.is_alive()
    world.prints(1, b"last words")
    assert world.hears(1010) == bytes(1000) + b"last words"
    assert world.end() == ""


def _sends_until_it_cannot(pipes: Pipes) -> None:
    with contextlib.suppress(BrokenPipeError):
        while True:
            pipes.send(bytes(1 << 16))
