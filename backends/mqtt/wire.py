"""One real connection to a real broker, which stands for one simulated connection."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections import deque
from collections.abc import Callable

from .errors import BrokerError, Malformed, Unanswered
from .framing import Framer
from .packets import Pingreq, Pingresp

Address = str | tuple[str, int]
"""Where a broker listens: the path of a Unix socket, or a host and a port."""

_PING, _PONG = Pingreq().encode(), Pingresp().encode()
_CONNACK = 0x20
_OF_BROKERS = {0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, *range(0x30, 0x40)}
_CHUNK = 1 << 18
_SLICE = 0.1
"""Seconds of waiting between two calls of `idle`."""


def _nothing() -> None:
    pass


class Wire:
    """A connection, on which pings of our own are asked and answered unseen by the client.

    Args:
        connection: the simulated connection, for whoever holds this one.
        address: where the broker listens.
        patience: how long it may take to answer, in seconds.
        deliver: is handed each packet for the client, after the simulated connection.
        idle: called now and then while the broker is waited for; what it raises ends the waiting.
    """

    __slots__ = (
        "_deliver", "_fences", "_framer", "_idle", "_out", "_patience", "_pings", "_socket",
        "address", "connection", "greeted", "load", "open",
    )  # fmt: skip

    def __init__(
        self,
        connection: int,
        address: Address,
        patience: float,
        deliver: Callable[[int, bytes], None],
        idle: Callable[[], None] = _nothing,
    ) -> None:
        self.connection = connection
        self.address = address
        self.open = True
        self.load = 0
        """An upper bound of what the broker's kernel has held for us since the last fence."""
        self._deliver = deliver
        self._idle = idle
        self._patience = patience
        self._framer = Framer()
        self.greeted = False
        """Whether a CONNACK has come."""
        self._out: list[bytes] = []
        # Whose the pings are that have not been answered: true for our own.
        self._pings: deque[bool] = deque()
        self._fences = 0
        self._socket = self._connect()

    def fileno(self) -> int:
        """The socket's, for a selector."""
        return self._socket.fileno()

    def put(self, data: bytes, *, ping: bool = False) -> None:
        """Take bytes that are to be sent; `ping` says that they are a ping of the client's."""
        self._out.append(data)
        if ping:
            self._pings.append(False)

    def send_fence(self) -> None:
        """Send what there is, and a ping of our own behind it."""
        self._out.append(_PING)
        self._pings.append(True)
        self._fences += 1
        data = memoryview(b"".join(self._out))
        self._out.clear()
        left = self._patience
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                left = self._wait(left)
            except ConnectionError:
                break  # The broker has closed it: what it sent before that is still to be read.

    def await_fence(self) -> None:
        """Read until the ping is answered, or the broker has closed the connection."""
        while self.open and self._fences:
            self._read(0)
        self.load = 0

    def drain(self) -> None:
        """Read what is there."""
        while self.open and self._read(socket.MSG_DONTWAIT):
            pass

    def lose(self) -> None:
        """Say no more, and read until the broker has closed the connection."""
        with contextlib.suppress(OSError):  # The broker was first.
            self._socket.shutdown(socket.SHUT_WR)
        while self.open:
            self._read(0)

    def close(self) -> None:
        """Let go of the socket."""
        self.open = False
        self._socket.close()

    def _connect(self) -> socket.socket:
        limit = struct.pack("ll", 0, int(min(_SLICE, self._patience) * 1e6))
        sock = None
        try:
            if isinstance(self.address, str):
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                sock.settimeout(self._patience)
                sock.connect(self.address)
            else:
                sock = socket.create_connection(self.address, self._patience)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            if sock is not None:
                sock.close()
            if isinstance(error, TimeoutError):
                raise self._hangs() from None
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise BrokerError(
                    "simcore cannot open another connection to the broker, for there is one for "
                    "each client: raise the limit of open files (ulimit -n)"
                ) from None
            raise BrokerError(
                f"nothing takes connections at {named(self.address)} ({error.strerror}): "
                "the broker has ended, or listens elsewhere"
            ) from None
        # A limit in the kernel saves a system call for each packet, as against a timeout.
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return sock

    def _read(self, flags: int) -> bool:
        """Read once; false if nothing was there."""
        left = self._patience
        while True:
            try:
                data = self._socket.recv(_CHUNK, flags)
                break
            except BlockingIOError:
                if flags:
                    return False
                left = self._wait(left)
            except ConnectionError:
                data = b""
                break
        if not data:
            self.open = False
            return False
        self._take(data)
        return True

    def _wait(self, left: float) -> float:
        """The kernel has waited in vain: how much longer it may, in seconds."""
        left -= _SLICE
        if left <= 0:
            raise self._hangs()
        self._idle()
        return left

    def _take(self, data: bytes) -> None:
        try:
            for packet in self._framer.feed(data):
                self._check(packet)
                self.greeted = True
                # What the kernel charges for a packet is less: its bytes and the next power of 2.
                self.load += 2 * len(packet) + 1024
                if packet != _PONG:
                    self._deliver(self.connection, packet)
                elif not self._pings:
                    raise Malformed("MQTT-3.13", "an answer to a ping that nobody has sent")
                elif self._pings.popleft():
                    self._fences -= 1
                else:
                    self._deliver(self.connection, packet)
            if self._framer.held:
                self._check(self._framer.held)
        except Malformed as error:
            raise BrokerError(
                f"what listens at {named(self.address)} is no broker of MQTT 3.1.1, or a broken "
                f"one: {error}"
            ) from None

    def _check(self, data: bytes) -> None:
        """Refuse what no broker says: its first packet, and no other, is a CONNACK."""
        first = data[0]
        if first not in _OF_BROKERS or (first == _CONNACK) == self.greeted:
            raise Malformed("MQTT-2.2.1", f"it says {data[:20]!r}")

    def _hangs(self) -> BrokerError:
        return Unanswered(
            f"the broker at {named(self.address)} has not answered for {self._patience:g} s: it "
            "hangs or is stopped; see its log"
        )


def named(address: Address) -> str:
    """An address in words."""
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"
