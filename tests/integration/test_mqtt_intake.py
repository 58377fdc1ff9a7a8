"""What a broker lets in: what clients send, and nothing that Mosquitto refuses."""

from __future__ import annotations

import pytest
from mosquitto import Started, connect
from simcore_backends.mqtt.errors import Malformed
from simcore_backends.mqtt.fields import packet as raw
from simcore_backends.mqtt.intake import let_in
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from simcore_backends.mqtt.settings import Settings


def text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


GOOD: list[Packet] = [
    Connect("ada", username="Ünï", will=Will("a/b")),
    Publish("a b/ü/😀"),
    Publish("/".join("x" * 201)),
    Publish("$SYS/x"),
    Publish("$CONTROL/x"),
    Publish("$share"),
    Subscribe(1, (("$share/g/a/#", 1), ("$shared/x", 0), ("$x", 0))),
    Unsubscribe(1, ("$share/g/+",)),
    Puback(1),
    Pubrel(1),
    Pingreq(),
]


@pytest.mark.parametrize("packet", GOOD, ids=str)
def test_let_in(packet: Packet) -> None:
    assert let_in(packet.encode()) == packet


REFUSED_BY_ALL = [
    # By the standard.
    raw(0x60, b"\0\1"),
    raw(0x80, b"\0\1", text("a"), b"\0"),
    raw(0x82, b"\0\1"),
    raw(0x82, b"\0\1", text("a"), b"\3"),
    raw(0x82, b"\0\1", text("a#"), b"\0"),
    raw(0xA2, b"\0\1"),
    raw(0xA2, b"\0\1", text("")),
    raw(0x30, text("a/+")),
    raw(0x30, text("")),
    raw(0x32, text("a"), b"\0\0"),
    raw(0x36, text("a"), b"\0\1"),
    raw(0x40, b"\0\0"),
    raw(0x40, b"\0"),
    raw(0xE0, b"\0"),
    raw(0xE1),
    raw(0xF1),
    raw(0x30, b"\0\1\xff"),
    raw(0x30, text("a\0")),
    raw(0x20, b"\0\0"),
    # By Mosquitto beyond it.
    raw(0x30, text("a\x01")),
    raw(0x30, text("a\x7f")),
    raw(0x30, text("a\x9f")),
    raw(0x30, text("a\ufdd0")),
    raw(0x30, text("a\uffff")),
    raw(0x30, text("a\U0010fffe")),
    raw(0x30, text("/".join("x" * 202))),
    raw(0x82, b"\0\1", text("/".join("x" * 202)), b"\0"),
    raw(0x82, b"\0\1", text("$share"), b"\0"),
]

OVERLOOKED_ONCE = [
    raw(0x41, b"\0\1"),
    raw(0x40, b"\0\1\0"),
    raw(0x38, text("a")),
    raw(0xC1),
    raw(0xC0, b"\0"),
    Pingresp().encode(),
    raw(0x82, b"\0\1", text("$share/g/"), b"\0"),
]
"""Let pass by Mosquitto 2.0.11, and refused by later versions."""

REFUSED_HERE = [
    Suback(1, (0,)).encode(),
    Unsuback(1).encode(),
    raw(0x82, b"\0\1", text("$share//a"), b"\0"),
]
"""Which no client of ours sends, so that it does not matter what Mosquitto makes of it."""


@pytest.mark.parametrize("data", [*REFUSED_BY_ALL, *OVERLOOKED_ONCE, *REFUSED_HERE], ids=str)
def test_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        let_in(data)


HELLOS = [
    Connect("a\x01").encode(),
    Connect("a", username="b\x80").encode(),
    Connect("a", will=Will("w\x01")).encode(),
    raw(0x11, b"\0\4MQTT\4\2\0\0", text("a")),
    raw(0x10, b"\0\4MQTT\4\3\0\0", text("a")),
    raw(0x10, b"\0\4MQTT\4\2\0\0", text("a"), b"!"),
    raw(0x10, b"\0\4MQTT\4\x0a\0\0", text("a")),
    raw(0x10, b"\0\4MQTT\4\x1e\0\0", text("a"), text("w"), text("")),
    raw(0x10, b"\0\4MQTT\4\6\0\0", text("a"), text("w/#"), text("")),
    raw(0x10, b"\0\4MQTT\4\x42\0\0", text("a"), text("p")),
    raw(0x10, b"\0\4HTTP\4\2\0\0", text("a")),
]


@pytest.mark.parametrize("data", HELLOS, ids=str)
def test_refused_at_the_door(data: bytes) -> None:
    with pytest.raises(Malformed):
        let_in(data)


def test_no_will_for_the_broker() -> None:
    with pytest.raises(Malformed):
        let_in(Connect("a", will=Will("$CONTROL/x")).encode())


def test_mosquitto_refuses_them_too() -> None:
    """Told the same without us between, it closes the connection."""
    with Started(Settings()) as started:
        for data in REFUSED_BY_ALL:
            with connect(started.address) as sock:
                sock.settimeout(30)
                sock.sendall(Connect("ada").encode())
                assert sock.recv(4) == Connack().encode()
                sock.sendall(data)
                assert sock.recv(100) == b"", data
        for data in HELLOS:
            with connect(started.address) as sock:
                sock.settimeout(30)
                sock.sendall(data)
                assert sock.recv(100) == b"", data
