"""A broker that dies, hangs, refuses, is full or is none: a report that says so, or what MQTT says."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mosquitto import Started, connect, dialect
from simcore_backends.mqtt.broker import Answer, Broker, Lost, Opened, Received
from simcore_backends.mqtt.errors import BrokerError
from simcore_backends.mqtt.model import Model
from simcore_backends.mqtt.mosquitto import Mosquitto
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Will,
    decode,
)
from simcore_backends.mqtt.settings import Settings
from support import PATIENCE, require, reserved_port

SECOND = 1_000_000_000


@pytest.fixture
def started() -> Iterator[Started]:
    with Started(Settings()) as started:
        yield started


@pytest.fixture
def broker(started: Started) -> Iterator[Broker]:
    broker = Broker(Mosquitto(started.address, patience=PATIENCE))
    yield broker
    broker.close()


def told(answers: list[Answer]) -> list[tuple[int, Packet | None]]:
    return [(number, None if data is None else decode(data)) for number, data in answers]


def join(broker: Broker, number: int, packet: Connect, now: int = 0) -> list[Answer]:
    return broker.advance(now, [Opened(number), Received(number, packet.encode())])


def crowd(broker: Broker) -> None:
    for number in range(20):
        join(broker, number, Connect(f"c{number}"))


def say(broker: Broker, number: int, packet: Packet, now: int = 0) -> list[Answer]:
    return broker.advance(now, [Received(number, packet.encode())])


def test_nobody_is_there(tmp_path: Path) -> None:
    address = str(tmp_path / "socket")
    with pytest.raises(BrokerError, match=f"nothing takes connections at {address}"):
        Mosquitto(address)
    with (
        reserved_port() as port,
        pytest.raises(BrokerError, match=f"at 127.0.0.1:{port} .*refused"),
    ):
        Mosquitto(("127.0.0.1", port))


@pytest.mark.parametrize("packet", [Pingreq(), Publish("a"), Subscribe(1, (("a", 0),))])
def test_broker_is_killed(started: Started, broker: Broker, packet: Packet) -> None:
    join(broker, 1, Connect("ada"))
    started.process.kill()
    started.process.wait()
    with pytest.raises(BrokerError, match=r"the broker at .* has ended"):
        say(broker, 1, packet)


def test_broker_is_killed_and_a_client_comes(started: Started, broker: Broker) -> None:
    started.process.kill()
    started.process.wait()
    with pytest.raises(BrokerError, match="the broker has ended, or listens elsewhere"):
        join(broker, 1, Connect("ada"))


def test_broker_is_killed_and_a_client_is_lost(started: Started, broker: Broker) -> None:
    join(broker, 1, Connect("ada"))
    started.process.kill()
    started.process.wait()
    with pytest.raises(BrokerError, match="has ended"):
        broker.advance(0, [Lost(1)])


def test_nothing_is_asked_when_nothing_happens(started: Started, broker: Broker) -> None:
    """Not even a dead broker is noticed."""
    join(broker, 1, Connect("ada"))
    started.process.kill()
    started.process.wait()
    assert broker.advance(SECOND, []) == []


@pytest.mark.parametrize("number", [1, 2])
def test_broker_is_stopped(started: Started, number: int) -> None:
    """SIGSTOP: on a connection that is there, and when one is to be made."""
    broker = Broker(Mosquitto(started.address, patience=3))
    join(broker, 1, Connect("ada"))
    started.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(BrokerError, match="has not answered for 3 s: it hangs"):
            broker.advance(0, [Opened(2), Received(number, Connect("bob").encode())])
    finally:
        started.process.send_signal(signal.SIGCONT)
        broker.close()


def test_broker_goes_on_after_a_pause(started: Started) -> None:
    """A pause that is shorter than our patience changes nothing."""
    broker = Broker(Mosquitto(started.address, patience=60))
    started.process.send_signal(signal.SIGSTOP)
    resume = subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -CONT {started.process.pid}"])
    assert told(join(broker, 1, Connect("ada"))) == [(1, Connack())]
    resume.wait()
    broker.close()


class Impostor:
    """Something else that listens."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.address = str(path)
        script = (
            "import socket, sys\n"
            "listening = socket.socket(socket.AF_UNIX)\n"
            "listening.bind(sys.argv[1])\n"
            "listening.listen()\n"
            "print(flush=True)\n"
            "for answer in sys.argv[2:]:\n"
            "    peer, _ = listening.accept()\n"
            "    peer.recv(100)\n"
            "    peer.sendall(bytes.fromhex(answer))\n"
            "peer.recv(100)\n"
        )
        command = [sys.executable, "-c", script, self.address, *(each.hex() for each in answers)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


NONSENSE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x20\xff\xff\xff\xff\xff",
    b"\xd0\x00",
    Connack().encode() * 2,
    Connack().encode() + b"\xd0\x00\xd0\x00",
    Connack().encode() + Connect("ada").encode(),
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_what_listens_is_no_broker(tmp_path: Path, answer: bytes) -> None:
    impostor = Impostor(tmp_path / "socket", [answer])
    try:
        with pytest.raises(BrokerError, match="is no broker of MQTT 3.1.1, or a broken one"):
            Mosquitto(impostor.address, patience=30)
    finally:
        impostor.close()


def test_broker_that_talks_nonsense_later(tmp_path: Path) -> None:
    good = Connack().encode() + b"\xd0\x00"
    impostor = Impostor(tmp_path / "socket", [good, b"\x00\x00"])
    try:
        broker = Broker(Mosquitto(impostor.address, patience=30))
        with pytest.raises(BrokerError, match="or a broken one"):
            join(broker, 1, Connect("ada"))
        broker.close()
    finally:
        impostor.close()


def test_broker_does_not_let_simcore_in() -> None:
    with (
        Started(
            Settings(), extra="per_listener_settings false\nclientid_prefixes only-\n"
        ) as started,
        pytest.raises(BrokerError, match="does not let simcore in: it has to allow anonymous"),
    ):
        Mosquitto(started.address)


def test_broker_refuses_a_client(tmp_path: Path) -> None:
    """With a password file: who gives a name has to be known. The others never notice."""
    file = tmp_path / "passwords"
    subprocess.run([require("mosquitto_passwd"), "-c", "-b", str(file), "ada", "x"], check=True)
    with Started(Settings(), extra=f"password_file {file}\n") as started:
        broker = Broker(Mosquitto(started.address))
        hello = Connect("ada", username="ada", password=b"x")
        assert told(join(broker, 1, hello)) == [(1, Connack())]
        wrong = Connect("bob", username="ada", password=b"y")
        assert told(join(broker, 2, wrong)) == [(2, Connack(code=5)), (2, None)]
        assert told(say(broker, 1, Publish("a", qos=1, identifier=1))) == [(1, Puback(1))]
        broker.close()


def test_broker_has_a_limit_of_its_own() -> None:
    """Which the model would know nothing of, so that it is no result but an error."""
    with Started(Settings(), extra="max_connections 3\n") as started:
        broker = Broker(Mosquitto(started.address))
        with pytest.raises(BrokerError, match="closes a new connection without an answer: it has"):
            crowd(broker)
        broker.close()


def test_too_many_files() -> None:
    with Started(Settings()) as started:
        broker = Broker(Mosquitto(started.address))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 5, hard))
        try:
            with pytest.raises(BrokerError, match=r"raise the limit of open files \(ulimit -n\)"):
                crowd(broker)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        broker.close()


def both(settings: Settings | None = None) -> Iterator[Broker]:
    """The model, then the real one."""
    settings = settings or Settings()
    yield Broker(Model(settings, dialect()), settings)
    with Started(settings) as started:
        broker = Broker(Mosquitto(started.address), settings)
        yield broker
        broker.close()


def test_broker_is_full() -> None:
    """Who is one too many finds his connection closed, until another one leaves."""
    for broker in both(Settings(connections=2)):
        for number in (1, 2):
            assert told(join(broker, number, Connect(f"c{number}"))) == [(number, Connack())]
        assert told(join(broker, 3, Connect("c3"))) == [(3, None)]
        assert broker.advance(0, [Lost(1)]) == []
        assert told(join(broker, 4, Connect("c4"))) == [(4, Connack())]


def test_packet_is_too_great() -> None:
    """The client is thrown out as if it had broken the protocol: its will is published."""
    for broker in both(Settings(packet=100)):
        join(broker, 1, Connect("ada"))
        say(broker, 1, Subscribe(1, (("will", 0),)))
        join(broker, 2, Connect("bob", will=Will("will", b"bob")))
        assert told(say(broker, 2, Publish("a", bytes(95)))) == []
        assert told(say(broker, 2, Publish("a", bytes(96)))) == [
            (1, Publish("will", b"bob")),
            (2, None),
        ]


def test_duplicate_client_id() -> None:
    """MQTT-3.1.4-2: the older one is thrown out. The session is the newer one's."""
    for broker in both():
        join(broker, 1, Connect("ada", clean=False))
        say(broker, 1, Subscribe(1, (("a", 1),)))
        answers = told(join(broker, 2, Connect("ada", clean=False)))
        assert answers == [(1, None), (2, Connack(session_present=True))]
        assert told(say(broker, 2, Publish("a"))) == [(2, Publish("a"))]


def test_broker_drops_a_client(started: Started, broker: Broker) -> None:
    """Somebody outside takes over a client's name, of which the simulation knows nothing."""
    join(broker, 1, Connect("ada"))
    with connect(started.address) as outside:
        outside.sendall(Connect("ada").encode())
        assert outside.recv(4) == Connack().encode()
        assert told(say(broker, 1, Pingreq())) == [(1, None)]


def test_wills_of_those_who_vanish(started: Started, broker: Broker) -> None:
    """The network broke; the client is silent; it breaks the protocol. And not: it leaves."""
    join(broker, 1, Connect("ada"))
    assert told(say(broker, 1, Subscribe(1, (("will/#", 0),)))) == [(1, Suback(1, (0,)))]
    for number, name in enumerate(["lost", "silent", "rude", "polite"], start=2):
        join(broker, number, Connect(name, will=Will(f"will/{name}"), keepalive=10))
    assert told(broker.advance(0, [Lost(2)])) == [(1, Publish("will/lost"))]
    assert told(broker.advance(0, [Received(4, b"\x00\x00")])) == [
        (1, Publish("will/rude")),
        (4, None),
    ]
    assert told(broker.advance(SECOND, [Received(5, b"\xe0\x00")])) == [(5, None)]
    assert broker.next == 15 * SECOND
    assert told(broker.advance(15 * SECOND, [])) == [(1, Publish("will/silent")), (3, None)]
    assert broker.next is None
