"""Named random streams: one per (seed, owner, purpose), so that adding a node never changes
the numbers of another, and a participant in another process draws the same ones.

Standard library only (numpy is imported when a bulk generator is asked for).
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def stream_seed(seed: int, owner: str, purpose: str) -> int:
    """The 256-bit seed of one stream: SHA-256 over the three names, separated by NUL."""
    name = f"{seed}\0{owner}\0{purpose}".encode()
    return int.from_bytes(hashlib.sha256(name).digest(), "big")


def stream(seed: int, owner: str, purpose: str) -> random.Random:
    """The generator (Mersenne Twister) of one stream.

    Args:
        seed: the scenario's seed.
        owner: name of the node, link or extension that draws.
        purpose: what it draws for; an owner may have any number of streams.
    """
    return random.Random(stream_seed(seed, owner, purpose))


def bulk_stream(seed: int, owner: str, purpose: str) -> np.random.Generator:
    """As `stream`, as a numpy generator (PCG64) for drawing arrays."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(stream_seed(seed, owner, purpose)))
