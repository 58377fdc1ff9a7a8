"""What the firmware of the self-test says, and when, to the nanosecond.

A QEMU that loses a tick, takes an instruction for two, or brings an input an instruction late says
something else, or at another time. The same came of QEMU 7.2 and 10.0, on every machine and for all
ways to cut the time into windows; `tests/integration/test_qemu_plugin.py` holds it against them.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

ELF = Path(__file__).parent / "selftest" / "selftest.elf"
"""The firmware; selftest/selftest.c says what it does."""

UARTS = ("usart2", "usart3")
"""Its serial lines: UART 0 and 1."""

SHIFT = 3
"""An instruction takes 2^3 ns."""

INPUTS = (
    (0, 2_500_000, 1, "00"),  # to a receiver that is off
    (0, 6_200_003, 86_806, "00010000"),  # to a processor that sleeps
    (0, 8_100_000, 1, "e0"),  # it is busy for 229 us from now on
    (0, 8_200_001, 86_806, "000000"),  # so these interrupt it, the last one does not
    (1, 8_200_001, 50_000, "0000"),
    (0, 10_050_000, 1, "f0"),  # it is deaf for 960 us
    (0, 10_300_000, 100_000, "0000"),  # the first one waits, the second one is lost
    (1, 10_500_000, 1, "20"),
)
"""UART, when the first byte is due, ns from byte to byte, bytes in hexadecimal."""

ENDS = (
    1, 2, 3, 100, 128, 129, 1_000_000, 1_000_007, 1_000_303, 3_456_789, 5_000_000, 5_000_001,
    6_200_002, 6_200_003, 6_200_004, 6_286_810, 8_100_001, 8_100_004,
    *range(8_150_000, 8_150_040), *range(8_199_990, 8_200_400, 10), 8_286_807, 8_286_808,
    8_330_000, 9_000_000, 10_049_999, 10_050_002, *range(10_390_000, 10_410_000, 999),
    *range(10_900_000, 11_100_000, 7_919), 12_000_000, 12_500_000, 16_500_000,
)  # fmt: skip
"""When the windows end, ns: some in the middle of an instruction, some in that of sleep."""

WINDOWS = tuple(
    (until, [each for each in INPUTS if since <= each[1] < until])
    for since, until in pairwise((0, *ENDS))
)
"""The windows, and what is sent with each."""

OUTPUTS = (
    (0, 128, "53"), (1, 144, "54"), (0, 1_000_303, "62"), (0, 2_000_302, "63"),
    (0, 3_000_301, "64"), (0, 4_000_300, "65"), (0, 5_000_299, "66"), (0, 6_000_298, "67"),
    (0, 6_200_035, "00"), (0, 6_286_841, "01"), (0, 6_288_033, "2e"), (0, 6_373_647, "00"),
    (0, 6_460_453, "00"), (0, 7_000_297, "68"), (0, 8_000_296, "69"), (0, 8_100_032, "e0"),
    (0, 8_200_032, "00"), (1, 8_200_072, "00"), (1, 8_250_032, "00"), (0, 8_286_832, "00"),
    (0, 8_329_736, "2e"), (0, 8_373_645, "00"), (0, 9_000_295, "6a"), (0, 10_000_294, "6b"),
    (0, 10_050_032, "f0"), (0, 11_010_216, "21"), (0, 11_010_312, "6c"), (0, 11_010_408, "00"),
    (1, 11_010_448, "20"), (0, 11_043_376, "2e"), (0, 12_000_292, "6d"), (0, 13_000_291, "6e"),
    (0, 14_000_290, "6f"), (0, 15_000_289, "70"), (0, 16_000_288, "71"),
)  # fmt: skip
"""What it writes: UART, when, the byte in hexadecimal."""

LOST = ((0, 2_500_000, "off"), (0, 10_400_000, "overrun"))
"""What it does not receive: UART, when the byte is complete, why."""

EXECUTED = 153_569
"""Instructions that it has executed at the end."""
