"""Finding Renode on this machine."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from simcore.errors import UsageError

from ..firmware.tool import Tool

OLDEST = (1, 15, 3)
"""Before it, virtual time is counted in microseconds, or told wrongly."""

KNOWN = "simcore was made for Renode 1.15.3 to 1.16.1"

SOURCE = "get a release from https://github.com/renode/renode/releases"
FALLBACK = "`implementation: qemu` and `native` run the same firmware without Renode"

RENODE = Tool(
    name="Renode",
    key="renode",
    variable="RENODE",
    program="renode",
    get=SOURCE,
    other=SOURCE,
    fallback=FALLBACK,
)


@cache
def version(renode: Path) -> str:
    """Its version, as 1.16.1.

    Raises:
        UsageError: it tells none, or is too old.
    """
    said = RENODE.ask(renode)
    found = re.search(r"Renode\D*(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        raise RENODE.stranger(renode, said)
    numbers = tuple(map(int, found.groups()))
    text = ".".join(map(str, numbers))
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(
            f"{renode} is Renode {text}, and {oldest} is the oldest that keeps exact time: "
            f"{SOURCE}; {FALLBACK}"
        )
    return text
