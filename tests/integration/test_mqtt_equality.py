"""The model of a broker and a real Mosquitto answer alike, packet for packet, at each instant."""

from __future__ import annotations

import pytest
from mosquitto import Started, dialect
from mqtt_programs import Counts, Program
from simcore_backends.mqtt.broker import Broker, Event, Opened, Received
from simcore_backends.mqtt.model import Model
from simcore_backends.mqtt.mosquitto import Mosquitto
from simcore_backends.mqtt.packets import Connect, Publish, Subscribe
from simcore_backends.mqtt.settings import Settings

PROGRAMS = 512
OPERATIONS = 60
SETTINGS = [
    Settings(),
    Settings(window=2),
    Settings(window=0),
    Settings(window=1, copies=True),
    Settings(window=3, connections=3),
    Settings(packet=1000),
]

LEAST = {
    "published with QoS 0": 3000,
    "published with QoS 1": 1500,
    "published with QoS 2": 2000,
    "delivered with QoS 0": 3000,
    "delivered with QoS 1": 1200,
    "delivered with QoS 2": 400,
    "sent Puback": 2000,
    "sent Pubrec": 2000,
    "sent Pubrel": 400,
    "sent Pubcomp": 800,
    "sent Suback": 2000,
    "sent Unsuback": 400,
    "sent Pingresp": 400,
    "acknowledged out of turn": 20,
    "retained message set": 1000,
    "retained message replaced": 200,
    "retained message deleted": 200,
    "retained message delivered": 2000,
    "by + delivered": 2000,
    "by # delivered": 2000,
    "$-topic delivered": 400,
    "overlapping subscriptions": 1500,
    "shared subscription": 400,
    "with a will": 1000,
    "lost with a will": 200,
    "silence with a will": 200,
    "protocol broken with a will": 100,
    "DISCONNECT with a will": 100,
    "clean session": 1000,
    "persistent session": 1000,
    "session present": 400,
    "sent again with DUP": 100,
    "published again with DUP": 200,
    "duplicate client id": 500,
    "second CONNECT": 40,
    "protocol broken": 200,
    "beyond the client's window": 40,
    "refused": 100,
    "closed by the broker": 1000,
    "packet in parts": 1000,
    "packet with a wrong bit": 300,
}
"""How often each thing has to come to pass, in all programs of a test."""


@pytest.mark.slow
def test_random_programs() -> None:
    """What came to pass is counted, so that it is known what is equal."""
    version, counts = dialect(), Counts()
    for seed in range(PROGRAMS):
        settings = SETTINGS[seed % len(SETTINGS)]
        with Started(settings) as started:
            real = Mosquitto(started.address)
            brokers = [Broker(Model(settings, version), settings), Broker(real, settings)]
            Program(seed, brokers, counts, settings.window or 100).run(OPERATIONS)
            brokers[1].close()
    assert {name: counts[name] for name, least in LEAST.items() if counts[name] < least} == {}


def test_program_over_tcp() -> None:
    """Where there is no Unix socket: the same answers, with more exchanges."""
    for seed in range(40):
        with Started(Settings(), tcp=True) as started:
            brokers = [Broker(Model(dialect=dialect())), Broker(Mosquitto(started.address))]
            Program(seed, brokers, Counts(), 20).run(OPERATIONS)
            brokers[1].close()


@pytest.mark.parametrize("tcp", [False, True])
def test_burst_that_no_buffer_holds(tcp: bool) -> None:
    """Six megabytes to each of four clients at one instant, and subscribing in the midst of it."""
    packets = [
        Publish("burst/x", bytes(3000), number % 2, identifier=number % 2) for number in range(2000)
    ]
    packets.append(Publish("burst/kept", b"kept", retain=True))
    data = b"".join(packet.encode() for packet in packets)
    events: list[Event] = []
    for number in range(4):
        events += [Opened(number), Received(number, Connect(f"c{number}").encode())]
        events.append(Received(number, Subscribe(1, (("burst/#", 1),)).encode()))
    again = Subscribe(2, (("burst/#", 0),)).encode()
    said = []
    with Started(Settings(window=0), tcp=tcp) as started:
        for engine in (Model(Settings(window=0), dialect()), Mosquitto(started.address)):
            broker = Broker(engine)
            broker.advance(0, events)
            said.append(
                broker.advance(0, [Received(0, data), Received(0, again), Received(1, again)])
            )
            broker.close()
    assert len(said[0]) == 1000 + 4 * 2001 + 4
    assert said[0] == said[1]
