"""Deploy mode as a process of this machine, with a real Mosquitto: connecting, parting, trouble."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import Device, Mosquitto, certificates, mosquitto
from docker import DockerClient
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from support import PATIENCE, Started, reserved_port

STATUS = "simcore/gateway/status"

SERVICE = '''\
import os


class Service:
    """Answers; notes when it works, and works as long as it is told to."""

    def start(self, ctx):
        ctx.send("meter", "hello", ctx.config)
        ctx.set_timer("tick", "50ms")

    def on_timer(self, ctx, name):
        ctx.send("meter", name)

    def on_message(self, ctx, msg):
        if msg.kind == "slow":
            os.write(os.open(os.environ["READY"], os.O_WRONLY), b"working\\n")
            os.read(os.open(os.environ["GO"], os.O_RDONLY), 1)
        if msg.kind == "bad":
            raise RuntimeError("what a message")
        ctx.reply(msg, "answer", [msg.kind, msg.payload])
'''


@pytest.fixture
def folder(tmp_path: Path, broker_folder: Path) -> Path:
    (tmp_path / "service.py").write_text(SERVICE, encoding="utf-8")
    return broker_folder


def deployed(
    folder: Path, address: str, *options: str, service: str = "service.py:Service"
) -> Started:
    """The service, under way."""
    words = ["--service", service, "--name", "gateway", "--broker", address, *options]
    command = [sys.executable, "-m", "simcore_backends.services.deploy", *words]
    return Started(command, folder.parent, {"PYTHONUNBUFFERED": "1"})


@contextmanager
def online(folder: Path, broker: Mosquitto, *options: str) -> Iterator[tuple[Started, Device]]:
    """The service and a device, both connected."""
    with (
        Device(broker.port, "simcore/meter/#", "simcore/+/status") as device,
        deployed(folder, broker.address, *options) as started,
    ):
        device.hears(STATUS, b"online")
        yield started, device


def said(started: Started, text: str) -> str:
    """Wait for a line of the service's log."""
    patience = threading.Timer(PATIENCE, started.process.kill)
    patience.start()
    try:
        for line in started.process.stderr:
            if text in line:
                return str(line)
    finally:
        patience.cancel()
    pytest.fail(f"it ended and never said {text!r}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_comes_and_when_it_goes(
    folder: Path, broker: Mosquitto, number: signal.Signals
) -> None:
    with online(folder, broker) as (started, device):
        with Device(broker.port, STATUS) as late:
            late.hears(STATUS, b"online")  # retained
        started.send(number)
        device.hears(STATUS, b"offline")
        ended = started.end()
    assert ended.code == 0
    assert ended.err.splitlines()[0].endswith("INFO service.py:Service started as gateway")
    assert ended.err.splitlines()[-1].endswith("INFO ended by a signal")


def test_the_broker_says_that_it_is_gone_when_it_was_killed(
    folder: Path, broker: Mosquitto
) -> None:
    with online(folder, broker) as (started, device):
        started.process.kill()
        device.hears(STATUS, b"offline")


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_messages_and_timers(folder: Path, broker: Mosquitto, qos: str) -> None:
    config = '{"b":1e-5,"a":"é"}'
    with online(folder, broker, "--qos", qos, "--config", config) as (_, device):
        device.hears("simcore/meter/gateway/hello", '{"a":"é","b":0.00001}'.encode())
        device.hears("simcore/meter/gateway/tick", b"null")
        device.say("simcore/gateway/meter/two%2Fwords", b'{"$b64": "AAE="}', qos=int(qos))
        device.hears("simcore/meter/gateway/answer", b'["two/words",{"$b64":"AAE="}]')


def test_prefix_name_and_an_installed_service(folder: Path, broker: Mosquitto) -> None:
    with Device(broker.port, "plant/7/meter/#", "plant/7/box/status") as device:
        options = ("--prefix", "plant/7", "--name", "box")
        with deployed(folder, broker.address, *options, service="echo"):
            device.hears("plant/7/box/status", b"online")
            device.say("plant/7/box/meter/x", b"[1]")
            device.hears("plant/7/meter/box/echo", b"[1]")


def test_nonsense_is_logged_and_survived(folder: Path, broker: Mosquitto) -> None:
    with online(folder, broker) as (started, device):
        device.say("simcore/gateway/meter/x", b"{no json")
        device.say("simcore/gateway/meter", b"1")
        device.say("simcore/gateway/meter/x/y", b"1")
        device.say("simcore/gateway/meter/kept", b"1", retain=True)  # live: a message like others
        device.say("simcore/gateway/meter/bad", b"1")
        device.say("simcore/gateway/meter/good", b"1")
        device.hears("simcore/meter/gateway/answer", b'["kept",1]')
        device.hears("simcore/meter/gateway/answer", b'["good",1]')
        started.send(signal.SIGTERM)
        ended = started.end()
    assert ended.code == 0
    lines = [line.partition(" ")[2] for line in ended.err.splitlines()]
    assert [line for line in lines if line.startswith("WARNING")] == [
        "WARNING simcore/gateway/meter/x refused: payload is no JSON: "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        *(
            f"WARNING simcore/gateway/meter{rest} refused: a message to this node has the topic "
            "simcore/gateway/SOURCE/KIND"
            for rest in ("", "/x/y")
        ),
    ]
    assert (
        "ERROR the service raised at 'bad' of meter; what it was to send then is dropped" in lines
    )
    assert "RuntimeError: what a message" in ended.err


def test_what_is_retained_is_not_handled_again(folder: Path, broker: Mosquitto) -> None:
    with Device(broker.port, STATUS) as early:
        early.say("simcore/gateway/meter/old", b"1", retain=True)
    with online(folder, broker) as (started, device):
        device.say("simcore/gateway/meter/new", b"1")
        device.hears("simcore/meter/gateway/answer", b'["new",1]')
        started.send(signal.SIGTERM)
        ended = started.end()
        assert not [topic for topic, _ in device.heard if topic.endswith("answer")]
    assert "simcore/gateway/meter/old refused: it is a retained message" in ended.err


def test_a_broker_that_goes_and_comes_back(folder: Path, broker: Mosquitto) -> None:
    with deployed(folder, broker.address) as started:
        with Device(broker.port, STATUS) as device:
            device.hears(STATUS, b"online")
        broker.stop()
        broker.start()
        with Device(broker.port, STATUS, "simcore/meter/#") as device:
            device.hears(STATUS, b"online")
            device.say("simcore/gateway/meter/x", b"1")
            device.hears("simcore/meter/gateway/answer", b'["x",1]')
        started.send(signal.SIGTERM)
        ended = started.end()
    assert ended.code == 0
    assert f"WARNING the connection to the broker at {broker.address} is lost: " in ended.err
    assert ended.err.count("INFO connected to the broker") == 2


def test_a_broker_that_comes_late_gets_what_was_sent_before(
    engine: DockerClient, mosquitto_image: str, folder: Path, broker: Mosquitto
) -> None:
    broker.stop()
    with deployed(folder, broker.address) as started:
        said(started, f"no connection to the broker at {broker.address}: ")
        broker.start()
        with Device(broker.port, "simcore/meter/#") as device:
            device.hears("simcore/meter/gateway/hello", b"{}")


def test_what_is_sent_while_it_is_away_reaches_it(folder: Path, broker: Mosquitto) -> None:
    with online(folder, broker) as (started, device):
        started.process.kill()
        device.hears(STATUS, b"offline")
    with Device(broker.port, "simcore/meter/#") as device:
        for number in range(3):
            device.say("simcore/gateway/meter/x", b"%d" % number)
        with deployed(folder, broker.address):
            for number in range(3):
                device.hears("simcore/meter/gateway/answer", b'["x",%d]' % number)


def test_a_message_under_way_at_a_power_cut_comes_again(folder: Path, broker: Mosquitto) -> None:
    with online(folder, broker) as (started, device):
        device.say("simcore/gateway/meter/slow", b"1")
        started.until("working")
        started.process.kill()
        device.hears(STATUS, b"offline")
        with deployed(folder, broker.address) as again:
            again.until("working")
            again.go()
            device.hears("simcore/meter/gateway/answer", b'["slow",1]')


def test_a_message_is_handled_once_when_its_connection_is_lost_meanwhile(
    folder: Path, broker: Mosquitto
) -> None:
    with online(folder, broker) as (started, device):
        device.say("simcore/gateway/meter/slow", b"1")
        started.until("working")
        # A client of the same name takes the connection and gets the message, acknowledges
        # nothing, and leaves.
        rival = Client(
            CallbackAPIVersion.VERSION2, "simcore-gateway", clean_session=False, manual_ack=True
        )
        got: list[bytes] = []
        rival.on_message = lambda *words: got.append(words[-1].payload)
        rival.connect("127.0.0.1", broker.port)
        while not got:
            rival.loop(0.1)
        rival.disconnect()
        started.go()
        device.hears("simcore/meter/gateway/answer", b'["slow",1]')
        device.say("simcore/gateway/meter/next", b"1")
        device.hears("simcore/meter/gateway/answer", b'["next",1]')
        assert [text for topic, text in device.heard if topic.endswith("answer")] == []


def test_a_signal_lets_it_finish_what_is_under_way(folder: Path, broker: Mosquitto) -> None:
    with online(folder, broker) as (started, device):
        device.say("simcore/gateway/meter/slow", b"1")
        started.until("working")
        device.say("simcore/gateway/meter/next", b"1")
        started.send(signal.SIGTERM)
        started.go()
        device.hears(STATUS, b"offline")
        assert started.end().code == 0
        device.hears("simcore/meter/gateway/answer", b'["slow",1]')


SECURE = (
    "allow_anonymous false",
    "password_file /files/passwords",
    "cafile /files/ca.pem",
    "certfile /files/cert.pem",
    "keyfile /files/key.pem",
)


@pytest.fixture
def guarded(engine: DockerClient, mosquitto_image: str, folder: Path) -> Iterator[Mosquitto]:
    """A broker that wants a name and encrypts."""
    certificates(folder)
    made = engine.containers.run(
        mosquitto_image,
        ["sh", "-c", "mosquitto_passwd -b -c /tmp/p me secret && cat /tmp/p"],
        remove=True,
        network_mode="none",
    )
    (folder / "passwords").write_bytes(made)
    (folder / "passwords").chmod(0o644)
    with mosquitto(engine, mosquitto_image, folder, SECURE) as started:
        yield started


def test_name_password_and_encryption(folder: Path, guarded: Mosquitto) -> None:
    (folder / "secret").write_text("secret\n", encoding="utf-8")
    options = ("--user", "me", "--password-file", f"{folder}/secret", "--ca", f"{folder}/ca.pem")
    with deployed(folder, guarded.address, *options) as started:
        said(started, "connected to the broker")


def test_a_wrong_password_is_said_and_tried_again(folder: Path, guarded: Mosquitto) -> None:
    (folder / "secret").write_text("wrong\n", encoding="utf-8")
    options = ("--user", "me", "--password-file", f"{folder}/secret", "--ca", f"{folder}/ca.pem")
    with deployed(folder, guarded.address, *options) as started:
        for _ in range(2):
            line = said(started, "refuses the connection")
            assert "Not authorized" in line


def test_a_broker_that_cannot_be_trusted_is_not_spoken_to(folder: Path, guarded: Mosquitto) -> None:
    with deployed(folder, guarded.address, "--tls") as started:
        assert "certificate verify failed" in said(started, "no connection")


@pytest.mark.parametrize(
    ("service", "options", "code", "says"),
    [
        ("nothing", (), 2, "no service 'nothing' is installed"),
        ("gone.py:Service", (), 2, "there is no Python file"),
        ("service.py:Other", (), 2, "service.py has no 'Other'"),
        ("service.py:os", (), 2, "none of the methods of a service"),
        ("onnx_inference", ("--config", '{"model":"no.onnx"}'), 3, "no.onnx"),
        ("bad.py:Bad", (), 3, "ZeroDivisionError"),
        ("service.py:Service", ("--ca", "no.pem"), 2, "--ca: no.pem cannot be used"),
        ("service.py:Service", ("--prefix", "#"), 2, "no beginning of a topic"),
        ("service.py:Service", ("--qos", "x"), 2, "--qos is 'x'"),
    ],
)
def test_what_keeps_it_from_starting(
    folder: Path, service: str, options: tuple[str, ...], code: int, says: str
) -> None:
    bad = "class Bad:\n    def start(self, ctx):\n        1 / 0\n"
    (folder.parent / "bad.py").write_text(bad, encoding="utf-8")
    with (
        reserved_port() as port,
        deployed(folder, f"127.0.0.1:{port}", *options, service=service) as started,
    ):
        ended = started.end()
    assert ended.code == code
    assert says in ended.err


def test_without_the_mqtt_library_one_line_says_so(folder: Path) -> None:
    blocked = "import sys, runpy; sys.modules['paho'] = None; sys.argv[1:] = sys.argv[1:]; "
    blocked += "runpy.run_module('simcore_backends.services.deploy', run_name='__main__')"
    words = ["--service", "echo", "--name", "gateway", "--broker", "edge"]
    ended = subprocess.run(
        [sys.executable, "-c", blocked, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "pip install 'simcore[mqtt]'" in line
