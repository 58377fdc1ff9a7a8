"""Python's cycle collector and a run's many long-lived objects.

Ten thousand nodes are a million objects that live to the end of the run, and the collector
walks over all of them each time a quarter as many new ones have survived for a while, which
pending messages do. Setting the nodes aside ("freezing") leaves the collector on for what
models make, at a price that does not grow with the number of nodes. And it looks less often:
at the beginning every node makes its paths, streams and frames, and none of that is garbage.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 20_000
"""Objects that are made, beyond those that end, before the collector looks at them."""


def set_aside() -> None:
    """Have the collector pass over everything that exists now and is no garbage."""
    gc.collect()
    gc.freeze()


@contextmanager
def nodes_set_aside() -> Iterator[None]:
    """Set aside what exists at the beginning; at the end everything is as before."""
    set_aside()
    before = gc.get_threshold()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def paused() -> Iterator[None]:
    """Keep the collector away from work that makes many objects and no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
