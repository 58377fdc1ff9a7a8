"""Pins that lead to nodes: a change of level is a message, and the reverse."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from said import message
from simcore_backends.firmware.frames import Change
from simcore_backends.firmware.machine import MachineDialect
from simcore_backends.firmware.pins import KIND, Pins, place_of
from simcore_backends.firmware.record import DeviceLog

from simcore.protocol.frames import ProtocolError

MS = 1_000_000
WIRED = {
    "PD12": {"direction": "out", "peer": "panel"},
    "PA0": {"direction": "in", "peer": "button"},
    "gpio0.13": {"direction": "in", "peer": "panel"},
}


def told(payload: Any, source: str = "button", at: int = 7 * MS, kind: str = KIND) -> Any:
    found = message(source, 1, kind, payload, at)
    found.id = f"{source}/1"
    return found


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("PA0", ("sysbus.gpioPortA", 0)),
        ("PI15", ("sysbus.gpioPortI", 15)),
        ("gpio0.13", ("sysbus.gpio0", 13)),
        ("gpioPortB.2", ("sysbus.gpioPortB", 2)),
    ],
)
def test_where_a_pin_is(name: str, place: tuple[str, int]) -> None:
    assert place_of(name) == place


def test_levels_that_come_in() -> None:
    pins = Pins(WIRED, 5 * MS)
    assert pins.take(told({"pin": "PA0", "level": True})) == (1, 2 * MS, 1)
    assert pins.take(told({"level": False, "pin": "PA0"})) == (1, 2 * MS, 0)
    assert pins.take(told({"pin": "gpio0.13", "level": True}, "panel")) == (2, 2 * MS, 1)


NO_LEVELS = "button/1 tells no level: its payload is not {pin: ..., level: ...}"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (None, NO_LEVELS),
        (True, NO_LEVELS),
        ([1], NO_LEVELS),
        ({"pin": "PA0"}, NO_LEVELS),
        ({"pin": "PA0", "level": True, "more": 1}, NO_LEVELS),
        ({"pin": "PA1", "level": True}, "button/1 is dropped: button has no way to a pin 'PA1'"),
        ({"pin": 0, "level": True}, "button/1 is dropped: button has no way to a pin 0"),
        ({"pin": "PD12", "level": True}, "button/1 is dropped: button has no way to a pin 'PD12'"),
        ({"pin": "gpio0.13", "level": True}, "button has no way to a pin 'gpio0.13'"),
        ({"pin": "PA0", "level": 1}, "button/1 is dropped: the level of PA0 is true or false"),
        ({"pin": "PA0", "level": None}, "button/1 is dropped: the level of PA0 is true or false"),
    ],
)
def test_what_tells_no_level(payload: Any, why: str) -> None:
    assert str(Pins(WIRED).take(told(payload))).endswith(why)


def test_levels_that_go_out() -> None:
    pins = Pins(WIRED, 5 * MS)
    first, second = pins.say([Change(0, 10, 1), Change(0, 20, 0)], 100)
    assert (first.at, first.dst, first.kind, first.size) == (5 * MS + 10, "panel", "gpio", 1)
    assert bytes(first.payload) == b'{"level":true,"pin":"PD12"}'
    assert bytes(second.payload) == b'{"level":false,"pin":"PD12"}'
    assert not pins.busy


def test_what_changes_as_a_window_ends_belongs_to_the_next() -> None:
    pins = Pins(WIRED)
    [said] = pins.say([Change(0, 99, 1), Change(0, 100, 0)], 100)
    assert said.at == 99
    assert pins.busy
    later = pins.say([Change(0, 150, 1), Change(0, 200, 0)], 200)
    assert [each.at for each in later] == [100, 150]
    assert [each.at for each in pins.say([], 201)] == [200]
    assert not pins.busy


# -- in the conversation with an emulator ----------------------------------------------------------


def dialect_of(log: Path) -> MachineDialect:
    run: Any = SimpleNamespace(
        nodes={"dev": 0, "panel": 1, "button": 2}, hint=str, metrics={}, recorder=None
    )
    return MachineDialect(run, "dev", {"usart2": {}}, DeviceLog(log), 0, WIRED)


def test_levels_and_bytes_of_one_window(tmp_path: Path) -> None:
    dialect = dialect_of(tmp_path / "log")
    dialect.begin_life(0)
    messages = [
        told({"pin": "PA0", "level": True}, at=MS),
        told("x", "panel", 2 * MS, "say"),
        told("nonsense", at=3 * MS),
    ]
    line = dialect.advance(1, 9 * MS, messages)
    frame = json.loads(line)
    assert list(frame) == ["type", "seq", "until", "inputs", "pins"]
    assert frame["pins"] == [[1, MS, 1]] and len(frame["inputs"]) == 1
    assert b" " not in line
    done = b'{"type":"DONE","seq":1,"now":9000000,"pins":[[0,5,1],[0,9000000,0]]}'
    read: Any = dialect.decode(done)
    [said] = dialect.read(read, 0, 9 * MS).outputs
    assert (said.at, said.destination, said.payload) == (5, "panel", '{"level":true,"pin":"PD12"}')
    assert (tmp_path / "log").read_text() == (
        "0.003000000 s: button/1 tells no level: its payload is not {pin: ..., level: ...}\n"
    )
    # The change as the window ended is told in the next one, in which nothing else happens.
    assert json.loads(dialect.advance(2, 10 * MS, []))["pins"] == []
    read = dialect.decode(b'{"type":"DONE","seq":2,"now":10000000}')
    [said] = dialect.read(read, 9 * MS, 10 * MS).outputs
    assert (said.at, said.payload) == (9 * MS, '{"level":false,"pin":"PD12"}')
    read = dialect.decode(b'{"type":"DONE","seq":3,"now":11000000}')
    assert dialect.read(read, 10 * MS, 11 * MS).outputs == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("[[3,1,1]]", "there is no pin 3"),
        ("[[0,1000001,1]]", "a pin changes at 1000001"),
        ("[[0,5,1],[0,4,0]]", "a pin changes at 4: they must be in order"),
    ],
)
def test_changes_that_cannot_be(tmp_path: Path, changes: str, told: str) -> None:
    dialect = dialect_of(tmp_path / "log")
    dialect.begin_life(0)
    dialect.advance(1, MS, [])
    read: Any = dialect.decode(
        b'{"type":"DONE","seq":1,"now":1000000,"pins":%b}' % changes.encode()
    )
    with pytest.raises(ProtocolError, match=told):
        dialect.read(read, 0, MS)
