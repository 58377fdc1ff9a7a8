"""What simcore and an emulated machine say to each other: messages become bytes, and the reverse.

What comes of the bytes then has to keep the same rules as the messages of any participant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from simcore.answers import Answers
from simcore.message import Message
from simcore.protocol.frames import Done as Answer
from simcore.protocol.frames import Measure, Output, ProtocolError, encode
from simcore.protocol.service import Done
from simcore.units import show_exact

from . import lines
from .frames import Advance, Change, Chunk, MachineDone, decode
from .pins import KIND, Pins
from .reception import Reception
from .record import DeviceLog
from .uart import Flood, Uarts

if TYPE_CHECKING:
    from simcore.federation import Federation

_NO_INPUTS = b'{"type":"ADVANCE","seq":%d,"until":%d,"inputs":[]}\n'
"""An `Advance` as `encode` writes it, in a fraction of the time."""

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


class MachineDialect:
    """The dialect of one life of an emulated device.

    Args:
        federation: the run.
        name: of its node.
        uarts: key `uart` of the scenario.
        pins: key `gpio` of the scenario.
        log: of the device.
        tolerance: how far an instruction may reach over the end of a window, ns.

    Attributes:
        executed: instructions since power-on.
        state: what the processor did in the last window: running, sleeping or halted; empty if the
            emulator does not say.
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
        pins: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.executed = 0
        self.state = ""
        self.born = 0
        self._name = name
        self._options = uarts
        self._uarts = Uarts(uarts)
        self._wired = pins or {}
        self._pins = Pins(self._wired)
        self._log = log
        self._tolerance = tolerance
        self._answers = Answers(
            "free_running",
            [name],
            federation.nodes,
            federation.hint,
            find=self._find,
            dismiss=self._dismiss,
        )
        self._dismissed: list[str] = []
        self._reception = Reception()
        self._clock = 0
        self._end = 0
        """Of the last window, ns since power-on."""
        self._closed = False

    def begin_life(self, now: int) -> None:
        """The device is switched on, at `now` (ns of the run)."""
        self.born = now
        self._uarts = Uarts(self._options, now)
        self._pins = Pins(self._wired, now)

    def advance(self, seq: int, until: int, messages: Sequence[Message]) -> bytes:
        """The line of an ADVANCE."""
        if not messages and not self._wired:  # as for most windows
            return _NO_INPUTS % (seq, until - self.born)
        chunks: list[Chunk] = []
        levels: list[Change] = []
        for message in messages:
            if self._wired and message.kind == KIND:
                level = self._pins.take(message)
                if isinstance(level, str):
                    self._uarts.note(message.at - self.born, level)
                else:
                    levels.append(Change(*level))
                continue
            taken = self._uarts.take(message)
            if taken is not None:
                chunk = Chunk(*taken)
                self._reception.expect(message, chunk)
                chunks.append(chunk)
        pins = levels if self._wired else UNSET
        return encode(Advance(seq, until - self.born, chunks, pins))

    def read(self, frame: MachineDone, since: int, until: int) -> Done:
        """What a DONE says: the messages whose lines are complete."""
        end = self._end = until - self.born
        self._check_times(frame, end)
        self.executed, self.state = frame.executed, frame.state
        if not (
            frame.outputs
            or self._reception.pending
            or self._uarts.busy
            or self._pins.busy
            or frame.lost
            or frame.pins
            or frame.fault
        ):
            return Done([], [])  # as in most windows: devices sleep most of the time
        measures = self._note_losses(frame, end)
        try:
            outputs, entries = self._uarts.say(frame.outputs, end)
        except Flood as flood:
            self._note_flood(flood, frame)
            at = show_exact(flood.at + self.born)
            raise ProtocolError("uart-flood", f"at {at}, {flood}") from None
        outputs += self._pins.say(frame.pins, end)
        answer = Answer(frame.seq, until, None, outputs, measures)
        try:
            if frame.fault is not None:
                raise _fault(frame.fault, since, until)
            done = self._answers.read(answer, since, until)
        except ProtocolError:
            self._log.write(self._with_dismissed(entries))
            self._note_left(outputs)
            raise
        self._log.write(self._with_dismissed(entries))
        return done

    def _find(self, id: str, at: int) -> Message | None:
        return self._reception.find(id, at - self.born)

    def _dismiss(self, id: str, at: int) -> bool:
        self._dismissed.append(lines.log_entry(at - self.born, lines.DISMISSED, id.encode()))
        return True

    def _with_dismissed(self, entries: list[str]) -> list[str]:
        if not self._dismissed:
            return entries
        found, self._dismissed = [*entries, *self._dismissed], []
        return sorted(found, key=lines.time_of)

    def _note_flood(self, flood: Flood, frame: MachineDone) -> None:
        """Show what was written at last where the flood came."""
        uart = self._uarts.names.index(flood.uart)
        written = (x.bytes for x in frame.outputs if x.uart == uart and x.at <= flood.at)
        last = bytes.fromhex("".join(written))[-_SHOWN:]
        self._log.write([lines.log_entry(flood.at, f"{flood.uart} is flooded with: ", last)])

    def _note_left(self, outputs: Sequence[Output]) -> None:
        """The run ends before these are passed on, and they may tell why."""
        self._log.write([lines.left_entry(each.at - self.born, each) for each in outputs])

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
        before = self._clock
        for change in frame.pins:
            if not before <= change.at <= frame.now:
                raise ProtocolError(
                    "output-time",
                    f"DONE: a pin changes at {change.at}: they must be in order, from "
                    f"{self._clock} to {frame.now}",
                )
            if change.pin >= len(self._pins.names):
                raise ProtocolError("pin", f"DONE: there is no pin {change.pin}")
            before = change.at
        self._clock = frame.now

    def _note_losses(self, frame: MachineDone, end: int) -> list[Measure]:
        """Have what did not get in be in the log, and counted."""
        measures = []
        for loss in self._reception.settle(frame.lost, end):
            name = self._uarts.names[loss.uart]
            self._uarts.note(loss.at, f"{name}: {loss.text}")
            measures.append(Measure(self.born + loss.at, f"{name}.lost", loss.size))
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
