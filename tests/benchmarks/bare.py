"""The flow that is measured, in SimPy alone: what a researcher writes who needs nothing else.

A message has what simcore's have while they are under way: source and number, kind, a payload
made for it, size, the time it was sent; loss and delay are drawn per sensor. Nothing is
recorded.
"""

from __future__ import annotations

from collections.abc import Generator
from math import log
from random import Random
from typing import Any

import simpy
from simpy.events import Event, Timeout

PERIOD = 1_000_000_000
LOSS = 0.01
LEAST = 8_000_000
MEAN = 2_000_000


class Message:
    """What travels."""

    __slots__ = ("kind", "number", "payload", "sent", "size", "source")

    def __init__(
        self, source: str, number: int, kind: str, payload: Any, size: int, sent: Any
    ) -> None:
        self.source = source
        self.number = number
        self.kind = kind
        self.payload = payload
        self.size = size
        self.sent = sent


class Gateway:
    """Adds up the latency of what arrives."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.delivered = 0
        self.latency = 0

    def arrive(self, event: Event) -> None:
        """Callback of an arrival."""
        self.delivered += 1
        self.latency += self.env.now - event.value.sent


class Sensor:
    """Sends a reading a second: callbacks, no processes, the quickest that SimPy can be used."""

    def __init__(self, env: simpy.Environment, name: str, seed: int, gateway: Gateway) -> None:
        self.env = env
        self.name = name
        self.number = 0
        self.draw = Random(seed).random
        self.gateway = gateway
        Timeout(env, int(self.draw() * PERIOD)).callbacks.append(self.fire)

    def fire(self, _: Event) -> None:
        """Callback of the timer."""
        env, draw = self.env, self.draw
        self.number += 1
        payload = {"n": self.number, "value": draw()}
        message = Message(self.name, self.number, "reading", payload, 64, env.now)
        if draw() >= LOSS:
            delay = LEAST + int(-log(1.0 - draw()) * MEAN)
            Timeout(env, delay, message).callbacks.append(self.gateway.arrive)
        Timeout(env, PERIOD).callbacks.append(self.fire)


def callbacks(nodes: int, seconds: int) -> tuple[int, int]:
    """Run the flow with callbacks; returns messages sent and delivered."""
    env = simpy.Environment()
    gateway = Gateway(env)
    sensors = [Sensor(env, f"sensor-{index}", index, gateway) for index in range(nodes)]
    env.run(until=seconds * PERIOD)
    return sum(sensor.number for sensor in sensors), gateway.delivered


class ProcessSensor:
    """Sends a reading a second: a process, and one more per message on its way."""

    def __init__(self, env: simpy.Environment, name: str, seed: int, store: simpy.Store) -> None:
        self.env = env
        self.name = name
        self.number = 0
        self.draw = Random(seed).random
        self.store = store
        env.process(self.run())

    def run(self) -> Generator[Event, Any, None]:
        """The sensor's process."""
        env, draw = self.env, self.draw
        yield env.timeout(int(draw() * PERIOD))
        while True:
            self.number += 1
            payload = {"n": self.number, "value": draw()}
            message = Message(self.name, self.number, "reading", payload, 64, env.now)
            if draw() >= LOSS:
                delay = LEAST + int(-log(1.0 - draw()) * MEAN)
                env.process(self.carry(delay, message))
            yield env.timeout(PERIOD)

    def carry(self, delay: int, message: Message) -> Generator[Event, Any, None]:
        """A message's process, as in SimPy's example "Event latency"."""
        yield self.env.timeout(delay)
        self.store.put(message)


def processes(nodes: int, seconds: int) -> tuple[int, int]:
    """Run the flow with processes and a store; returns messages sent and delivered."""
    env = simpy.Environment()
    store = simpy.Store(env)
    gateway = Gateway(env)

    def receive() -> Generator[Event, Any, None]:
        while True:
            message = yield store.get()
            gateway.delivered += 1
            gateway.latency += env.now - message.sent

    env.process(receive())
    sensors = [ProcessSensor(env, f"sensor-{index}", index, store) for index in range(nodes)]
    env.run(until=seconds * PERIOD)
    return sum(sensor.number for sensor in sensors), gateway.delivered
