"""Placement at scale in SimPy alone: the message flow of `placed_flow.py`, and nothing of it recorded.

Callbacks, no processes: the quickest that SimPy can be used. Messages have what simcore's have
while they are under way, with a payload made for each; delays are drawn per sender and link; the
models have workers, each of which computes one image at a time.
"""

from __future__ import annotations

from heapq import heapify, heapreplace
from math import log
from random import Random
from typing import Any

import simpy
from placed_flow import CLOUD, DEVICE, EDGE, PERIOD, PICTURES, THRESHOLDS
from simpy.events import Event, Timeout

LEAST, MEAN = 8_000_000, 2_000_000
TO_EDGE, TO_CLOUD = 1_000_000, 45_000_000
OWN_COST = 5_000_000
COSTS = {"edge": 4_000_000, "cloud": 8_000_000}
WORKERS = 8


class Message:
    """What travels."""

    __slots__ = ("cause", "kind", "number", "payload", "sent", "size", "source")

    def __init__(
        self, source: Any, kind: str, payload: Any, size: int, sent: Any, cause: Any = None
    ) -> None:
        source.number += 1
        self.number = source.number
        self.source = source
        self.kind = kind
        self.payload = payload
        self.size = size
        self.sent = sent
        self.cause = cause


class Meter:
    """A device: keeps what it is sure of, asks about the rest, shows the result."""

    def __init__(self, env: simpy.Environment, index: int, gateway: Gateway) -> None:
        self.env = env
        self.name = f"meter-{index}"
        self.number = self.n = 0
        self.index = index % len(PICTURES)
        self.draw = Random(index).random
        self.gateway = gateway
        self.back = Random(-1 - index).random
        self.shows: Any = None
        Timeout(env, int(self.draw() * PERIOD)).callbacks.append(self.sample)

    def send(self, kind: str, payload: Any, size: int, cause: Any = None) -> None:
        """To the gateway."""
        env = self.env
        message = Message(self, kind, payload, size, env.now)
        delay = LEAST + int(-log(1.0 - self.draw()) * MEAN)
        Timeout(env, delay, message).callbacks.append(self.gateway.arrive)

    def sample(self, _: Event) -> None:
        """Take an image."""
        env = self.env
        Timeout(env, OWN_COST, env.now).callbacks.append(self.computed)
        Timeout(env, PERIOD).callbacks.append(self.sample)

    def computed(self, event: Event) -> None:
        """Keep it or ask."""
        self.n += 1
        self.index = index = (self.index + 1) % len(PICTURES)
        label, confidence = DEVICE[index]
        if confidence >= THRESHOLDS[0]:
            payload = {
                "n": self.n, "index": index, "at": event.value, "label": label,
                "confidence": confidence, "why": "sure",
            }  # fmt: skip
            self.shows = label
            self.send("reading", payload, 16)
        else:
            payload = {
                "n": self.n, "index": index, "at": event.value, "why": "unsure",
                "image": PICTURES[index], "label": label, "confidence": confidence,
            }  # fmt: skip
            self.send("image", payload, 76)

    def arrive(self, event: Event) -> None:
        """A result."""
        self.shows = event.value.payload["label"]


class Gateway:
    """Asks the edge, then the cloud, then says what they say."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.number = 0
        self.waiting: dict[tuple[Meter, int], Any] = {}
        self.places = {"edge": Place(env, self, "edge"), "cloud": Place(env, self, "cloud")}
        self.counts = {"device": 0, "edge": 0, "cloud": 0}

    def ask(self, place: str, message: Message, asked: Any, delay: int, limit: float) -> None:
        """Have a model compute."""
        payload = {
            "n": asked[0], "index": asked[1], "device": asked[2], "image": asked[3],
            "why": f"confidence {message.payload['confidence']:.4g} < {limit:.4g}",
        }  # fmt: skip
        infer = Message(self, "infer", payload, 72, self.env.now, message)
        Timeout(self.env, delay, infer).callbacks.append(self.places[place].arrive)

    def arrive(self, event: Event) -> None:
        """From a device."""
        message = event.value
        payload = message.payload
        if message.kind == "image":
            meter = message.source
            asked = (payload["n"], payload["index"], meter, payload["image"])
            self.waiting[meter, payload["n"]] = asked
            self.ask("edge", message, asked, TO_EDGE, THRESHOLDS[0])
        else:
            self.counts["device"] += 1

    def answered(self, event: Event) -> None:
        """From a model."""
        message = event.value
        answer = message.payload
        meter, n = answer["device"], answer["n"]
        place = message.source.name
        if place == "edge" and answer["confidence"] < THRESHOLDS[1]:
            self.ask("cloud", message, self.waiting[meter, n], TO_CLOUD, THRESHOLDS[1])
            return
        del self.waiting[meter, n]
        self.counts[place] += 1
        result = {
            "n": n, "label": answer["label"], "confidence": answer["confidence"], "place": place,
            "why": f"sure {answer['confidence']:.4g} >= {THRESHOLDS[1]:.4g}",
        }  # fmt: skip
        sent = Message(self, "result", result, 16, self.env.now, message)
        delay = LEAST + int(-log(1.0 - meter.back()) * MEAN)
        Timeout(self.env, delay, sent).callbacks.append(meter.arrive)


class Place:
    """A model with workers."""

    def __init__(self, env: simpy.Environment, gateway: Gateway, name: str) -> None:
        self.env = env
        self.gateway = gateway
        self.name = name
        self.number = 0
        self.answers = {"edge": EDGE, "cloud": CLOUD}[name]
        self.cost = COSTS[name]
        self.delay = TO_EDGE if name == "edge" else TO_CLOUD
        self.free = [0] * WORKERS
        heapify(self.free)

    def arrive(self, event: Event) -> None:
        """An image: answered when it is computed."""
        now = self.env.now
        end = max(self.free[0], now) + self.cost
        heapreplace(self.free, end)
        Timeout(self.env, end - now, event.value).callbacks.append(self.computed)

    def computed(self, event: Event) -> None:
        """The answer leaves."""
        asked = event.value.payload
        label, confidence = self.answers[asked["index"]]
        answer = {
            "n": asked["n"], "index": asked["index"], "device": asked["device"], "label": label,
            "confidence": confidence,
        }  # fmt: skip
        message = Message(self, "answer", answer, 16, self.env.now, event.value)
        Timeout(self.env, self.delay, message).callbacks.append(self.gateway.answered)


def flow(nodes: int, seconds: int) -> tuple[dict[str, int], int]:
    """Run the flow; returns inferences by place, and messages sent."""
    env = simpy.Environment()
    gateway = Gateway(env)
    meters = [Meter(env, index, gateway) for index in range(nodes)]
    env.run(until=seconds * 1_000_000_000)
    places = gateway.places.values()
    sent = sum(each.number for each in (gateway, *meters, *places))
    return gateway.counts, sent
