"""The flow that is measured, as a user of simcore writes it: see `bare.py` for the same in SimPy."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

PERIOD = 1_000_000_000


def sensor(node: Any) -> Generator[Any, Any, None]:
    """Send a reading a second, from a moment of its own within the first."""
    draw = node.random.random
    yield node.sleep(int(draw() * PERIOD))
    number = 0
    while True:
        number += 1
        node.send("gateway", "reading", {"n": number, "value": draw()}, size=64)
        yield node.sleep(PERIOD)


def gateway(node: Any) -> Generator[Any, Any, None]:
    """Add up the latency of what arrives."""
    latency = 0
    while True:
        message = yield node.receive()
        latency += node.now - message.sent


def busy(node: Any) -> Generator[Any, Any, None]:
    """Send a thousand readings a second: one half of a busy pair, with `gateway`."""
    draw = node.random.random
    number = 0
    while True:
        yield node.sleep("1ms")
        number += 1
        node.send("gateway", "reading", {"n": number, "value": draw()}, size=64)


def idle(node: Any) -> Generator[Any, Any, None]:
    """Wait for a message that never comes."""
    yield node.receive()


class SensorService:
    """`sensor` as a service."""

    def start(self, ctx: Any) -> None:
        self.draw = ctx.random.random
        self.number = 0
        ctx.set_timer("send", int(self.draw() * PERIOD))

    def on_timer(self, ctx: Any, name: str) -> None:
        self.number += 1
        ctx.send("gateway", "reading", {"n": self.number, "value": self.draw()}, size=64)
        ctx.set_timer("send", PERIOD)


class GatewayService:
    """`gateway` as a service."""

    def start(self, ctx: Any) -> None:
        self.latency = 0

    def on_message(self, ctx: Any, message: Any) -> None:
        self.latency += ctx.now - message.sent
