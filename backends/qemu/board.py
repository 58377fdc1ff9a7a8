"""The boards that QEMU models, and the command line that makes one of them run in windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..firmware.keys import UARTS

MACHINES = ("netduinoplus2", "olimex-stm32-h405")
"""As QEMU calls them. All have an STM32F405; QEMU 7.2 knows only the first."""

SHIFTS: Mapping[float, int] = {1000: 0, 500: 1, 250: 2, 125: 3, 62.5: 4, 31.25: 5}
"""What `-icount shift=` is called in millions of instructions in a second: 2^shift ns for each."""

MIPS = 125

_CONTROL = {
    "usart1": 0x4001100C,
    "usart2": 0x4000440C,
    "usart3": 0x4000480C,
    "uart4": 0x40004C0C,
    "uart5": 0x4000500C,
    "usart6": 0x4001140C,
}
"""USART_CR1 of each UART [RM0090 2.3, 30.6.4]."""

_LISTENS = 1 << 13 | 1 << 2
"""Bits UE and RE of USART_CR1: both must be set for a byte to be received."""


def command(
    qemu: Path, plugin: Path, machine: str, shift: int, elf: Path, uarts: Sequence[str]
) -> list[str]:
    """The command that runs firmware on a board.

    Args:
        qemu: the program.
        plugin: the module that it loads.
        machine: the board.
        shift: an instruction takes 2^shift ns.
        elf: the firmware.
        uarts: those that lead somewhere; their numbers are their places here.
    """
    # QEMU takes a comma for the end of a value, and two for one.
    options = [f"file={str(plugin).replace(',', ',,')}"]
    chardevs, serials = [], {}
    for number, uart in enumerate(uarts):
        id = f"simcore{number}"
        options.append(f"uart={id}")
        options.append(f"receiver{number}={_CONTROL[uart]:#x}:{_LISTENS:#x}")
        chardevs += ["-chardev", f"null,id={id}"]
        serials[uart] = f"chardev:{id}"
    return [
        str(qemu), "-M", machine, "-kernel", str(elf),
        "-nodefaults", "-display", "none", "-monitor", "none",
        # Time is a number of instructions; while the processor sleeps it jumps.
        "-icount", f"shift={shift},sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm",
        "-plugin", ",".join(options),
        *chardevs,
        *(word for uart in UARTS for word in ("-serial", serials.get(uart, "null"))),
    ]  # fmt: skip
