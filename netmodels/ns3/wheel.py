"""The ns-3 that is installed, and the library that is compiled against it.

ns-3 comes as a wheel from PyPI: shared libraries and their headers. What simcore adds is compiled
on first use and kept, under a digest of its sources, of the wheel's version and of the compiler.
Nothing of ns-3 is imported or loaded here.
"""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from simcore.builds import REMEDY_CXX, Recipe, built, lacking
from simcore.errors import UsageError

log = logging.getLogger("simcore")

VERSION = "3.44.post0"
SERIES = "3.44"
INSTALL = f"pip install --no-deps ns3=={VERSION}"
INSTALL_ALL = f"pip install ns3=={VERSION}"
MODULES = (
    "core", "network", "internet", "point-to-point", "csma", "wifi", "lr-wpan", "sixlowpan",
    "mobility", "propagation", "spectrum", "traffic-control", "stats", "flow-monitor", "bridge",
    "antenna", "energy",
)  # fmt: skip
NATIVE = Path(__file__).parent / "native"
PRECOMPILE = Path(__file__).parent / "precompile.py"
CLING_ARGUMENTS = "-O2"
"""What the bindings' compiler is told: not to use what only this machine's processor has."""
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


def library(say: Callable[[str], None] = lambda line: None) -> Path:
    """The library; built if there is none yet.

    Args:
        say: told when that takes its time.

    Raises:
        UsageError: ns-3 is missing or another, or the library cannot be built.
    """
    wheel = folder()
    if not isinstance(wheel, Path):
        raise UsageError(wheel)
    return built(
        recipe(wheel),
        lambda: say("what connects simcore with ns-3 is compiled, once: that takes some 20 s"),
    )


def headers(say: Callable[[str], None]) -> Path | None:
    """ns-3's headers, as its Python bindings read them, precompiled; None: they cannot be.

    Then the bindings read them in each run, which takes ten seconds.
    """
    wheel, backend = folder(), find_spec("cppyy_backend")
    if not isinstance(wheel, Path) or backend is None or backend.origin is None:
        return None
    place = Path(backend.origin).parent
    needed = Recipe(
        what="ns-3's headers for its Python bindings",
        folder=PRECOMPILE.parent,
        sources=[PRECOMPILE, place / "etc/dictpch/makepch.py"],
        tools=(),
        command=lambda cxx, target: [
            sys.executable, str(PRECOMPILE), str(wheel), str(place), str(target / "ns3.pch")
        ],
        product="ns3.pch",
        language="C++",
        depends=(VERSION, importlib.metadata.version("cppyy-backend"), CLING_ARGUMENTS),
        environment={"EXTRA_CLING_ARGS": CLING_ARGUMENTS},
    )  # fmt: skip
    try:
        return built(
            needed, lambda: say("ns-3's headers are precompiled, once: that takes some 20 s")
        )
    except UsageError as error:
        log.warning("%s\n  they are read in each run", error)
        return None


def lacks_bindings() -> str | None:
    """What is missing for ns-3's Python bindings, in one line; None: nothing."""
    if find_spec("cppyy") is None:
        return f"ns-3's Python bindings need cppyy: {INSTALL_ALL}"
    trouble = lacking((), "C++")
    return None if trouble is None else f"ns-3's Python bindings: {trouble}: {REMEDY_CXX}"


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


if __name__ == "__main__":  # have all that is built on first use be there
    library(print)
    if lacks_bindings() is None:
        headers(print)
