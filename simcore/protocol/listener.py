"""Where participants connect: it lets in who holds a token of this run, and nobody else.

Several peers may be half open at once (connected, HELLO not complete); none can hold up another,
for all are read as their bytes come. Who is refused gets an ERROR frame, is logged, and the run
goes on.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from simcore.errors import UsageError
from simcore.protocol.channel import SLICE, Channel, ChannelError, DeadlinePassed, Idle
from simcore.protocol.frames import MAX_HELLO, Error, Hello, ProtocolError, decode_hello, encode
from simcore.protocol.pipes import Pipes

HELLO_S = 5.0
"""Seconds that a peer has for its HELLO once it is connected."""

_HALF_OPEN = 256
"""Peers that may be half open at once; one more, and the oldest is refused."""

_REMEMBERED = 100
"""Refusals that are kept for reports."""

_MAX_PATH = 100
"""Bytes that a Unix socket's path may have: Linux takes 107, macOS 103."""

_log = logging.getLogger("simcore.protocol")


@dataclass
class _HalfOpen:
    """A peer that has not said yet who it is."""

    sock: socket.socket
    since: float
    data: bytearray = field(default_factory=bytearray)


class Listener:
    """Accepts the participants that are expected.

    Args:
        directory: an existing private directory (0700) for Unix sockets.

    Attributes:
        refused: one line for each peer that was refused, for reports.
    """

    def __init__(self, directory: Path) -> None:
        self.refused: list[str] = []
        self._directory = directory
        self._unix: dict[Path, socket.socket] = {}
        self._tcp: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._tokens: dict[str, str] = {}
        self._ready: dict[str, Channel] = {}

    def address(self, transport: str) -> str:
        """Where to connect, as a participant finds it in SIMCORE_ADDRESS.

        Args:
            transport: "unix"; "tcp" (on the loopback interface only); or "shared": a Unix socket
                that other users may connect to as well, alone in a folder that a container can
                be given.

        Raises:
            UsageError: the directory's path is too long for a Unix socket.
        """
        if transport == "tcp":
            if self._tcp is None:
                self._tcp = self._listen(socket.AF_INET, ("127.0.0.1", 0))
            return f"tcp:127.0.0.1:{self._tcp.getsockname()[1]}"
        shared = transport == "shared"
        folder = self._directory / "door" if shared else self._directory
        path = folder / "simcore.sock"
        if path not in self._unix:
            if len(os.fsencode(path)) > _MAX_PATH:
                raise UsageError(
                    f"{path} is too long for a Unix socket (more than {_MAX_PATH} bytes): "
                    "set TMPDIR to a shorter directory"
                )
            if shared:  # other users come by way of a container: our directory is closed to them
                folder.mkdir()
                folder.chmod(0o711)
            self._unix[path] = self._listen(socket.AF_UNIX, str(path))
            if shared:
                path.chmod(0o666)
        return f"unix:{path}"

    def _listen(self, family: int, address: str | tuple[str, int]) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.bind(address)
            sock.listen(1024)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        self._selector.register(sock, selectors.EVENT_READ)
        return sock

    def expect(self, name: str) -> str:
        """Let a participant in, once; returns its token."""
        self.forget(name)
        token = self._tokens[name] = secrets.token_hex(16)
        return token

    def forget(self, name: str) -> None:
        """Do not let a participant in any more."""
        self._tokens.pop(name, None)
        channel = self._ready.pop(name, None)
        if channel is not None:
            channel.close()

    def accept(self, name: str, deadline_s: float, idle: Idle | None = None) -> Channel:
        """Wait for an expected participant; others that come are kept for their own turn.

        Args:
            deadline_s: seconds from now.
            idle: called each tenth of a second; what it raises ends the waiting.

        Raises:
            DeadlinePassed: it did not come in time.
        """
        begun = looked = time.monotonic()
        while name not in self._ready:
            events = self._selector.select(SLICE)
            for key, _ in events:
                if key.data is None:
                    self._let_in(key.fileobj)  # type: ignore[arg-type]
                else:
                    self._read(key.data)
            now = time.monotonic()
            self._refuse_slow(now)
            if name in self._ready:
                break
            if now - begun >= deadline_s:
                raise DeadlinePassed(f"{name} did not connect within {deadline_s:g} s")
            if idle is not None and now - looked >= SLICE:
                looked = now
                idle()
        return self._ready.pop(name)

    def admit(
        self, pipes: Pipes, name: str, deadline_s: float, idle: Idle | None = None
    ) -> Channel:
        """As `accept`, on pipes that are connected already (stdin and stdout of a child).

        Raises:
            ChannelError: it closed the connection, or did not say HELLO in time.
            ProtocolError: it is not who is expected.
        """
        channel = Channel(pipes, name)
        try:
            hello = decode_hello(channel.receive(deadline_s, MAX_HELLO, idle))
            if self._known(hello) != name:
                raise ProtocolError("token", f"HELLO: the token is not that of {name}")
        except (ProtocolError, ChannelError) as error:
            if isinstance(error, DeadlinePassed) and not channel.surplus:
                error = DeadlinePassed(f"{name} did not say HELLO within {deadline_s:g} s")
            self._note(str(error))
            with suppress(ChannelError):
                channel.send(encode(Error(str(error))), SLICE)
            channel.close()
            raise error from None
        del self._tokens[name]
        return channel

    def _half_open(self) -> list[_HalfOpen]:
        return [key.data for key in self._selector.get_map().values() if key.data is not None]

    def _let_in(self, listening: socket.socket) -> None:
        try:
            sock, _ = listening.accept()
        except (BlockingIOError, ConnectionError):
            return  # it has gone away again
        sock.setblocking(False)
        half_open = self._half_open()
        if len(half_open) >= _HALF_OPEN:
            self._refuse(half_open[0], f"more than {_HALF_OPEN} peers have not said HELLO")
        peer = _HalfOpen(sock, time.monotonic())
        self._selector.register(sock, selectors.EVENT_READ, peer)
        self._read(peer)  # most often its HELLO is there already

    def _read(self, peer: _HalfOpen) -> None:
        if peer.sock.fileno() < 0:
            return  # refused a moment ago, to make room
        try:
            data = peer.sock.recv(MAX_HELLO + 1 - len(peer.data))
        except BlockingIOError:
            return
        except OSError as error:
            self._refuse(peer, f"it broke the connection: {error}")
            return
        if not data:
            self._refuse(peer, "it closed the connection before it said HELLO")
            return
        peer.data += data
        line, newline, rest = bytes(peer.data).partition(b"\n")
        if newline:
            self._answer(peer, line, rest)
        elif len(peer.data) > MAX_HELLO:
            self._refuse(peer, f"HELLO is longer than {MAX_HELLO} bytes")

    def _answer(self, peer: _HalfOpen, line: bytes, rest: bytes) -> None:
        try:
            hello = decode_hello(line)
        except ProtocolError as error:
            self._refuse(peer, str(error))
            return
        name = self._known(hello)
        if name is None:
            self._refuse(peer, f"HELLO: no participant {hello.name!r:.80} with this token")
            return
        del self._tokens[name]
        self._selector.unregister(peer.sock)
        self._ready[name] = Channel(peer.sock, name, rest)

    def _known(self, hello: Hello) -> str | None:
        """The participant whose token it is, if it also gives that name."""
        given = hello.token.encode()
        found = None
        for name, token in self._tokens.items():  # all of them: time tells nothing
            if hmac.compare_digest(given, token.encode()):
                found = name
        return found if found == hello.name else None

    def _refuse_slow(self, now: float) -> None:
        for peer in self._half_open():
            if now - peer.since >= HELLO_S:
                self._refuse(peer, f"no HELLO came within {HELLO_S:g} s")

    def _refuse(self, peer: _HalfOpen, why: str) -> None:
        self._note(why)
        self._selector.unregister(peer.sock)
        with suppress(OSError):
            peer.sock.send(encode(Error(why)))
            peer.sock.shutdown(socket.SHUT_WR)
            peer.sock.recv(2**16)  # what is left unread would make the close drop the ERROR
        peer.sock.close()

    def _note(self, why: str) -> None:
        self.refused.append(why)
        del self.refused[:-_REMEMBERED]
        _log.warning("a participant was refused: %s", why)

    def close(self) -> None:
        """Close all sockets that are not handed over, and remove Unix sockets."""
        if self._selector.get_map() is None:
            return  # it is closed already
        for peer in self._half_open():
            peer.sock.close()
        for channel in self._ready.values():
            channel.close()
        self._ready.clear()
        self._tokens.clear()
        self._selector.close()
        if self._tcp is not None:
            self._tcp.close()
        for path, sock in self._unix.items():
            sock.close()
            path.unlink(missing_ok=True)
        self._unix.clear()
        self._tcp = None
