"""Building firmware in tests: from the sources of the checkout, into a folder of the test's."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

from support import PATIENCE, ROOT, require, unavailable

FIRMWARE = ROOT / "firmware"
PREBUILT = FIRMWARE / "prebuilt"
PARROT = Path(__file__).parent / "unit" / "firmware" / "parrot.c"
CROSS = "arm-none-eabi-gcc"


def make(target: str, folder: Path, *variables: str) -> None:
    """`make -C firmware TARGET` into a folder."""
    require("gcc")
    command = [require("make"), "-C", str(FIRMWARE), target, f"BUILD={folder}", *variables]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def native(folder: Path, *variables: str, app: str = "meter") -> Path:
    """An application that is shipped, for the host."""
    make("native", folder, f"APP={app}", *variables)
    return folder / "native" / app


def parrot(folder: Path, target: str = "native", *variables: str) -> Path:
    """Firmware that says what it is told: see parrot.c."""
    if target == "stm32f4":
        require(CROSS)
    sources = f"APP_SOURCES={PARROT} lib/json.c"
    make(target, folder, "APP=parrot", sources, *variables)
    return folder / target / ("parrot" if target == "native" else "parrot.elf")


def stm32f4(folder: Path, app: str = "meter") -> Path:
    """The same for the STM32F4."""
    require(CROSS)
    make("stm32f4", folder, f"APP={app}")
    return folder / "stm32f4" / f"{app}.elf"


def library(folder: Path, *sources: Path, options: tuple[str, ...] = ()) -> Any:
    """C sources as a library in this process."""
    name = folder / "library.so"
    command = [require("gcc"), "-std=c11", "-Wall", "-Werror", "-O1", "-shared", "-fPIC", *options]
    subprocess.run([*command, "-o", name, *sources], check=True, timeout=PATIENCE)
    return ctypes.CDLL(str(name))


def elf_file(stream: Any) -> Any:
    """An ELF file, as pyelftools reads it."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError:
        unavailable("pyelftools is not installed")
    return ELFFile(stream)
