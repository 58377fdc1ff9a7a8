"""Python's cycle collector and a run's many long-lived objects.

Ten thousand nodes are a million objects that live to the end of the run, and the collector
walks over all of them each time a quarter as many new ones have survived for a while, which
pending messages do. Setting the nodes aside ("freezing") leaves the collector on for what
models make, at a price that does not grow with the number of nodes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def set_aside() -> None:
    """Have the collector pass over everything that exists now and is no garbage."""
    gc.collect()
    gc.freeze()


@contextmanager
def nodes_set_aside() -> Iterator[None]:
    """Set aside what exists at the beginning; at the end everything is as before."""
    set_aside()
    try:
        yield
    finally:
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
