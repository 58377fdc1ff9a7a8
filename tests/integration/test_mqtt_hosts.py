"""MQTT wherever nodes live: the same digest in slices, in processes, from one run to the next.

sensor (x 5) ---- broker ---- gateway ---- display
                    |
                  meter (firmware)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from firmware_builds import FIRMWARE, make
from mqtt_worlds import S, listener, run, texts
from simcore_backends import mqtt

from simcore import Federation, open_run
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
