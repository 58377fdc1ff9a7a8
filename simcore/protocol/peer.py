"""The participant's side of simcore's wire: copy this file into any program or image.

It needs Python 3.9 or later and nothing else, and imports nothing of simcore. The short way::

    from peer import serve

    class Doubler:
        kind = "reactive"

        def advance(self, peer, until, inputs):
            for message in inputs:
                peer.send(message.source, "doubled", {"value": 2 * message.payload["value"]},
                          cause=message)

    serve(Doubler())

The long way is a loop of one's own over `Peer.advances()`. Either way standard output goes to
standard error, so that a `print` cannot corrupt the wire. The protocol is described in
`docs/protocol.md` of simcore.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from operator import index as as_int
from typing import Any, NamedTuple

PROTOCOL = 1
"""Version of the protocol that this file speaks."""

MAX_DEPTH = 64
_PLAIN = frozenset({str, int, bool, type(None)})
_NESTED = frozenset({dict, list})


class PayloadError(ValueError):
    """A value that cannot travel; the message says where in the payload and why."""


def plain(value: Any, where: str = "payload", depth: int = 0) -> Any:
    """A copy of a payload that consists of JSON values only; bytes become `{"$b64": "..."}`.

    Args:
        value: JSON values (dict with string keys, list, tuple, str, int, finite float, bool,
            None) and bytes, nested at will; numpy scalars count as their values.
        where: name of the value in messages.
        depth: how deep it is nested already; 64 levels are allowed.

    Raises:
        PayloadError: anything else.
    """
    if depth > MAX_DEPTH:
        raise PayloadError(f"{where[:60]}... is nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if kind is dict and _is_flat(value):
        return value.copy()
    if kind is str:
        return _text(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise PayloadError(f"{where} has the key {key!r}: keys must be strings")
        if "$b64" in value:
            raise PayloadError(
                f"{where} has the key '$b64', which stands for bytes: send bytes instead"
            )
        return {_text(key): plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, float):
        if not isfinite(value):
            raise PayloadError(
                f"{where} is {value!r}: JSON has no such number; send None or a string"
            )
        return float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$b64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, str):
        return _text(str.__str__(value))  # of an enumeration its value, not its name
    try:
        return as_int(value)  # numpy integers
    except TypeError:
        pass
    if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        item = value.item()  # other numpy scalars
        if type(item) is not kind:
            return plain(item, where, depth + 1)
    raise PayloadError(
        f"{where} is a {kind.__module__}.{kind.__qualname__}: send JSON values or bytes "
        "(an array goes as .tolist() or .tobytes())"
    )


def _is_flat(value: dict[Any, Any]) -> bool:
    """Whether a mapping can be copied as it is: the common case, in few steps."""
    for key, item in value.items():
        kind = type(item)
        if kind is float:
            if not isfinite(item):
                return False
        elif kind not in _PLAIN or (kind is str and not item.isascii()):
            return False
        if type(key) is not str or key == "$b64" or not key.isascii():
            return False
    return True


def _text(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PayloadError(f"payload cannot be written as JSON: {error}") from error
    return text


def restore(value: Any) -> Any:
    """A copy of a decoded payload in which bytes are bytes again.

    Raises:
        PayloadError: what stands for bytes is not base64.
    """
    if isinstance(value, dict):
        for item in value.values():
            if type(item) in _NESTED:
                break
        else:
            if "$b64" not in value:
                return value.copy()
        if len(value) == 1 and isinstance(value.get("$b64"), str):
            try:
                return base64.b64decode(value["$b64"], validate=True)
            except ValueError as error:
                raise PayloadError(f"'$b64' does not hold base64: {error}") from error
        return {key: restore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restore(item) for item in value]
    return value


class Refused(Exception):
    """simcore did not let this program in, or gave up; the text says why."""


class Message:
    """A message that arrived.

    Attributes:
        at: when it arrived, or entered the network (virtual ns).
        id: as `meter-3/17`.
        source: name of the node that sent it.
        destination: name of the node that it goes to.
        kind: what it is, as `reading`; None for a network, which sees no content.
        size: bytes on the network.
        sent: when it was sent (virtual ns).
    """

    __slots__ = ("_payload", "at", "destination", "id", "kind", "sent", "size", "source")

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.at: int = fields["at"]
        self.id: str = fields["id"]
        self.source: str = fields["src"]
        self.destination: str = fields["dst"]
        self.kind: Any = fields.get("kind")
        self.size: int = fields["size"]
        self.sent: int = fields["sent"]
        self._payload = fields.get("payload")

    @property
    def payload(self) -> Any:
        """The content, a fresh copy at each access: changing it changes nothing else."""
        return restore(self._payload)

    def __repr__(self) -> str:
        return f"<Message {self.id} {self.kind!r} to {self.destination}>"


class Advance(NamedTuple):
    """Leave to act.

    Attributes:
        seq: number of the exchange.
        since: where the last one ended (virtual ns).
        until: reactive: the instant at which to act. Else: all before it may happen.
        inputs: messages, in the order of their times.
    """

    seq: int
    since: int
    until: int
    inputs: list[Message]


class Peer:
    """This program, as a participant of a run.

    Args:
        receive: a file descriptor to read frames from.
        send: one to write frames to; it may be the same.
        token: what simcore gave us to prove who we are.
        name: the name that it gave us.

    Attributes:
        name: of this participant.
        nodes: names of the nodes that it hosts.
        seed: of the run.
        time: virtual time at which it begins (ns).
        end: virtual time at which the run ends (ns).
        life: which start this is, from 1.
        config: the scenario's `config`.
        now: the instant of the present advance, or the beginning of its window (virtual ns).

    Raises:
        Refused: simcore did not let us in.
    """

    def __init__(self, receive: int, send: int, token: str, name: str) -> None:
        self._in, self._out = receive, send
        self._rest = b""
        self._advance = Advance(0, 0, 0, [])
        self._outputs: list[dict[str, Any]] = []
        self._measures: list[dict[str, Any]] = []
        self.kind = "reactive"
        self._write({"type": "HELLO", "protocol": PROTOCOL, "token": token, "name": name})
        init = self._frame("INIT")
        self.name: str = init["name"]
        self.nodes: list[str] = init["nodes"]
        self.seed: int = init["seed"]
        self.time: int = init["time"]
        self.end: int = init["end"]
        self.life: int = init["life"]
        self.config: dict[str, Any] = init["config"]
        self.now = self.time

    @classmethod
    def connect(cls, environment: Mapping[str, str] = os.environ) -> Peer:
        """Connect to the simcore that started this program.

        Standard output goes to standard error from now on.

        Raises:
            Refused: nobody started us, nobody listens, or simcore did not let us in.
        """
        try:
            address, token, name = (
                environment[f"SIMCORE_{key}"] for key in ("ADDRESS", "TOKEN", "NAME")
            )
        except KeyError as error:
            raise Refused(f"{error.args[0]} is not set: simcore starts this program") from None
        try:
            receive, send = _open(address)
        except OSError as error:
            raise Refused(f"cannot connect to simcore at {address}: {error}") from error
        os.dup2(2, 1)
        if sys.stdout is not None:
            sys.stdout.flush()  # only now: what was printed before must not reach the wire either
        return cls(receive, send, token, name)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Tell simcore about an exception; it ends this program all the same."""
        if isinstance(error, Exception) and not isinstance(error, Refused):
            self.fail(f"{type(error).__name__}: {error}", traceback.format_exc())

    def ready(self, kind: str = "reactive", next: int | None = None, grain: int = 1) -> None:
        """Say that this participant can be advanced.

        Args:
            kind: "reactive", "free_running" or "network".
            next: when it wants to be advanced first (virtual ns); None: when there is input.
            grain: of free-running ones: windows begin and end at multiples of this (ns).
        """
        self.kind = kind
        self._write({"type": "READY", "kind": kind, "next": next, "grain": grain})

    def advances(self) -> Iterator[Advance]:
        """Each leave to act, to the end of the run; answer each with `done`.

        Raises:
            SystemExit: simcore is gone.
            Refused: simcore gave up and said why.
        """
        since = self.time
        instants = self.kind == "reactive"
        while True:
            frame = self._frame("ADVANCE", "SHUTDOWN")
            if frame["type"] == "SHUTDOWN":
                self._write({"type": "BYE"})
                return
            until = frame["until"]
            self.now = until if instants else since
            inputs = [Message(each) for each in frame["inputs"]]
            self._advance = advance = Advance(frame["seq"], since, until, inputs)
            yield advance
            since = until

    def done(
        self,
        outputs: Iterable[Mapping[str, Any]] = (),
        measures: Iterable[Mapping[str, Any]] = (),
        next: int | None = None,
        now: int | None = None,
    ) -> None:
        """Answer the advance.

        Args:
            outputs: as the protocol has them, after those that were given to `send`.
            measures: as the protocol has them, after those that were given to `record`.
            next: when to be advanced next (virtual ns); None: when there is input.
            now: the clock of a network; others are at `until`. Without it, a network is at its
                delivery, or at the last instant before `until`.
        """
        advance = self._advance
        sent, measured = self._outputs, self._measures
        sent += outputs  # type: ignore[arg-type]
        measured += measures  # type: ignore[arg-type]
        if now is None:
            now = advance.until
            if self.kind == "network":
                stops = [each["at"] for each in sent if each.get("fate") in (None, "delivered")]
                now = stops[0] if stops else max(now - 1, 0)
        # Put together by hand, for this is the hot path; `as_int` refuses what is no integer.
        self._send_line(
            f'{{"type":"DONE","seq":{advance.seq},"now":{as_int(now)},'
            f'"next":{"null" if next is None else as_int(next)},'
            f'"outputs":{_encode(sent) if sent else "[]"},'
            f'"measures":{_encode(measured) if measured else "[]"}}}\n'
        )
        self._outputs, self._measures = [], []

    def send(
        self,
        destination: str,
        kind: str,
        payload: Any = None,
        *,
        at: int | None = None,
        source: str | None = None,
        size: int | None = None,
        cause: Message | str | None = None,
        spent: tuple[int, int] | None = None,
    ) -> None:
        """Send a message with the next `done`.

        Args:
            destination: name of a node.
            kind: what it is, as `reading`.
            payload: see `plain`; it is copied.
            at: when it leaves (virtual ns): now, or later. Free-running: inside the window.
            source: the node that sends it; needed if this participant hosts several.
            size: bytes on the network; of the payload's text without it.
            cause: the message that led to it.
            spent: how long it waited and was computed before it was sent (ns).
        """
        output: dict[str, Any] = {
            "at": self.now if at is None else at,
            "dst": destination,
            "kind": kind,
            "payload": plain(payload),
        }
        if source is not None:
            output["src"] = source
        if size is not None:
            output["size"] = size
        if cause is not None:
            output["cause"] = cause if isinstance(cause, str) else cause.id
        if spent is not None:
            output["spent"] = spent
        self._outputs.append(output)

    def record(
        self,
        name: str,
        value: bool | int | float | str,
        *,
        at: int | None = None,
        node: str | None = None,
    ) -> None:
        """Record a measurement with the next `done`; arguments as for `send`."""
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"cannot record {name!r} = {value!r}: it must be finite")
        measure = {"at": self.now if at is None else at, "name": name, "value": value}
        if node is not None:
            measure["node"] = node
        self._measures.append(measure)

    def settle(self, message: Message | str, at: int, fate: str = "delivered") -> None:
        """A network says what became of a message, and when (virtual ns)."""
        name = message if isinstance(message, str) else message.id
        self._outputs.append({"at": at, "id": name, "fate": fate})

    def fail(self, message: str, detail: str = "") -> None:
        """Give up: tell simcore why. The program should end then."""
        with contextlib.suppress(OSError):  # simcore may be gone
            self._write({"type": "ERROR", "message": message, "detail": detail})

    def _frame(self, *expected: str) -> dict[str, Any]:
        frame: dict[str, Any] = _decode(self._line(), 0)[0]
        found = frame["type"]
        if found == "ERROR":
            raise Refused(f"simcore says: {frame['message']}")
        if found not in expected:
            raise Refused(f"simcore sent {found}, and {' or '.join(expected)} was expected")
        return frame

    def _line(self) -> str:
        data = self._rest or self._read()
        end = data.find(b"\n")
        if end == len(data) - 1:  # as always between two exchanges
            self._rest = b""
            return data.decode()
        parts = []
        while end < 0:
            parts.append(data)
            data = self._read()
            end = data.find(b"\n")
        self._rest = data[end + 1 :]
        parts.append(data[:end])
        return b"".join(parts).decode()

    def _read(self) -> bytes:
        try:
            data = os.read(self._in, 65536)
        except ConnectionError:
            data = b""
        if not data:
            raise SystemExit(1)  # simcore is gone: nobody is left to tell
        return data

    def _write(self, frame: Mapping[str, Any]) -> None:
        self._send_line(f"{_encode(frame)}\n")

    def _send_line(self, text: str) -> None:
        line = text.encode()
        sent = os.write(self._out, line)
        while sent < len(line):
            sent += os.write(self._out, memoryview(line)[sent:])


def _open(address: str) -> tuple[int, int]:
    """File descriptors to read from and to write to."""
    transport, _, place = address.partition(":")
    if transport == "stdio":
        receive, send = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        return receive, send
    if transport == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(place)
    elif transport == "tcp":
        host, _, port = place.rpartition(":")
        sock = socket.create_connection((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        raise Refused(f"SIMCORE_ADDRESS is {address!r}: unix:, tcp: and stdio are known")
    number = sock.detach()
    return number, number


_decode = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
"""Reads the JSON value that begins at an index: `json.loads` without looking for white space."""


def _make_encode() -> Callable[[Any], str]:
    """As `JSONEncoder.encode`, which makes a new C encoder for each value, with one for all."""
    encoder = json.JSONEncoder(
        separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
    )
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # not CPython
        return encoder.encode
    text = json.encoder.encode_basestring
    chunks = make(None, encoder.default, text, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


_encode = _make_encode()


def serve(participant: Any) -> None:
    """Run a participant to the end of the run, then end the program.

    Args:
        participant: an object with
            `kind`: "reactive" (without it), "free_running" or "network";
            `grain`: of free-running ones, 1 ns without it;
            `start(peer)`: may be missing; returns when to be advanced first;
            `advance(peer, until, inputs)`: calls `peer.send` and the like, and returns when to
            be advanced next (virtual ns), None for "when there is input".

    Raises:
        SystemExit: with code 0 after a run; with 1 if simcore is gone, or when the participant
            raised: simcore is told, and reports the traceback.
    """
    try:
        with Peer.connect() as peer:
            start: Callable[[Peer], int | None] | None = getattr(participant, "start", None)
            peer.kind = getattr(participant, "kind", "reactive")
            begin = start(peer) if start is not None else None
            peer.ready(peer.kind, begin, getattr(participant, "grain", 1))
            for advance in peer.advances():
                peer.done(next=participant.advance(peer, advance.until, advance.inputs))
    except Refused as error:
        raise SystemExit(str(error)) from None
    raise SystemExit(0)
