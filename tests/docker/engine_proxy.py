"""A socket in front of the engine's that lets requests fail, and notes all of them.

    client --- proxy.sock --- proxy --- docker.sock

It reads each request to its end, so that it knows where the next one begins, and hands it on byte
by byte. What it cannot read is an error of the test's.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

ENGINE = "/var/run/docker.sock"

_MOUNTED = re.compile(rb'("Source": ?")/[^/]')
"""A path of this machine's in a request; changed to one that is not there."""

Kind = Literal["500", "refuse", "close", "lose", "cut", "call", "call after"]


@dataclass
class Fault:
    """What goes wrong with the first requests of a kind.

    Args:
        request: matches the start of "POST /containers/create?name=...", without the version.
        kind: "500": the proxy answers so; "refuse": as 400; "close": it closes the connection before
            the engine has heard; "lose": after the engine has answered, whose answer is lost, once
            `action` has been called; "cut": after the first piece of the answer; "call": nothing
            goes wrong, but `action` is called before the engine hears; "call after": once it has
            answered, and before the client hears.
        times: how many of them.
        skip: how many are let through before.
        action: see `kind`.
    """

    request: str
    kind: Kind
    times: int = 1
    skip: int = 0
    action: Callable[[], None] = lambda: None

    def applies(self, line: str) -> bool:
        """Whether it hits this request; counts."""
        if not re.match(self.request, line):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return self.times >= 0


class EngineProxy:
    """Such a socket; a context manager.

    Args:
        folder: where the socket lies.
        faults: what goes wrong.
        engine: the engine's own socket.
        elsewhere: as an engine on another machine: over TCP, and no file of this machine is there.
        tls: encrypts all, if it is elsewhere.

    Attributes:
        host: value of DOCKER_HOST for those who are to use it.
        requests: what was asked, without versions of the API: "POST /containers/create?name=x".
        errors: what the proxy did not understand.
    """

    def __init__(
        self,
        folder: Path,
        faults: Iterable[Fault] = (),
        engine: str = ENGINE,
        *,
        elsewhere: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.faults = list(faults)
        self._engine = engine
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._elsewhere = elsewhere
        self._tls = tls
        if elsewhere:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.host = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            path = folder / "proxy.sock"
            self.host = f"unix://{path}"
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> EngineProxy:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        assert self.errors == []

    def asked(self, pattern: str) -> list[str]:
        """The requests so far that begin with this."""
        return [line for line in self.requests if re.match(pattern, line)]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._spawn(self._serve, client)

    def _spawn(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self, client: socket.socket) -> None:
        """One connection, to its end."""
        if self._tls is not None:
            client = self._tls.wrap_socket(client, server_side=True)
        with client, socket.socket(socket.AF_UNIX) as engine:
            with self._lock:
                self._open |= {client, engine}
            try:
                with suppress(OSError):
                    engine.connect(self._engine)
                    self._converse(client, engine)
            except ValueError as error:
                self.errors.append(str(error))
            finally:
                with self._lock:
                    self._open -= {client, engine}

    def _converse(self, client: socket.socket, engine: socket.socket) -> None:
        reader, answers = client.makefile("rb"), engine.makefile("rb")
        with reader, answers:
            while (request := _read_request(reader)) is not None:
                line, raw, upgrade = request
                kind, action = self._note(line)
                if kind == "close":
                    return
                if kind in ("500", "refuse"):
                    client.sendall(_answer(500 if kind == "500" else 400))
                    continue
                if kind == "call":
                    action()
                if self._elsewhere:
                    raw = _MOUNTED.sub(rb"\1//", raw)
                engine.sendall(raw)
                if upgrade:
                    found = _head(answers)
                    if found is None:
                        return
                    if kind == "call after":
                        action()
                    client.sendall(found[0])
                    self._splice(client, reader, engine, answers)
                    return
                answer = _read_answer(answers, line)
                if kind in ("lose", "call after"):
                    answer = list(answer)
                if kind == "lose":
                    action()
                    return
                if kind == "call after":
                    action()
                for chunk in islice(answer, 2 if kind == "cut" else None):
                    client.sendall(chunk)
                if kind == "cut":
                    return

    def _note(self, line: str) -> tuple[Kind | None, Callable[[], None]]:
        with self._lock:
            self.requests.append(line)
            for fault in self.faults:
                if fault.applies(line):
                    return fault.kind, fault.action
        return None, lambda: None

    def _splice(
        self, client: socket.socket, reader: BinaryIO, engine: socket.socket, answers: BinaryIO
    ) -> None:
        """From here on it is a stream both ways."""
        back = self._spawn(_copy, answers, client)
        _copy(reader, engine)
        back.join()


def _copy(source: BinaryIO, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.read1(1 << 16):  # type: ignore[attr-defined]
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _head(reader: BinaryIO) -> tuple[bytes, dict[str, str]] | None:
    lines = []
    while (line := reader.readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    if not line:
        raise OSError(f"a head that ends too early, with who wrote it: {lines}")
    fields = (each.decode("latin-1").partition(":") for each in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return b"".join([*lines, line]), headers


def _body(reader: BinaryIO, headers: dict[str, str]) -> Iterable[bytes]:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            line = reader.readline()
            if not line:
                raise OSError("a body that ends too early, with who wrote it")
            size = int(line.split(b";")[0], 16)
            yield line + reader.read(size + 2)
            if size == 0:
                return
    elif "content-length" in headers:
        yield reader.read(int(headers["content-length"]))


def _read_request(reader: BinaryIO) -> tuple[str, bytes, bool] | None:
    """Its line, all of its bytes, and whether a stream follows."""
    found = _head(reader)
    if found is None:
        return None
    head, headers = found
    match = re.match(r"(GET|HEAD|POST|PUT|DELETE) (?:/v[\d.]+)?(/\S*) HTTP/1\.1\r\n", head.decode())
    if match is None:
        raise ValueError(f"no request: {head!r}")
    raw = head + b"".join(_body(reader, headers))
    return f"{match[1]} {match[2]}", raw, "upgrade" in headers


def _read_answer(reader: BinaryIO, line: str) -> Iterable[bytes]:
    found = _head(reader)
    if found is None:
        raise OSError("the engine closed the connection")
    head, headers = found
    yield head
    status = int(head.split()[1])
    if line.startswith("HEAD") or status in (204, 304):
        return
    if "content-length" not in headers and "transfer-encoding" not in headers:
        while data := reader.read1(1 << 16):  # type: ignore[attr-defined]
            yield data
        raise OSError("an answer that ends with the connection")
    yield from _body(reader, headers)


def _answer(status: int) -> bytes:
    body = b'{"message": "the engine has a headache"}'
    return (
        b"HTTP/1.1 %d Trouble\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (status, len(body), body)
    )
