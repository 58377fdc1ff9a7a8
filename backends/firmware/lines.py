"""What a line on a device's serial port means: a message, or words for the log.

Every engine reads lines here, except firmware on the native port, which is a participant itself:
`firmware/native/port.c` decides in the same way, and a test compares the two.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from simcore.message import Message
from simcore.payload import MAX_SIZE, thaw
from simcore.protocol.frames import Output

PLAIN = ""
"""Why a line is no message: it is none, and was not meant as one."""

NO_END = "a line without its end: "
"""What stands in the log before words whose newline never came."""

UNSENT = "written, and not sent in whole: "

LEFT = "not passed on any more: "
"""What stands in the log before a message that the run ended too soon for."""

DISMISSED = "sent without a cause, for re is none of the last 256 messages that came: "
"""What stands in the log before the id that a message answers, if nobody knows it."""

_SIZE = "size is no whole number above 0: "
_TEXTS = "dst, kind and re are texts: "
_FIELD = "a field that no message has: "
_NEEDS = "a message needs dst and kind: "

_DEPTH = 96
"""Nesting that is accepted, as in `firmware/lib/json.h`: a device has little memory."""
_LONGEST_NAME = 4095
"""Bytes of dst, kind and re, for the same reason."""

_SPACE = " \t\n\r"
_Text = Annotated[str, Meta(min_length=1)]


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The usual line: everything is as it should be."""

    dst: _Text
    kind: _Text
    payload: Raw = Raw(b"null")
    size: Annotated[int, Meta(ge=1, lt=MAX_SIZE)] | UnsetType = UNSET
    re: _Text | UnsetType = UNSET


_read = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode


def message_of(at: int, line: bytes) -> Output | str:
    """What a line on an addressed UART says.

    Args:
        at: when its newline was complete, ns.
        line: one byte at least, without newline and the carriage return before it.

    Returns:
        The message; or why there is none, to be written in the log before the line.
    """
    if line[:1] != b"{":
        return PLAIN
    # What the quick way takes, the long way takes as well. Escapes may hide what matters, and
    # msgspec does not look into the texts of a payload.
    if len(line) <= _LONGEST_NAME and b"\\u" not in line and _is_shallow(line):
        try:
            if not line.isascii():
                line.decode()
            found = _read(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        else:
            size, cause = found.size, found.re
            return Output(
                at,
                found.dst,
                found.kind,
                found.payload,
                None,
                None if size is UNSET else size,
                None if cause is UNSET else cause,
            )
    return _message_of_any(at, line)


def _message_of_any(at: int, line: bytes) -> Output | str:
    """The same for every line: one field after the other, the first that is wrong decides."""
    if not _is_shallow(line):
        return PLAIN
    try:
        text = line.decode()
        members = list(_members(text))
    except ValueError:
        return PLAIN
    words: dict[str, str] = {}
    payload, size = Raw(b"null"), None
    for name, value, start, end in members:
        if name == "payload":
            payload = Raw(text[start:end].encode())
        elif name == "size":
            digits = text[start:end]
            if not digits.isdecimal() or len(digits) > 13 or not 0 < int(digits) < MAX_SIZE:
                return _SIZE
            size = int(digits)
        elif name not in ("dst", "kind", "re"):
            return _FIELD
        elif text[start] != '"' or not _is_name(value):
            return _TEXTS
        else:
            words[name] = value
    if "dst" not in words or "kind" not in words:
        return _NEEDS
    return Output(at, words["dst"], words["kind"], payload, None, size, words.get("re"))


def _is_name(text: str) -> bool:
    if not text or "\0" in text:
        return False
    try:
        return len(text.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def _is_shallow(line: bytes) -> bool:
    """Whether JSON is not nested too deep; of what is no JSON, anything."""
    if len(line) <= 2 * _DEPTH or line.count(b"{") + line.count(b"[") <= _DEPTH:
        return True
    depth = 0
    for byte in _STRING.sub(b"", line):
        if byte in b"{[":
            depth += 1
            if depth > _DEPTH:
                return False
        elif byte in b"}]":
            depth -= 1
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


# Numbers stay texts: they may be longer than Python likes to convert.
_scan = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str).raw_decode


def _members(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Name, value, and where the value stands, of each member of a JSON object, in order.

    Raises:
        ValueError: the text is no JSON object.
    """
    at = _expect(text, 0, "{")
    if text[at : at + 1] != "}":
        while True:
            if text[at : at + 1] != '"':
                raise ValueError(at)
            name, at = _scan(text, at)
            start = _expect(text, at, ":")
            value, end = _scan(text, start)
            yield name, value, start, end
            at = _beyond_space(text, end)
            if text[at : at + 1] != ",":
                break
            at = _beyond_space(text, at + 1)
    if _expect(text, at, "}") != len(text):
        raise ValueError(at)


def _beyond_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _expect(text: str, at: int, mark: str) -> int:
    """Behind a mark, and the white space on both sides of it."""
    at = _beyond_space(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(at)
    return _beyond_space(text, at + 1)


def raw_message_of(at: int, line: bytes, peer: str) -> Output:
    """What a line on a raw UART says: text as text, anything else as bytes, to one node.

    Args:
        at: when its newline was complete, ns.
        line: one byte at least, without newline and the carriage return before it.
        peer: the node that it goes to.
    """
    try:
        payload = _encode(line.decode())
    except UnicodeDecodeError:
        payload = b'{"$b64":"%b"}' % base64.b64encode(line)
    return Output(at, peer, "line", Raw(payload), None, len(line) + 1)


def line_of(message: Message) -> bytes:
    """The line, with its newline, that tells a device of a message."""
    source = message.sender.name
    return b'{"src":%b,"kind":%b,"id":%b,"payload":%b}\n' % (
        _encode(source),
        _encode(message.kind),
        _encode(f"{source}/{message.number}"),
        message.text.encode(),
    )


def raw_line_of(message: Message) -> bytes:
    """The same for firmware that knows nothing of messages: the payload alone.

    Text stands as it is, bytes as they are, anything else as JSON.
    """
    text = message.text
    value = thaw(text) if text[0] in '"{' else None
    if isinstance(value, bytes):
        return value + b"\n"
    return (value if isinstance(value, str) else text).encode() + b"\n"


_PRINTED = [chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in range(256)]


def log_entry(at: int, why: str, line: bytes = b"") -> str:
    """A line of a device's log, without newline.

    Args:
        at: time since the device was switched on, ns.
        why: text before the line.
        line: what the firmware wrote; what is not printable ASCII stands as `\\xNN`.
    """
    shown = "".join(map(_PRINTED.__getitem__, line))
    return f"{at // 10**9}.{at % 10**9:09} s: {why}{shown}"


def left_entry(at: int, output: Output) -> str:
    """An entry for a message that the end of the run holds back; arguments as `log_entry`."""
    return log_entry(at, LEFT, f"{output.kind} to {output.dst}: ".encode() + bytes(output.payload))


def time_of(entry: str) -> int:
    """The time (ns) of an entry of a log."""
    return int(entry.partition(" ")[0].replace(".", ""))
