"""The native port, driven frame by frame: lines become messages, messages lines, time passes in sleep.

Built with the sanitizers. `parrot.c` is firmware that says what it is told.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from devices import device
from firmware_builds import native, parrot
from hypothesis import given, settings
from hypothesis import strategies as st
from support import PATIENCE, ROOT

from simcore.payload import freeze, refreeze, thaw
from simcore.protocol import frames
from simcore.protocol.channel import Channel, ChannelError
from simcore.protocol.frames import Init, encode

MS = 1_000_000
RAW = {"uart": {"usart2": {"mode": "raw", "peer": "hub"}}}
BYTE = 86806  # ns at 115200 baud


@pytest.fixture(scope="module")
def parrot_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parrot(tmp_path_factory.mktemp("parrot"), "native", "SANITIZE=1")


@pytest.fixture(scope="module")
def meter_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native(tmp_path_factory.mktemp("meter"), "SANITIZE=1")


BOOT = ("gateway", "boot", '{"firmware":"meter","version":1}', None, None)


@pytest.mark.parametrize("transport", ["unix", "tcp", "stdio"])
def test_a_meter_lives(meter_program: Path, tmp_path: Path, transport: str) -> None:
    start = 7 * MS + 3  # a restart: the device's own time begins here
    with device(meter_program, tmp_path, transport) as meter:
        ready = meter.init(time=start)
        assert (ready.kind, ready.next, ready.grain) == ("reactive", start, 1)
        done = meter.advance(start)
        assert done.next == start + 1000 * MS
        boot = '{"dst":"gateway","kind":"boot","payload":{"firmware":"meter","version":1}}\n'
        assert [(each.at, each.dst, each.kind) for each in done.outputs] == [
            (start + len(boot) * BYTE, "gateway", "boot")
        ]
        at = start + 10 * MS
        line = '{"src":"hub","kind":"command","id":"hub/1","payload":"period 50"}\n'
        done = meter.advance(at, "period 50")
        obeyed = at + len(line) * BYTE
        assert (done.next, done.outputs) == (obeyed, [])
        done = meter.advance(obeyed)
        assert done.next == obeyed + 50 * MS
        line = '{"dst":"hub","kind":"ok","re":"hub/1","payload":"period 50"}\n'
        [ok] = done.outputs
        assert (ok.at, ok.dst, ok.cause) == (obeyed + len(line) * BYTE, "hub", "hub/1")
        assert meter.said(obeyed + 15 * MS, "mode local", "next 127", within=30 * MS) == [
            ("hub", "ok", '"mode local"', None, "hub/2"),
            ("hub", "ok", '"next 127"', None, "hub/3"),
        ]
        done = meter.advance(obeyed + 50 * MS)
        assert done.next == obeyed + 100 * MS
        line = (
            '{"dst":"gateway","kind":"digit","size":16,"payload":{"n":1,"index":127,"digit":7}}\n'
        )
        [picture] = done.outputs
        assert (picture.at, picture.kind) == (obeyed + 50 * MS + len(line) * BYTE, "digit")
        assert picture.size == 16
        assert thaw(refreeze(picture.payload)) == {"n": 1, "index": 127, "digit": 7}
        assert meter.said(obeyed + 100 * MS, within=0)[0][2] == '{"digit":6,"index":0,"n":2}'
        assert meter.end() == 0
        assert meter.log == ""


def test_the_meter_sends_its_pictures(meter_program: Path, tmp_path: Path) -> None:
    data = (ROOT / "scenarios" / "data" / "digits.bin").read_bytes()
    with device(meter_program, tmp_path) as meter:
        meter.init()
        assert meter.said(0) == [BOOT]
        for number in range(1, 131):
            index = (number - 1) % 128
            picture, *report = meter.said(number * 1000 * MS)
            image = data[(898 + index) * 65 :][:64]
            payload = freeze({"n": number, "index": index, "image": image})
            assert picture == ("gateway", "image", payload, 72, None)
            assert bool(report) is (number % 10 == 0)
            if report:
                counts = {"pictures": number, "acks": 0, "commands": 0, "refused": 0, "lost": 0}
                assert report == [("gateway", "report", freeze(counts), None, None)]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("period 1", "ok"),
        ("period 3600000", "ok"),
        ("period 0", "refused"),
        ("period 3600001", "refused"),
        ("period 99999999999999999999", "refused"),
        ("period -5", "refused"),
        ("period 5ms", "refused"),
        ("period ", "refused"),
        ("period", "refused"),
        ("mode raw", "ok"),
        ("mode  raw", "refused"),
        ("mode raw ", "refused"),
        ("mode raw\0", "refused"),
        ("Mode raw", "refused"),
        ("next 127", "ok"),
        ("next 128", "refused"),
        ("to cloud", "ok"),
        ("to " + "n" * 64, "ok"),
        ("to " + "n" * 65, "refused"),
        ('to a"b', "refused"),
        ("to a b", "refused"),
        ("to ü", "refused"),
        ("to ", "refused"),
        ("ack 1", "refused"),  # no picture was taken yet
        ("", "refused"),
        ("ü", "refused"),
        ("period 1" + "0" * 100, "refused"),
        (500, "refused"),
        (None, "refused"),
        ({"period": 500}, "refused"),
        (["mode raw"], "refused"),
    ],
)
def test_commands(meter_program: Path, tmp_path: Path, command: Any, kind: str) -> None:
    with device(meter_program, tmp_path) as meter:
        meter.boot()
        answer, *pictures = meter.said(5, command)
        assert answer == ("hub", kind, freeze(command), None, "hub/1")
        assert bool(pictures) is (command == "period 1")
        if pictures:
            meter.said(200 * MS, "period 1000", within=10**9)
        [report] = [said for said in meter.said(2000 * MS, "report") if said[1] == "report"]
        counts = thaw(report[2])
        commands = 2 + bool(pictures)
        refused = int(kind == "refused")
        assert (counts["commands"], counts["refused"]) == (commands - refused, refused)


def test_acknowledgements_are_counted_and_not_answered(meter_program: Path, tmp_path: Path) -> None:
    with device(meter_program, tmp_path) as meter:
        meter.boot()
        meter.advance(1000 * MS)
        assert meter.said(1001 * MS, "ack 1") == []
        assert meter.said(1200 * MS, {"index": 0}, kind="ack") == []
        assert meter.said(1400 * MS, "ack 2")[0][1] == "refused"
        [report] = meter.said(1600 * MS, "report")
        assert thaw(report[2])["acks"] == 2


def test_a_line_that_is_too_long_is_lost_and_counted(meter_program: Path, tmp_path: Path) -> None:
    fast = {"uart": {"usart2": {"baud": 10_000_000}}}
    with device(meter_program, tmp_path) as meter:
        meter.boot(fast)
        assert meter.said(MS, "mode local" + " " * 300, within=MS) == []
        assert meter.said(3 * MS, "x" * 900_000, within=990 * MS) == []
        _, ok, report = meter.said(1000 * MS, "mode raw", "report")
        assert ok[1] == "ok" and thaw(report[2])["lost"] == 2


LINES = [
    ('{"dst":"a","kind":"k"}', ("a", "k", "null", None, None)),
    ('{"kind":"k","payload":[1,{"x":null}],"dst":"a"}', ("a", "k", '[1,{"x":null}]', None, None)),
    ('{"dst":"a","kind":"k","re":"hub/1","size":7}', ("a", "k", "null", 7, "hub/1")),
    ('{ "dst" : "\\u0061" , "kind" : "\\"\\\\\\n\\u00e9" }', ("a", '"\\\né', "null", None, None)),
    ('{"d\\u0073t":"a","kind":"k","payload":1e22}', ("a", "k", "1e22", None, None)),
    ('{"dst":"a","kind":"k"}\r', ("a", "k", "null", None, None)),
]


@pytest.mark.parametrize(("line", "message"), LINES)
def test_a_line_that_addresses_a_node_is_a_message(
    parrot_program: Path, tmp_path: Path, line: str, message: tuple[Any, ...]
) -> None:
    with device(parrot_program, tmp_path) as bird:
        bird.boot()
        assert bird.said(1, line + "\n") == [message]
        assert bird.said(200 * MS, line, "\n") == [message], "a line may come in parts"
        assert bird.end() == 0 and bird.log == ""


NO_MESSAGES = [
    ("plain text", "plain text"),
    ("", None),
    ("\r", None),
    ("42", "42"),
    ('["dst"]', '["dst"]'),
    ('{"dst":"a"}', 'a message needs dst and kind: {"dst":"a"}'),
    ('{"kind":"a"}', "a message needs dst and kind: "),
    ('{"dst":"","kind":"k"}', "dst, kind and re are texts: "),
    ('{"dst":5,"kind":"k"}', "dst, kind and re are texts: "),
    ('{"dst":"a\\u0000","kind":"k"}', "dst, kind and re are texts: "),
    ('{"dst":"\\ud800","kind":"k"}', "dst, kind and re are texts: "),
    ('{"dst":"a","kind":"k","re":null}', "dst, kind and re are texts: "),
    ('{"dst":"a","kind":"k","size":0}', "size is no whole number above 0: "),
    ('{"dst":"a","kind":"k","size":1.5}', "size is no whole number above 0: "),
    ('{"dst":"a","kind":"k","size":1099511627776}', "size is no whole number above 0: "),
    (' {"dst":"a","kind":"k"}', ' {"dst":"a","kind":"k"}'),
    ('{"dst":"a","kind":"k","paylaod":1}', "a field that no message has: "),
    ('{"dst":"a","kind":"k"', '{"dst":"a","kind":"k"'),
    ('{"dst":"a","kind":"k","payload":NaN}', '{"dst":"a"'),
    ('{"dst":"a","kind":"k","payload":' + "[" * 99 + "]" * 99 + "}", '{"dst":"a"'),
    ('{"dst":"a","kind":"k"} {"dst":"a","kind":"k"}', '{"dst":"a"'),
    ("\x00\x01 \x7f é", "\\x00\\x01 \\x7f \\xc3\\xa9"),
]


@pytest.mark.parametrize(("line", "log"), NO_MESSAGES)
def test_any_other_line_is_for_the_log(
    parrot_program: Path, tmp_path: Path, line: str, log: str | None
) -> None:
    with device(parrot_program, tmp_path) as bird:
        bird.boot()
        payload = freeze(line + "\n")
        told = f'{{"src":"hub","kind":"command","id":"hub/1","payload":{payload}}}\n'
        assert bird.said(1_500_000_001, line + "\n") == []
        assert bird.end() == 0
        at = 1_500_000_001 + BYTE * (len(told.encode()) + len(line.encode()) + 1)
        assert bird.log.startswith(f"{at / 1e9:.9f} s: {log}" if log else "")
        assert bird.log.count("\n") == (log is not None)


def test_half_a_line_is_in_the_log_at_the_end(parrot_program: Path, tmp_path: Path) -> None:
    with device(parrot_program, tmp_path) as bird:
        bird.boot()
        assert bird.said(1, '{"dst":"a",') == []
        assert bird.end() == 0
        assert 'a line without its end: {"dst":"a",' in bird.log


def test_it_sleeps_to_the_nanosecond(parrot_program: Path, tmp_path: Path) -> None:
    with device(parrot_program, tmp_path) as bird:
        assert bird.init(RAW, time=11).next == 11
        assert bird.advance(11).next is None, "it waits for nothing but messages"
        told = 1_000 + len("!wake 2000000\n") * BYTE
        assert bird.advance(1_000, "!wake 2000000").next == told
        awake = told + 2_000_000
        assert bird.advance(told).next == awake
        came = told + 1_500_000
        assert bird.advance(came, "words").next == awake, "a message does not change that"
        done = bird.advance(awake)
        assert [(each.at, each.kind) for each in done.outputs] == [(awake + 30 * BYTE, "line")]
        assert done.next == came + 6 * BYTE
        assert bird.advance(done.next).next is None
        assert bird.said(10 * MS, f"!wake {10**15}") == []
        assert bird.next is None, "the run ends before that"


def test_raw_what_is_said_goes_to_one_node(parrot_program: Path, tmp_path: Path) -> None:
    with device(parrot_program, tmp_path) as bird:
        bird.boot(RAW)
        at = iter(range(MS, 10**10, 200 * MS))
        assert bird.said(next(at), "hello") == [("hub", "line", '"hello"', 6, None)]
        text = 'é "\\ \t \u2028 \x7f'
        [said] = bird.said(next(at), text)
        assert (thaw(said[2]), said[3]) == (text, len(text.encode()) + 1)
        assert thaw(bird.said(next(at), b"\xff\x00\xfe")[0][2]) == b"\xff\x00\xfe"
        assert bird.said(next(at), {"a": [1, "x"]})[0][2] == freeze('{"a":[1,"x"]}')
        assert bird.said(next(at), LINES[0][0])[0][2] == freeze(LINES[0][0])
        lines = [said[2] for said in bird.said(next(at), "two\nlines", "")]
        assert lines == ['"two"', '"lines"']
        assert bird.end() == 0 and bird.log == ""


@settings(max_examples=60)
@given(payloads=st.lists(st.text() | st.binary(max_size=20), max_size=5))
def test_raw_bytes_come_back(
    parrot_program: Path, tmp_path_factory: pytest.TempPathFactory, payloads: list[str | bytes]
) -> None:
    with device(parrot_program, tmp_path_factory.mktemp("raw")) as bird:
        bird.boot(RAW)
        expected = []
        for payload in payloads:
            whole = payload.encode() if isinstance(payload, str) else payload
            for part in whole.split(b"\n"):
                line = part.removesuffix(b"\r")
                if line:
                    expected.append(line)
        said = [thaw(each[2]) for each in bird.said(1, *payloads)]
        assert [each.encode() if isinstance(each, str) else each for each in said] == expected
        assert bird.end() == 0


def test_it_is_one_device(meter_program: Path, tmp_path: Path) -> None:
    with device(meter_program, tmp_path) as meter:
        frame = Init(name="d", nodes=["d-0", "d-1"], seed=1, time=0, end=9, config={})
        assert "one process is one device" in meter.error(encode(frame))


def test_frames_may_be_written_in_other_ways(meter_program: Path, tmp_path: Path) -> None:
    """Escapes in names of fields, white space, fields of later versions, in any order."""
    later = {"zz": [{"type": "SHUTDOWN"}, None, 1e300, -0.0, '\u2028 ü \\ "'], "": {"until": []}}
    with device(meter_program, tmp_path) as meter:
        init = {**later, "config": {}, "nodes": ["d"], "name": "d", "end": 10**12, "life": 1,
                "seed": 2**53 - 1, "time": 0, "protocol": 1, "type": "INIT"}  # fmt: skip
        ready = frames.decode_ready(meter.ask(json.dumps(init).encode() + b"\n"))
        assert ready.next == 0
        message = {**later, "sent": 0, "size": 3, "payload": "mode local", "kind": "é", "at": 0,
                   "dst": "d", "src": "hub", "id": "hub/1"}  # fmt: skip
        advance = {**later, "inputs": [message], "until": 0, "seq": 1, "type": "ADVANCE"}
        text = json.dumps(advance, indent=1).replace("\n", " ")
        for name in ("type", "until", "payload", "src"):
            text = text.replace(f'"{name}"', f'"\\u{ord(name[0]):04x}{name[1:]}"')
        done = frames.done_decoder("reactive")(meter.ask(text.encode() + b"\n"))
        assert [each.kind for each in done.outputs] == ["boot"]
        meter.seq = 1
        [ok] = meter.advance(done.next).outputs
        assert (ok.kind, ok.cause) == ("ok", "hub/1")


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"[]\n",
        b'{"type":"ADVANCE"}\n',
        b'{"type":"ADVANCE","seq":1,"until":1.5,"inputs":[]}\n',
        b'{"type":"ADVANCE","seq":1,"until":1,"inputs":[{}]}\n',
        b'{"type":"READY"}\n',
        b'{"type":"ERROR","message":"enough","detail":""}\n',
        b'{"type":"ADV',
        b"",
    ],
)
def test_nonsense_from_simcore_ends_it(meter_program: Path, tmp_path: Path, line: bytes) -> None:
    with device(meter_program, tmp_path) as meter:
        meter.init()
        if line:
            meter.channel.send(line, PATIENCE)
        if not line.endswith(b"\n"):
            meter.channel.close()
        assert meter.process.wait(PATIENCE) == 1
        assert meter.log.count("\n") == 1
        assert (b"ERROR" not in line) or "simcore says: enough" in meter.log


def test_a_long_frame(parrot_program: Path, tmp_path: Path) -> None:
    with device(parrot_program, tmp_path) as bird:
        bird.boot({"uart": {"usart2": {"baud": 10_000_000}}})
        second = 1000 * MS
        assert bird.said(0, "x" * 60_000 + "\n", *["y\n"] * 5000, within=second) == []
        assert bird.said(2 * second, '{"dst":"a","kind":"k"}\n') == [LINES[0][1]]
        assert too_long(bird.channel) and bird.process.wait(PATIENCE) == 1
        assert "a line of more than 16 MiB came" in bird.log


def too_long(channel: Channel) -> bool:
    """Send a line that never ends, until nobody reads it any more."""
    try:
        for _ in range(4):
            channel.send(b"x" * 12_000_000, PATIENCE)
    except ChannelError:
        return True
    return False


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, "simcore has to start this"),
        ({"SIMCORE_ADDRESS": "carrier pigeon"}, "is no address"),
        ({"SIMCORE_ADDRESS": "unix:/nowhere/socket"}, "cannot connect to /nowhere/socket"),
        ({"SIMCORE_ADDRESS": "unix:/" + "x" * 200}, "is too long"),
        ({"SIMCORE_ADDRESS": "tcp:127.0.0.1"}, "is no address"),
        ({"SIMCORE_ADDRESS": "tcp:127.0.0.1:1"}, "cannot connect to 127.0.0.1:1"),
        ({"SIMCORE_ADDRESS": "tcp:somewhere:80"}, "is no address"),
    ],
)
def test_what_it_cannot_connect_to_is_said(
    meter_program: Path, environment: dict[str, str], why: str
) -> None:
    if environment:
        environment |= {"SIMCORE_TOKEN": "t", "SIMCORE_NAME": "n"}
    done = subprocess.run(
        [meter_program], env=environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 1 and why in done.stderr and done.stdout == ""
