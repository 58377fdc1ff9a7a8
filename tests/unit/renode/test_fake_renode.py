"""What stands in for Renode is as strict as Renode is, as far as the agent and simcore rely on it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from renode_fake.emulation import RecoverableException
from renode_fake.platform_file import parts_of
from renode_machine import (
    AGENT,
    FLAGS,
    METER,
    MS,
    PLATFORM,
    Over,
    fake_only,
    firmware,
    install,
    let_in,
    machine,
    start,
)
from simcore_backends.firmware.elf import firmware_problem
from support import PATIENCE

ENTRY = "usart2: UART.STM32_UART @ sysbus <0x40004400, +0x100>\n    -> nvic@38\n"


@pytest.fixture(autouse=True)
def _() -> None:
    fake_only()


def run(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    return done.stdout


def lives_on(process: subprocess.Popen[bytes]) -> bool:
    """Whether it does not end by itself; who ends at once has ended by then."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return True
    return False


# -- the command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "runtime"), [("1.15.3", "Mono"), ("1.16.1", ".NET")])
def test_its_version(version: str, runtime: str, tmp_path: Path):
    program = install(tmp_path, FAKE_RENODE_VERSION=version)
    for flag in ("--version", "-v"):
        lines = run(program, flag).splitlines()
        assert lines[0].startswith(f"Renode v{version}.")
        assert lines[3].strip().startswith(f"runtime: {runtime}")


@pytest.mark.parametrize("flags", [["--no-such-flag"], ["a.resc", "b.resc"], ["-P"]])
def test_it_shows_its_use_and_ends_in_order(flags: list[str], tmp_path: Path):
    said = run(install(tmp_path), *flags)
    assert said.startswith(("Unexpected options detected: ", "Option 'port' requires parameter"))


def test_a_script_that_fails_says_nothing_and_goes_on(tmp_path: Path):
    """So nothing but the missing HELLO tells of an agent that cannot be loaded."""
    with start(tmp_path, agent=tmp_path / "none.py") as (process, _, log):
        assert lives_on(process)
        assert "does not exist" not in log.read_text()


def test_no_script_is_run(tmp_path: Path):
    with start(tmp_path, FAKE_RENODE_TROUBLE="mute") as (process, _, _):
        assert lives_on(process)


def test_an_agent_that_was_not_made_for_the_release(tmp_path: Path):
    """1.15 has the Monitor's classes in another assembly; on .NET there are more of them."""
    variant = tmp_path / "agent.py"
    for version, assembly in (("1.16.1", "System.Net.Sockets"), ("1.15.3", "System")):
        variant.write_text(AGENT.read_text().replace(f'    "{assembly}",\n', ""))
        environment = {"FAKE_RENODE_VERSION": version}
        with start(tmp_path, agent=variant, **environment) as (process, listener, log):
            with pytest.raises(Over):
                let_in(process, listener)
            assert process.returncode == 1 and "cannot import name" in log.read_text()


# -- files -----------------------------------------------------------------------------------------


def test_it_goes_to_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """So a relative path means nothing to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.py").write_bytes(AGENT.read_bytes())
    with start(tmp_path, agent=Path("agent.py")) as (process, _, _):
        assert lives_on(process)


def test_it_leaves_its_folder_when_it_is_killed(tmp_path: Path):
    with machine(tmp_path) as it:
        it.process.terminate()
        assert it.process.wait(PATIENCE) == -15
        assert os.listdir(tmp_path / "tmp") == [f"renode-{it.process.pid}"]


def test_the_folder_of_a_living_process_is_spared(tmp_path: Path):
    folders = [tmp_path / "tmp" / f"renode-{name}" for name in (os.getpid(), "7-crash")]
    for each in folders:
        each.mkdir(parents=True)
    with machine(tmp_path):
        assert all(each.exists() for each in folders)


@pytest.mark.parametrize("text", ["parrot", "fake: lamp"])
def test_files_of_tests_are_firmware_to_simcore(text: str, tmp_path: Path):
    assert firmware_problem(firmware(tmp_path, text)) is None
    assert firmware_problem(METER) is None


# -- platforms -------------------------------------------------------------------------------------


def test_the_shipped_platform():
    parts = dict(parts_of(PLATFORM.read_text(encoding="utf-8")))
    uarts = {f"sysbus.{name}" for name in
             ("usart1", "usart2", "usart3", "uart4", "uart5", "usart6")}  # fmt: skip
    assert {path for path, kind in parts.items() if kind == "UART.STM32_UART"} == uarts
    assert sum(kind == "GPIOPort.STM32_GPIOPort" for kind in parts.values()) == 9
    assert parts["sysbus.cpu"] == "CPU.CortexM"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("usart2 UART.STM32_UART @ sysbus 5\n", "Error E00: Syntax error"),
        ("usart2: UART.STM32_UART @ sysbus 5 6\n", "Error E00: Syntax error"),
        ("    size: 5\n", "Error E00: Syntax error"),
        (ENTRY + "  size: 5\n", "Error E32: .* this one is 2 spaces long"),
        (ENTRY + "    size 5\n", "At 3:1:"),
        (ENTRY + "    -> nvic\n", "Error E00: Syntax error"),
        ("a: Memory.Hologram @ sysbus 5\n", "Error E04: Could not resolve type"),
        ("sysbus:\n    init:\n        ApplySVD @x\n", "network"),
    ],
)
def test_platforms_that_are_refused(text: str, message: str):
    with pytest.raises(RecoverableException, match=message):
        parts_of(text)


def test_comments_and_lists():
    text = "// " + ENTRY + ENTRY + "    [0-3] -> nvic@[1-4] // these\n/* none\n */\n"
    assert [part.path for part in parts_of(ENTRY + text.partition("\n")[2])] == [
        "sysbus.usart2"
    ] * 2


# -- what it does when it is to go wrong -----------------------------------------------------------


def test_it_hangs_in_a_window(tmp_path: Path):
    with machine(tmp_path, {"FAKE_RENODE_TROUBLE": "hang@3000000"}) as it:
        it.advance(MS)
        it.channel.send(b'{"type":"ADVANCE","seq":2,"until":9000000,"inputs":[]}\n', PATIENCE)
        assert lives_on(it.process)


def test_how_simcore_starts_it(tmp_path: Path):
    assert FLAGS == ("--plain", "--disable-xwt", "--port", "-2")
    with machine(tmp_path, {"FAKE_RENODE_START": "0.01"}) as it:
        it.shut_down()
