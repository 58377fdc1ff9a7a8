"""What an instant costs with a real Mosquitto, and with the model; `docs/benchmarks.md` explains.

As everywhere here, counts are asserted and times are not.
"""

from __future__ import annotations

import time
from pathlib import Path

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

from simcore import Federation, open_run
from simcore.scenario import loads

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


THROUGH = """
simcore: 1
duration: {rounds}s
nodes:
  talker: {{count: {pairs}, model: talk.py:talker, config: {{count: {count}, qos: {qos}}}}}
  hearer: {{count: {pairs}}}
  broker: {{config: {{max_inflight_messages: 200}}, {broker}}}
network: {{model: latency, links: [
  {{between: [talker, broker], delay: 1ms}}, {{between: [hearer, broker], delay: 1ms}}]}}
mqtt:
  broker: broker
  clients: {{talker: {{}}, {hearers}}}
"""
TALKER = """
from simcore_backends import mqtt


def talker(node):
    while True:
        yield node.sleep("500ms")
        for _ in range(node.config["count"]):
            mqtt.publish(node, f"topic/{node.index}", 21.5, node.config["qos"])
        yield node.sleep("500ms")
"""
THROUGH_ROUNDS = 21


def through_simcore(folder: Path, broker: str, pairs: int, qos: int) -> tuple[list[float], float]:
    """What the broker's instants with 100 messages take in a run (ms), and a round in all (ms)."""
    (folder / "talk.py").write_text(TALKER, encoding="utf-8")
    names = ["hearer"] if pairs == 1 else [f"hearer-{each}" for each in range(pairs)]
    hearers = ", ".join(
        f"{name}: {{subscribe: [{{filter: topic/{each}, qos: {qos}}}]}}"
        for each, name in enumerate(names)
    )
    text = THROUGH.format(
        rounds=THROUGH_ROUNDS, pairs=pairs, count=PUBLISHED // pairs, qos=qos, broker=broker,
        hearers=hearers,
    )  # fmt: skip
    out = folder / f"run-{broker[:4]}-{pairs}-{qos}"
    federation = Federation(loads(text, base=folder), out=out)
    start = time.perf_counter()
    federation.run()
    took = (time.perf_counter() - start) / THROUGH_ROUNDS * 1000
    with open_run(out) as run:
        query = "SELECT (done - begun) / 1e6 FROM exchange WHERE at % 1000000000 = 501000000"
        instants = [row[0] for row in run.connection.execute(query)]
        query = (
            "SELECT count(*) FROM messages WHERE kind = 'mqtt.publish' AND source = 'broker' "
            "AND fate = 'delivered'"
        )
        (delivered,) = run.connection.execute(query).fetchone()
    assert delivered == THROUGH_ROUNDS * PUBLISHED
    return instants, took


@pytest.mark.parametrize("pairs", [1, 100])
def test_instant_of_a_hundred_messages_in_a_run(
    figures: Figures, pairs: int, tmp_path: Path
) -> None:
    """With all that simcore does: streams, acknowledgements, causes, results."""
    for qos in (0, 1, 2):
        what = f"100 messages with QoS {qos} at one instant of a run, {pairs}+{pairs} clients"
        real = "implementation: mosquitto, run: process"
        instants, whole = through_simcore(tmp_path, real, pairs, qos)
        assert len(instants) == THROUGH_ROUNDS
        figures.state(f"{what}, the broker's exchange", instants, "ms")
        figures.state("the same, until all is over, Mosquitto", [whole], "ms")
        _, whole = through_simcore(tmp_path, "service: mqtt_broker", pairs, qos)
        figures.state("the same, model", [whole], "ms")


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
