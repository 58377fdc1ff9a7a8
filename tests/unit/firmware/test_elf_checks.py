"""Files that an engine cannot run are refused in one line that names cause and way out."""

from __future__ import annotations

import os
import platform
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from firmware_builds import FIRMWARE
from hypothesis import given, settings
from hypothesis import strategies as st
from simcore_backends.firmware.elf import firmware_problem, program_problem

FLASH, SRAM, CCM = 0x0800_0000, 0x2000_0000, 0x1000_0000
CODE = struct.pack("<II", SRAM + 0x20000, FLASH + 9) + b"\0" * 56
Segment = tuple[int, int, int, int, int]
"""Flags, address, where it is put, bytes in the file, bytes in memory."""

TEXT = (5, FLASH, FLASH, 64, 64)
DATA = (6, SRAM, FLASH + 64, 8, 8)
BSS = (6, SRAM + 8, SRAM + 8, 0, 4096)


def elf(
    *segments: Segment,
    machine: int = 40,
    kind: int = 2,
    bits: int = 32,
    order: str = "<",
    code: bytes = CODE,
) -> bytes:
    """An ELF file; all segments have the same bytes."""
    header, each = (52, 32) if bits == 32 else (64, 56)
    word = "I" if bits == 32 else "Q"
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + bytes(9)
    data = ident + struct.pack(
        f"{order}HHI{word * 3}IHHHHHH", kind, machine, 1, FLASH + 9, header, 0, 0, header, each,
        len(segments), 0, 0, 0,
    )  # fmt: skip
    offset = header + each * len(segments)
    for flags, address, load, stored, size in segments:
        if bits == 32:
            data += struct.pack(order + "8I", 1, offset, address, load, stored, size, flags, 4)
        else:
            data += struct.pack(order + "2I6Q", 1, flags, offset, address, load, stored, size, 4)
    return data + code


GOOD = elf(TEXT, DATA, BSS)


def problem(folder: Path, data: bytes) -> str | None:
    path = folder / "app.elf"
    path.write_bytes(data)
    found = firmware_problem(path)
    if found is not None:
        assert found.startswith(f"{path}: ") and "\n" not in found
    return found


def vectors(stack: int, reset: int) -> bytes:
    return struct.pack("<II", stack, reset) + CODE[8:]


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        elf(TEXT),
        elf((5, 0, 0, 64, 64), code=vectors(SRAM + 1024, 9)),
        elf((5, 0, FLASH, 64, 64), code=vectors(SRAM + 1024, FLASH + 9)),
        elf(TEXT, code=vectors(CCM + 0x10000, FLASH + 9)),
        elf(TEXT, code=vectors(SRAM + 4, 9)),
        elf(TEXT, (6, CCM, CCM, 0, 0x10000), (6, 0x4000_0000, 0, 0, 0)),
    ],
)
def test_firmware_that_can_run(tmp_path: Path, data: bytes) -> None:
    assert problem(tmp_path, data) is None


def test_the_prebuilt_firmware_can_run() -> None:
    found = list((FIRMWARE / "prebuilt").glob("*-stm32f4.elf"))
    assert found and [firmware_problem(path) for path in found] == [None] * len(found)


@pytest.mark.parametrize(
    ("data", "cause", "way_out"),
    [
        (b"", "it is empty", "build it anew"),
        (b":020000040800F2\n", "an Intel HEX file", "arm-none-eabi-gcc"),
        (b"#!/bin/sh\n", "a script", "name another file"),
        (b"MZ\x90", "a program for Windows", "name another file"),
        (b"\x00\x00\x02\x20" * 30, "no ELF file", "name another file"),
        (GOOD[:30], "cut off after 30 bytes", "copy it anew"),
        (GOOD[:100], "cut off after 100 bytes, its program headers end at 148", "copy it anew"),
        (GOOD[:160], "cut off after 160 bytes, a segment ends at 212", "copy it anew"),
        (GOOD[:4] + b"\x07" + GOOD[5:], "its ELF header is corrupt", "copy it anew"),
        (GOOD[:5] + b"\x03" + GOOD[6:], "its ELF header is corrupt", "copy it anew"),
        (GOOD[:42] + b"\x07" + GOOD[43:], "its ELF header is corrupt", "copy it anew"),
        (elf(TEXT, machine=62, bits=64), "it is for x86-64, not for ARM", "arm-none-eabi-gcc"),
        (elf(TEXT, machine=243), "it is for RISC-V, not for ARM", "arm-none-eabi-gcc"),
        (elf(TEXT, machine=183, bits=64), "for ARM (64 bits), not for ARM (32", "arm-none-eabi-gcc"),
        (elf(TEXT, machine=4711), "it is for machine 4711", "arm-none-eabi-gcc"),
        (elf(TEXT, order=">"), "it is big-endian", "without -mbig-endian"),
        (elf(TEXT, kind=1), "an object file that was not linked", "make -C firmware stm32f4"),
        (elf(TEXT, kind=3), "a shared library", "stm32f405.ld"),
        (elf(TEXT, kind=9), "of type 9", "stm32f405.ld"),
        (elf(), "nothing to load", "stm32f405.ld"),
        (elf((5, FLASH, FLASH, 0, 0)), "nothing to load", "stm32f405.ld"),
        (elf((5, 0x0800_0000, FLASH, 64, 63)), "larger in the file than in memory", "build it anew"),
        (elf(TEXT, (6, SRAM, FLASH + 64, 8, 0x20001)),
         "0x20000000 to 0x20020001 are outside of memory; the part has flash", "stm32f405.ld"),
        (elf(TEXT, (5, 0x0010_0000, 0x0010_0000, 8, 8)), "0x00100000 to 0x00100008", "stm32f405.ld"),
        (elf(TEXT, (5, FLASH, 0x6000_0000, 8, 8)), "0x60000000 to 0x60000008", "stm32f405.ld"),
        (elf((5, FLASH + 8, FLASH + 8, 64, 64)), "no vector table at the beginning", "stm32f405.ld"),
        (elf((5, SRAM, SRAM, 64, 64)), "no vector table at the beginning", "stm32f405.ld"),
        (elf((5, FLASH, FLASH, 4, 64)), "no vector table at the beginning", "stm32f405.ld"),
        (elf(TEXT, code=vectors(SRAM, FLASH + 9)), "0x20000000, no stack pointer", "table at 0x08000000"),
        (elf(TEXT, code=vectors(SRAM + 0x20004, FLASH + 9)), "0x20020004, no stack", "stm32f405.ld"),
        (elf(TEXT, code=vectors(SRAM + 6, FLASH + 9)), "0x20000006, no stack", "stm32f405.ld"),
        (elf(TEXT, code=vectors(SRAM + 8, FLASH + 8)), "0x08000008 is even", "-mthumb"),
        (elf(TEXT, code=vectors(SRAM + 8, FLASH + 65)), "0x08000041 leads to no code", "stm32f405.ld"),
        (elf((4, *TEXT[1:])), "0x08000009 leads to no code", "stm32f405.ld"),
    ],
)  # fmt: skip
def test_firmware_that_cannot_run(tmp_path: Path, data: bytes, cause: str, way_out: str) -> None:
    found = problem(tmp_path, data)
    assert found is not None and cause in found and way_out in found


@settings(max_examples=300)
@given(st.data())
def test_no_damage_is_too_much(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    file = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at] = data.draw(st.integers(0, 255))
    problem(folder, bytes(file[: data.draw(st.integers(0, len(file)))]))
    program_problem(folder / "app.elf")


@pytest.mark.parametrize("check", [firmware_problem, program_problem])
def test_what_is_no_file(tmp_path: Path, check: Callable[[Path], str | None]) -> None:
    def why(path: Path) -> str:
        found = check(path)
        assert found is not None and "\n" not in found
        return found

    assert "no such file: build it" in why(tmp_path / "nothing.elf")
    assert "a folder: name the file in it" in why(tmp_path)
    assert "a device or a pipe" in why(Path(os.devnull))


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (tmp_path / "app.elf").touch()
    found = firmware_problem(tmp_path / "app.elf")
    assert found is not None and "cannot be read: Permission denied; see to its access" in found


# Programs for this machine.


def host(monkeypatch: pytest.MonkeyPatch, path: Path, name: str, data: bytes) -> str | None:
    monkeypatch.setattr(platform, "machine", lambda: name)
    path.write_bytes(data)
    path.chmod(0o755)
    return program_problem(path)


PROGRAM: dict[str, Any] = {"bits": 64, "machine": 62, "kind": 3}


@pytest.mark.skipif(sys.platform != "linux", reason="programs are no ELF files everywhere")
def test_this_python_can_run() -> None:
    assert program_problem(Path(sys.executable).resolve()) is None


@pytest.mark.parametrize(
    ("name", "options", "cause"),
    [
        ("x86_64", {}, None),
        ("x86_64", {"kind": 2}, None),
        ("AMD64", {}, None),
        ("aarch64", {"machine": 183}, None),
        ("s390x", {"machine": 22, "order": ">"}, None),
        ("pdp11", {"machine": 62}, None),
        ("aarch64", {}, "it is for x86-64, this machine is aarch64"),
        ("x86_64", {"machine": 183}, "it is for ARM (64 bits), this machine is x86_64"),
        ("x86_64", {"machine": 40, "bits": 32}, "it is for ARM (32 bits), this machine is x86_64"),
        ("x86_64", {"machine": 3, "bits": 32}, "it is for x86 (32 bits), this machine is x86_64"),
        ("x86_64", {"kind": 1}, "an object file that was not linked, no program"),
        ("x86_64", {"kind": 4}, "a memory dump, no program"),
    ],
)
def test_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, options: Any, cause: str | None
) -> None:
    found = host(monkeypatch, tmp_path / "app", name, elf(TEXT, **{**PROGRAM, **options}))
    if cause is None:
        assert found is None
    else:
        assert found is not None and cause in found and "C compiler of this machine" in found


def test_programs_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "app"
    found = host(monkeypatch, path, "x86_64", elf(**PROGRAM))
    assert found is not None and "nothing to load: build it anew" in found
    found = host(monkeypatch, path, "x86_64", elf(TEXT, **PROGRAM)[:-1])
    assert found is not None and "cut off" in found and "copy it anew" in found
    host(monkeypatch, path, "x86_64", elf(TEXT, **PROGRAM))
    path.chmod(0o644)
    assert program_problem(path) == f"{path}: it may not be executed: run 'chmod +x {path}'"
