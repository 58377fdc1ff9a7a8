"""What simcore and an emulated machine say to each other: bytes with their times.

An emulator knows of no messages. So its ADVANCE and DONE carry what is put into the receivers of
its UARTs and what came out of their transmitters, each byte with the nanosecond since power-on;
the rest of the conversation is that of `docs/protocol.md`. Here messages become bytes and bytes
become messages, which then have to keep the same rules as those of any participant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from simcore.answers import Answers
from simcore.message import Message
from simcore.protocol import frames
from simcore.protocol.frames import ProtocolError, Seq, Time, encode
from simcore.protocol.service import Done
from simcore.units import show_exact

from . import lines
from .record import DeviceLog
from .uart import Flood, Uarts

if TYPE_CHECKING:
    from simcore.federation import Federation

Uart = Annotated[int, Meta(ge=0, description="Number of the UART, from 0.")]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})+$", description="Bytes, in hexadecimal.")]


class Chunk(Struct, frozen=True, array_like=True, gc=False):
    """Bytes for a receiver; they are complete one after the other."""

    uart: Uart
    due: Annotated[Time, Meta(description="When the first one is complete (ns).")]
    step: Annotated[int, Meta(ge=1, description="Time from one to the next (ns).")]
    bytes: Hex


class Written(Struct, frozen=True, array_like=True, gc=False):
    """Bytes that the firmware gave to a transmitter."""

    uart: Uart
    at: Annotated[Time, Meta(description="When (ns).")]
    bytes: Hex


class Lost(Struct, frozen=True, array_like=True, gc=False):
    """A byte that the receiver could not take."""

    uart: Uart
    at: Annotated[Time, Meta(description="When it was complete (ns).")]
    why: Annotated[str, Meta(description="overrun: the previous one was not read; off.")]


class Advance(Struct, frozen=True, tag_field="type", tag="ADVANCE", gc=False):
    """The machine may run up to `until`, exclusive; times are counted from power-on."""

    seq: Seq
    until: Time
    inputs: list[Chunk]


class MachineDone(Struct, frozen=True, tag_field="type", tag="DONE", forbid_unknown_fields=True):
    """The machine has run; an instruction that was under way at `until` is finished."""

    seq: Seq
    now: Time
    outputs: list[Written] = []
    lost: list[Lost] = []
    executed: Annotated[int, Meta(ge=0, description="Instructions since power-on.")] = 0
    fault: tuple[int, int] | None = None


decode = frames.decoder(MachineDone)
"""Read DONE, or ERROR; raises ProtocolError."""

_LOST = {
    "overrun": "the firmware had not read the byte before",
    "off": "the receiver was off",
}

_SHOWN = 80
"""Bytes of what floods a UART that the log shows."""

_FAULTS = (
    (16, "an undefined instruction"),
    (17, "an invalid state"),
    (18, "an invalid return address"),
    (19, "a coprocessor that is off"),
    (24, "an unaligned access"),
    (25, "a division by zero"),
    (0, "executing where nothing may be executed"),
    (1, "an access that is not allowed"),
    (8, "fetching an instruction from where there is nothing"),
    (9, "an access to where there is nothing"),
    (10, "an access to where there is nothing"),
)
"""Bits of CFSR [PM0214 4.4.15], as far as they are worth a word."""


class _Line(NamedTuple):
    """A line on its way into a receiver."""

    id: str
    uart: int
    last: int
    """When its last byte is complete, ns since power-on."""
    size: int


class MachineDialect:
    """The dialect of one life of an emulated device.

    Args:
        federation: the run.
        name: of its node.
        uarts: key `uart` of the scenario.
        log: of the device.
        tolerance: how far an instruction may reach over the end of a window, ns.

    Attributes:
        executed: instructions since power-on.
        born: when the device was switched on, ns of the run.
    """

    decode = staticmethod(decode)

    def __init__(
        self,
        federation: Federation,
        name: str,
        uarts: Mapping[str, Mapping[str, Any]],
        log: DeviceLog,
        tolerance: int,
    ) -> None:
        self.executed = 0
        self.born = 0
        self._name = name
        self._options = uarts
        self._uarts = Uarts(uarts)
        self._log = log
        self._tolerance = tolerance
        self._answers = Answers("free_running", [name], federation.nodes, federation.hint)
        self._lines: list[_Line] = []
        self._lost: list[Lost] = []
        self._clock = 0
        self._end = 0
        """Of the last window, ns since power-on."""
        self._closed = False

    def begin_life(self, now: int) -> None:
        """The device is switched on, at `now` (ns of the run)."""
        self.born = now
        self._uarts = Uarts(self._options, now)

    def advance(self, seq: int, until: int, messages: Sequence[Message]) -> bytes:
        """The line of an ADVANCE."""
        self._answers.note(messages)
        chunks = []
        for message in messages:
            taken = self._uarts.take(message)
            if taken is not None:
                chunk = Chunk(*taken)
                size = len(chunk.bytes) // 2
                last = chunk.due + (size - 1) * chunk.step
                self._lines.append(_Line(message.id, chunk.uart, last, size))
                chunks.append(chunk)
        return encode(Advance(seq, until - self.born, chunks))

    def read(self, frame: MachineDone, since: int, until: int) -> Done:
        """What a DONE says: the messages whose lines are complete."""
        end = self._end = until - self.born
        self._check_times(frame, end)
        self.executed = frame.executed
        if not (frame.outputs or self._lines or self._uarts.busy or frame.lost or frame.fault):
            return Done([], [])  # as in most windows: devices sleep most of the time
        self._lost += frame.lost
        measures = self._account_for_lost(end)
        try:
            outputs, entries = self._uarts.say(frame.outputs, end)
        except Flood as flood:
            self._note_flood(flood, frame)
            at = show_exact(flood.at + self.born)
            raise ProtocolError("uart-flood", f"at {at}, {flood}") from None
        self._log.write(entries)
        if frame.fault is not None:
            self._note_left(outputs)
            raise _fault(frame.fault, since, until)
        answer = frames.Done(frame.seq, until, None, outputs, measures)
        try:
            return self._answers.read(answer, since, until)
        except ProtocolError:
            self._note_left(outputs)
            raise

    def _note_flood(self, flood: Flood, frame: MachineDone) -> None:
        """Show what was written at last where the flood came."""
        uart = self._uarts.names.index(flood.uart)
        written = (x.bytes for x in frame.outputs if x.uart == uart and x.at <= flood.at)
        last = bytes.fromhex("".join(written))[-_SHOWN:]
        self._log.write([lines.log_entry(flood.at, f"{flood.uart} is flooded with: ", last)])

    def _note_left(self, outputs: Sequence[frames.Output]) -> None:
        """The run ends before these are passed on, and they may tell why."""
        self._log.write(
            [
                lines.log_entry(
                    each.at - self.born,
                    "not passed on any more: ",
                    f"{each.kind} to {each.dst}: ".encode() + bytes(each.payload),
                )
                for each in outputs
            ]
        )

    def _check_times(self, frame: MachineDone, end: int) -> None:
        if not end <= frame.now <= max(end, self._clock) + self._tolerance:
            raise ProtocolError(
                "now",
                f"DONE: now is {frame.now}, {end} was granted: this emulator does not stop "
                "where it is to stop",
            )
        before, count = self._clock, len(self._uarts.names)
        for each in frame.outputs:
            if not before <= each.at <= frame.now:
                raise ProtocolError(
                    "output-time",
                    f"DONE: bytes written at {each.at}: they must be in order, from "
                    f"{self._clock} to {frame.now}",
                )
            if each.uart >= count:
                raise ProtocolError("uart", f"DONE: there is no UART {each.uart}")
            before = each.at
        for lost in frame.lost:
            if lost.uart >= count:
                raise ProtocolError("uart", f"DONE: there is no UART {lost.uart}")
            if lost.at > frame.now:
                raise ProtocolError(
                    "output-time", f"DONE: a byte lost at {lost.at}, after now ({frame.now})"
                )
        self._clock = frame.now

    def _account_for_lost(self, end: int) -> list[frames.Measure]:
        """What is lost of a line is told at its end, so it is the same for all windows."""
        complete = [line for line in self._lines if line.last < end]
        if not complete:
            return []
        self._lines = [line for line in self._lines if line.last >= end]
        measures = []
        for line in complete:
            lost = [x for x in self._lost if x.uart == line.uart and x.at <= line.last]
            if lost:
                self._lost = [x for x in self._lost if x not in lost]
                self._uarts.note(
                    line.last,
                    f"{self._uarts.names[line.uart]}: {len(lost)} of the {line.size} bytes of "
                    f"{line.id} are lost: {_LOST.get(lost[0].why, lost[0].why)}",
                )
                measures.append(
                    frames.Measure(
                        self.born + line.last, f"{self._uarts.names[line.uart]}.lost", len(lost)
                    )
                )
        return measures

    def close(self, now: int) -> None:
        """The device is switched off, at `now` (ns of the run); half a line goes to its log."""
        if not self._closed:
            self._closed = True
            self._log.write(self._uarts.end(now - self.born))

    def last_words(self) -> None:
        """The device has failed; all that it was about to say goes to its log."""
        if not self._closed:
            self._closed = True
            self._log.write(self._uarts.end(self._end, unsent=True))

    def give_up(self, id: str) -> None:
        """Of networks only."""

    def clear(self) -> None:
        """Let go of all messages."""
        self._answers.clear()


def _fault(registers: tuple[int, int], since: int, until: int) -> ProtocolError:
    status, hard = registers
    words = [text for bit, text in _FAULTS if status >> bit & 1]
    what = f": {words[0]}" if words else ""
    return ProtocolError(
        "firmware-fault",
        f"the firmware has faulted between {show_exact(since)} and {show_exact(until)}{what} "
        f"(CFSR {status:#010x}, HFSR {hard:#010x})",
    )
