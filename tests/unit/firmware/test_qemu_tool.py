"""Finding QEMU, the command that starts it, and what its self-test says of one that is another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from simcore_backends.firmware.frames import Lost, MachineDone, Written
from simcore_backends.qemu import board, proof, timeline, tool

from simcore.errors import UsageError
from simcore.protocol.frames import ProtocolError


@pytest.fixture
def qemu(tmp_path: Path) -> Path:
    return script(tmp_path / "qemu-system-arm", "echo 'QEMU emulator version 7.2.22 (Debian)'")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIMCORE_QEMU", raising=False)


def test_where_qemu_is(qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool.QEMU.find(None, Path("/")) == qemu
    other = script(tmp_path / "other", "")
    monkeypatch.setenv("SIMCORE_QEMU", "other")
    assert tool.QEMU.find(None, Path("/")) == other
    monkeypatch.setenv("SIMCORE_QEMU", str(qemu))
    assert tool.QEMU.find(None, Path("/")) == qemu
    assert tool.QEMU.find("./other", tmp_path) == other, "the scenario goes first"
    monkeypatch.setenv("SIMCORE_QEMU", "")
    assert tool.QEMU.find(None, Path("/")) == qemu


def test_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert str(tool.QEMU.find(None, tmp_path)).startswith(
        "there is no qemu-system-arm in PATH: install it"
    )
    monkeypatch.setenv("SIMCORE_QEMU", "./there")
    assert str(tool.QEMU.find(None, tmp_path)).startswith(
        f"{tmp_path}/there, which SIMCORE_QEMU names, does not exist: name a qemu-system-arm"
    )
    (tmp_path / "there").touch(0o644)
    told = str(tool.QEMU.find("./there", tmp_path))
    assert told.startswith(f"{tmp_path}/there, which 'qemu' names, is not executable: ")


def test_what_it_says_it_is(qemu: Path) -> None:
    assert tool.version(qemu) == "7.2.22 (Debian)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo GNU bash, version 5", "'GNU bash, version 5'"),
        ("exit 3", "'nothing'"),
        ("echo; echo; echo late", "'late'"),
        ("printf '\\377\\n'", "'\ufffd'"),
    ],
)
def test_what_is_not_qemu(tmp_path: Path, text: str, said: str) -> None:
    file = script(tmp_path / "tool", text)
    with pytest.raises(UsageError) as error:
        tool.version(file)
    assert str(error.value) == (
        f"{file} does not look like QEMU: asked for its version, it says {said}; "
        f"name a qemu-system-arm; {tool.FALLBACK}"
    )


def test_what_cannot_be_started(tmp_path: Path) -> None:
    file = tmp_path / "tool"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    with pytest.raises(UsageError, match="does not look like QEMU: .* No such file or directory"):
        tool.version(file)


def test_the_command() -> None:
    words = board.command(
        Path("/q"), Path("/a,b/plugin.so"), "netduinoplus2", 4, Path("/f.elf"), ["usart6", "uart4"]
    )
    assert words == [
        "/q", "-M", "netduinoplus2", "-kernel", "/f.elf",
        "-nodefaults", "-display", "none", "-monitor", "none",
        "-icount", "shift=4,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm",
        "-plugin", "file=/a,,b/plugin.so,"
        "uart=simcore0,receiver0=0x4001140c:0x2004,uart=simcore1,receiver1=0x40004c0c:0x2004",
        "-chardev", "null,id=simcore0", "-chardev", "null,id=simcore1",
        "-serial", "null", "-serial", "null", "-serial", "null",
        "-serial", "chardev:simcore1", "-serial", "null", "-serial", "chardev:simcore0",
    ]  # fmt: skip


# -- the self-test


def windows(**changes: Any) -> None:
    """What the self-test makes of a machine that does all as is known, but for one thing."""
    dialect = proof._Bytes()
    outputs = [list(each) for each in timeline.OUTPUTS]
    lost = [list(each) for each in timeline.LOST]
    if "output" in changes:
        number, entry = changes["output"]
        outputs[number : number + 1] = [entry] if entry else []
    if "lost" in changes:
        lost[0] = changes["lost"]
    since = -1
    for seq, (until, _) in enumerate(timeline.WINDOWS, 1):
        now = until + changes.get("over", 0)
        frame = MachineDone(
            seq,
            now,
            [Written(*each) for each in outputs if since < each[1] <= now],
            [Lost(*each) for each in lost if since < each[1] <= now],
            changes.get("executed", timeline.EXECUTED),
        )
        dialect.read(frame, since, until)
        since = now


def test_what_is_known_passes() -> None:
    windows()
    windows(over=7)


UNLIKE = {
    "another byte": (
        {"output": (2, (0, 1_000_303, "63"))},
        "the firmware writes 63 on UART 0 at 1000303 ns; expected: 62 on UART 0 at 1000303 ns",
    ),
    "at another time": (
        {"output": (3, (0, 2_000_303, "63"))},
        "the firmware writes 63 on UART 0 at 2000303 ns; expected: 63 on UART 0 at 2000302 ns",
    ),
    "on another UART": (
        {"output": (2, (1, 1_000_303, "62"))},
        "the firmware writes 62 on UART 1 at 1000303 ns; expected: 62 on UART 0 at 1000303 ns",
    ),
    "a lost tick": (
        {"output": (3, None)},
        "the firmware writes 64 on UART 0 at 3000301 ns; expected: 63 on UART 0 at 2000302 ns",
    ),
    "a byte that is not lost": (
        {"lost": (0, 2_500_000, "overrun")},
        "the firmware loses overrun on UART 0 at 2500000 ns; expected: off on UART 0 at 2500000 ns",
    ),
    "an overshoot": ({"over": 8}, "the machine stops at "),
    "more instructions": (
        {"executed": timeline.EXECUTED + 1},
        f"the processor executes {timeline.EXECUTED + 1} instructions; "
        f"expected: {timeline.EXECUTED} instructions",
    ),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_what_is_unlike(case: str) -> None:
    changes, told = UNLIKE[case]
    with pytest.raises(ProtocolError) as error:
        windows(**changes)
    assert error.value.rule == "self-test"
    assert str(error.value).startswith(told)


def test_one_self_test_for_each_qemu_and_board(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(proof, "SelfTest", lambda *args: made.append(args) or object())

    class Run(SimpleNamespace):
        __hash__ = object.__hash__

    run: Any = Run()
    plugin = Path("plugin")
    first = proof.self_test(run, Path("a"), plugin, "x")
    assert proof.self_test(run, Path("a"), plugin, "x") is first
    assert proof.self_test(run, Path("a"), plugin, "y") is not first
    assert proof.self_test(run, Path("b"), plugin, "x") is not first
    other: Any = Run()
    assert proof.self_test(other, Path("a"), plugin, "x") is not first
    assert len(made) == 4
