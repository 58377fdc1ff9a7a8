"""What the agent says when it cannot go on, and how Renode ends then."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from renode_machine import (
    METER,
    MS,
    PLATFORM,
    Over,
    Refused,
    connected,
    end_of,
    fake_only,
    firmware,
    let_in,
    machine,
    start,
)
from simcore_backends.firmware.elf import firmware_problem
from support import PATIENCE


def refusal(folder: Path, options: dict[str, Any] | None = None, **changes: Any) -> str:
    with connected(folder, **(options or {})) as it, pytest.raises(Refused) as error:
        it.init(**changes)
    return str(error.value)


def script(folder: Path, *lines: str, name: str = "my board.resc") -> str:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


MAKE = ('mach create "board"', f"machine LoadPlatformDescription @{PLATFORM}")

# -- setting up ------------------------------------------------------------------------------------


def test_a_platform_that_is_wrong(tmp_path: Path):
    said = refusal(
        tmp_path, platform="flash: Memory.MappedMemory @ sysbus 0x08000000\n    size 5\n"
    )
    assert said.startswith(
        "Renode refused 'machine LoadPlatformDescriptionFromString \"flash: Memory."
    )
    assert "Error E00: Syntax error, unexpected " in said and "At 2:" in said


def test_an_indent_that_is_wrong(tmp_path: Path):
    said = refusal(tmp_path, platform="flash: Memory.MappedMemory @ sysbus 0x08000000\n  size: 5\n")
    assert "Error E32: Indent's length has to be multiple of 4, this one is 2 spaces long." in said
    assert "\nAt 2:2:\n  size: 5\n ^" in said


def test_a_long_platform_is_not_repeated(tmp_path: Path):
    text = PLATFORM.read_text() + "\nlamp: Miscellaneous.Lantern @ gpioPortD\n"
    said = refusal(tmp_path, platform=text)
    assert said.startswith(
        "Renode refused 'machine LoadPlatformDescriptionFromString ...': "
        "Error E04: Could not resolve type: 'Miscellaneous.Lantern'."
    )
    assert len(said) < 300


def test_quotation_marks_and_line_ends_of_a_platform(tmp_path: Path):
    text = PLATFORM.read_text().replace("\n", "\r\n")
    with machine(tmp_path, platform=text) as it:
        it.shut_down()


@pytest.mark.parametrize("key", ["elf", "script"])
@pytest.mark.parametrize("name", ["no such.elf", "no such.resc", "no such.repl"])
def test_a_file_that_is_not_there(key: str, name: str, tmp_path: Path):
    """Renode would say of an ELF file that parameters do not match."""
    said = refusal(
        tmp_path, **{"platform": None, "script": str(PLATFORM), key: f"{tmp_path}/{name}"}
    )
    assert said == f"there is no file {tmp_path}/{name}"


def test_something_else_than_an_elf_file(tmp_path: Path):
    assert "Error while loading ELF" in refusal(tmp_path, elf=str(PLATFORM))


def test_an_elf_file_for_another_processor(tmp_path: Path):
    """Renode loads it without a word: so simcore looks at the file before it starts Renode."""
    file = METER.with_name("meter-x86_64-linux")
    with machine(tmp_path, elf=str(file)) as it:
        it.shut_down()
    assert firmware_problem(file) is not None


def test_a_path_that_the_monitor_cannot_read(tmp_path: Path):
    assert 'cannot read a path with ";" in it: /a;b' in refusal(tmp_path, elf="/a;b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"uarts": ["sysbus.usart9"]},
            "the platform has no sysbus.usart9: Could not find node 'sysbus.usart9', the longest "
            "matching was 'sysbus'.",
        ),
        ({"uarts": ["sysbus.gpioPortA"]}, "sysbus.gpioPortA is no UART"),
        ({"pins": [["sysbus.gpioPortA", 16, "out"]]}, "sysbus.gpioPortA has no pin 16"),
        ({"pins": [["sysbus.usart1", 1, "in"]]}, "sysbus.usart1 has no pin 1"),
        ({"pins": [["sysbus.gpioPortX", 1, "in"]]}, "the platform has no sysbus.gpioPortX: "),
    ],
)
def test_parts_that_are_not_there(changes: dict[str, Any], message: str, tmp_path: Path):
    assert refusal(tmp_path, **changes).startswith(message)


# -- a user's own script ---------------------------------------------------------------------------


def test_a_script_and_the_firmware_of_the_scenario(tmp_path: Path):
    path = script(tmp_path, ":name: a board", "using sysbus", *MAKE, "sysbus LoadELF $bin")
    with machine(tmp_path, script=path, platform=None) as it:
        it.advance(MS)
        assert b'"firmware":"meter"' in it.said()


def test_a_script_that_names_its_firmware(tmp_path: Path):
    path = script(tmp_path, f"$bin?=@{METER}", *MAKE, "sysbus LoadELF $bin")
    with machine(tmp_path, script=path, platform=None, elf=None) as it:
        it.advance(MS)
        assert b'"firmware":"meter"' in it.said()


def test_a_platform_file_of_the_users(tmp_path: Path):
    path = tmp_path / "my board.repl"
    path.write_text(PLATFORM.read_text())
    with machine(tmp_path, script=str(path), platform=None) as it:
        it.advance(MS)
        assert b'"firmware":"meter"' in it.said()


def test_what_is_wrong_in_a_script_is_told(tmp_path: Path):
    """Renode tells it to whoever uses the Monitor, and nobody does."""
    path = script(tmp_path, *MAKE, "machine LoadPlatformDescription @/none.repl")
    said = refusal(tmp_path, script=path, platform=None)
    assert said.startswith("Renode refused 'include @")
    assert said.endswith(
        "There was an error executing command 'machine LoadPlatformDescription @/none.repl'\n"
        "Could not find file '/none.repl'."
    )


def test_a_command_that_there_is_not(tmp_path: Path):
    said = refusal(tmp_path, script=script(tmp_path, *MAKE, "fly away"), platform=None)
    assert "No such command or device: fly" in said


def test_a_script_that_makes_no_machine(tmp_path: Path):
    said = refusal(tmp_path, script=script(tmp_path, "# nothing"), platform=None)
    assert said == "the script makes 0 machines: one is needed"


@pytest.mark.parametrize("line", ["start", 'emulation RunFor "0.001"'])
def test_a_script_that_lets_time_pass(line: str, tmp_path: Path):
    said = refusal(tmp_path, script=script(tmp_path, *MAKE, line), platform=None)
    assert said.startswith("the script lets time pass")


# -- running ---------------------------------------------------------------------------------------


def test_a_run_that_fails_is_told(tmp_path: Path):
    fake_only()
    with machine(tmp_path, {"FAKE_RENODE_TROUBLE": "throw@2000000"}) as it:
        it.advance(MS)
        with pytest.raises(Refused, match="RecoverableException of the agent: Something is wrong"):
            it.advance(2 * MS)


def test_a_window_that_ends_elsewhere_is_told_as_it_is(tmp_path: Path):
    fake_only()
    with machine(tmp_path, {"FAKE_RENODE_TROUBLE": "overshoot@0"}) as it:
        it.channel.send(b'{"type":"ADVANCE","seq":1,"until":5000,"inputs":[]}\n', PATIENCE)
        assert json.loads(it.channel.receive(PATIENCE))["now"] == 6000


@pytest.mark.parametrize(("trouble", "code"), [("die", 5), ("kill", -signal.SIGKILL)])
def test_a_process_that_ends_by_itself(trouble: str, code: int, tmp_path: Path):
    fake_only()
    with machine(tmp_path, {"FAKE_RENODE_TROUBLE": f"{trouble}@2000000"}) as it:
        it.advance(MS)
        it.channel.send(b'{"type":"ADVANCE","seq":2,"until":9000000,"inputs":[]}\n', PATIENCE)
        assert end_of(it) == code


# -- the conversation ------------------------------------------------------------------------------


def test_shutdown(tmp_path: Path):
    with machine(tmp_path) as it:
        it.advance(MS)
        it.shut_down()


def test_it_ends_when_simcore_is_gone(tmp_path: Path):
    with machine(tmp_path) as it:
        it.channel.close()
        assert it.process.wait(PATIENCE) == 0


def test_a_frame_that_there_is_not(tmp_path: Path):
    with machine(tmp_path) as it, pytest.raises(Refused, match="there is no frame of type DANCE"):
        it.ask(b'{"type":"DANCE"}\n')


def test_a_frame_that_cannot_be_read_ends_it(tmp_path: Path):
    with machine(tmp_path) as it:
        it.channel.send(b"{nonsense\n", PATIENCE)
        assert end_of(it) == 3
        assert "simcore's agent: " in it.log


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SIMCORE_ADDRESS": "unix:/tmp/x"}, "SIMCORE_ADDRESS is unix:/tmp/x: tcp:127.0.0.1:PORT"),
        ({"SIMCORE_ADDRESS": "tcp:10.0.0.1:80"}, "is tcp:10.0.0.1:80: tcp:127.0.0.1:PORT is"),
        ({"SIMCORE_ADDRESS": "tcp:127.0.0.1:1"}, "refused"),
    ],
)
def test_where_it_cannot_connect_it_says_so(environment: dict[str, str], said: str, tmp_path: Path):
    with start(tmp_path, **environment) as (process, _, log):
        assert process.wait(PATIENCE) == 3
        assert "simcore's agent: " in log.read_text() and said in log.read_text()


def test_a_token_that_is_refused(tmp_path: Path):
    with start(tmp_path, SIMCORE_TOKEN="another") as (process, listener, _):
        with pytest.raises(Over):
            let_in(process, listener)
        assert process.returncode == 0
        assert len(listener.refused) == 1


def test_any_text_in_frames(tmp_path: Path):
    """Quotation marks, control characters, and letters beyond ASCII, on the way there and back."""
    name = 'no "file"\\ \u00e4\u20ac\U0001f600\x01.elf'
    assert refusal(tmp_path, elf=f"{tmp_path}/{name}") == f"there is no file {tmp_path}/{name}"


def test_a_folder_with_a_blank(tmp_path: Path):
    elf = firmware(tmp_path)
    folder = tmp_path / "a folder"
    folder.mkdir()
    with machine(tmp_path, elf=str(shutil.copy(elf, folder))) as it:
        it.shut_down()


def test_two_at_once(tmp_path: Path):
    folders = [tmp_path / name for name in "ab"]
    for each in folders:
        each.mkdir()
    with machine(folders[0]) as one, machine(folders[1]) as other:
        for until in (MS, 2 * MS):
            one.advance(until)
            other.advance(until)
        assert one.history == other.history
