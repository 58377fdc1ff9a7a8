"""Whether a file is what an engine can run, told before it is started.

An emulator that is given the wrong file says nothing useful, or runs something; so a file is looked
at here. Layouts and numbers are those of the System V ABI (ELF) and of its supplements for
processors; the memory is that of the STM32F405/407 (RM0090, 2.3).
"""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_ARM = 40
_MACHINES = {
    0: "no machine",
    2: "SPARC",
    3: "x86 (32 bits)",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC (64 bits)",
    22: "IBM Z",
    _ARM: "ARM (32 bits)",
    62: "x86-64",
    83: "AVR",
    94: "Xtensa",
    183: "ARM (64 bits)",
    243: "RISC-V",
    258: "LoongArch",
}
_HOSTS = {
    "x86_64": (62, 64),
    "amd64": (62, 64),
    "i386": (3, 32),
    "i686": (3, 32),
    "aarch64": (183, 64),
    "arm64": (183, 64),
    "armv7l": (_ARM, 32),
    "armv6l": (_ARM, 32),
    "ppc64le": (21, 64),
    "riscv64": (243, 64),
    "s390x": (22, 64),
    "loongarch64": (258, 64),
}
"""What `platform.machine()` says: number of the machine, bits."""

_FLASH, _FLASH_SIZE = 0x0800_0000, 1 << 20
_RAM = ((0x2000_0000, 128 << 10, "SRAM"), (0x1000_0000, 64 << 10, "CCM"))
_MEMORY = (
    "the part has flash at 0x08000000 (1 MiB), SRAM at 0x20000000 (128 KiB) "
    "and CCM at 0x10000000 (64 KiB)"
)

_EXECUTABLE, _SHARED, _LOAD = 2, 3, 1
_TYPES = {1: "an object file that was not linked", 3: "a shared library", 4: "a memory dump"}
_X = 1

_BUILD = (
    "build it with 'make -C firmware stm32f4', or link it as firmware/stm32f4/stm32f405.ld does"
)
_REBUILD = "build it anew"
_ARM_TOOLS = "build it with arm-none-eabi-gcc, or name another file"
_HOST_TOOLS = "build it with the C compiler of this machine, or name another file"
_ANY_TOOLS = "build it with the compiler for your platform, or name another file"


class _Broken(Exception):
    """What is wrong, and what to do."""


class _Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    load: int
    """Where it is put: its physical address."""
    stored: int
    """Bytes in the file."""
    size: int
    """Bytes in memory."""


class _Elf(NamedTuple):
    bits: int
    little: bool
    machine: int
    type: int
    segments: list[_Segment]


def firmware_problem(path: Path) -> str | None:
    """What is wrong with a file as firmware for the STM32F405/407, in one line; None: nothing.

    Args:
        path: an ELF file, it is hoped.
    """
    return _problem(path, _ARM_TOOLS, _check_arm, _check_segments)


def elf_problem(path: Path) -> str | None:
    """What is wrong with a file as an ELF file for any machine, in one line; None: nothing.

    Args:
        path: an ELF file, it is hoped.
    """
    return _problem(path, _ANY_TOOLS)


def program_problem(path: Path) -> str | None:
    """What is wrong with a file as a program for this machine, in one line; None: nothing.

    Args:
        path: an ELF file, it is hoped.
    """
    found = _problem(path, _HOST_TOOLS, _check_host)
    if found is None and not os.access(path, os.X_OK):
        found = f"{path}: it may not be executed: run 'chmod +x {path}'"
    return found


def _problem(path: Path, tools: str, *checks: Callable[[_Elf, bytes], None]) -> str | None:
    """What is wrong with an ELF file that has to pass some checks."""
    try:
        data = _read(path)
        elf = _parse(data, tools)
        for check in checks:
            check(elf, data)
    except _Broken as problem:
        return f"{path}: {problem}"
    return None


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise _Broken("it is a folder: name the file in it")
    if path.exists() and not path.is_file():
        raise _Broken("it is a device or a pipe: name a file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _Broken("there is no such file: build it, or correct the name") from None
    except OSError as error:
        raise _Broken(f"it cannot be read: {error.strerror}; see to its access rights") from None


def _parse(data: bytes, tools: str) -> _Elf:
    if not data:
        raise _Broken(f"it is empty: {_REBUILD}")
    if data[:4] != b"\x7fELF":
        raise _Broken(f"it is {_looks_like(data)}no ELF file: {tools}")
    if len(data) < 52:
        raise _Broken(f"it is cut off after {len(data)} bytes: {_REBUILD}, or copy it anew")
    bits, little = {1: 32, 2: 64}.get(data[4]), {1: True, 2: False}.get(data[5])
    if bits is None or little is None or data[6] != 1:
        raise _Broken(f"its ELF header is corrupt: {_REBUILD}, or copy it anew")
    order = "<" if little else ">"
    if len(data) < (52 if bits == 32 else 64):
        raise _Broken(f"it is cut off after {len(data)} bytes: {_REBUILD}, or copy it anew")
    kind, machine = struct.unpack_from(order + "HH", data, 16)
    word = "I" if bits == 32 else "Q"
    _, table, _, _, _, each, count = struct.unpack_from(f"{order}{word * 3}IHHH", data, 24)
    form = struct.Struct(order + ("8I" if bits == 32 else "IIQQQQQQ"))
    if count and each != form.size:
        raise _Broken(f"its ELF header is corrupt: {_REBUILD}, or copy it anew")
    if table + count * form.size > len(data):
        raise _Broken(
            f"it is cut off after {len(data)} bytes, its program headers end at "
            f"{table + count * form.size}: {_REBUILD}, or copy it anew"
        )
    segments = []
    for number in range(count):
        found = form.unpack_from(data, table + number * form.size)
        if bits == 32:
            type_, offset, address, load, stored, size, flags, _ = found
        else:
            type_, flags, offset, address, load, stored, size, _ = found
        segment = _Segment(type_, flags, offset, address, load, stored, size)
        if type_ == _LOAD and offset + stored > len(data):
            raise _Broken(
                f"it is cut off after {len(data)} bytes, a segment ends at {offset + stored}: "
                f"{_REBUILD}, or copy it anew"
            )
        if type_ == _LOAD and stored > size:
            raise _Broken(f"a segment is larger in the file than in memory: {_REBUILD}")
        segments.append(segment)
    return _Elf(bits, little, machine, kind, segments)


def _looks_like(data: bytes) -> str:
    if data[:1] == b":" and data[1:3].isalnum():
        return "an Intel HEX file, "
    if data[:2] == b"#!":
        return "a script, "
    if data[:2] == b"MZ":
        return "a program for Windows, "
    return ""


def _machine(elf: _Elf) -> str:
    return _MACHINES.get(elf.machine, f"machine {elf.machine}")


def _check_arm(elf: _Elf, _: bytes) -> None:
    if elf.machine != _ARM or elf.bits != 32:
        raise _Broken(f"it is for {_machine(elf)}, not for ARM (32 bits): {_ARM_TOOLS}")
    if not elf.little:
        raise _Broken("it is big-endian, the part is little-endian: build it without -mbig-endian")
    if elf.type != _EXECUTABLE:
        kind = _TYPES.get(elf.type, f"of type {elf.type}")
        raise _Broken(f"it is {kind}, no program at fixed addresses: {_BUILD}")


def _check_segments(elf: _Elf, data: bytes) -> None:
    loaded = [each for each in elf.segments if each.kind == _LOAD and each.size]
    if not loaded:
        raise _Broken(f"it has nothing to load: {_BUILD}")
    for each in loaded:
        for begin, size in ((each.address, each.size), (each.load, each.stored)):
            if not _fits(begin, size):
                raise _Broken(
                    f"its bytes for 0x{begin:08x} to 0x{begin + size:08x} are outside of memory; "
                    f"{_MEMORY}: {_BUILD}"
                )
    for each in loaded:
        start = _home(each.load)
        if start <= _FLASH and start + each.stored >= _FLASH + 8:
            stack, reset = struct.unpack_from("<II", data, each.offset + _FLASH - start)
            break
    else:
        raise _Broken(f"it has no vector table at the beginning of flash, 0x08000000: {_BUILD}")
    if not any(begin < stack <= begin + size for begin, size, _ in _RAM) or stack % 4:
        raise _Broken(
            f"its vector table begins with 0x{stack:08x}, no stack pointer in SRAM or CCM; "
            f"is the table at 0x08000000? {_BUILD}"
        )
    if not reset & 1:
        raise _Broken(
            f"its reset vector 0x{reset:08x} is even, so no Thumb code: build it with -mthumb"
        )
    target = _home(reset - 1)
    for each in loaded:
        start = _home(each.address)
        if each.flags & _X and start <= target < start + each.stored:
            return
    raise _Broken(f"its reset vector 0x{reset:08x} leads to no code of the file: {_BUILD}")


def _home(address: int) -> int:
    """An address of the flash's second place, at 0, as that of the first; others as they are."""
    return address + _FLASH if address < _FLASH_SIZE else address


def _fits(begin: int, size: int) -> bool:
    places = ((_FLASH, _FLASH_SIZE, "flash"), (0, _FLASH_SIZE, "flash"), *_RAM)
    return any(start <= begin and begin + size <= start + room for start, room, _ in places)


def _check_host(elf: _Elf, _: bytes) -> None:
    host = platform.machine()
    wanted = _HOSTS.get(host.lower())
    if wanted is not None and (elf.machine, elf.bits) != wanted:
        raise _Broken(f"it is for {_machine(elf)}, this machine is {host}: {_HOST_TOOLS}")
    if elf.type not in (_EXECUTABLE, _SHARED):
        kind = _TYPES.get(elf.type, f"of type {elf.type}")
        raise _Broken(f"it is {kind}, no program: {_HOST_TOOLS}")
    if not any(each.kind == _LOAD and each.size for each in elf.segments):
        raise _Broken(f"it has nothing to load: {_REBUILD}")
