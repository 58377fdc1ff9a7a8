"""What `implementation: renode` is refused for before anything starts, and what a life consists of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from firmware_builds import PREBUILT
from simcore_backends.renode import PLATFORM, Renode, _machine
from simcore_backends.renode.emulator import RenodeEmulator
from simcore_backends.renode.tool import FALLBACK, KNOWN

from simcore.commands import Program
from simcore.errors import ScenarioError
from simcore.failure import ANSWERING, CONNECTING, PARTING, READYING
from simcore.launch import Limits
from simcore.scenario import loads

SCENARIO = """\
simcore: 1
duration: 1s
network: {{model: latency, links: [{{between: [node, modem], delay: 1ms}}]}}
nodes:
  modem: {{}}
  crowd: {{count: 2}}
  node:
    implementation: renode
{keys}"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(PREBUILT / "meter-stm32f4.elf", tmp_path / "app.elf")
    shutil.copy("/bin/true", tmp_path / "app")
    for name in ("board.repl", "board.resc", "board.txt"):
        (tmp_path / name).touch()
    (tmp_path / "renode").write_text("#!/bin/sh\n")
    (tmp_path / "renode").chmod(0o755)
    monkeypatch.setenv("RENODE", str(tmp_path / "renode"))
    return tmp_path


def loaded(folder: Path, keys: str) -> Any:
    lines = "".join(f"    {line}\n" for line in keys.splitlines())
    return loads(SCENARIO.format(keys=lines), base=folder)


def problems(folder: Path, keys: str) -> list[str]:
    try:
        loaded(folder, keys)
    except ScenarioError as error:
        return [str(problem).split(": ", 1)[1] for problem in error.problems]
    return []


# -- what is checked -------------------------------------------------------------------------------

VALID = {
    "the least": "firmware: meter",
    "its speed": "firmware: app.elf\nmips: 1000\nrenode: ./renode",
    "the platform by its name": f"firmware: meter\nplatform: {PLATFORM}",
    "a description": "firmware: app.elf\nplatform: board.repl",
    "a script": "platform: board.resc",
    "a script and firmware": "firmware: app.elf\nplatform: ./board.resc",
    "any UART of a platform of its own": "firmware: app.elf\nplatform: board.repl\n"
    "uart: {uart17: {}, lpuart: {mode: raw, peer: modem}}",
    "pins": "firmware: meter\ngpio: {PD12: {direction: out, peer: modem}, "
    "PI15: {direction: in, peer: crowd-1}}",
    "pins of a platform of its own": "platform: board.resc\n"
    "gpio: {gpio0.13: {direction: in, peer: modem}, PA0: {direction: in, peer: modem}}",
    "surroundings": "firmware: meter\nenvironment: {A: b}\nlimits: {files: 100}\nlog: 4KiB\n"
    "start_timeout: 1s\ntimeout: 1s",
}


@pytest.mark.parametrize("case", VALID)
def test_valid(folder: Path, case: str) -> None:
    assert problems(folder, VALID[case]) == []


WRONG = {
    "no firmware": ("mips: 125", "a device needs 'firmware': what it runs"),
    "no firmware for a description": (
        "platform: board.repl",
        "a device needs 'firmware': what it runs",
    ),
    "an unknown platform": (
        "firmware: meter\nplatform: stm32f4",
        "platform: 'stm32f4' is no platform: there is stm32f405; a file of yours ends in .repl or "
        ".resc (did you mean 'stm32f405'?)",
    ),
    "another file": (
        "firmware: meter\nplatform: board.txt",
        "platform: 'board.txt' is no platform: there is stm32f405; a file of yours ends in .repl "
        "or .resc",
    ),
    "no such file": (
        "firmware: meter\nplatform: bord.repl",
        "platform: there is no such file: 'bord.repl' (did you mean 'board.repl'?)",
    ),
    "a UART that the part has not": (
        "firmware: meter\nuart: {uart7: {}}",
        "uart.uart7: this engine has usart1, usart2, usart3, uart4, uart5, usart6",
    ),
    "firmware for the host": ("firmware: {native: app}", "firmware: 'elf' is missing: "),
    "a program": ("firmware: app", "firmware: "),
    "an empty file on a platform of its own": (
        "firmware: board.txt\nplatform: board.repl",
        "firmware: ",
    ),
    "instructions of no whole nanoseconds": ("firmware: meter\nmips: 168", "mips: "),
    "QEMU's": ("firmware: meter\nmachine: netduinoplus2", "machine: "),
    "a transport": ("firmware: meter\ntransport: unix", "transport: "),
    "config": (
        "firmware: meter\nconfig: {a: 1}",
        "config: has no effect: firmware takes no config",
    ),
    "no such program": (
        "firmware: meter\nrenode: no-such-renode",
        "renode: there is no no-such-renode in PATH: get a release from ",
    ),
    "a pin by another name": (
        "firmware: meter\ngpio: {A0: {direction: in, peer: modem}}",
        "gpio.A0: a pin is called PA0 to PI15, or as gpio0.13 on other platforms",
    ),
    "a pin that there is not": (
        "firmware: meter\ngpio: {PA16: {direction: in, peer: modem}}",
        "gpio.PA16: a pin is called PA0 to PI15",
    ),
    "a port of another platform": (
        "firmware: meter\ngpio: {gpio0.13: {direction: in, peer: modem}}",
        "gpio.gpio0.13: this platform has PA0 to PI15",
    ),
    "a pin by two names": (
        "platform: board.resc\ngpio: {PA0: {direction: in, peer: modem}, "
        "gpioPortA.0: {direction: out, peer: modem}}",
        "gpio.gpioPortA.0: is PA0, by another name",
    ),
    "a pin without a peer": (
        "firmware: meter\ngpio: {PA0: {direction: in}}",
        "gpio.PA0: ",
    ),
    "a pin without a direction": ("firmware: meter\ngpio: {PA0: {peer: modem}}", "gpio.PA0: "),
    "a pin with another direction": (
        "firmware: meter\ngpio: {PA0: {direction: both, peer: modem}}",
        "gpio.PA0.direction: ",
    ),
    "a peer that there is not": (
        "firmware: meter\ngpio: {PA0: {direction: in, peer: moden}}",
        "gpio.PA0.peer: there is no node or group 'moden' (did you mean 'modem'?)",
    ),
    "a group as a peer": (
        "firmware: meter\ngpio: {PA0: {direction: in, peer: crowd}}",
        "gpio.PA0.peer: 'crowd' is a group: name one of its nodes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(folder: Path, case: str) -> None:
    keys, told = WRONG[case]
    [found] = problems(folder, keys)
    place, _, rest = found.partition("nodes.node")
    assert place == ""
    assert rest.removeprefix(".").removeprefix(": ").startswith(told), found


def test_without_renode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENODE", "/no/such/renode")
    [found] = problems(folder, "firmware: meter")
    assert found.startswith("nodes.node.implementation: /no/such/renode, which RENODE names, does")
    assert found.endswith(FALLBACK)


def test_doctor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "renode"
    ok, told = Renode().doctor()
    assert not ok and told.startswith(f"{file} does not look like Renode")
    other = folder / "other"
    other.write_text("#!/bin/sh\necho Renode v1.16.1.2\n")
    other.chmod(0o755)
    monkeypatch.setenv("RENODE", str(other))
    assert Renode().doctor() == (True, f"{other}, 1.16.1")
    monkeypatch.setenv("RENODE", "/no/such/renode")
    ok, told = Renode().doctor()
    assert not ok and "get a release from https://github.com/renode/renode/releases" in told


# -- what the agent is told ------------------------------------------------------------------------


def config_of(folder: Path, keys: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What INIT holds, and the parts that the manifest tells of."""
    scenario = loaded(folder, keys)
    parts: dict[str, str] = {}
    federation: Any = SimpleNamespace(
        scenario=scenario, seed=7, note_part=parts.__setitem__,
        note_input=lambda *_: None, inputs={}, files=set(),
    )  # fmt: skip
    [spec] = [spec for spec in scenario.nodes if spec.name == "node"]
    return _machine(federation, spec), parts


def test_what_the_agent_is_told(folder: Path) -> None:
    told, parts = config_of(
        folder,
        "firmware: app.elf\nmips: 50\nuart: {usart3: {mode: log}, usart2: {}}\n"
        "gpio: {PD12: {direction: out, peer: modem}, PA0: {direction: in, peer: modem}}",
    )
    assert set(parts) == {"firmware of node"}
    assert parts["firmware of node"].startswith("app.elf, SHA-256 ")
    text = told.pop("platform")
    assert text.startswith("// An STM32F405 for Renode 1.15.3 and later")
    seed = told.pop("seed")
    assert 0 <= seed < 2**31
    assert told == {
        "script": None,
        "elf": f"{folder}/app.elf",
        "mips": 50,
        "uarts": ["sysbus.usart2", "sysbus.usart3"],
        "pins": [["sysbus.gpioPortD", 12, "out"], ["sysbus.gpioPortA", 0, "in"]],
    }
    json.dumps(told)


def test_what_it_is_told_by_default(folder: Path) -> None:
    told, _ = config_of(folder, "firmware: meter")
    assert told["elf"].endswith("/prebuilt/meter-stm32f4.elf")
    assert (told["mips"], told["uarts"], told["pins"]) == (125, ["sysbus.usart2"], [])


# -- a life ----------------------------------------------------------------------------------------


def life(folder: Path, number: int, environment: dict[str, str]) -> RenodeEmulator:
    outside: Any = SimpleNamespace(
        directory=SimpleNamespace(path=folder), leave=lambda participant: None
    )
    federation: Any = SimpleNamespace(
        outside=outside, nodes={"node": 0}, hint=str, calendar=SimpleNamespace(now=0)
    )
    program = Program(federation, "node", ["renode"], folder, environment, Limits(), 4096)
    machine: Any = SimpleNamespace(close=lambda now: None, clear=lambda: None)
    return RenodeEmulator(federation, "node", program, life=number, machine=machine, config={})


def test_folders_of_a_life(folder: Path) -> None:
    """They are the life's own, whatever the user has set; nothing there is called renode-..."""
    private = folder / "private"
    lives = [
        life(private, number, {"TMPDIR": "/tmp", "HOME": "/root", "A": "b"}) for number in (1, 2)
    ]
    found = []
    for each in lives:
        launcher: Any = each.launcher
        around = dict(launcher.environment)
        assert around.pop("A") == "b"
        assert around["HOME"] == around["XDG_CONFIG_HOME"]
        assert set(around) == {"TMPDIR", "HOME", "XDG_CONFIG_HOME"}
        for place in around.values():
            parts = Path(place).relative_to(private).parts
            assert not any(part.startswith("renode-") for part in parts)
        found.append({around["TMPDIR"], around["HOME"]})
    assert len(found[0] | found[1]) == 4


def test_folders_go_with_the_life(folder: Path) -> None:
    private = folder / "private"
    for name in ("node.1", "node.2"):
        (private / name / "tmp" / "renode-77").mkdir(parents=True)
    life(private, 1, {}).kill()
    assert [each.name for each in private.iterdir()] == ["node.2"]
    life(private, 1, {}).kill()


ADVICE = [
    (CONNECTING, "deadline", "Renode takes some seconds to start"),
    (CONNECTING, "process-ended", FALLBACK),
    (READYING, "participant-error", None),
    (READYING, "process-ended", FALLBACK),
    (READYING, "kind", FALLBACK),
    (ANSWERING, "now", f"{KNOWN}; {FALLBACK}"),
    (ANSWERING, "deadline", "firmware that never sleeps (WFI)"),
    (ANSWERING, "firmware-fault", "if the log has an address, addr2line"),
    (ANSWERING, "process-ended", None),
    (PARTING, "deadline", None),
]


@pytest.mark.parametrize(("phase", "rule", "told"), ADVICE)
def test_advice(folder: Path, phase: Any, rule: str, told: str | None) -> None:
    advice = life(folder, 1, {}).advise(phase, rule)
    assert advice is None if told is None else str(advice).startswith(told)
