"""A hundred clients with mixed QoS on a real Mosquitto: the same to the byte, however it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from mosquitto import Started, dialect
from mqtt_fleet import Fleet
from simcore_backends.mqtt.broker import Broker
from simcore_backends.mqtt.model import Model
from simcore_backends.mqtt.mosquitto import Mosquitto
from simcore_backends.mqtt.settings import Settings


@pytest.fixture
def stress() -> Iterator[None]:
    """Programs that use every processor."""
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        yield


def in_model(steps: int = 12) -> tuple[int, str]:
    return Fleet(Broker(Model(dialect=dialect()))).run(steps)


def in_mosquitto(steps: int = 12, *, tcp: bool = False) -> tuple[int, str]:
    with Started(Settings(), tcp=tcp) as started:
        broker = Broker(Mosquitto(started.address))
        found = Fleet(broker).run(steps)
        broker.close()
    return found


def test_fleet_has_much_to_do() -> None:
    assert in_model()[0] > 10_000
    assert in_model(steps=2)[0] > 1000


@pytest.mark.slow
def test_twenty_runs_are_one() -> None:
    assert {in_mosquitto() for _ in range(20)} == {in_model()}


@pytest.mark.slow
@pytest.mark.usefixtures("stress")
def test_twenty_runs_are_one_under_stress() -> None:
    assert {in_mosquitto(steps=2) for _ in range(20)} == {in_model(steps=2)}


@pytest.mark.usefixtures("stress")
def test_runs_over_tcp_are_the_same() -> None:
    assert {in_mosquitto(steps=2, tcp=True) for _ in range(4)} == {in_model(steps=2)}
