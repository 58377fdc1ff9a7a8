"""Models of firmware: what the programs of firmware/ say and do, on the stand-in of the processor.

The meter sends the same payloads as `firmware/app/meter.c`; when it sends them differs by what the
instructions take and by the tick of a millisecond by which the STM32's port wakes.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .emulation import STM32_UART, TICK, Program, STM32_GPIOPort, World

MS = 1_000_000
ON = 0x202C
"""CR1 as the port sets it: UE, TE, RE, RXNEIE."""

_LONGEST = 256
"""INCOMING_SIZE of firmware/app/line.h."""

_DIGITS = Path(__file__).parents[2] / "scenarios" / "data" / "digits.bin"
_RECORD, _TRAINING, _PICTURES = 65, 898, 128


def program_of(elf: bytes) -> Any:
    """The model for an ELF file, told from the texts in it."""
    if b'"firmware":"meter"' in elf:
        return meter
    if b'"firmware":"reader"' in elf:
        from . import reader  # needs the models of the scenarios, which not every test has

        return reader.reader
    return lamp if b"fake: lamp" in elf else parrot


class Hal:
    """`firmware/app/hal.h`: UART 0 is usart2, UART 1 is usart3."""

    def __init__(self, world: World, parts: dict[str, Any]) -> None:
        self.world, self.parts = world, parts
        uarts = (parts.get("sysbus.usart2"), parts.get("sysbus.usart3"))
        self.uarts: list[STM32_UART] = [uart for uart in uarts if uart is not None]
        self.seen = [0] * len(self.uarts)

    def port(self, letter: str) -> STM32_GPIOPort:
        return self.parts[f"sysbus.gpioPort{letter}"]

    def start(self) -> Iterator[int]:
        yield 2000
        for uart in self.uarts:
            uart.control = ON
            yield 20

    def now(self) -> int:
        world = self.world
        return world.time_of(world.cycle) * TICK[1] * MS // TICK[0]

    def sleep_until(self, time: int) -> Program:
        """To the millisecond, or until a byte comes, or there is one that was not ignored before."""
        while self.now() < time and not any(
            len(uart.fifo) > seen for uart, seen in zip(self.uarts, self.seen, strict=True)
        ):
            yield None
            yield 30
        self.seen = [len(uart.fifo) for uart in self.uarts]

    def write(self, number: int, text: bytes) -> Iterator[int]:
        for byte in text:
            yield 12
            self.uarts[number].send(byte)

    def read(self, number: int) -> int:
        fifo = self.uarts[number].fifo
        self.seen[number] = 0
        return fifo.popleft() if fifo else -1


class Lines:
    """`line_read` of firmware/app/line.c."""

    def __init__(self, hal: Hal, number: int) -> None:
        self.hal, self.number = hal, number
        self.line = bytearray()
        self.whole: deque[bytes] = deque()

    def read(self) -> Iterator[bytes]:
        while (byte := self.hal.read(self.number)) >= 0:
            if byte != ord("\n"):
                self.line.append(byte)
                continue
            line = bytes(self.line.replace(b"\r", b""))
            self.line.clear()
            yield line


# -- the meter -------------------------------------------------------------------------------------


class Pictures:
    """What the meter knows: as make_digits.py makes it of the data."""

    def __init__(self) -> None:
        data = _DIGITS.read_bytes()
        records = [data[at : at + _RECORD] for at in range(0, len(data), _RECORD)]
        self.images = [bytes(each[:64]) for each in records[_TRAINING : _TRAINING + _PICTURES]]
        self.means = []
        for digit in range(10):
            own = [each for each in records[:_TRAINING] if each[64] == digit]
            self.means.append([sum(p) * 16 // len(own) for p in zip(*own, strict=True)][:64])

    def digit(self, index: int) -> int:
        image = self.images[index]
        distances = [
            sum((pixel * 16 - mean) ** 2 for pixel, mean in zip(image, each, strict=True))
            for each in self.means
        ]
        return distances.index(min(distances))


class Meter:
    """The state of the meter, and what it says."""

    def __init__(self) -> None:
        self.pictures = Pictures()
        self.to, self.mode = "gateway", "raw"
        self.period = self.next = 1000 * MS
        self.index = self.taken = self.acks = self.commands = self.refused = self.overlong = 0

    def message(self, kind: str, payload: Any, to: str | None = None, **more: Any) -> bytes:
        line = {"dst": to or self.to, "kind": kind, **more, "payload": payload}
        return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    def picture(self) -> bytes:
        index = self.index
        self.taken += 1
        self.index = (index + 1) % _PICTURES
        payload: dict[str, Any] = {"n": self.taken, "index": index}
        if self.mode == "local":
            return self.message("digit", payload | {"digit": self.pictures.digit(index)}, size=16)
        image = {"$b64": base64.b64encode(self.pictures.images[index]).decode()}
        return self.message("image", payload | {"image": image}, size=72)

    def report(self, to: str | None = None, **more: Any) -> bytes:
        counts = {"pictures": self.taken, "acks": self.acks, "commands": self.commands,
                  "refused": self.refused, "lost": self.overlong}  # fmt: skip
        return self.message("report", counts, to, **more)

    def take(self, line: bytes, now: int) -> bytes:
        """What is answered to a line."""
        if len(line) > _LONGEST:
            self.overlong += 1
            return b""
        try:
            asked = json.loads(line)
            source, id, payload = asked["src"], asked["id"], asked["payload"]
        except (ValueError, KeyError, TypeError):
            return self._typed(line, now)
        command = payload if isinstance(payload, str) and len(payload.encode()) < 80 else ""
        what = self._handle(command, now, acknowledges=asked.get("kind") == "ack")
        if what == "report":
            return self.report(source, re=id)
        return self.message(what, payload, source, re=id) if what else b""

    def _typed(self, line: bytes, now: int) -> bytes:
        if not 0 < len(line) < 80:
            self.overlong += len(line) > 0
            return b""
        what = self._handle(line.decode("latin-1"), now)
        if what == "report":
            return self.report()
        return what.encode() + b" " + line + b"\n" if what else b""

    def _handle(self, command: str, now: int, acknowledges: bool = False) -> str:
        word, _, rest = command.partition(" ")
        if acknowledges or (word == "ack" and _number(rest, 1, self.taken)):
            self.acks += 1
            return ""
        done = command == "report" or self._obey(command, word, rest, now)
        self.commands += done
        self.refused += not done
        return "refused" if not done else "report" if command == "report" else "ok"

    def _obey(self, command: str, word: str, rest: str, now: int) -> bool:
        if word == "period" and _number(rest, 1, 3_600_000):
            self.period = int(rest) * MS
            self.next = now + self.period
        elif command in ("mode raw", "mode local"):
            self.mode = rest
        elif word == "next" and _number(rest, 0, _PICTURES - 1):
            self.index = int(rest)
        elif word == "to" and 0 < len(rest) < 65 and not set(rest) & set(' "\\'):
            self.to = rest
        else:
            return False
        return True


def _number(text: str, least: int, most: int) -> bool:
    return text.isascii() and text.isdigit() and least <= int(text[:12]) <= most


def meter(hal: Hal) -> Program:
    yield from hal.start()
    state, lines = Meter(), Lines(hal, 0)
    yield from hal.write(0, state.message("boot", {"firmware": "meter", "version": 1}))
    while True:
        for line in lines.read():
            yield 200 + 10 * len(line)
            yield from hal.write(0, state.take(line, hal.now()))
        if hal.now() >= state.next:
            yield 30_000 if state.mode == "local" else 2_000
            yield from hal.write(0, state.picture())
            if state.taken % 10 == 0:
                yield from hal.write(0, state.report())
            while state.next <= hal.now():
                state.next += state.period
        yield from hal.sleep_until(state.next)


# -- others ----------------------------------------------------------------------------------------

_FAULT = b"\nfault: exception 00000003 at 0x08000abc, cfsr 0x00010000\n"


def parrot(hal: Hal) -> Program:
    """tests/unit/firmware/parrot.c: says what it is told, on the UART on which it is told."""
    yield from hal.start()
    ears, wake = [Lines(hal, number) for number in range(len(hal.uarts))], 2**62
    while True:
        for number, ear in enumerate(ears):
            for line in ear.read():
                yield 100
                text = line + b"\n"
                with suppress(ValueError, KeyError, TypeError):
                    text = str(json.loads(line)["payload"]).encode()
                word, _, rest = text.strip().partition(b" ")
                if word == b"!fault":
                    hal.world.fault_status = 0x10000
                    yield from hal.write(0, _FAULT)
                    while True:
                        yield None
                elif word == b"!halt":
                    hal.world.halted = True
                    yield 1
                elif word == b"!off":
                    hal.uarts[number].control = 0
                elif word == b"!other":
                    yield from hal.write(1 - number, text.partition(b" ")[2])
                elif word == b"!wake":
                    wake = hal.now() + int(rest)
                elif word in (b"!flood", b"!spin"):
                    while True:
                        yield 50
                        if word == b"!flood":
                            yield from hal.write(number, b"flood ")
                else:
                    yield from hal.write(number, text)
        if hal.now() >= wake:
            wake = 2**62
            yield from hal.write(0, b'{"dst":"peer","kind":"awake"}\n')
        yield from hal.sleep_until(wake)


def lamp(hal: Hal) -> Program:
    """Pins: PD12 changes every 100 ms, PD13 follows PA0."""
    yield from hal.start()
    button, lamps = hal.port("A").pins[0], hal.port("D").pins
    change = 100 * MS
    while True:
        if hal.now() >= change:
            change += 100 * MS
            yield 5
            lamps[12].drive(not lamps[12].level)
        if lamps[13].level != button.level:
            yield 40
            lamps[13].drive(button.level)
        yield None
