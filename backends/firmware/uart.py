"""The time that bytes take on a device's serial ports, and which port a message goes to.

A byte is on the wire for ten bit times: a start bit, eight bits, a stop bit. Emulators transmit
at the speed of instructions, and say when each byte was written; when it is complete is computed
here. So the time of a line is the same on every engine, whatever the engine thinks of baud rates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import sub
from typing import Any, NamedTuple, Protocol

from simcore.message import Message
from simcore.protocol.frames import Output

from . import lines

DEFAULT: Mapping[str, Mapping[str, Any]] = {"usart2": {}}
"""The UARTs of a device that says nothing about them."""

BAUD = 115200
MODE = "addressed"

LONGEST_LINE = 65536
"""Bytes of a line; what is longer is cut."""

MAX_BACKLOG = 65536
"""Bytes that may wait in a transmitter, or be under way; more is a flood."""

CUT = f"no newline in {LONGEST_LINE} bytes"


def byte_time(baud: int) -> int:
    """How long a byte is on the wire, to the nearest nanosecond."""
    return (2 * 10**10 + baud) // (2 * baud)


class Written(Protocol):
    """Bytes that the firmware gave to a transmitter at one instant."""

    @property
    def uart(self) -> int:
        """Number of the UART."""

    @property
    def at(self) -> int:
        """When, since the device was switched on, ns."""

    @property
    def bytes(self) -> str:
        """What, in hexadecimal."""


class Flood(Exception):
    """Firmware has written more than a UART can send.

    Args:
        uart: its name.
        at: when the byte that was too much was written, since the device was switched on, ns.
        baud: what it is set to.
    """

    def __init__(self, uart: str, at: int, baud: int) -> None:
        self.uart, self.at, self.baud = uart, at, baud
        super().__init__(uart, at, baud)

    def __str__(self) -> str:
        return (
            f"the firmware floods {self.uart}: more than {MAX_BACKLOG} bytes wait to be sent at "
            f"{self.baud} baud; let it write less, or sleep in between"
        )


class Transmitter:
    """What the firmware sends on one UART: bytes with the time of writing become timed lines.

    Args:
        name: of the UART.
        baud: bits per second.
    """

    def __init__(self, name: str, baud: int = BAUD) -> None:
        self._name, self._baud = name, baud
        self._step = byte_time(baud)
        self._free = 0
        self._line = bytearray()

    def write(self, stamps: Sequence[int], data: bytes) -> list[tuple[int, bytes, bool]]:
        """Take bytes, and return the lines that end in them.

        Args:
            stamps: when each byte was written, in order, ns.
            data: the bytes.

        Returns:
            For each line, when it is complete (which may be much later), its bytes without the
            newline, and whether it was cut.

        Raises:
            Flood: more bytes wait than may.
        """
        found = []
        begin, end = 0, len(data)
        while begin < end:
            room = LONGEST_LINE - len(self._line)
            behind = data.find(b"\n", begin, begin + room + 1) + 1
            cut = not behind and end - begin > room
            if cut:  # by the first byte that is too much, with which the next line begins
                behind = begin + room + 1
            elif not behind:
                self._pace(stamps[begin:])
                self._line += data[begin:]
                break
            self._pace(stamps[begin:behind])
            self._line += data[begin : behind - 1]
            found.append((self._free, bytes(self._line), cut))
            self._line[:] = data[behind - 1 : behind] if cut else b""
            begin = behind
        return found

    def _pace(self, stamps: Sequence[int]) -> None:
        """Move on to when the last of some bytes is complete.

        A byte written at s is complete at max(s, the previous one's completion) + step. Without
        recursion, the k-th of n (from 0) that found the wire free last decides:
        n * step + max(free, max(s[k] - k * step)).
        """
        step, before, first, count = self._step, self._free, stamps[0], len(stamps)
        begin = max(before, first)
        if stamps[-1] > begin + step:  # else the wire is busy throughout
            last = max(map(sub, stamps, range(0, count * step, step)))
            begin = max(before, last)
        self._free = begin + count * step
        limit = MAX_BACKLOG * step
        if self._free - first > limit:
            for at in stamps:
                before = max(before, at) + step
                if before - at > limit:
                    raise Flood(self._name, at, self._baud)

    def outstanding(self, at: int) -> int:
        """How many of the bytes that were written until an instant (ns) are not complete then."""
        return (self._free - at) // self._step + 1 if self._free >= at else 0

    @property
    def rest(self) -> bytes:
        """What was written since the last newline."""
        return bytes(self._line)


class Receiver:
    """What a device receives on one UART: lines, one after the other on the wire.

    Args:
        baud: bits per second.
    """

    def __init__(self, baud: int = BAUD) -> None:
        self._step = byte_time(baud)
        self._free = 0

    def take(self, arrival: int, count: int) -> tuple[int, int]:
        """Put bytes on the wire, when it is free.

        Args:
            arrival: when they are there to be sent, ns; never before that of an earlier call.
            count: how many.

        Returns:
            When the first byte is complete, and the time between one and the next, ns.
        """
        begin = max(arrival, self._free)
        self._free = begin + count * self._step
        return begin + self._step, self._step


class _Held(NamedTuple):
    """What is said or noted, until its time has come; in the order in which it then goes on."""

    at: int
    uart: int
    """-1: a note."""
    number: int
    """Different for each, so that nothing else is compared."""
    text: bytes
    why: str
    """What stands before it in the log; of a UART: that the line was cut, or nothing."""


class Uarts:
    """All UARTs of a device: lines and log entries in the order of time, messages as bytes.

    Times are those of the device, from when it was switched on; only the messages that it sends,
    and that come, have the time of the run.

    Args:
        options: `uart` of the scenario, checked; None: what a device has by default.
        start: when the device was switched on, ns of the run.
    """

    def __init__(
        self, options: Mapping[str, Mapping[str, Any]] | None = None, start: int = 0
    ) -> None:
        chosen = DEFAULT if options is None else options
        self.names = tuple(chosen)
        """In the order in which they are written: their numbers are their places here."""
        self._start = start
        bauds = [each.get("baud", BAUD) for each in chosen.values()]
        self._modes = [each.get("mode", MODE) for each in chosen.values()]
        self._peers = [each.get("peer", "") for each in chosen.values()]
        self._transmitters = [Transmitter(*each) for each in zip(chosen, bauds, strict=True)]
        self._receivers = [Receiver(baud) for baud in bauds]
        self._ways = {peer: i for i, peer in enumerate(self._peers) if self._modes[i] == "raw"}
        self._main = next((i for i, mode in enumerate(self._modes) if mode != "log"), None)
        self._held: list[_Held] = []
        self._number = 0

    @property
    def busy(self) -> bool:
        """Whether something is to be said or noted when its time has come."""
        return bool(self._held)

    def take(self, message: Message) -> tuple[int, int, int, str] | None:
        """A message that arrives, as what is to be put into a receiver.

        Returns:
            Number of the UART, when its first byte is complete, time between bytes (ns), and the
            bytes in hex; None: no UART takes messages, and the log says so.
        """
        at = message.at - self._start
        uart = self._ways.get(message.sender.name, self._main)
        if uart is None:
            line = lines.line_of(message).removesuffix(b"\n")
            self._hold(at, -1, line, "there is no UART for a message: ")
            return None
        raw = self._modes[uart] == "raw"
        line = lines.raw_line_of(message) if raw else lines.line_of(message)
        due, step = self._receivers[uart].take(at, len(line))
        return uart, due, step, line.hex()

    def note(self, at: int, text: str) -> None:
        """Put a text into the log, at its place in time (ns)."""
        self._hold(at, -1, b"", text)

    def say(self, written: Sequence[Written], until: int) -> tuple[list[Output], list[str]]:
        """What the firmware says before an instant.

        Args:
            written: all that was written since the last call, in order of time.
            until: the end of the window, ns. What is complete then or later is held back until
                the window in which that happens.

        Returns:
            The messages that it sends, and entries of its log.

        Raises:
            Flood: see `Transmitter.write`.
        """
        if len(self.names) == 1:
            self._write(0, written)
        else:
            for uart in range(len(self.names)):
                self._write(uart, [each for each in written if each.uart == uart])
        held = self._held
        held.sort()
        count = bisect_left(held, (until,))
        said: list[Output] = []
        log: list[str] = []
        for at, uart, _, text, why in held[:count]:
            if why:
                log.append(lines.log_entry(at, why, text if uart < 0 else b""))
            if uart >= 0:
                self._read(at, uart, text.removesuffix(b"\r"), said, log)
        del held[:count]
        return said, log

    def _write(self, uart: int, written: Sequence[Written]) -> None:
        stamps = [each.at for each in written]
        data = bytes.fromhex("".join([each.bytes for each in written]))
        if len(data) != len(stamps):
            stamps = [each.at for each in written for _ in range(len(each.bytes) // 2)]
        for at, line, cut in self._transmitters[uart].write(stamps, data):
            self._hold(at, uart, line, CUT if cut else "")

    def _hold(self, at: int, uart: int, text: bytes, why: str) -> None:
        self._number += 1
        self._held.append(_Held(at, uart, self._number, text, why))

    def _read(self, at: int, uart: int, line: bytes, said: list[Output], log: list[str]) -> None:
        """Add a line to what it belongs to."""
        if not line:
            return
        mode = self._modes[uart]
        found: Output | str = lines.PLAIN
        if mode == "addressed":
            found = lines.message_of(at + self._start, line)
        elif mode == "raw":
            found = lines.raw_message_of(at + self._start, line, self._peers[uart])
        if isinstance(found, Output):
            said.append(found)
        else:
            log.append(lines.log_entry(at, found, line))

    def end(self, at: int, *, unsent: bool = False) -> list[str]:
        """What the log says of words that are not complete at the end.

        Args:
            at: the end, ns. Most often, what was said before it was asked for already; when the run
                ends for the sake of another device, the messages of the last window are told here.
            unsent: whole, line by line, with what was written and not sent: the last words of
                firmware that has failed.
        """
        said, log = self.say((), at)
        log += [lines.left_entry(each.at - self._start, each) for each in said]
        for uart, transmitter in enumerate(self._transmitters):
            written = b"".join(
                each.text if each.why else each.text + b"\n"
                for each in self._held
                if each.uart == uart
            )
            written += transmitter.rest
            sent = max(len(written) - transmitter.outstanding(at), 0)
            if unsent and written[sent:]:
                words = [line.removesuffix(b"\r") for line in written.split(b"\n")]
                log += [lines.log_entry(at, lines.UNSENT, line) for line in words if line]
            elif sent:
                log.append(lines.log_entry(at, lines.NO_END, written[:sent]))
        self._held.clear()
        return log
