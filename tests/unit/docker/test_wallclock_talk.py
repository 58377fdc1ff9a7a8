"""Talking to a program by lines, over real pipes, and by HTTP, to a real server of this machine."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcore_backends.docker.wallclock import web
from simcore_backends.docker.wallclock.clock import RunningClock
from simcore_backends.docker.wallclock.lines import MAX_LINE, Lines
from simcore_backends.docker.wallclock.outbox import MAX_SAID, Outbox, Said, value_of
from simcore_backends.docker.wallclock.web import NotOpen, Web, body_of, payload_of
from support import PATIENCE, reserved_port

from simcore.payload import freeze, thaw
from simcore.protocol.peer import Message
from simcore.protocol.pipes import Pipes


def nothing() -> None: ...


def message(number: int, payload: Any, at: int = 0) -> Message:
    return Message(
        {
            "at": at, "id": f"sensor/{number}", "src": "sensor", "dst": "sink", "kind": "reading",
            "size": 1, "sent": 0, "payload": payload,
        }
    )  # fmt: skip


class Hearing(Outbox):
    """An outbox that can be waited for; virtual time is 7 ns with each thing that is said."""

    def __init__(self) -> None:
        self.now = 0
        self.woken = threading.Event()
        self.more = threading.Semaphore(0)
        super().__init__(self._tick, self.woken.set)

    def _tick(self) -> int:
        self.now += 7
        return self.now

    def _count(self) -> bool:
        self.more.release()
        return super()._count()

    def after(self, count: int) -> list[Said]:
        """What has been said once this many things were heard."""
        for _ in range(count):
            assert self.more.acquire(timeout=60)
        with self._lock:
            pass
        return self.take(10**9)


# -- the clock


def test_the_clock_goes_while_the_container_runs() -> None:
    wall = 1000
    clock = RunningClock(50, lambda: wall)
    assert clock.time() == 50
    wall = 1007
    assert clock.time() == 50
    clock.go()
    wall = 1010
    assert clock.time() == 53
    clock.go()  # it does already
    wall = 1011
    assert clock.stop() == 54
    wall = 2000
    assert clock.stop() == clock.time() == 54


# -- what is said


def test_said_before_a_time() -> None:
    outbox = Hearing()
    for word in "abc":
        outbox.say("panel", "word", word, 1)
    assert [(each.at, each.payload) for each in outbox.take(14)] == [(7, "a")]
    assert [(each.at, each.payload) for each in outbox.take(22)] == [(14, "b"), (21, "c")]
    assert outbox.take(10**9) == []


def test_answers_in_turn_have_waited() -> None:
    outbox = Hearing()
    for number, at in ((1, 2), (2, 3), (3, 15)):
        outbox.answer(message(number, None, at), "answer", None, 4, in_turn=True)
    outbox.answer(message(4, None, 20), "answer", None, 4)
    found = outbox.take(100)
    assert [(each.at, each.spent) for each in found] == [
        (7, (0, 5)), (14, (4, 7)), (21, (0, 6)), (28, (0, 8)),
    ]  # fmt: skip
    for each in found:
        assert each.cause is not None and each.spent is not None
        assert each.cause.at + sum(each.spent) == each.at


def test_more_than_anybody_wants() -> None:
    outbox = Hearing()
    for _ in range(MAX_SAID):
        outbox.mutter()
    assert outbox.failure is None
    outbox.take(0)
    for _ in range(MAX_SAID):
        outbox.say("panel", "word", 1, 1)
    assert outbox.failure is None and not outbox.woken.is_set()
    outbox.mutter()
    assert outbox.failure is not None and outbox.failure.startswith("it printed or answered more")
    assert outbox.woken.is_set()
    assert len(outbox.take(10**9)) == MAX_SAID
    outbox.fail("something else")
    assert outbox.failure.startswith("it printed")  # the first is what counts


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (b"17", 17),
        (b' "text" ', "text"),
        (b"text", "text"),
        (b"", ""),
        (b"NaN", "NaN"),
        (b'{"$b64": "AP8="}', b"\0\xff"),
        (b'{"$b64": "no base64"}', '{"$b64": "no base64"}'),
        ("é".encode(), "é"),
        (b"\xff\xfe", b"\xff\xfe"),
        (b"[" * 100 + b"]" * 100, "[" * 100 + "]" * 100),
        (b"{", "{"),
    ],
)
def test_what_bytes_mean(data: bytes, value: Any) -> None:
    assert value_of(data) == value
    freeze(value)  # and it can be sent


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_all_bytes_mean_something_that_can_be_sent(data: bytes) -> None:
    assert thaw(freeze(value_of(data))) == value_of(data)


# -- lines


class Program:
    """The other side of a container's pipes."""

    def __init__(self, folder: Path, to: str | None = None) -> None:
        ours, self.pipes = Pipes.pair()
        self.outbox = Hearing()
        self.log = folder / "sink.log"
        self.lines = Lines(ours, self.outbox, "answer", to, self.log)
        self.lines.open(0.0, nothing)

    def read(self) -> bytes:
        return os.read(self.pipes.receiving, 1 << 16)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.pipes.sending, data) :]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.lines.close()
    made.pipes.close()


def test_a_message_is_a_line_of_json(program: Program) -> None:
    program.lines.hand(message(1, {"b": 1, "a": "é\n"}))
    assert program.read() == '{"a":"é\\n","b":1}\n'.encode()
    program.lines.hand(message(2, {"$b64": "AP8="}))
    assert program.read() == b'{"$b64":"AP8="}\n'


def test_a_line_answers_the_oldest_message(program: Program) -> None:
    program.write(b"hello\n")
    assert program.outbox.after(1) == []
    assert program.log.read_bytes() == b"hello\n"
    for number in (1, 2, 3):
        program.lines.hand(message(number, number))
    program.write(b'{"x": 1}\r\nfine\n\nmore\npart')
    found = program.outbox.after(4)
    assert [(each.cause and each.cause.id, each.payload, each.size) for each in found] == [
        ("sensor/1", {"x": 1}, 8), ("sensor/2", "fine", 4), ("sensor/3", "", 0),
    ]  # fmt: skip
    assert {(each.destination, each.kind) for each in found} == {("sensor", "answer")}
    program.write(b"ly\n")
    program.outbox.after(1)
    program.pipes.close()
    assert program.log.read_bytes() == b"hello\nmore\npartly\n"


def test_all_lines_go_to_one_node(tmp_path: Path) -> None:
    program = Program(tmp_path, to="panel")
    program.lines.hand(message(1, 1))
    program.write(b"a\nb\n")
    found = program.outbox.after(2)
    assert [(each.destination, each.payload, each.cause) for each in found] == [
        ("panel", "a", None), ("panel", "b", None),
    ]  # fmt: skip
    program.lines.close()
    program.pipes.close()


def test_a_program_that_does_not_read_holds_nobody_up(program: Program) -> None:
    for number in range(20):
        program.lines.hand(message(number, "x" * 10_000))  # more than a pipe takes
    program.lines.close()
    found = b""
    while data := program.read():
        found += data
    assert found == b'"%s"\n' % (b"x" * 10_000) * 20


def test_a_line_without_an_end(program: Program) -> None:
    threading.Thread(target=program.write, args=(b"x" * (MAX_LINE + 1),), daemon=True).start()
    assert program.outbox.woken.wait(60)
    assert program.outbox.failure == (
        "it wrote 1 MiB to its standard output without the end of a line"
    )


def test_lines_that_were_never_opened_let_go_of_their_pipes(tmp_path: Path) -> None:
    ours, its = Pipes.pair()
    Lines(ours, Hearing(), "answer", None, tmp_path / "log").close()
    assert os.read(its.receiving, 1) == b""
    its.close()


# -- HTTP


class Handler(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        path, body = self.path, self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append((self.command, path, dict(self.headers), body))  # type: ignore[attr-defined]
        if path == "/hangs-up":
            return
        if path == "/waits":
            self.server.let_go.wait(60)  # type: ignore[attr-defined]
        if path == "/nonsense":
            self.wfile.write(b"I am no HTTP\r\n\r\n")
            return
        status = int(path[1:]) if path[1:].isdigit() else 200
        answer = (
            b"x" * (web.MAX_BODY + 1) if path == "/large" else b'{"path": "%s"}' % path.encode()
        )
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        if path != "/untyped":
            self.send_header(
                "Content-Type", "image/png" if path == "/image" else "application/json"
            )
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _serve

    def log_message(self, format: str, *args: Any) -> None: ...


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, dict[str, str], bytes]] = []
        self.let_go = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, address: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        made.let_go.set()
        made.shutdown()
        thread.join()


@contextmanager
def talking(server: Server, **options: Any) -> Iterator[tuple[Web, Hearing]]:
    outbox = Hearing()
    address = ("127.0.0.1", server.server_address[1])
    made = Web({"port": 8080, **options}, outbox, "label", "sink", lambda: address)
    made.open(time.monotonic() + 60, nothing)
    yield made, outbox
    made.close()


def test_a_message_is_a_request(server: Server) -> None:
    with talking(server, path="/predict", headers={"X-Api-Key": "abc"}) as (talk, outbox):
        talk.hand(message(1, {"b": 1, "a": 2}))
        [said] = outbox.after(1)
    assert said.cause is not None
    assert (said.cause.id, said.destination, said.kind) == ("sensor/1", "sensor", "label")
    assert (said.payload, said.size) == ({"path": "/predict"}, 20)
    [(method, path, headers, body)] = server.heard
    assert (method, path, body) == ("POST", "/predict", b'{"a":2,"b":1}')
    assert headers["Host"] == "sink:8080"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Api-Key"] == "abc"


def test_bytes_and_other_headers(server: Server) -> None:
    options = {"method": "PUT", "headers": {"Content-Type": "image/png", "Host": "h"}}
    with talking(server, **options) as (talk, outbox):
        talk.hand(message(1, {"$b64": "AP8="}))
        outbox.after(1)
    [(method, path, headers, body)] = server.heard
    assert (method, path, body) == ("PUT", "/", b"\0\xff")
    assert (headers["Content-Type"], headers["Host"]) == ("image/png", "h")


def test_get_has_no_body(server: Server) -> None:
    with talking(server, method="GET") as (talk, outbox):
        talk.hand(message(1, {"a": 2}))
        [said] = outbox.after(1)
    assert said.kind == "label"
    [(method, _, headers, body)] = server.heard
    assert (method, body) == ("GET", b"")
    assert "Content-Type" not in headers and "Content-Length" not in headers


BAD = {
    "/503": (503, "Service Unavailable", {"path": "/503"}),
    "/301": (301, "Moved Permanently", {"path": "/301"}),
    "/hangs-up": (None, "Remote end closed connection without response", None),
    "/nonsense": (None, "I am no HTTP\r\n", None),
    "/large": (None, "the body is larger than 8 MiB", None),
}


@pytest.mark.parametrize("path", BAD)
def test_what_is_no_good_answer_is_an_error(server: Server, path: str) -> None:
    status, reason, body = BAD[path]
    with talking(server, path=path) as (talk, outbox):
        talk.hand(message(1, 1))
        [said] = outbox.after(1)
    assert said.kind == "error"
    assert said.payload == {"status": status, "reason": reason, "body": body}


def test_media_types(server: Server) -> None:
    for path, expected in (("/image", b'{"path": "/image"}'), ("/untyped", {"path": "/untyped"})):
        with talking(server, path=path) as (talk, outbox):
            talk.hand(message(1, 1))
            [said] = outbox.after(1)
        assert said.payload == expected
    assert payload_of(b"a", "text/html") == "a"
    assert payload_of(b"1", "application/problem+json") == 1
    assert payload_of(b"1", "application/octet-stream") == b"1"
    assert body_of("text") == (b'"text"', "application/json")
    assert body_of(b"text") == (b"text", "application/octet-stream")


def test_requests_do_not_wait_for_each_other_and_end_with_the_talk(server: Server) -> None:
    before = set(threading.enumerate())
    with talking(server, path="/waits") as (talk, outbox):
        for number in range(5):
            talk.hand(message(number, number))
        while len(server.heard) < 5:
            assert not outbox.woken.is_set()
        threads = [
            each
            for each in set(threading.enumerate()) - before
            if each.name.startswith("simcore-http")
        ]
        assert len(threads) == 5
    for thread in threads:  # nobody has answered
        thread.join(60)
        assert not thread.is_alive()
    assert outbox.take(10**9) == []
    talk.hand(message(6, 6))  # nobody asks any more
    assert len(server.heard) == 5


def test_a_port_where_nobody_listens() -> None:
    with reserved_port() as port:
        talk = Web({"port": 8080}, Hearing(), "label", "sink", lambda: ("127.0.0.1", port))
        with pytest.raises(NotOpen, match="nobody listens at its port 8080"):
            talk.open(time.monotonic(), nothing)
        with pytest.raises(KeyError):
            talk.open(time.monotonic() + 600, lambda: {}["it is not wanted"])
        talk.close()


def test_a_proxy_that_accepts_and_hangs_up_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the engine's does, in front of a port where nobody listens yet."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def hang_up() -> None:
            sock, _ = proxy.accept()
            sock.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        talk = Web({"port": 8080}, Hearing(), "label", "sink", proxy.getsockname)
        with monkeypatch.context() as patient:
            patient.setattr(web, "_HANGS_UP", PATIENCE)
            with pytest.raises(NotOpen):
                talk.open(time.monotonic(), nothing)
        thread.join(60)
        talk.open(time.monotonic(), nothing)  # now it keeps the connection
        talk.close()
