"""The listener: who is expected gets in, and nobody keeps them waiting."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pipe_end import PipeEnd
from support import PATIENCE

from simcore.errors import UsageError
from simcore.protocol import listener as module
from simcore.protocol.channel import ChannelError, DeadlinePassed
from simcore.protocol.frames import ProtocolError
from simcore.protocol.listener import Listener

both = pytest.mark.parametrize("transport", ["unix", "tcp"])


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(tmp_path)
    yield made
    made.close()


def connect(address: str) -> socket.socket:
    transport, _, place = address.partition(":")
    if transport == "tcp":
        host, port = place.split(":")
        return socket.create_connection((host, int(port)), timeout=PATIENCE)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(place)
    return sock


def hello(token: str, name: str = "meter", **more: Any) -> bytes:
    frame = {"type": "HELLO", "protocol": 1, "token": token, "name": name, **more}
    return json.dumps(frame).encode() + b"\n"


def answer(sock: socket.socket | PipeEnd) -> dict[str, Any]:
    """The ERROR frame, behind which the connection is closed."""
    data = b""
    while got := sock.recv(4096):
        data += got
    frame: dict[str, Any] = json.loads(data)
    assert frame["type"] == "ERROR"
    return frame


@both
def test_who_has_the_token_gets_in(listener: Listener, transport: str) -> None:
    token = listener.expect("meter")
    assert re.fullmatch("[0-9a-f]{32}", token)
    with connect(listener.address(transport)) as sock:
        sock.sendall(hello(token))
        channel = listener.accept("meter", PATIENCE)
        assert channel.name == "meter" and channel.surplus == b""
        channel.send(b"INIT\n", PATIENCE)
        assert sock.recv(100) == b"INIT\n"
        channel.close()
    assert listener.refused == []


def test_addresses(listener: Listener, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == [], "nothing is opened before it is asked for"
    assert listener.address("unix") == listener.address("unix") == f"unix:{tmp_path}/simcore.sock"
    assert re.fullmatch(r"tcp:127\.0\.0\.1:\d+", listener.address("tcp"))
    assert listener.address("tcp") == listener.address("tcp")
    assert stat.S_ISSOCK(os.stat(tmp_path / "simcore.sock").st_mode)
    listener.close()
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    listener = Listener(tmp_path / ("x" * 100))
    with pytest.raises(UsageError, match="too long for a Unix socket.*TMPDIR"):
        listener.address("unix")
    listener.close()


@both
@pytest.mark.parametrize(
    ("line", "why"),
    [
        (hello("0" * 32), "no participant 'meter' with this token"),
        (hello("é"), "no participant 'meter' with this token"),
        (hello("", "other"), "no participant 'other' with this token"),
        (b"GET / HTTP/1.1\r\n\r\n", "HELLO was expected, and no JSON came"),
        (hello("x", extra=1), "HELLO: object contains unknown field extra"),
        (hello("x", protocol=7), "this simcore speaks protocol 1"),
        (b'{"type":"READY","kind":"reactive"}\n', "HELLO was expected, and READY came"),
        (b"x" * 5000, "HELLO is longer than 4096 bytes"),
        (hello("x" * 4096), "HELLO is longer than 4096 bytes"),
    ],
    ids=lambda each: each[:30] if isinstance(each, str) else "",
)
def test_others_are_refused_logged_and_the_run_goes_on(
    listener: Listener, transport: str, line: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = listener.expect("meter")
    address = listener.address(transport)
    with connect(address) as bad, connect(address) as good:
        bad.sendall(line)
        with pytest.raises(DeadlinePassed, match="meter did not connect within 0.2 s"):
            listener.accept("meter", 0.2)
        good.sendall(hello(token))
        with caplog.at_level(logging.WARNING, "simcore.protocol"):
            listener.accept("meter", PATIENCE).close()
        assert why in answer(bad)["message"]
    assert len(listener.refused) == 1 and why in listener.refused[0]
    assert [(each.name, each.levelname) for each in caplog.records] == [
        ("simcore.protocol", "WARNING")
    ]
    assert why in caplog.text and token not in caplog.text


def test_the_token_of_another_participant_does_not_do(listener: Listener) -> None:
    listener.expect("meter")
    other = listener.expect("gateway")
    with connect(listener.address("unix")) as sock:
        sock.sendall(hello(other, "meter"))
        with pytest.raises(DeadlinePassed):
            listener.accept("meter", 0.2)
        assert "no participant 'meter'" in answer(sock)["message"]


def test_a_token_is_good_for_one_connection(listener: Listener) -> None:
    token = listener.expect("meter")
    address = listener.address("unix")
    with connect(address) as first, connect(address) as second:
        first.sendall(hello(token))
        listener.accept("meter", PATIENCE).close()
        second.sendall(hello(token))
        again = listener.expect("meter")
        assert again != token
        with connect(address) as third:
            third.sendall(hello(again))
            listener.accept("meter", PATIENCE).close()
        assert "no participant" in answer(second)["message"]


def test_who_is_not_expected_any_more_is_refused(listener: Listener) -> None:
    token, other = listener.expect("meter"), listener.expect("other")
    address = listener.address("unix")
    with connect(address) as early, connect(address) as late, connect(address) as sock:
        early.sendall(hello(token))
        with pytest.raises(DeadlinePassed):
            listener.accept("other", 0.1)
        listener.forget("meter")
        assert early.recv(1) == b"", "it was in already"
        late.sendall(hello(token))
        sock.sendall(hello(other, "other"))
        listener.accept("other", PATIENCE).close()
        assert "no participant" in answer(late)["message"]


@both
def test_half_open_peers_hold_up_nobody(listener: Listener, transport: str) -> None:
    """Fifty connect and say nothing or half of it, before and after the good one."""
    token = listener.expect("meter")
    address = listener.address(transport)
    peers = [connect(address) for _ in range(50)]
    for number, peer in enumerate(peers):
        if number % 2:
            peer.sendall(hello(token)[:number])
    good = connect(address)
    good.sendall(hello(token))
    listener.accept("meter", PATIENCE).close()
    for sock in (*peers, good):
        sock.close()


def test_a_hello_may_come_byte_by_byte(listener: Listener) -> None:
    token = listener.expect("meter")
    with connect(listener.address("unix")) as sock:
        rest = bytearray(hello(token))

        def idle() -> None:
            sock.sendall(rest[:40])
            del rest[:40]

        listener.accept("meter", PATIENCE, idle).close()
        assert not rest


def test_who_takes_too_long_is_refused(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slowloris: each of its bytes comes in time, its HELLO does not."""
    monkeypatch.setattr(module, "HELLO_S", 0.3)
    token = listener.expect("meter")
    address = listener.address("unix")
    with connect(address) as slow:
        line, good = iter(hello(token)), []

        def idle() -> None:
            if listener.refused and not good:
                good.append(connect(address))
                good[0].sendall(hello(token))
            elif not good:
                slow.sendall(bytes([next(line)]))

        listener.accept("meter", PATIENCE, idle).close()
        assert answer(slow)["message"] == "no HELLO came within 0.3 s"
    good[0].close()


def test_too_many_half_open_peers_push_out_the_oldest(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HALF_OPEN", 3)
    token = listener.expect("meter")
    address = listener.address("unix")
    peers = [connect(address) for _ in range(6)]
    peers[-1].sendall(hello(token))
    listener.accept("meter", PATIENCE).close()
    assert "more than 3 peers" in answer(peers[0])["message"]
    assert 2 <= len(listener.refused) <= 3
    for sock in peers:
        sock.close()


def test_who_goes_away_is_noted(listener: Listener) -> None:
    token = listener.expect("meter")
    address = listener.address("unix")
    connect(address).close()
    with connect(address) as good:
        good.sendall(hello(token))
        listener.accept("meter", PATIENCE).close()
    assert listener.refused == ["it closed the connection before it said HELLO"]


def test_refusals_are_not_kept_without_end(listener: Listener) -> None:
    listener.expect("meter")
    for _ in range(150):
        with connect(listener.address("unix")) as sock:
            sock.sendall(b"x\n")
            with pytest.raises(DeadlinePassed):
                listener.accept("meter", 0)
    assert len(listener.refused) == 100


def test_several_come_in_any_order(listener: Listener) -> None:
    names = [f"meter-{number}" for number in range(20)]
    tokens = {name: listener.expect(name) for name in names}
    address = listener.address("unix")
    socks = [connect(address) for _ in names]
    for sock, name in zip(socks, reversed(names), strict=True):
        sock.sendall(hello(tokens[name], name) + b"early\n")
    for name in names:
        channel = listener.accept(name, PATIENCE)
        assert (channel.name, channel.surplus) == (name, b"early\n")
        channel.close()
    for sock in socks:
        sock.close()


def test_the_caller_may_end_the_wait(listener: Listener) -> None:
    def idle() -> None:
        raise KeyboardInterrupt

    listener.expect("meter")
    listener.address("unix")
    with pytest.raises(KeyboardInterrupt):
        listener.accept("meter", PATIENCE, idle)


def test_who_has_come_is_not_asked_for_any_more(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long simcore itself was held up: what ends its wait may have come after HELLO."""

    def idle() -> None:
        raise KeyboardInterrupt

    token = listener.expect("meter")
    sock = connect(listener.address("unix"))
    sock.sendall(hello(token))
    hours = count(step=3600)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(hours))))
    listener.accept("meter", PATIENCE, idle).close()
    sock.close()


# -- on pipes that are there already


def test_a_child_is_admitted_on_its_own_pipes(listener: Listener) -> None:
    token = listener.expect("meter")
    ours, theirs = PipeEnd.pair()
    with theirs:
        theirs.sendall(hello(token) + b"more")
        channel = listener.admit(ours, "meter", PATIENCE)
        assert channel.surplus == b"more"
        channel.close()


@pytest.mark.parametrize(
    ("line", "kind", "why"),
    [
        (b"Hello, world!\n", ProtocolError, "no JSON came: invalid character"),
        (hello("wrong"), ProtocolError, "the token is not that of meter"),
        (b"x" * 5000, ChannelError, "more than 4096 bytes without a newline"),
        (b'{"type":"ERROR","message":"no model"}\n', ProtocolError, "participant says: no model"),
        (b"", DeadlinePassed, "meter did not say HELLO within 0.2 s"),
        (b"HEL", DeadlinePassed, "meter sent 3 bytes without a newline within 0.2 s"),
    ],
)
def test_a_child_that_says_something_else_is_not(
    listener: Listener, line: bytes, kind: type[Exception], why: str
) -> None:
    listener.expect("meter")
    ours, theirs = PipeEnd.pair()
    with theirs:
        theirs.sendall(line)
        with pytest.raises(kind, match=why):
            listener.admit(ours, "meter", 0.2)
        assert re.search(why, answer(theirs)["message"])
    assert re.search(why, listener.refused[0])
