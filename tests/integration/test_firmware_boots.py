"""The ELF file for the STM32F4 boots in an unmodified QEMU, on its own clock, and talks over USART2.

What is said is compared, never when: that is for runs in which simcore holds the clock.
"""

from __future__ import annotations

import base64
import json
import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from firmware_builds import PREBUILT, parrot, stm32f4
from support import PATIENCE, ROOT, require

MACHINE = "netduinoplus2"  # an STM32F405; USART2 is its second serial line


class Board:
    """A machine in QEMU, with its serial line and its monitor."""

    def __init__(self, process: subprocess.Popen[bytes], monitor: Path) -> None:
        self.process, self.monitor_path = process, monitor
        self._said = b""

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def line(self) -> str:
        """The next line that it says."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._said:
            assert time.monotonic() < deadline, self._said
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                more = os.read(self.process.stdout.fileno(), 4096)
                assert more, f"it ended: {self._said!r}"
                self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def lines_until(self, wanted: str) -> list[str]:
        """What it says up to a line with this in it."""
        found = [self.line()]
        while wanted not in found[-1]:
            found.append(self.line())
        return found

    def message(self, kind: str) -> Any:
        """The next message of a kind, in passing over all else."""
        return json.loads(self.lines_until(f'"kind":"{kind}"')[-1])

    def register(self, address: int) -> int:
        """What the machine has in a register of a device."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(PATIENCE)
            deadline = time.monotonic() + PATIENCE
            while monitor.connect_ex(str(self.monitor_path)):  # QEMU has only begun
                assert self.process.poll() is None and time.monotonic() < deadline
            monitor.sendall(f"xp /1wx {address:#x}\n".encode())
            said = ""
            while not (found := re.search(rf"{address:016x}: (0x[0-9a-f]+)\r", said)):
                said += monitor.recv(4096).decode()
            return int(found.group(1), 16)

    def until_it_listens(self) -> None:
        """Wait until the receiver is on: what comes before is lost, as on the real part."""
        deadline = time.monotonic() + PATIENCE
        while not self.register(0x4000480C) & 4:  # USART3 is the last to be switched on
            assert time.monotonic() < deadline


@contextmanager
def board(elf: Path, folder: Path, second: str = "null") -> Iterator[Board]:
    monitor = folder / "m"
    command = [
        require("qemu-system-arm"), "-M", MACHINE, "-kernel", str(elf), "-nodefaults",
        "-display", "none", "-monitor", f"unix:{monitor},server=on,wait=off",
        "-serial", "null", "-serial", "stdio", "-serial", second,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Board(process, monitor)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module", params=["prebuilt", "rebuilt"])
def elf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "prebuilt":
        return PREBUILT / "meter-stm32f4.elf"
    return stm32f4(tmp_path_factory.mktemp("build"))


def image(index: int) -> bytes:
    data = (ROOT / "scenarios" / "data" / "digits.bin").read_bytes()
    return data[(898 + index) * 65 :][:64]


def picture(number: int, index: int, **seen: Any) -> dict[str, Any]:
    """The line for a picture, as it should be."""
    kind, size = ("digit", 16) if seen else ("image", 72)
    seen = seen or {"image": {"$b64": base64.b64encode(image(index)).decode()}}
    payload = {"n": number, "index": index, **seen}
    return {"dst": "gateway", "kind": kind, "size": size, "payload": payload}


def test_it_boots_reports_and_obeys(elf: Path, tmp_path: Path) -> None:
    with board(elf, tmp_path) as meter:
        assert json.loads(meter.line()) == {
            "dst": "gateway", "kind": "boot", "payload": {"firmware": "meter", "version": 1},
        }  # fmt: skip
        meter.type("period 3600000\r\n")  # from now on only what is typed makes it speak
        meter.lines_until("ok period 3600000")
        meter.type("next 126\nperiod 2\n")
        assert [meter.line(), meter.line()] == ["ok next 126", "ok period 2"]
        first, second = meter.message("image"), meter.message("image")
        number = first["payload"]["n"]  # 1, unless this machine was a second late
        assert (first, second) == (picture(number, 126), picture(number + 1, 127))
        command = {"src": "hub", "kind": "command", "id": "hub/1", "payload": "mode local"}
        meter.type(json.dumps(command) + "\nnext 0\n")
        [*_, answer] = meter.lines_until("hub/1")
        assert json.loads(answer) == {
            "dst": "hub", "kind": "ok", "re": "hub/1", "payload": "mode local",
        }  # fmt: skip
        meter.lines_until("ok next 0")
        first, second = meter.message("digit"), meter.message("digit")
        number = first["payload"]["n"]
        assert (first, second) == (picture(number, 0, digit=6), picture(number + 1, 1, digit=9))


def test_the_baud_rate_in_the_machine(elf: Path, tmp_path: Path) -> None:
    with board(elf, tmp_path) as meter:
        meter.line()
        assert meter.register(0x40004408) == 0x16D  # USART2_BRR: 22 13/16 at 42 MHz
        assert meter.register(0x4000440C) & 0x202C == 0x202C  # CR1: UE, TE, RE, RXNEIE


def test_a_bridge_speaks_on_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "part"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(PATIENCE)
        elf = PREBUILT / "bridge-stm32f4.elf"
        with board(elf, tmp_path, f"unix:{path}") as bridge, listener.accept()[0] as part:
            part.settimeout(PATIENCE)
            bridge.until_it_listens()
            assert bridge.register(0x40004808) == 0x1117  # USART3_BRR: 273 7/16 at 42 MHz
            command = {"src": "hub", "kind": "command", "id": "hub/1", "payload": "AT+CSQ"}
            bridge.type(json.dumps(command) + "\n")
            with part.makefile("rb") as lines:
                assert lines.readline() == b"AT+CSQ\n"
                part.sendall(b'+CSQ: "17"\r\nRING\r\n')
                assert [json.loads(bridge.line()), json.loads(bridge.line())] == [
                    {"dst": "hub", "kind": "line", "re": "hub/1", "size": 14,
                     "payload": {"n": 1, "text": '+CSQ: "17"'}},
                    {"dst": "hub", "kind": "line", "size": 8, "payload": {"n": 2, "text": "RING"}},
                ]  # fmt: skip
                bridge.type("ATZ\n")
                assert lines.readline() == b"ATZ\n"


def test_what_nobody_understands_does_not_stop_it(elf: Path, tmp_path: Path) -> None:
    with board(elf, tmp_path) as meter:
        meter.line()
        meter.type("x" * 5000 + "\n" + "[" * 200 + "\n\n\x00\x7f\nreport\n")
        [*_, report] = meter.lines_until('"kind":"report"')
        assert json.loads(report)["payload"]["lost"] >= 1
        meter.type("period 5\n")
        meter.lines_until("ok period 5")


def test_a_fault_is_said_once(tmp_path: Path) -> None:
    with board(parrot(tmp_path, "stm32f4"), tmp_path) as bird:
        bird.until_it_listens()
        bird.type("hello\n")
        assert bird.line() == "hello"
        bird.type("half a line")
        bird.type("\n!fault\n")
        assert bird.line() == "half a line"
        assert bird.line() == ""
        # An undefined instruction (CFSR bit 16) that became a hard fault (3), in flash.
        assert re.fullmatch(
            r"fault: exception 00000003 at 0x0800[0-9a-f]{4}, cfsr 0x00010000", bird.line()
        )
