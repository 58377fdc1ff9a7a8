"""MQTT of the service's own in deploy mode: a process of this machine, and a real Mosquitto."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from brokers import Device, Mosquitto
from support import Started

STATUS = "simcore/gateway/status"

SERVICE = '''\
from simcore_backends import mqtt


class Service:
    """Says on `said/...` what it hears by MQTT, and does what nodes tell it."""

    def start(self, ctx):
        mqtt.subscribe(ctx, "plant/+", 1)

    def on_message(self, ctx, msg):
        if msg.kind.startswith("mqtt."):
            event = msg.kind != "mqtt.message"
            mqtt.publish(ctx, f"said/{msg.kind}", [msg.source, msg.payload], qos=1, retain=event)
        else:
            getattr(mqtt, msg.kind)(ctx, **msg.payload)
            ctx.reply(msg, "done")
'''


@pytest.fixture
def folder(tmp_path: Path, broker_folder: Path) -> Path:
    (tmp_path / "service.py").write_text(SERVICE, encoding="utf-8")
    return broker_folder


def deployed(folder: Path, address: str, *options: str) -> Started:
    """The service, under way."""
    words = ["--service", "service.py:Service", "--name", "gateway", "--broker", address, *options]
    command = [sys.executable, "-m", "simcore_backends.services.deploy", *words]
    return Started(command, folder.parent, {"PYTHONUNBUFFERED": "1"})


def device_of(broker: Mosquitto) -> Device:
    return Device(broker.port, "said/#", "simcore/test/gateway/+", STATUS)


def tell(device: Device, kind: str, payload: bytes) -> None:
    """Have the service do something, and wait until it has."""
    device.say(f"simcore/gateway/test/{kind}", payload)
    device.hears("simcore/test/gateway/done", b"null")


def test_what_it_hears(folder: Path, broker: Mosquitto) -> None:
    with device_of(broker) as device:
        device.say("plant/1", b'{"b": 1, "a": 1e22}', qos=0, retain=True)
        with deployed(folder, broker.address, "--mqtt", '{"broker":"hub"}'):
            device.hears(
                "said/mqtt.message",
                b'["hub",{"payload":{"a":1e22,"b":1},"qos":0,"retain":true,"topic":"plant/1"}]',
            )
            device.hears(STATUS, b"online")
            device.say("plant/2", b"\xff", qos=2)
            device.hears(
                "said/mqtt.message",
                b'["hub",{"payload":{"$b64":"/w=="},"qos":1,"retain":false,"topic":"plant/2"}]',
            )


def test_what_it_says(folder: Path, broker: Mosquitto) -> None:
    with device_of(broker) as device, deployed(folder, broker.address):
        device.hears(STATUS, b"online")
        tell(device, "publish", b'{"topic":"said/bytes","payload":{"$b64":"/w=="},"qos":2}')
        device.hears("said/bytes", b"\xff")
        tell(device, "publish", b'{"topic":"said/kept","payload":{"b":1e-5,"a":2},"retain":true}')
        device.hears("said/kept", b'{"a":2,"b":0.00001}')
        with Device(broker.port, "said/kept") as late:
            late.hears("said/kept", b'{"a":2,"b":0.00001}')


def test_subscriptions_come_and_go(folder: Path, broker: Mosquitto) -> None:
    with device_of(broker) as device, deployed(folder, broker.address) as started:
        device.hears(STATUS, b"online")
        tell(device, "subscribe", b'{"filter":"more/#"}')
        tell(device, "unsubscribe", b'{"filter":"plant/+"}')
        device.say("plant/1", b"1")
        device.say("more/1", b"2")
        device.hears(
            "said/mqtt.message",
            b'["broker",{"payload":2,"qos":0,"retain":false,"topic":"more/1"}]',
        )
        assert device.heard == []
        started.send(signal.SIGTERM)
        ended = started.end()
    assert ended.code == 0
    assert "WARNING" not in ended.err


def message(topic: str) -> bytes:
    """What the service says of a 1 on a topic."""
    return f'["broker",{{"payload":1,"qos":1,"retain":false,"topic":"{topic}"}}]'.encode()


def connected(session_present: bool) -> bytes:
    """What it says of a connection."""
    return b'["broker",{"session_present":%s}]' % (b"true" if session_present else b"false")


def test_after_a_lost_connection_it_is_subscribed_again(folder: Path, broker: Mosquitto) -> None:
    options = ("--mqtt", '{"subscribe":[{"filter":"given/+","qos":1}],"events":true}')
    with deployed(folder, broker.address, *options):
        with device_of(broker) as device:
            device.hears("said/mqtt.connected", connected(False))
            tell(device, "subscribe", b'{"filter":"later/+","qos":1}')
        broker.stop()  # and with it all sessions
        broker.start()
        with device_of(broker) as device:
            lost = b'["broker",{"final":false,"why":"the connection is lost"}]'
            device.hears("said/mqtt.lost", lost)
            device.hears("said/mqtt.connected", connected(False))
            for topic in ("plant/1", "given/1", "later/1"):
                device.say(topic, b"1")
                device.hears("said/mqtt.message", message(topic))


def test_what_is_published_while_it_is_away_reaches_it(folder: Path, broker: Mosquitto) -> None:
    options = ("--mqtt", '{"events":true}')
    with device_of(broker) as device:
        with deployed(folder, broker.address, *options) as started:
            device.hears("said/mqtt.connected", connected(False))
            started.send(signal.SIGTERM)
            device.hears(STATUS, b"offline")
            assert started.end().code == 0
        device.say("plant/1", b"1")
        with deployed(folder, broker.address, *options):
            device.hears("said/mqtt.message", message("plant/1"))
            device.hears("said/mqtt.connected", connected(True))


def test_a_subscription_that_is_none_keeps_it_from_starting(folder: Path) -> None:
    options = ("--mqtt", '{"subscribe":[{"filter":"a/#/b"}]}')
    with deployed(folder, "127.0.0.1:1", *options) as started:
        ended = started.end()
    assert ended.code == 2
    assert "--mqtt: '#' is the last level: 'a/#/b'" in ended.err
