"""The ELF file for the STM32F405/407: what the part's reference manual (RM0090) demands of it.

vector table   flash from 0x08000000: initial stack, reset, the core's exceptions, 82 of the part
code           flash, 1 MiB
data, bss      SRAM from 0x20000000, 128 KiB; data is kept in flash
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from firmware_builds import CROSS, FIRMWARE, PREBUILT, elf_file, parrot, stm32f4
from support import require

FLASH = range(0x08000000, 0x08000000 + 1024 * 1024)
SRAM = range(0x20000000, 0x20000000 + 128 * 1024)
RECORD = PREBUILT / "SHA256SUMS"
APPS, KINDS = ("meter", "bridge", "reader"), ("stm32f4.elf", "x86_64-linux")


@pytest.fixture(
    scope="module", params=[(app, made) for app in APPS for made in ("prebuilt", "rebuilt")]
)
def elf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    app, made = request.param
    path = PREBUILT / f"{app}-stm32f4.elf"
    if made == "rebuilt":
        path = stm32f4(tmp_path_factory.mktemp("build"), app)
    with path.open("rb") as stream:
        yield elf_file(stream)


def symbols(elf: Any) -> dict[str, int]:
    return {
        each.name: each["st_value"] for each in elf.get_section_by_name(".symtab").iter_symbols()
    }


def vectors(elf: Any) -> tuple[int, ...]:
    return struct.unpack("<98I", elf.get_section_by_name(".vectors").data())


def test_it_is_for_a_cortex_m(elf: Any) -> None:
    assert elf.get_machine_arch() == "ARM" and elf.elfclass == 32 and elf.little_endian
    [attributes] = [each for each in elf.iter_sections() if each.name == ".ARM.attributes"]
    said = {each.tag: each.value for part in attributes.iter_subsections()
            for sub in part.iter_subsubsections() for each in sub.iter_attributes()}  # fmt: skip
    assert said["TAG_CPU_ARCH_PROFILE"] == ord("M")
    assert "TAG_FP_ARCH" not in said, "an emulated Cortex-M4 need not have a floating-point unit"


def test_sections_lie_where_there_is_memory(elf: Any) -> None:
    place = {each.name: each for each in elf.iter_sections() if each["sh_flags"] & 2}
    assert set(place) == {".vectors", ".text", ".rodata", ".data", ".bss"}
    for name, section in place.items():
        memory = SRAM if name in (".data", ".bss") else FLASH
        first, size = section["sh_addr"], section["sh_size"]
        assert first in memory and first + size - 1 in memory, name
    assert place[".vectors"]["sh_addr"] == FLASH.start, "RM0090 2.4: the part boots from there"
    assert place[".bss"]["sh_type"] == "SHT_NOBITS"


def test_what_is_loaded_is_flash(elf: Any) -> None:
    for segment in elf.iter_segments("PT_LOAD"):
        if segment["p_filesz"]:
            assert segment["p_paddr"] in FLASH
            assert segment["p_paddr"] + segment["p_filesz"] - 1 in FLASH
        assert segment["p_flags"] in (5, 6), "nothing is both written and run"


def test_it_is_small(elf: Any) -> None:
    loaded = sum(each["p_filesz"] for each in elf.iter_segments("PT_LOAD"))
    assert loaded < 20 * 1024
    assert all(each.stat().st_size < 64 * 1024 for each in PREBUILT.iterdir())


def test_vector_table(elf: Any) -> None:
    table, where = vectors(elf), symbols(elf)
    assert table[0] == SRAM.stop == where["stack_top"], "the initial stack pointer, RM0090 2.4"
    assert table[0] % 8 == 0, "the procedure call standard of ARM"
    assert table[1] == where["Reset_Handler"] | 1 == elf.header["e_entry"] | 1
    assert table[15] == where["SysTick_Handler"] | 1
    # RM0090 12.2: USART2 is at position 38, address 0x000000D8; USART3 at 39, 0x000000DC.
    assert (0xD8 // 4, 0xDC // 4) == (16 + 38, 16 + 39)
    assert table[16 + 38] == where["USART2_Handler"] | 1
    assert table[16 + 39] == where["USART3_Handler"] | 1
    reserved = {7, 8, 9, 10, 13}
    assert {number for number, vector in enumerate(table) if vector == 0} == reserved
    others = set(range(98)) - reserved - {0, 1, 15, 54, 55}
    assert {table[number] for number in others} == {where["Fault_Handler"] | 1}
    assert all((vector - 1) in FLASH and vector & 1 for vector in table[1:] if vector)


def test_stack_and_data_have_room(elf: Any) -> None:
    where = symbols(elf)
    assert where["stack_top"] - where["bss_end"] >= 8 * 1024
    assert where["data_load"] in FLASH
    assert where["data_start"] % 4 == where["data_end"] % 4 == where["data_load"] % 4 == 0
    assert where["bss_start"] % 4 == where["bss_end"] % 4 == 0


def test_prebuilt_files_are_those_of_these_sources() -> None:
    """`make -C firmware prebuilt` renews it."""
    lines = RECORD.read_text(encoding="ascii").splitlines()
    recorded = dict(reversed(line.split("  ", 1)) for line in lines if not line.startswith("#"))
    digests = {
        name: hashlib.sha256((FIRMWARE / name).read_bytes()).hexdigest() for name in recorded
    }
    assert digests == recorded
    folders = ("app", "lib", "native", "stm32f4")
    sources = {
        str(path.relative_to(FIRMWARE))
        for folder in folders
        for path in (FIRMWARE / folder).iterdir()
        if path.suffix in (".c", ".h", ".ld")
    }
    files = {f"prebuilt/{each.name}" for each in PREBUILT.iterdir() if each != RECORD}
    assert files == {f"prebuilt/{app}-{kind}" for app in APPS for kind in KINDS}
    assert {"Makefile"} | sources | files <= set(recorded)


@pytest.mark.parametrize("app", APPS)
def test_the_same_compiler_gives_the_same_file_anywhere(tmp_path: Path, app: str) -> None:
    version = subprocess.run(
        [require(CROSS), "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    built, prebuilt = stm32f4(tmp_path, app), PREBUILT / f"{app}-stm32f4.elf"
    if RECORD.read_text(encoding="ascii").splitlines()[0] == f"# compiler: {version}":
        assert built.read_bytes() == prebuilt.read_bytes()
    with built.open("rb") as ours, prebuilt.open("rb") as theirs:
        new, old = elf_file(ours), elf_file(theirs)
        assert set(symbols(new)) == set(symbols(old))
        for name in (".data", ".rodata"):
            ones, others = (each.get_section_by_name(name)["sh_size"] for each in (new, old))
            assert abs(ones - others) < 256


def test_another_application_builds_on_the_same_port(tmp_path: Path) -> None:
    with parrot(tmp_path, "stm32f4").open("rb") as stream:
        assert "app_main" in symbols(elf_file(stream))


def test_a_compiler_that_is_missing_is_named(tmp_path: Path) -> None:
    command = [
        require("make"),
        "-C",
        str(FIRMWARE),
        "stm32f4",
        f"BUILD={tmp_path}",
        "CROSS=no-such-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no-such-gcc is not installed" in done.stderr and "gcc-arm-none-eabi" in done.stderr
