"""A rough reader of platform descriptions: it refuses what Renode's would, with Renode's words.

Known are the types that a description of an STM32F4 needs; they are looked up in a list, for there
is nothing else here to look them up in.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .emulation import RecoverableException

TYPES = {
    "CPU.CortexM": "Cores/Arm-M/CortexM.cs",
    "GPIOPort.STM32_GPIOPort": "Peripherals/Peripherals/GPIOPort/STM32_GPIOPort.cs",
    "IRQControllers.NVIC": "Cores/Arm-M/NVIC.cs",
    "IRQControllers.STM32F4_EXTI": "Peripherals/Peripherals/IRQControllers/STM32F4_EXTI.cs",
    "MTD.STM32F4_FlashController": "Peripherals/Peripherals/MTD/STM32F4_FlashController.cs",
    "Memory.MappedMemory": "Main/Peripherals/Memory/MappedMemory.cs",
    "Miscellaneous.CombinedInput": "Main/Peripherals/Miscellaneous/CombinedInput.cs",
    "Miscellaneous.STM32F4_RCC": "Peripherals/Peripherals/Miscellaneous/STM32F4_RCC.cs",
    "Miscellaneous.STM32_PWR": "Peripherals/Peripherals/Miscellaneous/STM32_PWR.cs",
    "Miscellaneous.STM32F4_RNG": "Peripherals/Peripherals/Miscellaneous/STM32F4_RNG.cs",
    "Timers.STM32_IndependentWatchdog": (
        "Peripherals/Peripherals/Timers/STM32_IndependentWatchdog.cs"
    ),
    "Timers.STM32_Timer": "Peripherals/Peripherals/Timers/STM32_Timer.cs",
    "Timers.STM32F4_RTC": "Peripherals/Peripherals/Timers/STM32F4_RTC.cs",
    "UART.STM32_UART": "Peripherals/Peripherals/UART/STM32_UART.cs",
}
"""Types, and where both releases have them, under src/Emulator of renode-infrastructure."""

_ENTRY = re.compile(r"(?P<name>\w+):(?:\s+(?P<type>[\w.]+)\s+@\s+(?P<place>.+))?")
_NUMBER = r"(?:0x[0-9A-Fa-f]+|\d+)"
_PINS = rf"(?:{_NUMBER}|\[[\d\s,-]+\])"
_VALUE = rf'(?:{_NUMBER}|"[^"]*"|true|false|\w+|\[.*\])'
_TARGET = rf"\w+@{_PINS}"
_PLACE = re.compile(
    rf"none|sysbus|(?:sysbus|\w+) (?:{_NUMBER}|<{_NUMBER}, ?\+{_NUMBER}>)|\w+|\{{.*\}}", re.DOTALL
)
_ATTRIBUTE = re.compile(rf"\w+: {_VALUE}|(?:{_PINS}|\w+)? ?-> {_TARGET}(?: \| {_TARGET})*")


class Part(NamedTuple):
    """A peripheral."""

    path: str
    type: str


def parts_of(text: str) -> list[Part]:
    """The peripherals that a description makes.

    Raises:
        RecoverableException: Renode would refuse it.
    """
    found: list[Part] = []
    in_entry = False
    lines = re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
    for number, line in _logical(lines):
        if "ApplySVD" in line:
            raise RecoverableException(
                "fake: ApplySVD needs the network, which nobody may use here"
            )
        if line.startswith((" ", "\t")):
            inner = line.strip()
            indent = len(line) - len(inner)
            if indent % 4:
                what = f"Indent's length has to be multiple of 4, this one is {indent} spaces long."
                raise _refusal(32, what, text, number, indent)
            if not in_entry or not (_ATTRIBUTE.fullmatch(inner) or inner == "init:"):
                raise _refusal(0, "Syntax error, unexpected '" + inner[:1] + "'", text, number)
            continue
        match = _ENTRY.fullmatch(line)
        if match is None or not (match["place"] is None or _PLACE.fullmatch(match["place"])):
            raise _refusal(0, "Syntax error, unexpected '" + line[:1] + "'", text, number)
        in_entry = True
        if match["type"] is None:
            continue  # adds to what there is
        if match["type"] not in TYPES:
            what = f"Could not resolve type: '{match['type']}'."
            raise _refusal(4, what, text, number)
        parent = "" if match["place"] == "none" else "sysbus."
        found.append(Part(parent + match["name"], match["type"]))
    return found


def _logical(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers; what stands in braces is one."""
    found: list[tuple[int, str]] = []
    depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        if depth:
            found[-1] = (found[-1][0], found[-1][1] + "\n" + line)
        elif line.strip():
            found.append((number, line.rstrip()))
        depth += line.count("{") - line.count("}")
    return found


def _refusal(
    error: int, what: str, text: str, number: int, column: int = 1
) -> RecoverableException:
    line, mark = text.split("\n")[number - 1], "^".rjust(column)
    return RecoverableException(f"Error E{error:02}: {what}\nAt {number}:{column}:\n{line}\n{mark}")
