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
        "STMicroelectronics, STM32F405xx STM32F407xx data sheet, DS8626 Rev 12 (DocID022152 "
        "before), 6.3.6 Supply current characteristics: 168 MHz from an external clock, all "
        "peripherals disabled, typical at 3.3 V; Sleep mode 12 mA (Table 22); Run mode, code in "
        "Flash with the ART accelerator on, or in RAM, 40 mA (Table 20)",
    ),
}

RADIOS: Mapping[str, Device] = {
    "at86rf233": Device(
        {"tx": "13.8mA at 3V", "rx": "11.8mA at 3V", "rate": "250kbit/s"},
        "Atmel, AT86RF233 data sheet 8351, Features: BUSY_TX 13.8 mA (at the greatest transmit "
        "power), RX_ON 11.8 mA; IEEE 802.15.4, 250 kbit/s",
    ),
    "cc2538": Device(
        {"tx": "24mA at 3V", "rx": "20mA at 3V", "rate": "250kbit/s"},
        "Texas Instruments, CC2538 data sheet SWRS096, Features: Active-Mode TX at 0 dBm (CPU "
        "Idle) 24 mA, Active-Mode RX (CPU Idle) 20 mA; IEEE 802.15.4, 250 kbit/s. Its idle "
        "processor is in these figures",
    ),
    "esp8266": Device(
        {"tx": "145mA at 3.3V", "rx": "60mA at 3.3V", "rate": "54Mbit/s"},
        "Espressif, ESP8266 data sheet of 2014, 7.1 Current consumption, 3.3 V: Transmit 802.11g, "
        "OFDM 54 Mbps, 16 dBm, 145 mA; Receive 802.11g, 60 mA. Its processor is in these figures",
    ),
}
