"""The digest of a run: one SHA-256 over what happened, in an order that nothing but the
scenario and the seed decides.

Each record is one line of JSON. The lines, in the order (virtual time, node order, sort of
record, counter), are:

    [at, "fault", number, phase, kind, target, detail]
    [at, "message", source, number, destination, kind, size, payload, sent, fate]
    [at, "measurement", node, number, name, type, value]

`at` of a message is the time of its fate; a payload of more than `SHORT` characters stands as
its SHA-256, a shorter one as itself, which costs less than hashing it first. Wall time, exchanges, paths and the names of
implementations are not part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

FAULT, MESSAGE, MEASUREMENT = range(3)

SHORT = 256
"""Characters of a payload that goes into the digest as it is."""

Record = tuple[int, int, int, int, tuple[Any, ...]]
"""(at, node order, sort, counter, line)."""

_encode_lines = msgspec.json.Encoder().encode_lines


class Digest:
    """Accumulates records; batches must follow each other in time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, records: list[Record]) -> None:
        """Add a batch, in any order within itself."""
        records.sort()
        self._hash.update(_encode_lines([record[4] for record in records]))

    def update_lines(self, lines: Iterable[tuple[Any, ...]]) -> None:
        """Add a batch of lines that is in order already."""
        self._hash.update(_encode_lines(lines))

    def hexdigest(self) -> str:
        """64 hexadecimal digits for everything added so far."""
        return self._hash.hexdigest()
