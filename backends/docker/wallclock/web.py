"""Talking to a server by HTTP: a request for each message, and its answer goes back."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

from simcore.payload import freeze
from simcore.protocol.peer import Message

from .outbox import Outbox, value_of

REQUESTS = 64
"""Requests to one container at the same time; more of them wait."""
MAX_BODY = 8 << 20
"""Bytes that the body of an answer may have."""
ERROR = "error"
"""Kind of the message that a request without a good answer gets."""

_HANGS_UP = 0.5
"""Seconds within which an engine's proxy that accepted a connection finds nobody to hand it to."""
_PAUSE = 0.02


class NotOpen(Exception):
    """Nobody listens at the port; the text says so, without the container's name."""


class Web:
    """The port of a container.

    Args:
        options: the key `http`.
        outbox: takes the answers.
        kind: of the messages that good answers become.
        name: of the node, which requests call their host.
        find: tells where the port is to be reached, once the container is started.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        outbox: Outbox,
        kind: str,
        name: str,
        find: Callable[[], tuple[str, int]],
    ) -> None:
        self._port: int = options["port"]
        self._path: str = options.get("path", "/")
        self._method: str = options.get("method", "POST")
        self._headers: Mapping[str, str] = {
            "Host": f"{name}:{self._port}",
            **options.get("headers", {}),
        }
        self._outbox = outbox
        self._kind = kind
        self._find = find
        self._address = ("", 0)
        self._pool = ThreadPoolExecutor(REQUESTS, thread_name_prefix="simcore-http")
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def open(self, deadline: float, check: Callable[[], None]) -> None:
        """Wait until somebody listens at the port.

        Args:
            deadline: by `time.monotonic`.
            check: called now and then; what it raises ends the waiting.

        Raises:
            NotOpen: nobody does in time.
        """
        self._address = self._find()
        while not _listens(self._address):
            if time.monotonic() > deadline:
                raise NotOpen(
                    f"nobody listens at its port {self._port}, where the program has to listen at "
                    "all addresses (0.0.0.0) and not only at its own (127.0.0.1),"
                )
            check()
            time.sleep(_PAUSE)

    def hand(self, message: Message) -> None:
        """Send a message as a request; returns at once."""
        with suppress(RuntimeError):  # it is closed
            self._pool.submit(self._ask, message)

    def close(self) -> None:
        """Give up the requests that are under way."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for each in self._open:
                _interrupt(each)

    def _ask(self, message: Message) -> None:
        connection = http.client.HTTPConnection(*self._address)
        try:
            with closing(connection):
                connection.connect()
                with self._watched(connection.sock):
                    kind, payload, size = self._exchange(connection, message)
        except (OSError, http.client.HTTPException) as error:
            kind, size = ERROR, 0
            payload = {"status": None, "reason": str(error) or type(error).__name__, "body": None}
        if not self._closed.is_set():
            self._outbox.answer(message, kind, payload, size)

    @contextmanager
    def _watched(self, sock: socket.socket) -> Iterator[None]:
        """Have a connection end with `close`."""
        with self._lock:
            self._open.add(sock)
            if self._closed.is_set():
                _interrupt(sock)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(sock)

    def _exchange(
        self, connection: http.client.HTTPConnection, message: Message
    ) -> tuple[str, Any, int]:
        """Ask for an answer: its kind, payload and size."""
        body, kind = body_of(message.payload)
        headers = {"Content-Type": kind, "Connection": "close", **self._headers}
        if self._method == "GET":
            body = None
            del headers["Content-Type"]
        connection.request(self._method, self._path, body, headers)
        response = connection.getresponse()
        data = response.read(MAX_BODY + 1)
        if len(data) > MAX_BODY:
            raise http.client.HTTPException(f"the body is larger than {MAX_BODY >> 20} MiB")
        payload = payload_of(data, response.headers.get_content_type())
        if 200 <= response.status < 300:
            return self._kind, payload, len(data)
        failed = {"status": response.status, "reason": response.reason, "body": payload}
        return ERROR, failed, len(data)


def _interrupt(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def body_of(payload: Any) -> tuple[bytes | None, str]:
    """The body of a request and its media type: bytes as they are, all else as JSON."""
    if isinstance(payload, bytes):
        return payload, "application/octet-stream"
    return freeze(payload).encode(), "application/json"


def payload_of(data: bytes, media: str) -> Any:
    """The payload that the body of an answer becomes; bytes if its media type is not of text."""
    textual = media.startswith("text/") or media.endswith(("json", "xml", "javascript"))
    return value_of(data) if textual else data


def _listens(address: tuple[str, int]) -> bool:
    """Whether a connection is accepted and stays.

    In front of a container's port may be a proxy of the engine's, which accepts everything and
    hangs up when nobody takes it.
    """
    try:
        with socket.create_connection(address, timeout=1.0) as sock:
            sock.settimeout(_HANGS_UP)
            return sock.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False
