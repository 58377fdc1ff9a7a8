"""The digest of a run: one SHA-256 over what happened, in an order that nothing but the
scenario and the seed decides.

Three streams of records are hashed, each in the order (virtual time, node order, counter):

    fault        [at, number, phase, kind, target, detail]
    message      [at, source, number, destination, kind, size, payload, sent, fate]
    measurement  [at, node, number, name, type, value]

These are the rows of the tables of the same names in `run.sqlite`, so that anyone can compute
the digest of a published run: each row is one MessagePack array, and the digest is the SHA-256
of the UTF-8 JSON array of the nodes' names, without white space, followed by the SHA-256 of
the faults, of the messages and of the measurements, 32 bytes each. Nodes stand by their order,
a kind of message by `kind_number`, a fate by its number, and a bool as one (the table holds 0
or 1). `at` of a message is the time of its fate. Wall time, exchanges, paths and the names of
implementations are not part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

FAULT, MESSAGE, MEASUREMENT = range(3)
"""The sorts of records, in the order in which they count at one instant."""

_encode = msgspec.msgpack.Encoder().encode


def kind_number(kind: str) -> int:
    """The number that stands for a kind of message: it depends on its name alone."""
    return int.from_bytes(hashlib.sha256(kind.encode()).digest()[:6], "big")


class Digest:
    """Accumulates records; batches of one sort must follow each other in time.

    Args:
        names: of the nodes, in their order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = msgspec.json.encode(list(names))
        self._hashes = tuple(hashlib.sha256() for _ in range(3))

    def update(self, sort: int, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows of one sort, in their order."""
        if rows:
            count = len(rows)
            header = 1 if count < 16 else 3 if count < 2**16 else 5  # of a MessagePack array
            self._hashes[sort].update(memoryview(_encode(rows))[header:])

    def hexdigest(self) -> str:
        """64 hexadecimal digits for everything added so far."""
        whole = hashlib.sha256(self._names)
        for part in self._hashes:
            whole.update(part.digest())
        return whole.hexdigest()
