"""The frames of the wire as simcore sees them: one place says which fields there are, checks
what comes from a participant, and yields the published JSON Schema.

A frame is one JSON object on one line. Participants may leave out what has a default; what they
write besides is refused, for it is a misspelling. See `docs/protocol.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from simcore import units

PROTOCOL = 1
"""Version of the protocol; a participant of another one is refused."""

MAX_TIME = units.MAX_TIME
"""First virtual time (ns) that is refused: 2^53."""

MAX_LINE = 16 * 2**20
"""Bytes of the longest line, its newline not counted."""

MAX_HELLO = 4096
"""Bytes of the longest HELLO."""

Kind = Literal["reactive", "free_running", "network"]

Time = Annotated[int, Meta(ge=0, lt=MAX_TIME, description="Virtual time in nanoseconds.")]
Span = Annotated[Time, Meta(description="Nanoseconds.")]
Seq = Annotated[int, Meta(ge=1, lt=MAX_TIME, description="Number of the exchange: 1, 2, 3 ...")]
Size = Annotated[int, Meta(ge=0, lt=2**40, description="Bytes on the network.")]
Name = Annotated[str, Meta(min_length=1, description="Name of a node.")]
Id = Annotated[
    str, Meta(description="Id of a message: its source and its number there, as meter-3/17.")
]
Word = Annotated[str, Meta(min_length=1, description="What the message is, as reading.")]
Next = Annotated[
    int | None,
    Meta(description="When it is to be advanced next (ns); null: when there is input."),
]


class ProtocolError(Exception):
    """A frame that breaks a rule of the protocol.

    Args:
        rule: short name of the rule, as in `docs/protocol.md`.
        message: what is wrong, in one line.
    """

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        self.message = message
        super().__init__(rule, message)

    def __str__(self) -> str:
        return self.message


def _null() -> Raw:
    return Raw(b"null")


class _Frame(Struct, tag_field="type", frozen=True, gc=False):
    """What simcore sends: participants ignore fields that they do not know."""


class _Answer(Struct, tag_field="type", frozen=True, gc=False, forbid_unknown_fields=True):
    """What a participant sends: simcore refuses fields that it does not know."""


class _Part(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A part of an answer."""


class Hello(_Answer, frozen=True, tag="HELLO"):
    """First of all: the participant says who it is. At most 4 KiB, within 5 s."""

    protocol: Annotated[int, Meta(description="Version of the protocol: 1.")]
    token: Annotated[str, Meta(description="SIMCORE_TOKEN of its environment.")]
    name: Annotated[str, Meta(description="SIMCORE_NAME of its environment.")]


class Init(_Frame, frozen=True, kw_only=True, tag="INIT"):
    """What the participant is to be; the answer is READY."""

    protocol: Annotated[int, Meta(description="Version of the protocol: 1.")] = PROTOCOL
    name: Annotated[str, Meta(description="Name of the participant.")]
    nodes: Annotated[list[Name], Meta(description="The nodes that it hosts.")]
    seed: Annotated[int, Meta(description="Seed of the run.")]
    time: Time
    end: Annotated[Time, Meta(description="Where the run ends (ns).")]
    life: Annotated[int, Meta(ge=1, description="Which start of the node this is.")] = 1
    config: Annotated[dict[str, Any], Meta(description="The scenario's config of the node.")]


class Ready(_Answer, frozen=True, tag="READY"):
    """The participant can be advanced."""

    kind: Annotated[Kind, Meta(description="How it is advanced.")]
    next: Annotated[
        Time | None,
        Meta(
            description="Reactive: the first instant at which it wants to be advanced (the time "
            "of INIT: at once). Network: the time of its first event. null: when there is input. "
            "Free-running: null."
        ),
    ] = None
    grain: Annotated[
        int,
        Meta(
            ge=1,
            lt=MAX_TIME,
            description="Free-running: its windows begin and end at multiples of this (ns).",
        ),
    ] = 1


class Input(Struct, frozen=True, gc=False):
    """A message that arrives at a node of the participant."""

    at: Annotated[Time, Meta(description="When it arrives (ns).")]
    id: Id
    src: Name
    dst: Name
    kind: Word
    payload: Annotated[Raw, Meta(description="JSON value; bytes are {'$b64': base64}.")]
    size: Size
    sent: Annotated[Time, Meta(description="When it was sent (ns).")]


class NetworkInput(Struct, frozen=True, gc=False):
    """A message that enters the network; its content stays in simcore."""

    at: Annotated[Time, Meta(description="When it enters the network (ns).")]
    id: Id
    src: Name
    dst: Name
    size: Size
    sent: Annotated[Time, Meta(description="When it was sent (ns).")]


class Advance(_Frame, frozen=True, tag="ADVANCE"):
    """A reactive or free-running participant may act up to `until`; the answer is DONE."""

    seq: Seq
    until: Annotated[
        Time,
        Meta(
            description="Reactive: the instant (ns). Free-running: the end of the window, which "
            "does not belong to it.",
        ),
    ]
    inputs: Annotated[list[Input], Meta(description="In the order of arrival.")]


class NetworkAdvance(_Frame, frozen=True, tag="ADVANCE"):
    """A network may act before `until`, up to its first delivery; the answer is DONE."""

    seq: Seq
    until: Annotated[Time, Meta(description="First instant not granted (ns).")]
    inputs: Annotated[list[NetworkInput], Meta(description="In the order in which they enter.")]


class Output(_Part, frozen=True):
    """A message that a node of the participant sends."""

    at: Annotated[Time, Meta(description="When it is sent (ns).")]
    dst: Name
    kind: Word
    payload: Annotated[Raw, Meta(description="JSON value; bytes are {'$b64': base64}.")] = (
        msgspec.field(default_factory=_null)
    )
    src: Annotated[
        Name | None, Meta(description="The node that sends it; needed if there are several.")
    ] = None
    size: Annotated[
        Size | None, Meta(description="Bytes on the network; null: length of the payload.")
    ] = None
    cause: Annotated[
        str | None, Meta(description="Id of the input that led to it: one of the last 256.")
    ] = None
    spent: Annotated[
        tuple[Span, Span] | None,
        Meta(description="Time that the answer waited, and was computed, before it was sent."),
    ] = None


class Measure(_Part, frozen=True):
    """A measurement."""

    at: Annotated[Time, Meta(description="When it was taken (ns).")]
    name: Annotated[str, Meta(min_length=1, description="What is measured.")]
    value: Annotated[bool | int | float | str, Meta(description="The value.")]
    node: Annotated[
        Name | None, Meta(description="Whose it is; needed if the participant has several nodes.")
    ] = None


class Done(_Answer, frozen=True, tag="DONE"):
    """Answer of a reactive or free-running participant: it has acted up to `now`."""

    seq: Seq
    now: Annotated[Time, Meta(description="`until` of the ADVANCE.")]
    next: Annotated[
        Time | None,
        Meta(
            description="Reactive: the next instant at which it wants to be advanced, `now` for "
            "another round at once. null: when there is input. Free-running: null."
        ),
    ] = None
    outputs: Annotated[list[Output], Meta(description="Messages that its nodes send.")] = []
    measures: Annotated[list[Measure], Meta(description="What it measured.")] = []


class Delivery(_Part, frozen=True):
    """What became of a message in the network."""

    at: Annotated[Time, Meta(description="When; `now` of a delivery.")]
    id: Id
    fate: Annotated[
        Literal["delivered", "loss", "queue_full", "link_down", "node_down"],
        Meta(description="Delivered, or why not."),
    ] = "delivered"


class NetworkDone(_Answer, frozen=True, tag="DONE"):
    """Answer of a network: everything before `until`, or up to its first delivery, happened."""

    seq: Seq
    now: Annotated[
        Time,
        Meta(
            description="Its clock: the instant of the delivery at which it stopped, else of its "
            "last event or later, before `until`.",
        ),
    ]
    next: Annotated[
        Time | None, Meta(description="Time of its next event (ns); null: there is none.")
    ] = None
    outputs: Annotated[list[Delivery], Meta(description="Fates of messages.")] = []
    measures: Annotated[list[Measure], Meta(description="Empty: a network has no node.")] = []


class Shutdown(_Frame, frozen=True, tag="SHUTDOWN"):
    """The run is over; the participant answers BYE and exits with code 0."""


class Bye(_Answer, frozen=True, tag="BYE"):
    """Answer to SHUTDOWN."""


class Error(_Answer, frozen=True, tag="ERROR"):
    """Either side gives up; it closes the connection afterwards."""

    message: Annotated[str, Meta(description="What is wrong, in one line.")]
    detail: Annotated[str, Meta(description="More of it, as a traceback.")] = ""


_encode = msgspec.json.Encoder().encode


def encode(frame: Struct) -> bytes:
    """The line of a frame, its newline included.

    Raises:
        ProtocolError: it would be longer than 16 MiB (rule `line-too-long`).
    """
    line = _encode(frame)
    if len(line) > MAX_LINE:
        tag = frame.__struct_config__.tag
        raise ProtocolError("line-too-long", f"{tag}: {len(line)} bytes are more than 16 MiB")
    return line + b"\n"


Frame = TypeVar("Frame", bound=Struct)


def decoder(frame: type[Frame]) -> Callable[[bytes], Frame | Error]:
    """A function that reads a line in which `frame`, or an ERROR, is expected."""
    decode = msgspec.json.Decoder(frame | Error).decode
    tag = str(frame.__struct_config__.tag)

    def read(line: bytes) -> Frame | Error:
        try:
            found: Frame | Error = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _explained(line, tag, error) from None
        return found

    return read


decode_ready = decoder(Ready)
"""Read READY, or the ERROR of a participant that cannot begin; raises ProtocolError."""

decode_bye = decoder(Bye)
"""Read BYE, or ERROR; raises ProtocolError."""

_done = decoder(Done)
_network_done = decoder(NetworkDone)
_hello = decoder(Hello)


def done_decoder(kind: Kind) -> Callable[[bytes], Done | NetworkDone | Error]:
    """The function that reads the DONE (or ERROR) of a kind of participant.

    It raises ProtocolError, as `DONE: outputs[2].at: expected int, got str`.
    """
    return _network_done if kind == "network" else _done


def decode_hello(line: bytes) -> Hello:
    """Read HELLO.

    Raises:
        ProtocolError: it is none, or of another version of the protocol.
    """
    hello = _hello(line)
    if isinstance(hello, Error):
        raise ProtocolError("participant-error", f"the participant says: {hello.message}")
    if hello.protocol != PROTOCOL:
        raise ProtocolError(
            "protocol-version",
            f"HELLO: protocol {hello.protocol}: this simcore speaks protocol {PROTOCOL}",
        )
    return hello


class _AnyType(Struct):
    type: Any | UnsetType = UNSET


_TAGS = ("HELLO", "READY", "DONE", "BYE", "ERROR")
_WHERE = re.compile(r" - at `\$\.?(.*)`$")
_UNPAIRED = re.compile(rb"\\u[dD][89a-fA-F]")


def _explained(line: bytes, tag: str, error: Exception) -> ProtocolError:
    """Why a line is not the frame that was expected, in one line that names the place."""
    if isinstance(error, msgspec.ValidationError):
        return _misshaped(line, tag, str(error))
    if not line.strip():
        return ProtocolError("invalid-json", f"{tag} was expected, and an empty line came")
    if isinstance(error, RecursionError):
        why = "it is nested too deep"
    elif isinstance(error, UnicodeDecodeError):
        why = "it is not UTF-8"
    elif "truncated" in str(error) and _UNPAIRED.search(line):
        why = "it ends too early, or holds half of a surrogate pair"
    else:
        why = str(error).removeprefix("JSON is malformed: ").replace("Input data was", "it is")
    return ProtocolError(
        "invalid-json", f"{tag} was expected, and no JSON came: {why}: {_excerpt(line)}"
    )


def _misshaped(line: bytes, tag: str, text: str) -> ProtocolError:
    try:
        found = msgspec.json.decode(line, type=_AnyType).type
    except msgspec.ValidationError:
        return ProtocolError("frame-shape", f"{tag} was expected, and {_excerpt(line)} came")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _explained(line, tag, error)
    if found is UNSET:
        return ProtocolError("frame-shape", f"{tag} was expected, and a frame without type came")
    if found not in (tag, "ERROR"):
        known = found if found in _TAGS else f"a frame of type {found!r:.40}"
        return ProtocolError("frame-order", f"{tag} was expected, and {known} came")
    where = _WHERE.search(text)
    place = f" {where.group(1)}:" if where and where.group(1) else ""
    what = _WHERE.sub("", text).replace("`", "")
    return ProtocolError("frame-shape", f"{found}:{place} {what[:1].lower()}{what[1:]}")


def _excerpt(line: bytes) -> str:
    """The beginning of what came, fit for one line of a report."""
    text = line[:60].decode("utf-8", "replace")
    return repr(text + "..." if len(line) > 60 else text)
