"""`scripts/flash.sh` says what it would do, and refuses what cannot go onto the board."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from firmware_builds import PREBUILT, elf_file
from support import ROOT, require

SCRIPT = ROOT / "scripts" / "flash.sh"
METER = PREBUILT / "meter-stm32f4.elf"


def flash(*arguments: str | Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.run(
        [SCRIPT, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_openocd() -> None:
    done = flash("--dry-run", "--tool", "openocd", "firmware/prebuilt/meter-stm32f4.elf")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "openocd -f interface/stlink.cfg -f target/stm32f4x.cfg "
        "-c 'program firmware/prebuilt/meter-stm32f4.elf verify reset exit'\n"
    )


def test_another_probe() -> None:
    done = flash("--dry-run", "--tool", "openocd", "--interface", "jlink")
    assert "-f interface/jlink.cfg" in done.stdout


def test_st_flash() -> None:
    done = flash("--dry-run", "--tool", "st-flash", "firmware/prebuilt/meter-stm32f4.elf")
    assert done.stdout.splitlines() == [
        "objcopy -I elf32-little -O binary firmware/prebuilt/meter-stm32f4.elf "
        "firmware/prebuilt/meter-stm32f4.bin",
        "st-flash --reset write firmware/prebuilt/meter-stm32f4.bin 0x08000000",
    ]


def test_the_shipped_file_is_the_default() -> None:
    done = flash("--dry-run", "--tool", "openocd")
    name = done.stdout.split("program ")[1].split(" verify")[0]
    assert (ROOT / name).resolve() == METER


def fake(folder: Path, name: str) -> None:
    program = folder / name
    program.write_text(f'#!/bin/sh\necho {name} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def test_without_openocd_it_takes_st_flash(tmp_path: Path) -> None:
    needed = ("sh", "od", "tr", "dirname", "sed")
    for tool in needed:
        (tmp_path / tool).symlink_to(require(tool))
    assert flash("--dry-run", path=str(tmp_path)).stdout.startswith("openocd")
    assert "openocd is not installed" in flash(path=str(tmp_path)).stderr
    fake(tmp_path, "st-flash")
    assert "st-flash" in flash("--dry-run", path=str(tmp_path)).stdout
    fake(tmp_path, "openocd")
    done = flash(path=str(tmp_path))
    assert done.returncode == 0 and done.stdout.startswith("openocd -f interface/stlink.cfg")


def test_what_st_flash_writes_is_what_is_loaded(tmp_path: Path) -> None:
    require("objcopy")
    elf = tmp_path / "meter.elf"
    shutil.copy(METER, elf)
    fake(tmp_path, "st-flash")
    done = flash("--tool", "st-flash", elf, path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "meter.bin").read_bytes()
    with METER.open("rb") as stream:
        for segment in elf_file(stream).iter_segments("PT_LOAD"):
            offset = segment["p_paddr"] - 0x08000000
            if segment["p_filesz"]:
                assert written[offset : offset + segment["p_filesz"]] == segment.data()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere.elf"], "no such file"),
        (["README.md"], "no 32-bit little-endian ELF file"),
        (["--tool", "hammer"], "--tool hammer is not known"),
        (["--tool"], "--tool needs a value"),
        (["--fast"], "--fast is not known"),
        (["README.md", "LICENSE"], "one ELF file at a time"),
    ],
)
def test_refused(arguments: list[str], why: str) -> None:
    done = flash("--dry-run", *arguments)
    assert (done.returncode, done.stdout) == (2, "") and why in done.stderr


def test_a_file_for_another_processor_is_refused(tmp_path: Path) -> None:
    data = bytearray(METER.read_bytes())
    data[18] = 243  # RISC-V
    (tmp_path / "riscv.elf").write_bytes(data)
    (tmp_path / "cut.elf").write_bytes(data[:10])
    assert "for another processor" in flash("--dry-run", tmp_path / "riscv.elf").stderr
    assert "for another processor" in flash("--dry-run", tmp_path / "cut.elf").stderr


def test_help() -> None:
    done = flash("--help")
    assert done.returncode == 0 and "--dry-run     only print the command" in done.stdout
