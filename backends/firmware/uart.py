"""The time that bytes take on a device's serial ports, and which port a message goes to.

A byte is on the wire for ten bit times: a start bit, eight bits, a stop bit. Emulators transmit
at the speed of instructions, and say when each byte was written; when it is complete is computed
here. So the time of a line is the same on every engine, whatever the engine thinks of baud rates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import sub
from typing import Any

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
        # When, which UART, a number so that nothing else is compared, a line or text for the log.
        self._held: list[tuple[int, int, int, bytes | str]] = []
        self._number = 0

    def take(self, message: Message) -> tuple[int, int, int, str] | None:
        """A message that arrives, as what is to be put into a receiver.

        Returns:
            Number of the UART, when its first byte is complete, time between bytes (ns), and the
            bytes in hex; None: no UART takes messages, and the log says so.
        """
        at = message.at - self._start
        uart = self._ways.get(message.sender.name, self._main)
        if uart is None:
            self.note(at, f"no UART takes messages: {message.id} ({message.kind}) is dropped")
            return None
        raw = self._modes[uart] == "raw"
        line = lines.raw_line_of(message) if raw else lines.line_of(message)
        due, step = self._receivers[uart].take(at, len(line))
        return uart, due, step, line.hex()

    def note(self, at: int, text: str) -> None:
        """Put a text into the log, at its place in time."""
        self._hold(at, -1, text)

    def say(
        self, outputs: Sequence[tuple[int, int, str]], until: int
    ) -> tuple[list[Output], list[str]]:
        """What the firmware says before an instant.

        Args:
            outputs: number of the UART, when written (ns), and the bytes in hex, in order of time.
            until: the end of the window, ns. What is complete then or later is held back until
                the window in which that happens.

        Returns:
            The messages that it sends, and entries of its log.

        Raises:
            Flood: see `Transmitter.write`.
        """
        for uart, transmitter in enumerate(self._transmitters):
            mine = (
                outputs if len(self.names) == 1 else [each for each in outputs if each[0] == uart]
            )
            if mine:
                self._write(uart, transmitter, mine)
        held = self._held
        held.sort()
        count = bisect_left(held, (until,))
        said, log = [], []
        for at, uart, _, what in held[:count]:
            found = self._meaning(at, uart, what) if isinstance(what, bytes) else what
            if isinstance(found, Output):
                said.append(found)
            elif isinstance(what, bytes):
                log.append(lines.log_entry(at, found, what))
            else:
                log.append(lines.log_entry(at, found))
        del held[:count]
        return said, log

    def _write(
        self, uart: int, transmitter: Transmitter, outputs: Sequence[tuple[int, int, str]]
    ) -> None:
        stamps = [each[1] for each in outputs]
        data = bytes.fromhex("".join([each[2] for each in outputs]))
        if len(data) != len(stamps):
            stamps = [at for _, at, text in outputs for _ in range(len(text) // 2)]
        for at, whole, cut in transmitter.write(stamps, data):
            if cut:
                self._hold(at, uart, CUT)
            if line := whole.removesuffix(b"\r"):
                self._hold(at, uart, line)

    def _hold(self, at: int, uart: int, what: bytes | str) -> None:
        self._number += 1
        self._held.append((at, uart, self._number, what))

    def _meaning(self, at: int, uart: int, line: bytes) -> Output | str:
        mode = self._modes[uart]
        if mode == "addressed":
            return lines.message_of(at + self._start, line)
        if mode == "raw":
            return lines.raw_message_of(at + self._start, line, self._peers[uart])
        return lines.PLAIN

    def end(self, at: int) -> list[str]:
        """What the log says of words that were not complete at the end of the run (ns)."""
        log = []
        for uart, transmitter in enumerate(self._transmitters):
            rest = [what for _, by, _, what in sorted(self._held) if by == uart]
            for what in [*rest, transmitter.rest]:
                if what and isinstance(what, bytes):
                    log.append(lines.log_entry(at, lines.NO_END, what))
        self._held.clear()
        return log
