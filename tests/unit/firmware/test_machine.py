"""What an emulated machine is told and what it says, without an emulator: rules, losses, the end."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import message as arriving
from simcore_backends.firmware.frames import Advance, Chunk, Written, decode
from simcore_backends.firmware.machine import MachineDialect
from simcore_backends.firmware.record import DeviceLog, note_file

from simcore.errors import ResultsError
from simcore.protocol.frames import Error, ProtocolError, encode

B = 86806  # ns that a byte takes at 115200 baud
MS = 1_000_000
TWO = {"usart2": {}, "usart3": {"mode": "raw", "peer": "modem"}}
HELLO = b'{"dst":"hub","kind":"hello","payload":1}\n'


class Log(DeviceLog):
    """A log that stays in memory."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.entries: list[str] = []

    def write(self, entries: Any) -> None:
        self.entries += entries


class Machine:
    """The test is the emulator, and the run."""

    def __init__(self, uarts: Any = None, born: int = 0) -> None:
        run: Any = SimpleNamespace(
            nodes={"dev": 0, "hub": 1, "modem": 2},
            hint=lambda name: " (did you mean 'hub'?)" if name == "hubb" else "",
        )
        self.log = Log()
        self.dialect = MachineDialect(run, "dev", uarts or {"usart2": {}}, self.log, tolerance=7)
        self.dialect.begin_life(born)
        self.born, self.seq, self.since = born, 0, born

    def advance(self, until: int, *messages: Any) -> Any:
        self.seq += 1
        self.until = until
        return json.loads(self.dialect.advance(self.seq, until, messages))

    def answer(self, now: int | None = None, **fields: Any) -> Any:
        """The machine has run; times of the frame are its own."""
        frame = {
            "type": "DONE",
            "seq": self.seq,
            "now": self.until - self.born if now is None else now,
            "outputs": [],
            "lost": [],
            "executed": 0,
        } | fields
        read = self.dialect.decode(json.dumps(frame).encode())
        assert not isinstance(read, Error)
        done = self.dialect.read(read, self.since, self.until)
        self.since = self.until
        return done

    def window(self, until: int, *messages: Any, **fields: Any) -> Any:
        self.advance(until, *messages)
        return self.answer(**fields)


def say(text: str, at: int, number: int = 1, source: str = "hub") -> Any:
    message = arriving(source, number, "say", text, at)
    message.id = f"{source}/{number}"
    return message


def test_a_message_becomes_bytes_at_their_times() -> None:
    machine = Machine(TWO)
    frame = machine.advance(5 * MS, say("a", 1 * MS), say("b", 2 * MS, source="modem"))
    line = b'{"src":"hub","kind":"say","id":"hub/1","payload":"a"}\n'
    assert frame == {
        "type": "ADVANCE",
        "seq": 1,
        "until": 5 * MS,
        "inputs": [[0, MS + B, B, line.hex()], [1, 2 * MS + B, B, b"b\n".hex()]],
    }


def test_the_frame_is_written_as_the_plugin_reads_it() -> None:
    written = Machine().dialect.advance(7, 1000, [])
    assert written == b'{"type":"ADVANCE","seq":7,"until":1000,"inputs":[]}\n'


def test_times_are_those_since_power_on() -> None:
    machine = Machine(born=40 * MS)
    frame = machine.advance(45 * MS, say("a", 41 * MS))
    assert frame["until"] == 5 * MS and frame["inputs"][0][1] == MS + B
    done = machine.answer(outputs=[[0, 0, HELLO.hex()]])
    [said] = done.outputs
    assert (said.at, said.destination) == (40 * MS + len(HELLO) * B, "hub")


@pytest.mark.parametrize("over", range(8))
def test_an_instruction_may_reach_over_the_end(over: int) -> None:
    machine = Machine()
    machine.window(1000, now=1000 + over)
    machine.window(1001, now=max(1001, 1000 + over))  # over before it began, but for 0
    machine.window(2000, now=2000)


WRONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "stops too early": ("now", "now is 999, 1000 was granted", {"now": 999}),
    "stops too late": ("now", "does not stop where it is to stop", {"now": 1008}),
    "in the past": ("output-time", "bytes written at 99", {"outputs": [[0, 99, "00"]]}),
    "in the future": ("output-time", "from 100 to 1000", {"outputs": [[0, 1001, "00"]]}),
    "out of order": (
        "output-time", "written at 500: they must be in order",
        {"outputs": [[0, 600, "00"], [0, 500, "00"]]},
    ),
    "out of order on two": (
        "output-time", "written at 500: they must be in order",
        {"outputs": [[1, 600, "00"], [0, 500, "00"]]},
    ),
    "an unknown UART": ("uart", "there is no UART 2", {"outputs": [[2, 500, "00"]]}),
    "lost on an unknown UART": ("uart", "there is no UART 2", {"lost": [[2, 500, "off"]]}),
    "lost in the future": ("output-time", "lost at 1001", {"lost": [[0, 1001, "off"]]}),
    "half a byte": ("frame-shape", "outputs", {"outputs": [[0, 500, "000"]]}),
    "capitals": ("frame-shape", "outputs", {"outputs": [[0, 500, "FF"]]}),
    "no byte": ("frame-shape", "outputs", {"outputs": [[0, 500, ""]]}),
    "no hexadecimal": ("frame-shape", "outputs", {"outputs": [[0, 500, "0g"]]}),
    "a fraction": ("frame-shape", "outputs", {"outputs": [[0, 500.5, "00"]]}),
    "before power-on": ("frame-shape", "outputs", {"outputs": [[0, -1, "00"]]}),
    "another field": ("frame-shape", "", {"measures": []}),
    "an undefined instruction": (
        "firmware-fault",
        "the firmware has faulted between 0.0000001s and 0.000001s: an undefined instruction "
        "(CFSR 0x00010000, HFSR 0x40000000)",
        {"fault": [1 << 16, 1 << 30]},
    ),
    "a fault of another kind": (
        "firmware-fault", "(CFSR 0x00000000, HFSR 0x00000002)", {"fault": [0, 2]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_breaks_a_rule(case: str) -> None:
    rule, told, fields = WRONG[case]
    machine = Machine(TWO)
    machine.window(100)
    machine.advance(1000)
    with pytest.raises(ProtocolError) as error:
        machine.answer(**fields)
    assert error.value.rule == rule
    assert told in str(error.value)


def test_an_error_is_read() -> None:
    read = Machine().dialect.decode(b'{"type":"ERROR","message":"no"}')
    assert isinstance(read, Error) and read.message == "no"


# -- bytes that are lost


LINE = b'{"src":"hub","kind":"say","id":"hub/1","payload":"a"}\n'
LAST = MS + len(LINE) * B


def test_what_is_lost_is_told_when_the_line_is_over() -> None:
    machine = Machine()
    first = machine.window(2 * MS, say("a", MS), lost=[[0, MS + B, "off"], [0, MS + 2 * B, "off"]])
    assert first.measures == [] and machine.log.entries == []
    second = machine.window(10 * MS)
    assert [(each.at, each.name, each.value) for each in second.measures] == [
        (LAST, "usart2.lost", 2)
    ]
    assert machine.log.entries == [
        f"0.{LAST:09} s: usart2: 2 of the {len(LINE)} bytes of hub/1 are lost: the receiver was off"
    ]


def test_each_line_has_its_own_losses() -> None:
    machine = Machine(TWO)
    machine.advance(20 * MS, say("a", MS), say("b", MS, source="modem"), say("a", MS, 2))
    lost = [[0, MS + B, "overrun"], [1, MS + 2 * B, "off"], [0, LAST + B, "overrun"]]
    done = machine.answer(lost=lost)
    measures = sorted((each.at, each.name, each.value) for each in done.measures)
    assert measures == [
        (MS + 2 * B, "usart3.lost", 1),
        (LAST, "usart2.lost", 1),
        (LAST + len(LINE) * B, "usart2.lost", 1),
    ]
    assert [entry.split(": ", 1)[1] for entry in machine.log.entries] == [
        "usart3: 1 of the 2 bytes of modem/1 are lost: the receiver was off",
        f"usart2: 1 of the {len(LINE)} bytes of hub/1 are lost: "
        "the firmware had not read the byte before",
        f"usart2: 1 of the {len(LINE)} bytes of hub/2 are lost: "
        "the firmware had not read the byte before",
    ]


EVENTS = st.tuples(
    st.lists(st.integers(0, 3 * len(LINE) - 1), unique=True, max_size=12),
    st.lists(st.tuples(st.integers(0, 30 * MS), st.sampled_from([b"x", b"\n", HELLO])), max_size=6),
)
CUTS = st.lists(st.integers(1, 30 * MS), unique=True, max_size=12)


@given(EVENTS, CUTS)
def test_windows_make_no_difference(events: Any, cuts: list[int]) -> None:
    """Whatever is lost and said, messages, measurements and log are the same for all windows."""
    lost_bytes, written = events
    assert run_cut(lost_bytes, written, cuts) == run_cut(lost_bytes, written, [])


def run_cut(lost_bytes: list[int], written: list[tuple[int, bytes]], cuts: list[int]) -> Any:
    machine = Machine()
    messages = [say("a", at, number) for number, at in enumerate((MS, 2 * MS, 20 * MS), 1)]
    due: list[int] = []
    found: list[Any] = []
    for since, until in pairwise((0, *sorted({*cuts, 31 * MS}))):
        frame = machine.advance(until, *[each for each in messages if since <= each.at < until])
        for _, first, step, text in frame["inputs"]:
            due += [first + k * step for k in range(len(text) // 2)]
        done = machine.answer(
            outputs=sorted([0, at, data.hex()] for at, data in written if since <= at < until),
            lost=[[0, due[k], "overrun"] for k in sorted(lost_bytes)
                  if k < len(due) and since <= due[k] < until],
        )  # fmt: skip
        found += [(each.at, each.destination, each.kind) for each in done.outputs]
        found += [(each.at, each.name, each.value) for each in done.measures]
    machine.dialect.close(31 * MS)
    return sorted(found, key=str), machine.log.entries


# -- the end


def test_half_a_line_is_told_of_once() -> None:
    machine = Machine()
    machine.window(10 * MS, outputs=[[0, 0, b"half".hex()]])
    for _ in range(2):
        machine.dialect.close(20 * MS)
        machine.dialect.last_words()
    assert machine.log.entries == ["0.020000000 s: a line without its end: half"]


def test_last_words() -> None:
    """What a device that has failed had written, and had not sent in whole."""
    machine = Machine()
    machine.advance(MS)
    with pytest.raises(ProtocolError):
        machine.answer(outputs=[[0, 900_000, b"\r\nfault: at 5\r\nin b".hex()]], fault=[1 << 25, 0])
    machine.dialect.last_words()
    machine.dialect.close(5 * MS)
    assert machine.log.entries == [
        "0.001000000 s: written, and not sent in whole: fault: at 5",
        "0.001000000 s: written, and not sent in whole: in b",
    ]


def test_messages_that_the_end_of_the_run_holds_back() -> None:
    wrong = '{"dst":"hubb","kind":"größe","payload":[1]}\n'.encode()
    machine = Machine(born=MS)
    machine.advance(100 * MS)
    outputs = [[0, 0, HELLO.hex()], [0, 50 * MS, wrong.hex()]]
    with pytest.raises(ProtocolError, match=r"no node 'hubb' \(did you mean 'hub'\?\)"):
        machine.answer(outputs=outputs)
    assert machine.log.entries == [
        "0.003559046 s: not passed on any more: hello to hub: 1",
        "0.053993076 s: not passed on any more: gr\\xc3\\xb6\\xc3\\x9fe to hubb: [1]",
    ]


def test_a_flood() -> None:
    machine = Machine(TWO, born=MS)
    machine.advance(2 * MS)
    flood = (b"flood " * 12_000).hex()
    with pytest.raises(ProtocolError) as error:
        machine.answer(outputs=[[0, 500, "00"], [1, 600, flood]])
    assert error.value.rule == "uart-flood"
    assert str(error.value).startswith("at 0.0010006s, the firmware floods usart3: more than 65536")
    [entry] = machine.log.entries
    assert entry.startswith("0.000000600 s: usart3 is flooded with: ") and "flood flood" in entry


# -- records


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "log"
    log = DeviceLog(file)
    log.write([])
    assert not file.exists()
    log.write(["one", "two"])
    log.write(["three"])
    assert file.read_text() == "one\ntwo\nthree\n"


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    log = DeviceLog(tmp_path / "no" / "log")
    log.write([])
    with pytest.raises(ResultsError, match="no/log cannot be written: No such file or directory"):
        log.write(["word"])


def test_the_manifest_tells_what_was_run(tmp_path: Path) -> None:
    file = tmp_path / "app.elf"
    file.write_bytes(b"abc")
    noted: list[tuple[str, str]] = []
    run: Any = SimpleNamespace(note_part=lambda *part: noted.append(part))
    note_file(run, "firmware of dev", file)
    assert noted == [
        (
            "firmware of dev",
            "app.elf, SHA-256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        )
    ]


def test_frames_are_as_the_plug_in_for_qemu_reads_and_writes_them() -> None:
    """It knows the order of the fields, and of no pins."""
    chunk = Chunk(1, 20, 3, "0a0b")
    assert encode(Advance(4, 500, [chunk])) == (
        b'{"type":"ADVANCE","seq":4,"until":500,"inputs":[[1,20,3,"0a0b"]]}\n'
    )
    done = decode(
        b'{"type":"DONE","seq":4,"now":503,"outputs":[[0,7,"61"]],"lost":[],"executed":9}'
    )
    assert not isinstance(done, Error)
    assert (done.now, done.outputs, done.executed) == (503, [Written(0, 7, "61")], 9)
    assert (done.fault, done.pins, done.state) == (None, [], "")
