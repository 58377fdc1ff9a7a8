"""What one entry of `energy` says, as numbers to count with.

Powers are nanowatts and energies attojoules, both multiplied by the entry's `scale`, so that
what a byte costs at a radio's rate is a whole number as well. So nothing is rounded before a sum
is written, and no sum depends on the order in which it came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import lcm
from typing import Any

from simcore.units import duration, energy, power, rate, size

from .devices import PROCESSORS, RADIOS

RESERVED = ("idle", "active", "tx", "rx")
_BYTE = 8 * 10**9
"""Bits of a byte, times nanoseconds of a second."""


@dataclass(frozen=True, slots=True)
class Radio:
    """A radio; energies are per byte, aJ * scale.

    Attributes:
        rate: bits per second; None if the scenario gives energies instead.
        overhead: bytes that each message has beyond its own.
    """

    tx: int
    rx: int
    rate: int | None
    overhead: int

    def transmitting(self, size: int) -> int:
        """Energy of a message that is sent, of so many bytes."""
        return (size + self.overhead) * self.tx

    def receiving(self, size: int) -> int:
        """Energy of a message that is received, of so many bytes."""
        return (size + self.overhead) * self.rx

    def time(self, size: int) -> int:
        """How long so many bytes are on the air, ns; 0 without a rate."""
        return 0 if self.rate is None else -(-size * _BYTE // self.rate)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a node draws.

    Attributes:
        scale: what powers and energies here are multiplied by.
        powers: of `idle`, `active` and the node's own states, nW * scale.
        instruction: energy of one, aJ * scale; None: it is that of being active as long.
        instruction_time: virtual time of one, ns; None: the node counts none.
        radio: None: messages cost nothing.
        computing: time (ns) that a message took its sender, by kind, where it does not tell; and
            the key that its payload has to have, if any.
        battery: capacity, aJ * scale.
        workers: computations that the node does at the same time.
    """

    scale: int
    powers: Mapping[str, int]
    instruction: int | None
    instruction_time: int | None
    radio: Radio | None
    computing: Mapping[str, tuple[int, str | None]]
    battery: int | None
    workers: int


def completed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the keys that its devices stand for; what it says itself wins."""
    device = PROCESSORS.get(entry.get("device", ""))
    found = {**(device.keys if device else {}), **entry}
    if "instruction" in entry and "active" not in entry:
        found.pop("active", None)
    radio = entry.get("radio")
    if isinstance(radio, str):
        found["radio"] = dict(RADIOS[radio].keys)
    elif isinstance(radio, Mapping) and radio.get("device") in RADIOS:
        found["radio"] = {**RADIOS[radio["device"]].keys, **radio}
    return found


def read_profile(
    entry: Mapping[str, Any], *, instruction_time: int | None = None, workers: int = 1
) -> Profile:
    """Read an entry.

    Args:
        entry: as in the scenario.
        instruction_time: virtual time (ns) of an instruction, if the node counts them.
        workers: computations that the node does at the same time.

    Raises:
        UnitError: a quantity cannot be read.
    """
    entry = completed(entry)
    radio = entry.get("radio")
    bits = rate(radio["rate"]) if radio and "rate" in radio else None
    scale = 1 if bits is None else lcm(_BYTE, bits) // _BYTE
    powers = {name: power(text) * scale for name, text in entry.get("states", {}).items()}
    for name in ("idle", "active"):
        powers[name] = power(entry[name]) * scale if name in entry else powers.get("idle", 0)
    return Profile(
        scale=scale,
        powers=powers,
        instruction=energy(entry["instruction"]) * scale if "instruction" in entry else None,
        instruction_time=instruction_time,
        radio=None if radio is None else _radio(radio, bits, scale),
        # What a node executes is counted, not told.
        computing={}
        if instruction_time is not None
        else {kind: _time(each) for kind, each in entry.get("computing", {}).items()},
        battery=energy(entry["battery"]) * scale if "battery" in entry else None,
        workers=workers,
    )


def _time(written: str | Mapping[str, str]) -> tuple[int, str | None]:
    if isinstance(written, str):
        return duration(written), None
    return duration(written["time"]), written["if"]


def _radio(keys: Mapping[str, str], bits: int | None, scale: int) -> Radio:
    costs = [
        energy(keys[way]) * scale if bits is None else power(keys[way]) * scale * _BYTE // bits
        for way in ("tx", "rx")
    ]
    return Radio(costs[0], costs[1], bits, size(keys.get("overhead", "0B")))
