"""Finding Renode on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from simcore.errors import UsageError

VARIABLE = "RENODE"
PROGRAM = "renode"
OLDEST = (1, 15, 3)
"""Before it, virtual time is counted in microseconds, or told wrongly."""

KNOWN = "simcore was made for Renode 1.15.3 to 1.16.1"

SOURCE = "get a release from https://github.com/renode/renode/releases"
FALLBACK = "`implementation: qemu` and `native` run the same firmware without Renode"


def find(given: str | None, base: Path) -> Path | str:
    """The program, or what is wrong, in one line.

    Args:
        given: key `renode` of the scenario.
        base: folder that a name with a slash starts from.
    """
    name, said = given, "'renode'"
    if name is None:
        name, said = os.environ.get(VARIABLE) or PROGRAM, VARIABLE
    if "/" in name:
        file = base.absolute() / name
        if file.is_file() and os.access(file, os.X_OK):
            return file
        problem = "does not exist"
        if file.exists():
            problem = "is not executable" if file.is_file() else "is a directory"
        return f"{file}, which {said} names, {problem}: {SOURCE}; {FALLBACK}"
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    return f"there is no {name} in PATH: {SOURCE}, or say with {VARIABLE} where it is; {FALLBACK}"


@cache
def version(renode: Path) -> str:
    """Its version, as 1.16.1.

    Raises:
        UsageError: it tells none, or is too old.
    """
    try:
        done = subprocess.run(
            [renode, "--version"], capture_output=True, text=True, check=False, timeout=60,
            stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
        said = done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    found = re.search(r"Renode\D*(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        first = said.strip().splitlines()[:1] or ["nothing"]
        raise UsageError(
            f"{renode} does not look like Renode: asked for its version, it says {first[0]!r}; "
            f"{SOURCE}; {FALLBACK}"
        )
    numbers = tuple(map(int, found.groups()))
    text = ".".join(map(str, numbers))
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(
            f"{renode} is Renode {text}, and {oldest} is the oldest that keeps exact time: "
            f"{SOURCE}; {FALLBACK}"
        )
    return text
