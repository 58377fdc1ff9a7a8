"""Clocks, pins and baud rates of the STM32F4 port, against the figures of RM0090, on a model of the part."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from firmware_builds import FIRMWARE, library

HERE = Path(__file__).parent
CR, PLLCFGR, CFGR, AHB1ENR, APB1ENR, ACR, PWR = range(7)
PORT_A, PORT_B, COUNT = 7, 10, 13  # mode, pull and alternate function of each
RESET = {CR: 0x83, PLLCFGR: 0x24003010, PWR: 0x4000}  # RM0090 7.3.1, 7.3.2, 5.4.1
HSI, HSE, MHZ = 16_000_000, 8_000_000, 1_000_000
FAST, SLOW = (168 * MHZ, 42 * MHZ), (HSI, HSI)


class Clocks(ctypes.Structure):
    _fields_ = [("system", ctypes.c_uint32), ("apb1", ctypes.c_uint32)]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Any:
    sources = (FIRMWARE / "stm32f4" / "clock.c", FIRMWARE / "stm32f4" / "pins.c", HERE / "part.c")
    folder = tmp_path_factory.mktemp("library")
    found = library(folder, *sources, options=("-include", str(HERE / "part.h")))
    found.clock_start.restype = Clocks
    found.baud_divisor.restype = ctypes.c_uint32
    return found


def start(
    port: Any, *, reset: dict[int, int] = RESET, **works: bool
) -> tuple[tuple[int, int], Any]:
    """What clock_start says, and the registers afterwards."""
    registers = (ctypes.c_uint32 * COUNT).in_dll(port, "registers")
    for number in range(COUNT):
        registers[number] = reset.get(number, 0)
    for name in ("crystal", "pll", "flash", "switches"):
        ctypes.c_bool.in_dll(port, name).value = works.get(name, True)
    trouble = ctypes.c_int.in_dll(port, "trouble")
    trouble.value = 0
    clocks = port.clock_start()
    assert trouble.value == 0
    return (clocks.system, clocks.apb1), registers


def frequencies(registers: Any) -> tuple[float, float, float, float]:
    """Into the PLL, its oscillator, the processor, USB: RM0090 7.3.2."""
    word = registers[PLLCFGR]
    source = HSE if word & 1 << 22 else HSI
    into = source / (word & 0x3F)
    oscillator = into * (word >> 6 & 0x1FF)
    return (
        into,
        oscillator,
        oscillator / (2, 4, 6, 8)[word >> 16 & 3],
        oscillator / (word >> 24 & 15),
    )


@pytest.mark.parametrize("crystal", [True, False])
def test_168_mhz(port: Any, crystal: bool) -> None:
    clocks, registers = start(port, crystal=crystal)
    assert clocks == FAST
    assert bool(registers[PLLCFGR] & 1 << 22) is crystal
    into, oscillator, processor, usb = frequencies(registers)
    assert 1 * MHZ <= into <= 2 * MHZ and 100 * MHZ <= oscillator <= 432 * MHZ  # 7.3.2
    assert (processor, usb) == (168 * MHZ, 48 * MHZ)
    assert registers[CFGR] & 0xC == 0x8, "the PLL drives the processor"
    assert registers[CFGR] & 0xF0 == 0, "AHB is not divided"
    # 7.2: APB1 42 MHz at most, APB2 84 MHz at most. PPRE 0b100 divides by 2, 0b101 by 4.
    assert processor / {0b100: 2, 0b101: 4}[registers[CFGR] >> 10 & 7] == clocks[1] == 42 * MHZ
    assert processor / {0b100: 2, 0b101: 4}[registers[CFGR] >> 13 & 7] == 84 * MHZ
    assert registers[ACR] & 7 == 5, "3.5.1: five wait states above 150 MHz at 2.7 V and more"
    assert registers[ACR] & 0x700 == 0x700, "prefetch and both caches"
    assert registers[PWR] & 1 << 14 and registers[APB1ENR] & 1 << 28, "5.4.1: scale 1"


@pytest.mark.parametrize("broken", ["pll", "flash", "switches"])
def test_what_does_not_work_ends_at_16_mhz(port: Any, broken: str) -> None:
    clocks, registers = start(port, **{broken: False})
    assert clocks == SLOW
    assert registers[CFGR] & 3 == 0, "the internal oscillator"
    assert registers[CFGR] & 0xFCF0 == 0, "undivided"


def test_where_nobody_models_the_clocks_nothing_is_waited_for(port: Any) -> None:
    clocks, registers = start(port, reset={})
    assert clocks == FAST
    assert list(registers) == [0] * COUNT


# RM0090 8.4.1: what ports A and B are after a reset (PA13 to PA15, PB3 and PB4 are the debugger's).
PORTS = {PORT_A: 0xA8000000, PORT_A + 1: 0x64000000, PORT_B: 0x280, PORT_B + 1: 0x100}


def test_pins(port: Any) -> None:
    _, registers = start(port, reset=RESET | PORTS)
    port.pins_start()
    assert ctypes.c_int.in_dll(port, "trouble").value == 0, "a port has a clock before it is set"
    assert registers[AHB1ENR] & 3 == 3, "7.3.10: ports A and B"
    assert registers[APB1ENR] >> 17 & 3 == 3, "7.3.13: USART2 and USART3"
    for first, pins, alternate in ((PORT_A, (2, 3), 0), (PORT_B, (10, 11), 8)):
        mode, pull, function = registers[first : first + 3]
        kept = 0xFFFFFFFF
        for pin in pins:
            assert mode >> 2 * pin & 3 == 2, "8.4.1: alternate function"
            assert function >> 4 * (pin - alternate) & 15 == 7, "8.3.2: AF7 is USART1 to USART3"
            kept &= ~(3 << 2 * pin)
        assert pull >> 2 * pins[1] & 3 == 1, "8.4.4: the receiver is pulled up"
        assert mode & kept == PORTS[first], "and all else is as it was"
        assert pull & kept == PORTS[first + 1]


# RM0090, error calculation for programmed baud rates, oversampling by 16: at 42 MHz, and at 16 MHz.
TABLE_42 = {1200: 2187.5, 2400: 1093.75, 9600: 273.4375, 19200: 136.75, 38400: 68.375, 57600: 45.5625,
            115200: 22.8125, 230400: 11.375, 460800: 5.6875}  # fmt: skip
TABLE_16 = {9600: 104.1875, 19200: 52.0625, 57600: 17.375, 115200: 8.6875, 230400: 4.3125}


@pytest.mark.parametrize(("clock", "table"), [(42 * MHZ, TABLE_42), (16 * MHZ, TABLE_16)])
def test_baud_divisors_are_those_of_the_manual(
    port: Any, clock: int, table: dict[int, float]
) -> None:
    for baud, value in table.items():
        divisor = port.baud_divisor(clock, baud)
        assert divisor / 16 == value, baud
        assert abs(clock / divisor / baud - 1) < 0.01


def test_the_baud_rate_of_the_board(port: Any) -> None:
    divisor = port.baud_divisor(42 * MHZ, 115200)
    assert divisor == 0x16D, "30.3.4: mantissa 22, fraction 13/16"
    assert round(42 * MHZ / divisor / 1000, 3) == 115.068
    assert port.baud_divisor(42 * MHZ, 9600) == 0x1117, "the second UART: 273 and 7/16"
