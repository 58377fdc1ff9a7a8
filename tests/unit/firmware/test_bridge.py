"""The bridge: messages on its first UART, a part that speaks lines of text on its second.

hub <-> bridge <-> modem
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from devices import device
from firmware_builds import native

from simcore.payload import thaw

MS = 1_000_000
CONFIG = {"uart": {"usart2": {}, "usart3": {"baud": 9600, "mode": "raw", "peer": "modem"}}}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native(tmp_path_factory.mktemp("bridge"), "SANITIZE=1", app="bridge")


def test_a_command_and_its_answer(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bridge:
        assert bridge.boot(CONFIG).outputs == []
        assert bridge.said(MS, "AT+CSQ") == [("modem", "line", '"AT+CSQ"', 7, None)]
        [said] = bridge.said(200 * MS, "+CSQ: 17,0", src="modem")
        assert said[:2] + said[3:] == ("hub", "line", 14, "hub/1")
        assert thaw(said[2]) == {"n": 1, "text": "+CSQ: 17,0"}
        [said] = bridge.said(400 * MS, "RING", src="modem")
        assert said == ("hub", "line", '{"n":2,"text":"RING"}', 8, None), "nobody asked"
        assert bridge.end() == 0 and bridge.log == ""


def test_before_anybody_has_asked_lines_go_to_the_gateway(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bridge:
        bridge.boot(CONFIG)
        assert [each[0] for each in bridge.said(MS, "$GPGGA,1", src="modem")] == ["gateway"]


def test_what_is_typed_goes_on_as_it_is(program: Path, tmp_path: Path) -> None:
    config = {"uart": {"usart2": {"mode": "raw", "peer": "terminal"}, **CONFIG["uart"]}}
    config["uart"]["usart3"] = {"mode": "raw", "peer": "modem"}
    config["uart"]["usart2"] = {"mode": "raw", "peer": "terminal"}
    with device(program, tmp_path) as bridge:
        bridge.boot(config)
        for line in ("AT", "{not JSON", '{"x":1}'):
            [said] = bridge.said((bridge.number + 1) * 200 * MS, line, src="terminal")
            assert (said[0], thaw(said[2])) == ("modem", line)


@pytest.mark.parametrize("payload", [5, None, {"a": "AT"}, b"AT", "x" * 300])
def test_only_text_goes_on(program: Path, tmp_path: Path, payload: Any) -> None:
    config = {"uart": {**CONFIG["uart"], "usart2": {"baud": 921600}}}
    with device(program, tmp_path) as bridge:
        bridge.boot(config)
        said = bridge.said(MS, payload)
        if isinstance(payload, str):
            assert said == [], "a line that is too long is lost"
        else:
            assert said == [("hub", "refused", '"no text"', None, "hub/1")]


@pytest.mark.parametrize(
    "line", ['"quoted\\"', "\t\x01\x1f\x7f", "é\u2028", b"\xff\x00\xfe", "x" * 256, b"\x01" * 70]
)
def test_any_line_of_the_part_comes_back(program: Path, tmp_path: Path, line: str | bytes) -> None:
    with device(program, tmp_path) as bridge:
        bridge.boot(CONFIG)
        [said] = bridge.said(MS, line, src="modem", within=1000 * MS)
        text = line.decode() if isinstance(line, bytes) and line.isascii() else line
        assert thaw(said[2]) == {"n": 1, "text": text}


def test_lines_that_are_lost_leave_a_gap(program: Path, tmp_path: Path) -> None:
    with device(program, tmp_path) as bridge:
        bridge.boot(CONFIG)
        said = bridge.said(MS, "x" * 257, "short", src="modem", within=1000 * MS)
        assert [thaw(each[2]) for each in said] == [{"n": 2, "text": "short"}]
