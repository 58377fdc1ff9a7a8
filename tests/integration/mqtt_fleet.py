"""A hundred clients that publish and subscribe with every QoS, and a broker: what happens, in full.

They are the clients that simulated nodes have, on a network that takes a millisecond.
"""

from __future__ import annotations

import hashlib
from random import Random

from simcore_backends.mqtt.actions import Action, Arrived, Open, Send
from simcore_backends.mqtt.broker import Broker, Event, Opened, Received
from simcore_backends.mqtt.client import Client
from simcore_backends.mqtt.packets import Connect

MILLISECOND = 1_000_000


class Fleet:
    """Some clients and their broker.

    Args:
        broker: the broker.
        size: how many clients.
    """

    def __init__(self, broker: Broker, size: int = 100) -> None:
        self.broker = broker
        self.now = 0
        self.random = Random(7)
        self.arrived = 0
        self.digest = hashlib.sha256()
        self.events: list[Event] = []
        self.clients = [
            Client(Connect(f"client-{number}", clean=number % 3 > 0)) for number in range(size)
        ]
        for number, client in enumerate(self.clients):
            self.do(number, client.connect(0))
            self.do(number, client.opened(0))
            qos = number % 3
            self.do(number, client.subscribe(0, (f"plant/{number % 10}/+", qos), ("all", qos))[1])

    def do(self, number: int, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open():
                    self.events.append(Opened(number))
                case Send(packet):
                    self.events.append(Received(number, packet.encode()))
                case Arrived():
                    self.arrived += 1

    def step(self, publishing: int) -> None:
        """Some clients publish; all that this leads to within a millisecond takes place."""
        draw = self.random
        for _ in range(publishing):
            number, qos = draw.randrange(len(self.clients)), draw.randrange(3)
            topic = draw.choice(["all", f"plant/{draw.randrange(10)}/x", "nobody"])
            payload = draw.randbytes(draw.choice([0, 20, 3000]))
            client = self.clients[number]
            self.do(number, client.publish(self.now, topic, payload, qos, draw.random() < 0.1)[1])
        events, self.events = self.events, []
        for answer in self.broker.advance(self.now, events):
            self.digest.update(repr((self.now, answer)).encode())
            assert answer.packet is not None
            client = self.clients[answer.connection]
            self.do(answer.connection, client.received(self.now, answer.packet))
        self.now += MILLISECOND

    def run(self, steps: int = 12, publishing: int = 25) -> tuple[int, str]:
        """Some steps, and as many as it takes until all is answered."""
        for _ in range(steps):
            self.step(publishing)
        while self.events:
            self.step(0)
        return self.arrived, self.digest.hexdigest()
