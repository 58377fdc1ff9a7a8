"""A run that is paced by the wall clock, and an ordinary MQTT client that watches and joins it.

sensor --- broker --- gateway        paho, over a real port, is a client of the same broker
"""

from __future__ import annotations

import queue
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
)
from support import PATIENCE, require

from simcore import open_run

MODELS = """\
from simcore_backends import mqtt


def sensor(node):
    while True:
        yield node.sleep("100ms")
        mqtt.publish(node, "plant/reading", node.now // 10**6, 1)


def gateway(node):
    while True:
        message = yield node.receive(kind="mqtt.message")
        content = message.payload
        node.record("heard", content["payload"])
        mqtt.publish(node, "plant/answer", content["payload"], 1, cause=message)
"""
SCENARIO = """\
simcore: 1
name: open
duration: {duration}
nodes:
  sensor: {{model: models.py:sensor}}
  gateway: {{model: models.py:gateway}}
  broker: {{{broker}}}
network:
  model: latency
  links:
    - {{between: [sensor, broker], delay: 10ms}}
    - {{between: [gateway, broker], delay: 2ms}}
mqtt:
  broker: broker
  listen: 0
  clients:
    sensor: {{}}
    gateway: {{subscribe: [{{filter: plant/command, qos: 1}}]}}
"""
BROKERS = {
    "model": "service: mqtt_broker",
    "mosquitto": "implementation: mosquitto, run: process",
}


@contextmanager
def under_way(
    folder: Path, broker: str, *options: str, duration: str = "1h"
) -> Iterator[subprocess.Popen[str]]:
    """A run, its standard error to be read line by line; it is ended with the test."""
    (folder / "models.py").write_text(MODELS, encoding="utf-8")
    (folder / "scenario.yaml").write_text(
        SCENARIO.format(broker=broker, duration=duration), encoding="utf-8"
    )
    command = [sys.executable, "-m", "simcore", "scenario.yaml", "--out", "run", *options]
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def port_of(process: subprocess.Popen[str]) -> int:
    """The port that a run says it has opened."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.fullmatch(r"mqtt: broker is open to clients at 127\.0\.0\.1:(\d+)\n", line)
        if found:
            return int(found.group(1))
    pytest.fail("the run ended without opening a port")


@contextmanager
def client(port: int, name: str = "") -> Iterator[tuple[Client, queue.Queue[Any]]]:
    """An ordinary client that has subscribed to all, and what happens to it."""
    found: queue.Queue[Any] = queue.Queue()

    def on_connect(client: Client, *_: Any) -> None:
        client.subscribe("plant/#", 1)

    def on_message(client: Client, data: Any, message: MQTTMessage) -> None:
        found.put((message.topic, message.payload.decode()))

    paho = Client(CallbackAPIVersion.VERSION2, client_id=name)
    paho.on_connect, paho.on_message = on_connect, on_message
    paho.on_subscribe = lambda *_: found.put("subscribed")
    paho.on_disconnect = lambda client, data, flags, reason, properties: found.put("disconnected")
    paho.connect("127.0.0.1", port)
    paho.loop_start()
    try:
        yield paho, found
    finally:
        paho.disconnect()
        paho.loop_stop()


def until(found: queue.Queue[Any], wanted: Any) -> list[Any]:
    """What comes until something does."""
    seen = []
    while not seen or seen[-1] != wanted:
        seen.append(found.get(timeout=PATIENCE))
    return seen


@pytest.mark.parametrize("broker", BROKERS)
def test_an_ordinary_client_watches_and_joins_a_run(tmp_path: Path, broker: str) -> None:
    if broker == "mosquitto":
        require("mosquitto")
    with (
        under_way(tmp_path, BROKERS[broker], "--realtime", "20") as process,
        client(port_of(process)) as (paho, found),
    ):
        until(found, "subscribed")
        readings = [found.get(timeout=PATIENCE) for _ in range(5)]
        assert {topic for topic, _ in readings} == {"plant/reading"}
        times = [int(text) for _, text in readings]
        assert times == list(range(times[0], times[0] + 500, 100))  # every message, in order
        paho.publish("plant/command", "17", 1)
        until(found, ("plant/answer", "17"))
        process.terminate()
        until(found, "disconnected")
        process.wait(PATIENCE)
    with open_run(tmp_path / "run") as run:
        assert run.manifest["determinism"] == "interactive"
        heard = run.measurements()
        assert list(heard["value"]) == [17]


def test_clients_come_and_go_and_one_that_goes_without_a_word_leaves_its_will(
    tmp_path: Path,
) -> None:
    with under_way(tmp_path, BROKERS["model"], "--realtime", "20") as process:
        port = port_of(process)
        with client(port, "watcher") as (_, found):
            until(found, "subscribed")
            other = Client(CallbackAPIVersion.VERSION2, client_id="other")
            other.will_set("plant/gone", "other", 1)
            other.connect("127.0.0.1", port)
            while not other.is_connected():
                other.loop(0.1)
            other.socket().close()  # type: ignore[union-attr]
            until(found, ("plant/gone", "other"))
            with client(port, "watcher") as (_, again):  # takes the first one's place
                until(again, "subscribed")
                until(found, "disconnected")


def test_who_breaks_the_rules_loses_the_own_connection_and_nothing_else(tmp_path: Path) -> None:
    with under_way(tmp_path, BROKERS["model"], "--realtime", "20") as process:
        port = port_of(process)
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(Pingreq().encode())  # before any CONNECT
            sock.settimeout(PATIENCE)
            assert sock.recv(100) == b""
        with client(port) as (_, found):
            until(found, "subscribed")


def test_a_visitor_keeps_its_own_time(tmp_path: Path) -> None:
    """However fast the run is: its keepalive of 60 s would be over in a moment."""
    with (
        under_way(tmp_path, BROKERS["model"], "--realtime", "500", duration="1000h") as process,
        client(port_of(process)) as (_, found),
    ):
        until(found, "subscribed")
        first = int(found.get(timeout=PATIENCE)[1])
        while (last := found.get(timeout=PATIENCE)) != "disconnected":
            if int(last[1]) > first + 300_000:  # five minutes of virtual time
                return
    pytest.fail("the broker has closed the connection")


def test_a_visitor_that_does_not_read_is_sent_away(tmp_path: Path) -> None:
    with (
        under_way(tmp_path, BROKERS["model"], "--realtime", "20") as process,
        socket.create_connection(("127.0.0.1", port := port_of(process))) as idle,
    ):
        idle.settimeout(PATIENCE)
        idle.sendall(Connect("idle", keepalive=0).encode() + Subscribe(1, (("big", 0),)).encode())
        assert idle.recv(4) == Connack().encode()
        with client(port) as (paho, found):
            until(found, "subscribed")
            for _ in range(40):  # more than may wait for it, and what the kernel holds
                paho.publish("big", bytes(1 << 20), 1).wait_for_publish(PATIENCE)
            heard = 0
            while data := idle.recv(1 << 16):
                heard += len(data)
            assert heard < 40 << 20
            assert not found.empty()  # the run goes on for others


def test_many_visitors(tmp_path: Path) -> None:
    """All at once: each hears what each other says."""
    with ExitStack() as stack:
        process = stack.enter_context(under_way(tmp_path, BROKERS["model"], "--realtime", "20"))
        port = port_of(process)
        files = []
        for _ in range(60):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            sock.settimeout(PATIENCE)
            files.append(cast(BinaryIO, stack.enter_context(sock.makefile("rwb", 0))))
        greeting = Connack().encode() + Suback(1, (0,)).encode()
        for number, file in enumerate(files):
            file.write(Connect(f"v{number}").encode() + Subscribe(1, (("all", 0),)).encode())
        for file in files:
            assert exactly(file, len(greeting)) == greeting
        said = [Publish("all", b"%02d" % number).encode() for number in range(60)]
        for file, packet in zip(files, said, strict=True):
            file.write(packet)
        for file in files:
            assert {exactly(file, len(said[0])) for _ in said} == set(said)


def exactly(file: BinaryIO, size: int) -> bytes:
    """So many bytes of a connection."""
    found = b""
    while len(found) < size:
        found += file.read(size - len(found)) or pytest.fail(f"only {found!r} came")
    return found


def test_one_that_talks_faster_than_the_run_goes_has_to_wait(tmp_path: Path) -> None:
    """And not the run: nothing piles up in it."""
    with (
        under_way(tmp_path, BROKERS["model"], "--realtime", "20") as process,
        socket.create_connection(("127.0.0.1", port_of(process))) as sock,
    ):
        sock.settimeout(PATIENCE)
        sock.sendall(Connect("talker").encode())
        assert sock.recv(4) == Connack().encode()
        before = memory(process)
        packet = Publish("nobody", bytes(1 << 18)).encode()
        for _ in range(400):  # 100 MiB
            sock.sendall(packet)
        sock.sendall(Pingreq().encode())
        assert sock.recv(2) == Pingresp().encode()
        assert memory(process) - before < 64 << 20


def memory(process: subprocess.Popen[str]) -> int:
    """The most that a process has held, in bytes."""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split()[0]) << 10


@pytest.mark.parametrize("broker", BROKERS)
def test_a_broker_that_crashes_leaves_its_visitors(tmp_path: Path, broker: str) -> None:
    if broker == "mosquitto":
        require("mosquitto")
    # 10 s of wall time to come in before it, and 5 s to be found out in.
    crash = "faults=[{at: 200s, for: 100s, node: broker, crash: true}]"
    with (
        under_way(tmp_path, BROKERS[broker], "--realtime", "20", "--set", crash) as process,
        client(port := port_of(process)) as (_, found),
    ):
        until(found, "subscribed")
        until(found, "disconnected")
        with socket.create_connection(("127.0.0.1", port)) as early:  # nobody is there
            early.settimeout(PATIENCE)
            assert early.recv(1) == b""
        until(found, "subscribed")  # it comes back by itself, as the nodes do
        times = [int(found.get(timeout=PATIENCE)[1]) for _ in range(3)]
        assert times[0] >= 200_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_sends_its_visitors_away(tmp_path: Path, number: int) -> None:
    with (
        under_way(tmp_path, BROKERS["model"], "--realtime", "20") as process,
        socket.create_connection(("127.0.0.1", port := port_of(process))) as silent,
        client(port) as (_, found),
    ):
        until(found, "subscribed")
        process.send_signal(number)
        until(found, "disconnected")
        silent.settimeout(PATIENCE)
        assert silent.recv(1) == b""
        assert process.wait(PATIENCE) == 128 + number


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with under_way(
            tmp_path, BROKERS["model"], "--realtime", "20", "--set", f"mqtt.listen={port}"
        ) as process:
            _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert f"mqtt.listen: the port {port} cannot be opened (Address already in use)" in said


def test_without_realtime_there_is_no_port_and_the_run_is_exact(tmp_path: Path) -> None:
    with under_way(tmp_path, BROKERS["model"], duration="1s") as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "is open to clients" not in said
    assert "mqtt.listen has no effect: the run is not paced (--realtime FACTOR)\n" in said
    with open_run(tmp_path / "run") as run:
        assert run.manifest["determinism"] == "exact"
