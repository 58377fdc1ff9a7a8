"""Finding QEMU on this machine, and building what it loads."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from simcore.builds import HOST, Recipe, built

from ..firmware.tool import Tool

FALLBACK = "`implementation: native` runs the same firmware without QEMU"

QEMU = Tool(
    name="QEMU",
    key="qemu",
    variable="SIMCORE_QEMU",
    program="qemu-system-arm",
    get="install it (Debian: apt-get install qemu-system-arm)",
    other="name a qemu-system-arm",
    fallback=FALLBACK,
)

FLAGS = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden")


@cache
def version(qemu: Path) -> str:
    """What QEMU says of its version, as 7.2.22 (Debian ...).

    Raises:
        UsageError: it says none.
    """
    said = QEMU.ask(qemu)
    found = re.match(r"QEMU emulator version (.+)", said)
    if found is None:
        raise QEMU.stranger(qemu, said)
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
