"""A real TCP port for ordinary MQTT clients, while a run is paced by the wall clock.

Such a client is a visitor: it sees the broker of the run as one of its own network, without delay,
and may publish as well. What it does happens when it does it, so a run that had visitors is not to
be had again, and says so.

To the broker a visitor is a client at the broker's own node: its bytes go through a stream like
all others', whose segments stay within an instant and are recorded nowhere.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from simcore.errors import UsageError
from simcore.message import Message
from simcore.network import Path
from simcore.payload import freeze

from .errors import Malformed
from .framing import Framer
from .keepalive import without_keepalive
from .packets import Connect, decode
from .timing import Tuning
from .transport import Stream

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.node import Node

_MOST_UNREAD = 16 << 20
"""Bytes that may wait for a visitor who does not read."""


class _Connection(NamedTuple):
    """A real connection; `taken` says that the run has taken what came last."""

    writer: asyncio.StreamWriter
    taken: asyncio.Event


class _Door:
    """The wall clock's side: real connections, served by a thread that never touches the run.

    Args:
        port: of TCP on the loopback interface; 0: any.
        wake: called when there is news.

    Attributes:
        port: the one that is open.
        news: what came, in order, by connection: b"" for a new one, None for one that has ended.

    Raises:
        OSError: the port cannot be opened.
    """

    def __init__(self, port: int, wake: Callable[[], None]) -> None:
        self.news: deque[tuple[int, bytes | None]] = deque()
        self._wake = wake
        self._count = 0
        self._connections: dict[int, _Connection] = {}
        opened: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(port, opened), name="simcore-mqtt", daemon=True
        )
        self._thread.start()
        self.port = opened.result()

    def _run(self, port: int, opened: Future[int]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(port, opened))

    async def _serve(self, port: int, opened: Future[int]) -> None:
        try:
            server = await asyncio.start_server(self._attend, "127.0.0.1", port)
        except OSError as error:
            opened.set_exception(error)
            return
        opened.set_result(server.sockets[0].getsockname()[1])
        await self._over.wait()
        server.close()
        for connection in list(self._connections.values()):
            connection.writer.close()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        number = self._count
        connection = self._connections[number] = _Connection(writer, asyncio.Event())
        self._tell(number, b"")
        try:
            while data := await reader.read(1 << 16):
                connection.taken.clear()
                self._tell(number, data)
                await connection.taken.wait()  # who talks faster than the run goes has to wait
        except ConnectionError:
            pass  # it has gone without a word
        finally:
            del self._connections[number]
            writer.close()
            self._tell(number, None)

    def _tell(self, number: int, news: bytes | None) -> None:
        self.news.append((number, news))
        self._wake()

    def take(self) -> tuple[int, bytes | None]:
        """What came first of what has not been taken."""
        number, data = self.news.popleft()
        if data:
            self._loop.call_soon_threadsafe(self._note_taken, number)
        return number, data

    def _note_taken(self, number: int) -> None:
        connection = self._connections.get(number)
        if connection is not None:
            connection.taken.set()

    def write(self, number: int, data: bytes | None) -> None:
        """Have something written to a visitor, or its connection closed; from any thread."""
        self._loop.call_soon_threadsafe(self._write, number, data)

    def _write(self, number: int, data: bytes | None) -> None:
        connection = self._connections.get(number)
        if connection is None:
            return
        writer = connection.writer
        if data is None:
            writer.close()
        elif writer.transport.get_write_buffer_size() > _MOST_UNREAD:
            writer.transport.abort()
        else:
            writer.write(data)

    def close(self) -> None:
        """Close all connections and the port; returns when that is done."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


class _Visitor:
    """The run's side of a connection.

    Attributes:
        early: what came before the broker had agreed to the connection; None: it has ended.
    """

    def __init__(self, number: int) -> None:
        self.framer = Framer()
        self.stream = Stream(number, Tuning(), active=True)
        self.early: list[bytes | None] = []


class Port(Path):
    """Visitors of a broker: `simcore.pacing.Visitors`, and the broker's path to them.

    Args:
        federation: the run.
        broker: the broker's node.
        port: of TCP on the loopback interface; 0: any.
    """

    key = "mqtt.listen"

    def __init__(self, federation: Federation, broker: Node, port: int) -> None:
        self.receiver = broker
        self._federation = federation
        self._broker = broker
        self._port = port
        self._door: _Door | None = None
        self._visitors: dict[int, _Visitor] = {}
        federation.observe_lives(self._observe)

    def open(self, wake: Callable[[], None]) -> None:
        """Let visitors come.

        Raises:
            UsageError: the port cannot be opened.
        """
        try:
            self._door = _Door(self._port, wake)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error  # asyncio has longer words
            raise UsageError(
                f"mqtt.listen: the port {self._port} cannot be opened ({why}): "
                "name another one, or 0 for any"
            ) from None
        self._federation.say(
            f"mqtt: {self._broker.name} is open to clients at 127.0.0.1:{self._door.port}"
        )

    def admit(self, now: int) -> None:
        """Have what has come from visitors happen at a virtual time (ns)."""
        assert self._door is not None
        if self._door.news:
            self._federation.at(now, self._take_news)

    def close(self) -> None:
        """Send all visitors away."""
        if self._door is not None:
            self._door.close()
            self._door = None

    # -- the run's side

    def _observe(self, node: Node) -> None:
        """A broker that crashes leaves its connections, and nobody is let in without one."""
        if node is self._broker and node.down and self._door is not None:
            for number in self._visitors:
                self._door.write(number, None)
            self._visitors.clear()

    def _take_news(self) -> None:
        door, now = self._door, self._federation.calendar.now
        assert door is not None
        self._federation.note_visit()
        while door.news:
            number, data = door.take()
            if data == b"":
                if self._broker.down:
                    door.write(number, None)
                    continue
                visitor = self._visitors[number] = _Visitor(number)
                visitor.stream.open(now)
            elif (found := self._visitors.get(number)) is not None:
                visitor = found
                self._take(visitor, now, data)
            else:
                continue  # the broker has closed it
            self._flush(visitor)

    def _take(self, visitor: _Visitor, now: int, data: bytes | None) -> None:
        if not visitor.stream.established:
            visitor.early.append(data)
            return
        if data is None:
            visitor.stream.close(now)
            return
        try:
            for packet in visitor.framer.feed(data):
                visitor.stream.send(now, _without_clock(packet))
        except Malformed:
            visitor.stream.close(now)

    def _flush(self, visitor: _Visitor) -> None:
        """Hand the broker what a visitor's stream sends."""
        federation, broker = self._federation, self._broker
        now = federation.calendar.now
        for segment in visitor.stream.flush():
            kind = federation.kind_number(segment.kind, broker.name)
            # 0 is no message's number: what a visitor did is told by no id.
            message = Message(
                now, broker.order, 0, broker.order, kind, segment.size, freeze(segment.payload),
                now, 0, segment.kind, broker, broker, self,
            )  # fmt: skip
            federation.stage(message)
        if visitor.stream.over:
            self._visitors.pop(visitor.stream.connection, None)

    def release(self, message: Message) -> None:
        """A segment of a visitor's arrives, at the instant at which it was sent."""
        if not self._broker.down:
            self._broker.deliver(message)

    def enter(self, message: Message) -> None:
        """Take a segment that the broker sends to a visitor."""
        payload: dict[str, Any] = message.payload
        visitor, door = self._visitors.get(payload["c"]), self._door
        if visitor is None or door is None:
            return
        stream, now = visitor.stream, message.sent
        for brought in stream.take(now, message.kind, payload):
            door.write(stream.connection, brought.data)
        if stream.established and visitor.early:
            early, visitor.early = visitor.early, []
            for data in early:
                self._take(visitor, now, data)
        if stream.end is not None:
            door.write(stream.connection, None)
        self._flush(visitor)


def _without_clock(packet: bytes) -> bytes:
    """A packet of a visitor's without its keepalive, which it keeps by the wall clock.

    The broker measures silence in virtual time, which may be much faster. That a visitor has gone
    is known from its connection.
    """
    try:
        hello = isinstance(decode(packet), Connect)
    except Malformed:
        return packet  # the broker is to see for itself
    return without_keepalive(packet) if hello else packet
