"""The ns-3 that is installed, and the library that is compiled against it.

ns-3 comes as a wheel from PyPI: shared libraries and their headers. What simcore adds is compiled
on first use and kept, under a digest of its sources, of the wheel's version and of the compiler.
Nothing of ns-3 is imported or loaded here.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from simcore.builds import Recipe, built, lacking
from simcore.errors import UsageError

VERSION = "3.44.post0"
SERIES = "3.44"
INSTALL = f"pip install --no-deps ns3=={VERSION}"
MODULES = (
    "core", "network", "internet", "point-to-point", "csma", "wifi", "lr-wpan", "sixlowpan",
    "mobility", "propagation", "spectrum", "traffic-control", "stats", "flow-monitor", "bridge",
    "antenna", "energy",
)  # fmt: skip
NATIVE = Path(__file__).parent / "native"
FLAGS = ("-std=c++20", "-O2", "-shared", "-fPIC")


@cache
def folder() -> Path | str:
    """Where the wheel's headers and libraries are, or what is wrong, in one line."""
    try:
        version = importlib.metadata.version("ns3")
        spec = find_spec("ns3")
    except (importlib.metadata.PackageNotFoundError, ImportError, ValueError):
        return f"ns-3 is not installed: {INSTALL}"
    if version != VERSION:
        return f"ns-3 {version} is installed, and {VERSION} is needed: {INSTALL}"
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(place) / "include" / "ns3" / "core-module.h").is_file():
            return Path(place)
    return f"the package ns3 {version} has no headers: {INSTALL} --force-reinstall"


def recipe(wheel: Path, source: Path = NATIVE / "participant.cc") -> Recipe:
    """How the library is built.

    Args:
        wheel: the folder of the wheel.
        source: the one file that is compiled; tests compile another, which includes it.
    """
    libraries = wheel / "lib64"
    return Recipe(
        what="what connects simcore with ns-3",
        folder=NATIVE,
        sources=sorted({*NATIVE.glob("*.h"), *NATIVE.glob("*.cc"), source}),
        tools=(),
        command=lambda cxx, target: [
            cxx, *FLAGS, "-isystem", str(wheel / "include"), "-I", str(NATIVE),
            "-o", str(target / "simcore-ns3.so"), str(source),
            "-L", str(libraries), *(f"-l:libns{SERIES}-{module}.so" for module in MODULES),
            f"-Wl,-rpath,{libraries}",
        ],
        product="simcore-ns3.so",
        language="C++",
        depends=(VERSION,),
    )  # fmt: skip


def library() -> Path:
    """The library; built if there is none yet.

    Raises:
        UsageError: ns-3 is missing or another, or the library cannot be built.
    """
    wheel = folder()
    if not isinstance(wheel, Path):
        raise UsageError(wheel)
    return built(recipe(wheel))


def doctor() -> tuple[bool, str]:
    """Whether ns-3 can be used, and one line about it."""
    wheel = folder()
    if not isinstance(wheel, Path):
        return False, wheel
    needed = recipe(wheel)
    trouble = lacking(needed.tools, needed.language)
    if trouble is not None and not needed.is_kept:
        return False, f"ns-3 {VERSION}; {trouble}: {needed.remedy}"
    return True, f"ns-3 {VERSION}; " + (
        "the library is built" if needed.is_kept else "the library is built on first use"
    )
