"""What known devices draw: figures of data sheets, each with the place where it stands.

A figure is written as in a scenario, so that the current and the voltage of its source stay
readable. Figures are typical ones, at 25 degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Device(NamedTuple):
    """Keys of an entry, or of its `radio`, that a device stands for."""

    keys: Mapping[str, str]
    source: str


PROCESSORS: Mapping[str, Device] = {
    "stm32f405": Device(
        {"idle": "12mA at 3.3V", "active": "40mA at 3.3V"},
        "STMicroelectronics STM32F405xx/STM32F407xx data sheet, DocID022152 Rev 8, section 5.3.6: "
        "168 MHz from an external clock, all peripherals disabled; Run mode with code in Flash and "
        "the ART accelerator on (table 20), Sleep mode (table 22)",
    ),
}

RADIOS: Mapping[str, Device] = {
    "at86rf233": Device(
        {"tx": "13.8mA at 3V", "rx": "11.8mA at 3V", "rate": "250kbit/s"},
        "Atmel AT86RF233 data sheet 8351, page 1: BUSY_TX 13.8 mA at the greatest transmit power "
        "(4 dBm), RX_ON 11.8 mA; 3 V as in its electrical characteristics",
    ),
}
