"""MQTT wherever nodes live: the same digest in slices, in processes, from one run to the next.

sensor (x 5) ---- broker ---- gateway ---- display
                    |
                  meter (firmware)
"""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from firmware_builds import FIRMWARE, make
from mqtt_worlds import MS, S, listener, run, texts
from simcore_backends import mqtt
from simcore_backends.services.mqtt_gateway import MqttGateway
from worlds import Taking, both

from simcore import Federation, open_run
from simcore.protocol.service import Done, Measure, Output
from simcore.scenario import loads

CODE = '''
from simcore_backends import mqtt


def sensor(node):
    """Publishes with each quality of service, at times of its own; notes what comes back."""
    node.process(listen(node))
    number = 0
    while True:
        yield node.sleep(round(node.random.expovariate(1 / 3e8)))
        mqtt.publish(node, f"plant/{node.name}/reading", {"n": number}, number % 3)
        number += 1


def listen(node):
    while True:
        message = yield node.receive()
        node.record("answer", message.payload["payload"])


class Gateway:
    """Answers what is published, and tells a display."""

    def start(self, ctx):
        mqtt.subscribe(ctx, "plant/+/reading", 2)

    def on_message(self, ctx, msg):
        if msg.kind != "mqtt.message":
            return
        ctx.compute({"min": "1ms", "exponential": "1ms"})
        topic = msg.payload["topic"].replace("reading", "answer")
        mqtt.publish(ctx, topic, msg.payload["payload"]["n"], msg.payload["qos"])
        ctx.send("display", "shown", msg.payload)
'''

SCENARIO = """
simcore: 1
duration: 20s
seed: 5
nodes:
  sensor: {{count: 5, model: code.py:sensor}}
  gateway: {{service: code.py:Gateway, workers: 2, implementation: {gateway}}}
  broker: {{service: mqtt_broker, implementation: {broker}}}
  display: {{}}
network:
  model: latency
  links:
    - {{between: [sensor, broker], delay: {{min: 8ms, exponential: 2ms}}, loss: 10%, rate: 1Mbit/s}}
    - {{between: [gateway, broker], delay: 2ms}}
    - {{between: [gateway, display], delay: 2ms}}
mqtt:
  broker: broker
  clients:
    sensor:
      keepalive: 3s
      will: {{topic: "status/{{node}}", payload: gone, qos: 1, retain: true}}
      subscribe: [{{filter: "plant/{{node}}/answer", qos: 2}}]
    gateway: {{clean: false, keepalive: 5s}}
faults:
  - {{at: 4s, for: 6s, node: sensor-1, crash: true}}
  - {{at: 9s, for: 1s, node: broker, crash: true}}
  - {{at: 13s, for: 2s, node: gateway, crash: true}}
  - {{at: 15s, for: 3s, link: [sensor, broker], degraded: {{loss: 40%}}}}
"""


def digest(folder: Path, gateway: str, broker: str) -> str:
    (folder / "code.py").write_text(CODE, encoding="utf-8")
    text = SCENARIO.format(gateway=gateway, broker=broker)
    return Federation(loads(text, base=folder), out=folder / f"{gateway}-{broker}").run()


def test_services_in_processes_have_the_digest_of_those_in_simcores(tmp_path: Path) -> None:
    inside = digest(tmp_path, "python_model", "python_model")
    assert digest(tmp_path, "process", "python_model") == inside
    assert digest(tmp_path, "python_model", "process") == inside
    assert digest(tmp_path, "process", "process") == inside
    with open_run(tmp_path / "process-process") as opened:
        rows = opened.connection.execute("SELECT kind, count(*) FROM messages GROUP BY kind")
        kinds = dict(rows.fetchall())
        caused = opened.connection.execute(
            "SELECT count(*) FROM messages WHERE source = 'broker' AND cause IS NOT NULL"
        ).fetchone()[0]
    # Otherwise equal digests would say little.
    assert kinds["mqtt.publish"] > 500
    assert min(kinds[f"mqtt.{name}"] for name in ("puback", "pubrec", "pubrel", "pubcomp")) > 50
    assert kinds["mqtt.connect"] > 8
    assert caused > 1000


def test_the_broker_may_be_sent_more_at_once_than_it_may_name_as_causes() -> None:
    def sensor(node: Any) -> Any:
        yield node.sleep("1s")
        for number in range(200):
            mqtt.publish(node, "t", number, 0)

    told = run(
        {"sensor": {"does": sensor, "count": 5}, "gateway": listener},
        {"sensor": {}, "gateway": {"subscribe": [{"filter": "t"}]}},
        links=[
            {"between": ["sensor", "broker"], "delay": "10ms"},
            {"between": ["gateway", "broker"], "delay": "10ms"},
        ],
        faults=[{"at": "1005ms", "for": "1s", "link": ["gateway", "broker"], "down": True}],
        lasts="2min",
    )
    assert len(texts(told, "gateway")) == 1000


@pytest.mark.parametrize("step", [S // 7, S, 3 * S + 1])
def test_a_run_in_slices_is_the_run(step: int) -> None:
    def sensor(node: Any) -> Any:
        number = 0
        while True:
            yield node.sleep(round(node.random.expovariate(1 / 2e8)))
            mqtt.publish(node, "t", number, number % 3)
            number += 1

    def sliced(federation: Federation) -> None:
        for until in [*range(step, federation.end, step), federation.end]:
            federation.env.run(until=until)

    def told(drive: Any = None) -> str:
        return run(
            {"sensor": {"does": sensor, "count": 3}, "gateway": listener},
            {"sensor": {"keepalive": "2s"}, "gateway": {"subscribe": [{"filter": "#", "qos": 2}]}},
            links=[
                {"between": ["sensor", "broker"], "delay": "10ms", "loss": 0.1},
                {"between": ["gateway", "broker"], "delay": "3ms"},
            ],
            faults=[{"at": "4s", "for": "5s", "node": "sensor-1", "crash": True}],
            lasts="12s",
            drive=drive,
        ).digest

    assert told(sliced) == told()


def test_an_environment_that_counts_seconds_gives_the_same_digest() -> None:
    import simpy
    from simcore_backends.mqtt.service import MqttBroker
    from worlds import both, play, world

    def sensor(node: Any) -> Any:
        while True:
            yield node.sleep(round(node.random.expovariate(1 / 2e8)))
            mqtt.publish(node, "t", node.now, 1)

    def scenario() -> Any:
        return world(
            {"sensor": sensor, "broker": MqttBroker},
            [both("sensor", "broker", "10ms", loss=0.2)],
            lasts="60s",
            extensions={"mqtt": {"broker": "broker", "clients": {"sensor": {}}}},
        )

    plain = play(scenario())
    assert play(scenario(), env=simpy.Environment(), unit="1s").digest == plain.digest


def test_a_finished_run_is_freed() -> None:
    def sensor(node: Any) -> Any:
        while True:
            yield node.sleep("50ms")
            mqtt.publish(node, "t", node.now, 2)

    told = run(
        {"sensor": {"does": sensor, "count": 3}, "gateway": listener},
        {"sensor": {}, "gateway": {"subscribe": [{"filter": "#", "qos": 2}]}},
        links=[
            {"between": ["sensor", "broker"], "delay": "10ms", "loss": 0.2},
            {"between": ["gateway", "broker"], "delay": "3ms", "loss": 0.1},
        ],
        lasts="5s",
    )
    assert len(texts(told, "gateway")) > 50
    gone = weakref.ref(told.federation)
    del told
    gc.collect()  # the broker's service, which holds messages
    gc.collect()  # what these led to
    assert gone() is None


# -- firmware

FIRMWARE_SCENARIO = """
simcore: 1
duration: 6s
nodes:
  meter: {{implementation: native, firmware: "{program}"}}
  gateway: {{model: code.py:gateway}}
  broker: {{service: mqtt_broker}}
network:
  model: latency
  links:
    - {{between: [meter, broker], delay: 10ms, loss: 20%}}
    - {{between: [gateway, broker], delay: 2ms}}
mqtt:
  broker: broker
  clients:
    meter: {{subscribe: [{{filter: meter/period, qos: 1}}]}}
    gateway: {{subscribe: [{{filter: meter/reading, qos: 1}}, {{filter: meter/obeyed, qos: 1}}]}}
"""

FIRMWARE_CODE = """
from simcore_backends import mqtt


def gateway(node):
    while True:
        message = yield node.receive()
        found = message.payload
        node.record("got", f"{found['topic']} {found['payload']}")
        if found["topic"] == "meter/reading" and found["payload"] == 2:
            mqtt.publish(node, "meter/period", 250, 1, cause=message)
"""


def test_firmware_is_a_client_by_its_lines(tmp_path: Path) -> None:
    source = Path(__file__).parent / "mqtt_meter.c"
    make("native", tmp_path / "build", "APP=meter", f"APP_SOURCES={source} lib/json.c app/line.c")
    (tmp_path / "code.py").write_text(FIRMWARE_CODE, encoding="utf-8")
    text = FIRMWARE_SCENARIO.format(program=tmp_path / "build" / "native" / "meter")
    assert FIRMWARE.is_dir()
    scenario = loads(text, base=tmp_path)
    first = Federation(scenario, out=tmp_path / "run").run()
    assert Federation(loads(text, base=tmp_path)).run() == first
    with open_run(tmp_path / "run") as opened:
        query = "SELECT value FROM measurements WHERE name = 'got' ORDER BY at"
        found = [value for (value,) in opened.connection.execute(query)]
        query = "SELECT id, source, kind, cause FROM messages"
        rows = {row[0]: row[1:] for row in opened.connection.execute(query)}
    assert found[:3] == ["meter/reading 1", "meter/reading 2", "meter/obeyed 250"]
    assert len(found) > 12  # each second, and four times in a second after that
    # From the command to the firmware, each message is caused by the one before.
    commands = [id for id, row in rows.items() if row[:2] == ("gateway", "mqtt.publish")]
    assert len(commands) == 1
    back = [row for row in rows.values() if row[2] in commands]
    assert {row[:2] for row in back} >= {("broker", "mqtt.publish"), ("broker", "mqtt.puback")}


# -- beside free-running nodes, and over other networks


class Clockwork:
    """Free-running: says a number each millisecond, and what it is told."""

    def __init__(self, name: str, life: int, born: int) -> None:
        self.now = born
        self.number = 0

    def advance(self, until: int, inputs: Any) -> Done:
        outputs, measures = [], []
        for message in inputs:
            measures.append(Measure(message.at, "told", message.payload))
        while self.now < until:
            if self.now % MS == 0:
                self.number += 1
                outputs.append(Output(self.now, "modem", "tick", f"{self.number}", 8, None, 0, 0))
            self.now += 250_000
        return Done(outputs, measures)


def display(node: Any) -> Any:
    """Notes each tick, and orders something every twenty."""
    mqtt.subscribe(node, "ticks", 1)
    while True:
        message = yield node.receive("mqtt.message")
        number = message.payload["payload"]
        node.record("seen", number)
        if number % 20 == 0:
            mqtt.publish(node, "orders", number, 1, cause=message)


def test_free_running_nodes_take_part_through_a_modem() -> None:
    nodes = {
        "machine": Taking("free_running", Clockwork, grain=250_000),
        "modem": {
            "does": MqttGateway,
            "config": {
                "publish": [{"from": "machine", "topic": "ticks", "qos": 1}],
                "subscribe": [{"filter": "orders", "to": "machine", "kind": "order"}],
            },
        },
        "display": display,
    }
    links = [
        both("machine", "modem", "2ms"),
        both("modem", "broker", "5ms", loss=0.05),
        both("display", "broker", "1ms"),
    ]
    clients: dict[str, Any] = {"modem": {}, "display": {}}
    runs = [
        run(nodes, clients, links=links, lasts="1s", window=window)
        for window in ("500us", "2ms", None)
    ]
    seen, said = runs[0].measured("seen"), runs[0].measured("told")
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 200
    assert said == list(range(20, 20 * len(said) + 1, 20))
    assert len(said) > 5
    assert len({told.digest for told in runs}) == 1  # whatever the windows are


AIR = '''
"""Every message takes 2 ms and then 1 us for each byte, one after the other; each tenth is lost."""
import heapq
from simcore.protocol.peer import Peer

with Peer.connect() as peer:
    inside, busy, count = [], 0, 0
    peer.ready("network")
    for advance in peer.advances():
        for message in advance.inputs:
            count += 1
            busy = max(busy, message.at) + message.size * 1000
            fate = "loss" if count % 10 == 0 else "delivered"
            heapq.heappush(inside, (busy + 2_000_000, count, message.id, fate))
        clock = None
        while inside and inside[0][0] < advance.until and clock in (None, inside[0][0]):
            at, _, id, fate = heapq.heappop(inside)
            if fate == "delivered":
                clock = at
                peer.settle(id, at)
            else:
                peer.settle(id, at, fate)
        peer.done(next=inside[0][0] if inside else None)
'''


def test_a_program_may_be_the_network(tmp_path: Path) -> None:
    (tmp_path / "air.py").write_text(AIR, encoding="utf-8")
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    text = f"""
simcore: 1
duration: 10s
nodes:
  sensor: {{count: 3, model: code.py:sensor}}
  gateway: {{service: code.py:Gateway}}
  broker: {{service: mqtt_broker}}
  display: {{}}
network: {{model: process, command: [{sys.executable}, air.py]}}
mqtt:
  broker: broker
  clients:
    sensor: {{subscribe: [{{filter: "plant/{{node}}/answer", qos: 2}}]}}
    gateway: {{}}
"""
    digests = [
        Federation(loads(text, base=tmp_path), out=tmp_path / f"run-{i}").run() for i in (1, 2)
    ]
    assert digests[0] == digests[1]
    with open_run(tmp_path / "run-1") as opened:
        query = "SELECT kind, fate, count(*) FROM messages GROUP BY kind, fate"
        counts = {(kind, fate): n for kind, fate, n in opened.connection.execute(query)}
    assert counts["mqtt.publish", "delivered"] > 100
    assert counts["mqtt.publish", "loss"] > 5
    assert counts["shown", "delivered"] > 50


PROGRAM = '''
"""Hosts several nodes: each publishes when it is told to, and tells what comes back."""
from simcore.protocol.peer import Peer

with Peer.connect() as peer:
    peer.ready("reactive", 1_000_000_000)
    for advance in peer.advances():
        outputs = []
        def send(node, kind, payload, cause=None):
            message = {"at": advance.until, "src": node, "dst": "broker", "kind": kind,
                       "payload": payload}
            outputs.append(message if cause is None else {**message, "cause": cause})
        if advance.until == 1_000_000_000:
            for node in peer.nodes:
                send(node, "mqtt.subscribe", {"filter": f"to/{node}", "qos": 1})
                send(node, "mqtt.publish", {"topic": "from", "payload": node, "qos": 2})
        for message in advance.inputs:
            if message.kind == "mqtt.message":
                send(message.destination, "mqtt.publish",
                     {"topic": "done", "payload": message.payload["payload"]}, message.id)
        peer.done(outputs, [])
'''


def test_one_process_may_host_several_clients(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "code.py").write_text(
        """
from simcore_backends import mqtt

def gateway(node):
    while True:
        message = yield node.receive()
        found = message.payload
        node.record("got", f"{found['topic']} {found['payload']}")
        if found["topic"] == "from":
            mqtt.publish(node, f"to/{found['payload']}", found["payload"], 1, cause=message)
""",
        encoding="utf-8",
    )
    text = f"""
simcore: 1
duration: 60s
nodes:
  meter: {{count: 3, implementation: process, command: [{sys.executable}, program.py], hosts: group}}
  gateway: {{model: code.py:gateway}}
  broker: {{service: mqtt_broker}}
network:
  model: latency
  links:
    - {{between: [meter, broker], delay: 10ms, loss: 20%}}
    - {{between: [gateway, broker], delay: 2ms}}
mqtt:
  broker: broker
  clients:
    meter: {{}}
    gateway: {{subscribe: [{{filter: from, qos: 2}}, {{filter: done}}]}}
"""
    Federation(loads(text, base=tmp_path), out=tmp_path / "run").run()
    with open_run(tmp_path / "run") as opened:
        query = "SELECT value FROM measurements WHERE name = 'got'"
        got = sorted(value for (value,) in opened.connection.execute(query))
        query = "SELECT count(*) FROM messages WHERE source = 'meter-1' AND cause LIKE 'broker/%'"
        [(caused,)] = opened.connection.execute(query)
    assert got == sorted(f"{what} meter-{i}" for what in ("from", "done") for i in range(3))
    assert caused > 3
