"""MQTT packets: what is written is read again, what the standard forbids is refused by number."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcore_backends.mqtt.errors import Malformed, UnknownLevel
from simcore_backends.mqtt.fields import packet as raw
from simcore_backends.mqtt.framing import Framer
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    decode,
)
from support import unavailable

texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)
names = texts.filter(lambda text: text and not {"+", "#"} & {*text})
levels = st.one_of(st.just("+"), texts.map(lambda text: text.translate(dict.fromkeys(b"+#/"))))
filters = st.builds(
    lambda parts, rest: "/".join([*parts, *rest]),
    st.lists(levels, min_size=1),
    st.sampled_from([[], ["#"]]),
).filter(bool)
payloads = st.binary(max_size=300)
qos = st.integers(0, 2)
identifiers = st.integers(1, 65_535)
wills = st.builds(Will, names, payloads, qos, st.booleans())


@st.composite
def publishes(draw: st.DrawFn) -> Publish:
    level = draw(qos)
    numbered = {"identifier": draw(identifiers), "dup": draw(st.booleans())} if level else {}
    return Publish(draw(names), draw(payloads), level, draw(st.booleans()), **numbered)


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    user = draw(st.none() | texts)
    password = draw(st.none() | payloads) if user is not None else None
    will = draw(st.none() | wills)
    return Connect(
        draw(texts), draw(st.booleans()), draw(st.integers(0, 65_535)), will, user, password
    )


packets: st.SearchStrategy[Packet] = st.one_of(
    connects(),
    st.builds(Connack, st.booleans()),
    st.builds(Connack, st.just(False), st.integers(1, 5)),
    publishes(),
    *(st.builds(kind, identifiers) for kind in (Puback, Pubrec, Pubrel, Pubcomp, Unsuback)),
    st.builds(Subscribe, identifiers, st.lists(st.tuples(filters, qos), min_size=1).map(tuple)),
    st.builds(
        Suback, identifiers, st.lists(st.sampled_from([0, 1, 2, 128]), min_size=1).map(tuple)
    ),
    st.builds(Unsubscribe, identifiers, st.lists(filters, min_size=1).map(tuple)),
    *(st.builds(kind) for kind in (Pingreq, Pingresp, Disconnect)),
)


@given(packets)
def test_written_and_read_again(packet: Packet) -> None:
    assert decode(packet.encode()) == packet


@given(st.lists(packets, max_size=8), st.data())
def test_stream_cut_anywhere(sent: list[Packet], data: st.DataObject) -> None:
    stream = b"".join(packet.encode() for packet in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    framer, found = Framer(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += list(framer.feed(stream[start:end]))
    assert [decode(packet) for packet in found] == sent
    assert framer.held == b""


@given(packets, st.data())
def test_packet_that_is_cut_short_never_passes(packet: Packet, data: st.DataObject) -> None:
    """Some packets have a part of another as a whole: PUBLISH with less payload."""
    body = packet.encode()
    cut = data.draw(st.integers(2, len(body) - 1)) if len(body) > 2 else 2
    again = raw(body[0], body[2:cut]) if len(body) < 130 else raw(body[0])
    try:
        found = decode(again)
    except Malformed:
        return
    assert found.encode() == again


@given(st.binary(min_size=2, max_size=60))
def test_any_bytes_are_a_packet_or_refused(data: bytes) -> None:
    """What is read is written as the same bytes: nothing is read in two ways."""
    try:
        whole = list(Framer().feed(data))
    except Malformed:
        return
    for packet in whole:
        try:
            found = decode(packet)
        except Malformed as error:
            assert error.clause.startswith("MQTT-")
        else:
            assert len(found.encode()) <= len(packet)
            assert decode(found.encode()) == found


def connect(flags: int, *parts: bytes, name: bytes = b"MQTT", level: int = 4) -> bytes:
    return raw(0x10, len(name).to_bytes(2, "big") + name, bytes((level, flags, 0, 0)), *parts)


EMPTY = b"\x00\x00"

BROKEN = [
    ("MQTT-2.2.1", bytes((0x00, 0))),
    ("MQTT-2.2.1", bytes((0xF0, 0))),
    ("MQTT-2.2.2-2", bytes((0xC1, 0))),
    ("MQTT-2.2.2-2", raw(0x60, b"\0\1")),
    ("MQTT-2.2.2-2", raw(0x80, b"\0\1", b"\0\1a\0")),
    ("MQTT-2.2.3", raw(0x40, b"\0")),
    ("MQTT-2.2.3", raw(0x40, b"\0\1\0")),
    ("MQTT-2.2.3", raw(0xC0, b"\0")),
    ("MQTT-2.3.1-1", raw(0x40, b"\0\0")),
    ("MQTT-2.3.1-1", raw(0x32, b"\0\1a", b"\0\0")),
    ("MQTT-1.5.3-1", raw(0x30, b"\0\1\xff")),
    ("MQTT-1.5.3-1", raw(0x30, b"\0\3\xed\xa0\x80")),
    ("MQTT-1.5.3-2", raw(0x30, b"\0\1\0")),
    ("MQTT-3.1.2-1", connect(2, EMPTY, name=b"HTTP")),
    ("MQTT-3.1.2-2", connect(2, EMPTY, level=5)),
    ("MQTT-3.1.2-2", connect(2, EMPTY, name=b"MQIsdp", level=3)),
    ("MQTT-3.1.2-3", connect(3, EMPTY)),
    ("MQTT-3.1.2-11", connect(0x0A, EMPTY)),
    ("MQTT-3.1.2-11", connect(0x22, EMPTY)),
    ("MQTT-3.1.2-14", connect(0x1E, EMPTY, b"\0\1a", EMPTY)),
    ("MQTT-3.1.2-22", connect(0x42, EMPTY, EMPTY)),
    ("MQTT-3.2.2", raw(0x20, b"\2\0")),
    ("MQTT-3.2.2", raw(0x20, b"\0\6")),
    ("MQTT-3.2.2-4", raw(0x20, b"\1\1")),
    ("MQTT-3.3.1-2", raw(0x38, b"\0\1a")),
    ("MQTT-3.3.1-4", raw(0x36, b"\0\1a\0\1")),
    ("MQTT-3.3.2-2", raw(0x30, b"\0\3a/+")),
    ("MQTT-4.7.3-1", raw(0x30, EMPTY)),
    ("MQTT-4.7.3-1", raw(0x82, b"\0\1", EMPTY, b"\0")),
    ("MQTT-4.7.1-2", raw(0x82, b"\0\1", b"\0\3#/a\0")),
    ("MQTT-4.7.1-2", raw(0x82, b"\0\1", b"\0\2a#\0")),
    ("MQTT-4.7.1-3", raw(0x82, b"\0\1", b"\0\2a+\0")),
    ("MQTT-3.8.3-3", raw(0x82, b"\0\1")),
    ("MQTT-3.8.3-4", raw(0x82, b"\0\1", b"\0\1a\3")),
    ("MQTT-3.9.3-2", raw(0x90, b"\0\1")),
    ("MQTT-3.9.3-2", raw(0x90, b"\0\1\3")),
    ("MQTT-3.10.3-2", raw(0xA2, b"\0\1")),
]  # fmt: skip


@pytest.mark.parametrize(("clause", "data"), BROKEN)
def test_broken_packet_is_refused_by_clause(clause: str, data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        decode(data)
    assert caught.value.clause == clause
    assert str(caught.value).endswith(f"[{clause}]")


def test_other_version_is_told_apart() -> None:
    with pytest.raises(UnknownLevel):
        decode(connect(2, EMPTY, level=5))


UNSENDABLE: list[tuple[str, Packet]] = [
    ("MQTT-1.5.2", Connect("a", keepalive=65_536)),
    ("MQTT-1.5.3", Connect("a" * 65_536)),
    ("MQTT-1.5.3-1", Connect("\ud800")),
    ("MQTT-1.5.3-2", Connect("\0")),
    ("MQTT-2.2.3", Publish("a", bytes(268_435_456 - 3))),
    ("MQTT-2.3.1-1", Publish("a", qos=1)),
    ("MQTT-2.3.1-1", Puback(65_536)),
    ("MQTT-2.3.1-5", Publish("a", identifier=1)),
    ("MQTT-3.1.2-14", Connect("a", will=Will("a", qos=3))),
    ("MQTT-3.1.2-22", Connect("a", password=b"secret")),
    ("MQTT-3.3.1-2", Publish("a", dup=True)),
    ("MQTT-3.3.1-4", Publish("a", qos=3, identifier=1)),
    ("MQTT-3.3.2-2", Publish("a/#")),
    ("MQTT-3.8.3-3", Subscribe(1, ())),
    ("MQTT-3.8.3-4", Subscribe(1, (("a", 3),))),
    ("MQTT-3.10.3-2", Unsubscribe(1, ())),
    ("MQTT-4.7.1-2", Unsubscribe(1, ("#/a",))),
]


@pytest.mark.parametrize(("clause", "packet"), UNSENDABLE, ids=lambda value: str(value)[:40])
def test_packet_that_may_not_be_sent(clause: str, packet: Packet) -> None:
    with pytest.raises(Malformed) as caught:
        packet.encode()
    assert caught.value.clause == clause


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_lengths_around_a_further_byte(length: int) -> None:
    """Table 2.4 of the standard."""
    packet = raw(0x30, bytes(length))
    steps = [128, 16_384, 2_097_152]
    assert len(packet) == length + 2 + sum(length >= step for step in steps)
    assert list(Framer().feed(packet)) == [packet]


def test_length_of_five_bytes() -> None:
    good = Pingreq().encode()
    stream = Framer().feed(good + b"\x30\xff\xff\xff\xff\x01")
    assert next(stream) == good
    with pytest.raises(Malformed, match="four bytes"):
        next(stream)


def paho_client() -> Any:
    """paho's module, where it is installed."""
    try:
        return import_module("paho.mqtt.client")
    except ImportError:
        unavailable("paho-mqtt is not installed")


class Beside:
    """paho's client as others use it, and what it sends."""

    def __init__(self, folder: Path, connect: Connect) -> None:
        mqtt, path = paho_client(), str(folder / "broker")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            self.client: Any = mqtt.Client(
                mqtt.CallbackAPIVersion.VERSION2,
                connect.client_id,
                clean_session=connect.clean,
                transport="unix",
            )
            if connect.username is not None:
                self.client.username_pw_set(connect.username, connect.password)
            if connect.will is not None:
                will = connect.will
                self.client.will_set(will.topic, will.payload, will.qos, will.retain)
            self.client.connect(path, keepalive=connect.keepalive)
            self.peer, _ = listening.accept()
        Path(path).unlink()
        self.framer = Framer()

    def sent(self) -> Iterator[bytes]:
        while self.client.want_write():
            self.client.loop_write()
        self.peer.settimeout(10)
        found: list[bytes] = []
        while not found:
            found = list(self.framer.feed(self.peer.recv(65_536)))
        yield from found

    def close(self) -> None:
        self.peer.close()
        self.client.loop_read()


@settings(max_examples=50, deadline=None)
@given(connects().filter(lambda packet: packet.client_id), publishes(), filters, filters, qos)
def test_as_paho_writes_them(
    connect: Connect, message: Publish, first: str, second: str, level: int
) -> None:
    """The same bytes. paho numbers its packets from 1 and has a keepalive always."""
    connect = replace(connect, keepalive=connect.keepalive or 1)
    message = replace(message, dup=False, identifier=1 if message.qos else 0)
    with tempfile.TemporaryDirectory() as folder:
        paho = Beside(Path(folder), connect)
        assert list(paho.sent()) == [connect.encode()]
        # What is published before the CONNACK waits for it.
        paho.peer.send(Connack().encode())
        paho.client.loop_read()
        paho.client.publish(message.topic, message.payload, message.qos, message.retain)
        assert list(paho.sent()) == [message.encode()]
        paho.client.subscribe([(first, level), (second, 0)])
        sent = list(paho.sent())
        number = decode(sent[0]).identifier  # type: ignore[union-attr]
        assert sent == [Subscribe(number, ((first, level), (second, 0))).encode()]
        paho.client.unsubscribe([first, second])
        assert list(paho.sent()) == [Unsubscribe(number + 1, (first, second)).encode()]
        paho.client.disconnect()
        assert list(paho.sent()) == [Disconnect().encode()]
        paho.close()
