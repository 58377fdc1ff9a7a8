"""What an instant costs with a real Mosquitto, and with the model; `docs/benchmarks.md` explains.

As everywhere here, counts are asserted and times are not.
"""

from __future__ import annotations

import time

import pytest
from compare import Figures
from mosquitto import Started
from simcore_backends.mqtt.broker import Broker, Event, Opened, Received
from simcore_backends.mqtt.model import Model
from simcore_backends.mqtt.mosquitto import Mosquitto
from simcore_backends.mqtt.packets import (
    Connect,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    decode,
)
from simcore_backends.mqtt.settings import Settings

pytestmark = pytest.mark.bench

ROUNDS = 100
PUBLISHED = 100
SETTINGS = Settings(window=200)
"""Nothing waits for a place in a window."""
MILLISECOND = 1_000_000


class Plant:
    """So many clients that publish, and as many that subscribe, each to one of the others."""

    def __init__(self, broker: Broker, pairs: int, qos: int) -> None:
        self.broker = broker
        self.pairs = pairs
        self.qos = qos
        self.now = 0
        self.number = 0
        self.delivered = 0
        events: list[Event] = []
        for each in range(2 * pairs):
            events += [Opened(each), Received(each, Connect(f"c{each}").encode())]
        broker.advance(0, events)
        wanted = [Subscribe(1, ((f"topic/{each}", qos),)) for each in range(pairs)]
        subscribers = enumerate(wanted, start=pairs)
        broker.advance(0, [Received(each, packet.encode()) for each, packet in subscribers])

    def instant(self) -> float:
        """Everything is published at one instant: how long that takes, in ms. Then what follows."""
        events: list[Event] = []
        for each in range(PUBLISHED):
            self.number = self.number % 60_000 + 1
            source = each % self.pairs
            number = self.number if self.qos else 0
            packet = Publish(f"topic/{source}", b"21.5", self.qos, identifier=number)
            events.append(Received(source, packet.encode()))
        start = time.perf_counter()
        answers = self.broker.advance(self.now, events)
        took = time.perf_counter() - start
        while answers:
            self.now += MILLISECOND
            events = []
            for connection, data in answers:
                assert data is not None
                match decode(data):
                    case Publish(qos=qos, identifier=number):
                        self.delivered += 1
                        reply = (Puback if qos == 1 else Pubrec)(number)
                        events += [Received(connection, reply.encode())] if qos else []
                    case Pubrec(number):
                        events.append(Received(connection, Pubrel(number).encode()))
                    case Pubrel(number):
                        events.append(Received(connection, Pubcomp(number).encode()))
            answers = self.broker.advance(self.now, events) if events else []
        return took * 1000


def measure(broker: Broker, pairs: int, qos: int) -> list[float]:
    plant = Plant(broker, pairs, qos)
    plant.instant()
    found = [plant.instant() for _ in range(ROUNDS)]
    assert plant.delivered == (ROUNDS + 1) * PUBLISHED
    return found


@pytest.mark.parametrize(("pairs", "most"), [(1, 10.0), (100, 40.0)])
def test_instant_of_a_hundred_messages(figures: Figures, pairs: int, most: float) -> None:
    for qos in (0, 1, 2):
        what = f"100 messages with QoS {qos} at one instant, {pairs}+{pairs} clients"
        with Started(SETTINGS) as started:
            broker = Broker(Mosquitto(started.address), SETTINGS)
            figures.judge(f"{what}, Mosquitto", measure(broker, pairs, qos), most=most, unit="ms")
            broker.close()
        with Started(SETTINGS, tcp=True) as started:
            broker = Broker(Mosquitto(started.address), SETTINGS)
            figures.state("the same over TCP", measure(broker, pairs, qos), "ms")
            broker.close()
        model = Broker(Model(SETTINGS), SETTINGS)
        figures.state("the same in the model", measure(model, pairs, qos), "ms")


def test_instant_without_messages(figures: Figures) -> None:
    """With 200 clients connected: nothing is exchanged, so Mosquitto need not even be awake."""
    with Started(SETTINGS) as started:
        broker = Broker(Mosquitto(started.address), SETTINGS)
        plant = Plant(broker, 100, 0)
        before = time.perf_counter()
        for _ in range(10_000):
            plant.now += MILLISECOND
            assert broker.advance(plant.now, []) == []
        took = (time.perf_counter() - before) / 10_000
        figures.state("an instant without MQTT, 200 clients", [took * 1e6], "us")
        broker.close()
