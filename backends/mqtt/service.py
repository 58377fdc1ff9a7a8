"""The broker of a run, as a service: streams from its clients on one side, a broker on the other.

`service: mqtt_broker` is the model; it runs in simcore's own process, in a child process and in a
container alike. `implementation: mosquitto` hosts the same class with a real Mosquitto behind it.

What arrives at an instant is handed to the broker as one, in the order of arrival, and what it
answers goes out by connection, in the order in which those were opened. An instant without MQTT
packets costs the broker nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from simcore.units import size

from .attribution import Attribution
from .broker import Answer, Broker, Event, Lost, Opened, Received
from .model import Model
from .segments import ALL, RST, SYN, Segment, reset
from .settings import DIALECTS, MODELLED, Settings
from .timing import Tuning
from .transport import Brought, Stream

if TYPE_CHECKING:
    from simcore.protocol.service import Context, Incoming

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "version": {
            "enum": [*DIALECTS],
            "description": "The Mosquitto that is modelled, 2.1 without it: 2.0.11 is also 2.0.12, "
            "2.0.21 also 2.0.22, and 2.1 what came after it. A Mosquitto that takes part has to "
            "be like this one; without it, it may be any.",
            "examples": ["2.0.11"],
        },
        "max_inflight_messages": {
            "type": "integer",
            "minimum": 0,
            "maximum": 65535,
            "default": 20,
            "description": "Messages with QoS 1 and 2 under way to a client before more wait; 0: "
            "any number.",
        },
        "allow_duplicate_messages": {
            "type": "boolean",
            "default": False,
            "description": "A client gets a message once for each subscription that matches.",
        },
        "max_connections": {
            "type": "integer",
            "minimum": 1,
            "description": "Connections at a time; a further one is closed. Unlimited without it.",
        },
        "max_packet_size": {
            "type": "string",
            "format": "size",
            "description": "A larger packet ends its connection. 256 MiB less one byte without it.",
        },
    },
}
"""The `config` of a broker, in Mosquitto's words."""

_REMEMBERED = 256
"""Inputs before an advance that may still be named as causes (`simcore.answers.CAUSES`)."""


def settings_of(config: Mapping[str, Any]) -> Settings:
    """What a node's `config` sets a broker to."""
    found: dict[str, Any] = {}
    if "max_packet_size" in config:
        found["packet"] = min(size(config["max_packet_size"]), Settings().packet)
    return Settings(
        window=config.get("max_inflight_messages", Settings().window),
        copies=config.get("allow_duplicate_messages", False),
        connections=config.get("max_connections"),
        **found,
    )


class Driven(Protocol):
    """What stands behind the service: a `Broker` with the model or Mosquitto as its engine."""

    @property
    def next(self) -> int | None:
        """When it wants to be called though nothing arrives, ns."""

    def advance(self, now: int, events: Iterable[Event]) -> list[Answer]:
        """Let an instant take place; what the broker sends then."""


class _Cause(NamedTuple):
    """A message that came in."""

    message: Incoming
    ordinal: int
    """Its place among all that came in, from 0."""


class _Line:
    """The broker's end of one connection.

    Attributes:
        number: in the order of opening; the broker knows it by this.
        source: the client's node.
        told: whether the broker knows of it.
    """

    __slots__ = ("number", "source", "stream", "told")

    def __init__(self, number: int, source: str, stream: Stream) -> None:
        self.number = number
        self.source = source
        self.stream = stream
        self.told = False


class MqttBroker:
    """A broker that nodes reach over the simulated network.

    Args:
        broker: makes the broker from what the node's `config` sets; the model without it.
    """

    schema = SCHEMA

    def __init__(self, broker: Callable[[Settings], Driven] | None = None) -> None:
        self._make = broker
        self._broker: Driven
        self._lines: dict[tuple[str, int], _Line] = {}
        self._by_number: dict[int, _Line] = {}
        self._numbers = 0
        self._deadlines: list[tuple[int, int]] = []
        self._attribution = Attribution()
        self._events: list[Event] = []
        self._touched: dict[int, _Line] = {}
        self._taken = 0
        self._first = 0

    def start(self, ctx: Context) -> None:
        """Begin with no connection and no message kept."""
        settings = settings_of(ctx.config)
        if self._make is not None:
            self._broker = self._make(settings)
        else:
            dialect = DIALECTS.get(ctx.config.get("version", ""), MODELLED)
            self._broker = Broker(Model(settings, dialect), settings)

    def on_messages(self, ctx: Context, messages: Sequence[Incoming]) -> None:
        """Take the segments of an instant."""
        self._first = self._taken
        for message in messages:
            cause = _Cause(message, self._taken)
            self._taken += 1
            self._take(ctx, message, cause)
        self._conclude(ctx)

    def on_timer(self, ctx: Context, name: str) -> None:
        """Send again what was not acknowledged, and let the broker end what is silent."""
        self._first = self._taken
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= ctx.now:
            at, number = heappop(deadlines)
            line = self._by_number.get(number)
            if line is not None and line.stream.deadline == at:
                line.stream.timeout(ctx.now)
                self._after(line, None)
        self._conclude(ctx)

    # -- what comes in

    def _take(self, ctx: Context, message: Incoming, cause: _Cause) -> None:
        if message.kind not in ALL:
            raise ValueError(
                f"{message.source} sent {message.kind!r}, and a broker understands MQTT only"
            )
        payload = message.payload
        if not isinstance(payload, dict) or "c" not in payload:
            raise ValueError(
                f"{message.source} sent {message.kind!r} without being a client: add it to "
                "'clients' in the top-level key 'mqtt'"
            )
        key = message.source, payload["c"]
        line = self._lines.get(key)
        if line is None:
            if message.kind == SYN:
                line = self._accept(key, payload)
            else:
                if message.kind != RST:
                    self._send(ctx, message.source, reset(payload["c"], cause))
                return
        brought = line.stream.take(ctx.now, message.kind, payload, cause)
        self._after(line, cause, brought)

    def _accept(self, key: tuple[str, int], payload: Mapping[str, Any]) -> _Line:
        tuning = Tuning(*payload["t"]) if "t" in payload else Tuning()
        self._numbers = number = self._numbers + 1
        line = _Line(number, key[0], Stream(key[1], tuning, active=False))
        self._lines[key] = self._by_number[number] = line
        return line

    def _after(self, line: _Line, cause: Any, brought: Sequence[Brought] = ()) -> None:
        """Note for the broker what has come of something that happened to a stream."""
        number, stream, events = line.number, line.stream, self._events
        self._touched[number] = line
        if stream.established and not line.told:
            line.told = True
            events.append(Opened(number))
        for data, by in brought:
            self._attribution.received(number, data, by)
            events.append(Received(number, data))
        if stream.end is not None and line.told:
            line.told = False
            self._attribution.ended(number, cause)
            events.append(Lost(number))

    # -- what goes out

    def _conclude(self, ctx: Context) -> None:
        """Let the broker act, send what is to be sent, and say when to be called next."""
        broker, now = self._broker, ctx.now
        if self._events or (broker.next is not None and broker.next <= now):
            events, self._events = self._events, []
            answers = broker.advance(now, events)
            for answer, cause in zip(answers, self._attribution.causes(answers), strict=True):
                self._answer(now, answer, cause)
        for _, line in sorted(self._touched.items()):
            self._flush(ctx, line)
        self._touched.clear()
        following, deadline = broker.next, self._deadline()
        if following is None or (deadline is not None and deadline < following):
            following = deadline
        if following is None:
            ctx.cancel_timer("due")
        else:
            ctx.set_timer("due", following - now)

    def _answer(self, now: int, answer: Answer, cause: Any) -> None:
        line = self._by_number.get(answer.connection)
        if line is None:
            return  # it has ended at this very instant
        self._touched[line.number] = line
        if answer.packet is not None:
            line.stream.send(now, answer.packet, cause)
        else:
            line.told = False
            line.stream.close(now, cause)

    def _flush(self, ctx: Context, line: _Line) -> None:
        stream = line.stream
        for segment in stream.flush():
            self._send(ctx, line.source, segment)
        if stream.over:
            del self._lines[line.source, stream.connection], self._by_number[line.number]
        elif stream.deadline is not None:
            heappush(self._deadlines, (stream.deadline, line.number))

    def _send(self, ctx: Context, destination: str, segment: Segment) -> None:
        cause = segment.cause
        known = cause is not None and cause.ordinal >= self._first - _REMEMBERED
        ctx.send(
            destination,
            segment.kind,
            segment.payload,
            size=segment.size,
            cause=cause.message if known else None,
        )

    def _deadline(self) -> int | None:
        """When the first stream wants to be woken."""
        deadlines = self._deadlines
        while deadlines:
            at, number = deadlines[0]
            line = self._by_number.get(number)
            if line is not None and line.stream.deadline == at:
                return at
            heappop(deadlines)
        return None
