"""Finding QEMU on this machine, and building what it loads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from simcore.errors import UsageError

from ..firmware.build import HOST, Recipe, built

PROGRAM = "qemu-system-arm"
VARIABLE = "SIMCORE_QEMU"

FALLBACK = "`implementation: native` runs the same firmware without QEMU"

FLAGS = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden")


def find(given: str | None, base: Path) -> Path | str:
    """The program, or what is wrong, in one line.

    Args:
        given: key `qemu` of the scenario.
        base: folder that a name with a slash starts from.
    """
    name, said = given, "'qemu'"
    if name is None:
        name, said = os.environ.get(VARIABLE) or PROGRAM, VARIABLE
    if "/" in name:
        file = base.absolute() / name
        if file.is_file() and os.access(file, os.X_OK):
            return file
        problem = "is not executable" if file.is_file() else "does not exist"
        return f"{file}, which {said} names, {problem}: name a {PROGRAM}; {FALLBACK}"
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    return (
        f"there is no {name} in PATH: install it (Debian: apt-get install {PROGRAM}), or say with "
        f"{VARIABLE} where it is; {FALLBACK}"
    )


@cache
def version(qemu: Path) -> str:
    """What QEMU says of its version.

    Raises:
        UsageError: it says none.
    """
    try:
        done = subprocess.run(
            [qemu, "--version"], capture_output=True, text=True, check=False, timeout=30,
            stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
        said = done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    found = re.match(r"QEMU emulator version (.+)", said)
    if found is None:
        first = said.strip().splitlines()[:1] or ["nothing"]
        raise UsageError(
            f"{qemu} does not look like QEMU: asked for its version, it says {first[0]!r}; "
            f"name a {PROGRAM}; {FALLBACK}"
        )
    return found.group(1).strip()


def recipe() -> Recipe:
    """How the plug-in that QEMU loads is built."""
    folder = Path(__file__).parent
    return Recipe(
        what="the plug-in for QEMU",
        folder=folder,
        sources=sorted(folder.glob("*.[ch]")),
        tools=(),
        command=lambda cc, target: [
            cc, *FLAGS, "-o", str(target / "plugin.so"), *map(str, sorted(folder.glob("*.c"))),
        ],
        product="plugin.so",
        prebuilt=f"plugin-{HOST}.so",
    )  # fmt: skip


@cache
def plugin() -> Path:
    """The plug-in for QEMU; built if there is none yet.

    Raises:
        UsageError: it cannot be built.
    """
    return built(recipe())
