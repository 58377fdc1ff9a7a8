"""Deploy mode's connection where no broker listens, or one that says no."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import pytest
from simcore_backends.services.deploy import broker as module
from simcore_backends.services.deploy.broker import Broker
from simcore_backends.services.deploy.options import Access
from simcore_backends.services.deploy.topics import Topics
from support import reserved_port

TOPICS = Topics("simcore", "gateway")


class Time:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(module, "time", made)
    return made


def made(port: int, seed: int = 1) -> Broker:
    return Broker(Access("127.0.0.1", port), TOPICS, "it", Random(seed))


def attempts(clock: Time, caplog: pytest.LogCaptureFixture, seed: int, count: int) -> list[float]:
    """When a connection to nobody is tried."""
    caplog.clear()
    found: list[float] = []
    with reserved_port() as port:
        broker = made(port, seed)
        while len(found) < count:
            before = len(caplog.records)
            broker.step(None)
            if len(caplog.records) > before:
                found.append(clock.now)
    assert all("no connection to the broker" in record.getMessage() for record in caplog.records)
    return found


def test_pauses_grow_to_a_minute(clock: Time, caplog: pytest.LogCaptureFixture) -> None:
    found = attempts(clock, caplog, 1, 12)
    pauses = [later - sooner for sooner, later in pairwise(found)]
    for number, pause in enumerate(pauses):
        whole = min(2.0**number, 60)
        # A pause is drawn from its second half, and noticed within half a second.
        assert whole / 2 <= pause <= whole + module.SLICE
    assert pauses[-1] >= 30


def test_two_devices_do_not_come_back_at_once(
    clock: Time, caplog: pytest.LogCaptureFixture
) -> None:
    first = attempts(clock, caplog, 1, 5)
    second = attempts(clock, caplog, 2, 5)
    assert [each - first[0] for each in first] != [each - second[0] for each in second]


def test_a_timer_cuts_a_pause(clock: Time) -> None:
    with reserved_port() as port:
        broker = made(port)
        broker.step(None)
        start = clock.now
        broker.step(0.125)
    assert clock.now == start + 0.125


def test_what_is_too_much_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "OUTBOX", 3)
    with reserved_port() as port:
        broker = made(port)
        for number in range(5):
            broker.publish(f"simcore/meter/gateway/{number}", "1")
        broker.close()
    assert [record.getMessage() for record in caplog.records] == [
        "simcore/meter/gateway/0 dropped: 3 messages wait for the broker",
        "3 messages were never sent",
    ]


@contextmanager
def saying(*replies: bytes) -> Iterator[int]:
    """A broker that answers each packet with what it was told to; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for reply in replies:
                    connection.recv(4096)
                    connection.sendall(reply)
                connection.recv(4096)  # its DISCONNECT, or nothing

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


CONNACK, NO_CONNACK = b"\x20\x02\x00\x00", b"\x20\x02\x00\x05"
NO_SUBACK = b"\x90\x03\x00\x01\x80"


@pytest.mark.parametrize(
    ("replies", "says"),
    [
        ((NO_CONNACK,), "refuses the connection: Not authorized"),
        ((CONNACK, NO_SUBACK), "the broker refuses simcore/gateway/#: Unspecified error"),
    ],
)
def test_a_broker_that_says_no(
    replies: tuple[bytes, ...], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    with saying(*replies) as port:
        broker = made(port)
        while not caplog.records:
            broker.step(None)
        for _ in range(2):
            broker.step(0.0)
    (record, *_) = caplog.records
    assert record.levelno == logging.ERROR
    assert says in record.getMessage()
