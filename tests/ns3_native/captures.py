"""What stands in the captures that ns-3 writes."""

from __future__ import annotations

import struct
from pathlib import Path


def packets(file: Path) -> list[tuple[int, int]]:
    """Time (ns) and length of each packet of a capture."""
    data = file.read_bytes()
    magic = struct.unpack_from("<I", data)[0]
    unit = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}[magic]
    found, place = [], 24
    while place < len(data):
        seconds, fraction, kept, _ = struct.unpack_from("<IIII", data, place)
        found.append((seconds * 10**9 + fraction * unit, kept))
        place += 16 + kept
    return found
