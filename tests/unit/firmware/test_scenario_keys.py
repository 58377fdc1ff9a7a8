"""What `implementation: native` and `qemu` are refused for, before anything starts."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from firmware_builds import FIRMWARE, PREBUILT
from simcore_backends.firmware import keys

from simcore.errors import ScenarioError
from simcore.scenario import loads

SCENARIO = """\
simcore: 1
duration: 1s
network: {{model: latency, links: [{{between: [node, modem], delay: 1ms}}]}}
nodes:
  modem: {{}}
  crowd: {{count: 2}}
  node:
    implementation: {engine}
{keys}"""

ENGINES = ("native", "qemu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(PREBUILT / "meter-stm32f4.elf", tmp_path / "app.elf")
    shutil.copy("/bin/true", tmp_path / "app")
    (tmp_path / "text").write_text("no firmware")
    (tmp_path / "text").chmod(0o755)
    (tmp_path / "empty.elf").touch()
    # Only what is looked for is checked, so any program will do for QEMU.
    (tmp_path / "qemu").write_text("#!/bin/sh\n")
    (tmp_path / "qemu").chmod(0o755)
    monkeypatch.setenv("SIMCORE_QEMU", str(tmp_path / "qemu"))
    return tmp_path


def problems(folder: Path, engine: str, keys: str) -> list[str]:
    lines = "".join(f"    {line}\n" for line in keys.splitlines())
    try:
        loads(SCENARIO.format(engine=engine, keys=lines), base=folder)
    except ScenarioError as error:
        return [str(problem).split(": ", 1)[1] for problem in error.problems]
    return []


BOTH = {
    "shipped": "firmware: meter",
    "files": "firmware: {native: app, elf: app.elf}",
    "a UART": "firmware: meter\nuart: {usart2: {baud: 9600, mode: addressed}}",
    "two": "firmware: meter\nuart: {usart2: {}, usart3: {baud: 300, mode: raw, peer: modem}}",
    "a member of a group": "firmware: meter\nuart: {usart3: {mode: raw, peer: crowd-1}}",
    "a console": "firmware: meter\nuart: {usart2: {mode: log}}",
    "surroundings": "firmware: meter\nenvironment: {A: b}\nlimits: {files: 100}\nlog: 4KiB\n"
    "start_timeout: 1s\ntimeout: 1s",
    "a group": "firmware: meter\ncount: 3",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", BOTH)
def test_valid(folder: Path, engine: str, case: str) -> None:
    assert problems(folder, engine, BOTH[case]) == []


@pytest.mark.parametrize(
    ("engine", "keys"),
    [
        ("native", "firmware: app"),
        ("native", "firmware: {native: app}"),
        ("qemu", "firmware: app.elf\nmachine: olimex-stm32-h405\nmips: 62.5\nqemu: ./qemu"),
        ("qemu", "firmware: {elf: app.elf}\nmips: 1000"),
        ("qemu", "firmware: meter\nuart: {usart6: {}}"),
    ],
)
def test_valid_for_one(folder: Path, engine: str, keys: str) -> None:
    assert problems(folder, engine, keys) == []


WRONG = {
    "no firmware": ("count: 2", "nodes.node: a device needs 'firmware': what it runs"),
    "unknown": (
        "firmware: mater",
        "nodes.node.firmware: there is no firmware 'mater': bridge, meter and reader come with simcore, "
        "any other is named by its file (did you mean 'meter'?)",
    ),
    "no such file": (
        "firmware: ./nothing",
        "nodes.node.firmware: there is no such file: './nothing'",
    ),
    "config": (
        "firmware: meter\nconfig: {period: 1}",
        "nodes.node.config: has no effect: firmware takes no config",
    ),
    "two that are addressed": (
        "firmware: meter\nuart: {usart2: {}, usart3: {}}",
        "nodes.node.uart.usart3: usart2 is addressed as well, and a message could go to both: "
        "give one of them 'mode: raw' and a peer, or 'mode: log'",
    ),
    "raw without a peer": (
        "firmware: meter\nuart: {usart2: {mode: raw}}",
        "nodes.node.uart.usart2: 'mode: raw' needs a 'peer': the node that its lines go to",
    ),
    "a peer of an addressed one": (
        "firmware: meter\nuart: {usart2: {peer: modem}}",
        "nodes.node.uart.usart2.peer: has no effect with 'mode: addressed'",
    ),
    "an unknown peer": (
        "firmware: meter\nuart: {usart2: {mode: raw, peer: moden}}",
        "nodes.node.uart.usart2.peer: there is no node or group 'moden' (did you mean 'modem'?)",
    ),
    "a group as a peer": (
        "firmware: meter\nuart: {usart2: {mode: raw, peer: crowd}}",
        "nodes.node.uart.usart2.peer: 'crowd' is a group: name one of its nodes",
    ),
    "a peer of two": (
        "firmware: meter\nuart: {usart2: {mode: raw, peer: modem}, "
        "usart3: {mode: raw, peer: modem}}",
        "nodes.node.uart.usart3.peer: is the peer of usart2 already",
    ),
    "itself": (
        "firmware: meter\nuart: {usart2: {mode: raw, peer: node}}",
        "nodes.node.uart.usart2.peer: 'node' would talk to itself: name another node",
    ),
    "no UART": ("firmware: meter\nuart: {}", "nodes.node.uart: "),
    "an unknown UART": (
        "firmware: meter\nuart: {uart1: {}}",
        "nodes.node.uart.uart1: this engine has ",
    ),
    "a baud rate of 0": (
        "firmware: meter\nuart: {usart2: {baud: 0}}",
        "nodes.node.uart.usart2.baud: ",
    ),
    "a transport": ("firmware: meter\ntransport: tcp", "nodes.node.transport: "),
    "no time": ("firmware: meter\ntimeout: 0s", "nodes.node.timeout: must be more than 0"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", WRONG)
def test_wrong_for_both(folder: Path, engine: str, case: str) -> None:
    keys, told = WRONG[case]
    [found] = problems(folder, engine, keys)
    assert found.startswith(told)
    if not told.endswith((": ", "has ")):
        assert found == told


WRONG_FOR_ONE = {
    "a UART that the port has not": (
        "native", "firmware: meter\nuart: {usart6: {}}",
        "nodes.node.uart.usart6: this engine has usart2, usart3",
    ),
    "text as a program": ("native", "firmware: text", "nodes.node.firmware: "),
    "an ELF file as a program": ("native", "firmware: app.elf", "nodes.node.firmware: "),
    "only an ELF file": (
        "native", "firmware: {elf: app.elf}",
        "nodes.node.firmware: 'native' is missing: a program for this machine, for "
        "`implementation: native`",
    ),
    "only a program": (
        "qemu", "firmware: {native: app}",
        "nodes.node.firmware: 'elf' is missing: an ELF file for the microcontroller, for emulators",
    ),
    "a program as an ELF file": ("qemu", "firmware: app", "nodes.node.firmware: "),
    "an empty file": ("qemu", "firmware: {elf: empty.elf}", "nodes.node.firmware.elf: "),
    "a machine": ("qemu", "firmware: meter\nmachine: raspi0", "nodes.node.machine: "),
    "a speed": ("qemu", "firmware: meter\nmips: 168", "nodes.node.mips: "),
    "no QEMU": (
        "qemu", "firmware: meter\nqemu: no-such-qemu",
        "nodes.node.qemu: there is no no-such-qemu in PATH: install it (Debian: apt-get install "
        "qemu-system-arm), or say with SIMCORE_QEMU where it is; `implementation: native` runs the "
        "same firmware without QEMU",
    ),
    "a QEMU of mips": ("native", "firmware: meter\nmips: 125", "nodes.node.mips: "),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_FOR_ONE)
def test_wrong_for_one(folder: Path, case: str) -> None:
    engine, keys, told = WRONG_FOR_ONE[case]
    [found] = problems(folder, engine, keys)
    assert found.startswith(told)
    if not told.endswith(": "):
        assert found == told


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("/no/such/qemu", "/no/such/qemu, which SIMCORE_QEMU names, does not exist"),
        ("FOLDER/text.txt", "is not executable: name a qemu-system-arm"),
    ],
)
def test_a_variable_that_names_no_qemu(
    folder: Path, monkeypatch: pytest.MonkeyPatch, named: str, told: str
) -> None:
    (folder / "text.txt").touch(0o644)
    monkeypatch.setenv("SIMCORE_QEMU", named.replace("FOLDER", str(folder)))
    [found] = problems(folder, "qemu", "firmware: meter")
    assert found.startswith("nodes.node.implementation: ")
    assert told in found
    assert found.endswith("`implementation: native` runs the same firmware without QEMU")


def test_no_window_without_a_delay(folder: Path) -> None:
    text = SCENARIO.format(engine="qemu", keys="    firmware: meter\n").replace(
        "delay: 1ms", "delay: 0ms"
    )
    with pytest.raises(ScenarioError, match="is free-running, and the network promises no delay"):
        loads(text, base=folder)


def test_an_elf_file_that_is_older_than_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is run as it is, and the user is told, once."""
    root = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, root, ignore=shutil.ignore_patterns("build"))
    monkeypatch.setattr(keys, "shipped", lambda: root)
    file = root / "prebuilt" / "meter-stm32f4.elf"
    options = {"firmware": "meter"}
    with caplog.at_level(logging.WARNING, "simcore"):
        keys._shipped_elf.cache_clear()
        assert keys.elf_of(options, tmp_path) == file
        assert not caplog.messages
        with (root / "app" / "meter.c").open("a", encoding="utf-8") as source:
            source.write("/* another one */\n")
        keys._shipped_elf.cache_clear()
        assert [keys.elf_of(options, tmp_path) for _ in range(2)] == [file, file]
    keys._shipped_elf.cache_clear()
    [told] = caplog.messages
    assert told == (
        "the ELF file of the firmware meter is not made of this meter.c: "
        "'make -C firmware prebuilt' renews it"
    )
