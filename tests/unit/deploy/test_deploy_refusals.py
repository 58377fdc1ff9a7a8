"""A broker that refuses subscriptions, as Mosquitto does not: one on a socket, made for the test."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from random import Random

import pytest
from simcore_backends.mqtt.framing import Framer
from simcore_backends.mqtt.packets import (
    FAILURE,
    Connack,
    Connect,
    Puback,
    Publish,
    Suback,
    Subscribe,
    decode,
)
from simcore_backends.services.deploy.broker import Broker
from simcore_backends.services.deploy.options import Access
from simcore_backends.services.deploy.topics import Topics
from support import PATIENCE

OWN = "simcore/gateway/#"


class Refusing:
    """Takes one connection, answers what it must, and refuses some filters."""

    def __init__(self, refused: Collection[str]) -> None:
        self.asked: list[tuple[str, int]] = []
        self.published: list[str] = []
        self._refused = refused
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the client has left."""
        return not self._thread.is_alive()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            framer = Framer()
            while data := connection.recv(65_536):
                for packet in framer.feed(data):
                    connection.sendall(self._answer(decode(packet)))

    def _answer(self, packet: object) -> bytes:
        match packet:
            case Connect():
                return Connack().encode()
            case Subscribe(identifier, filters):
                self.asked += filters
                codes = (FAILURE if text in self._refused else qos for text, qos in filters)
                return Suback(identifier, tuple(codes)).encode()
            case Publish():
                self.published.append(packet.topic)
                return Puback(packet.identifier).encode() if packet.qos else b""
        return b""


class Listener:
    """Counts connections."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def receive(self, topic: str, payload: bytes, retained: bool = False, qos: int = 0) -> None:
        raise AssertionError(topic)

    def connected(self, session_present: bool) -> None:
        self.events.append("connected")

    def lost(self, why: str) -> None:
        self.events.append("lost")


@contextmanager
def connected(*refused: str) -> Iterator[tuple[Refusing, Broker, Listener]]:
    """A node's connection to such a broker; it subscribes to `plant/#` as well."""
    refusing, listener = Refusing(refused), Listener()
    topics = Topics("simcore", "gateway")
    broker = Broker(Access("127.0.0.1", refusing.port), topics, "it", Random(1))
    broker.listener = listener
    broker.subscribe("plant/#", 2)
    try:
        yield refusing, broker, listener
        broker.close()
    finally:
        until(broker, lambda: refusing.ended)


def until(broker: Broker, condition: Callable[[], bool]) -> None:
    """Have the connection send and receive until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("nothing more comes")
        broker.step(None)


def test_one_that_the_service_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with connected("plant/#", "more") as (refusing, broker, listener):
        until(broker, lambda: bool(listener.events))
        assert refusing.asked == [(OWN, 1), ("plant/#", 2)]
        broker.subscribe("more", 0)
        until(broker, lambda: "refuses more" in caplog.text)
        assert refusing.asked[2:] == [("more", 0)]
        assert listener.events == ["connected"]
    refusals = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert [text.partition(":")[0] for text in refusals] == [
        "the broker refuses plant/#",
        "the broker refuses more",
    ]


def test_that_of_the_node_itself(caplog: pytest.LogCaptureFixture) -> None:
    with connected(OWN) as (refusing, broker, listener):
        until(broker, lambda: refusing.ended)
        assert f"the broker refuses {OWN}: " in caplog.text
        assert refusing.published == []
    assert listener.events == []
