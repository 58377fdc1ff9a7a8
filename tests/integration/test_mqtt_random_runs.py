"""Whole runs of random troubles, with the model and with a real Mosquitto: the same, causes included.

    sensor (x 3) ---- broker ---- keeper (x 3)

All of them publish, subscribe, leave and come back at random; links lose and go down, clients and
the broker crash. Keepers have persistent sessions; in some runs they share one client id.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import mosquitto
import pytest
from simcore_backends.mqtt.settings import DIALECTS

from simcore import Federation, open_run
from simcore.scenario import loads

CODE = """
from simcore_backends import mqtt

FILTERS = ["t/+", "t/1", "#", "status/+", "+/2"]


def client(node):
    node.process(listen(node))
    draw = node.random
    while True:
        yield node.sleep(round(draw.expovariate(1 / 3e8)))
        what = draw.random()
        if what < 0.75:
            topic = f"t/{draw.randrange(3)}"
            retain = draw.random() < 0.2
            mqtt.publish(node, topic, draw.randrange(4), draw.randrange(3), retain=retain)
        elif what < 0.85:
            mqtt.subscribe(node, draw.choice(FILTERS), draw.randrange(3))
        elif what < 0.95:
            mqtt.unsubscribe(node, draw.choice(FILTERS))
        elif what < 0.97:
            mqtt.disconnect(node)
        else:
            mqtt.connect(node)


def listen(node):
    while True:
        message = yield node.receive()
        node.record("got", f"{message.kind} {message.payload}")
"""

MODEL = {"service": "mqtt_broker"}


def faults(rng: Random) -> list[dict[str, Any]]:
    """Blackouts and crashes."""
    found: list[dict[str, Any]] = []
    for name in ("sensor-0", "sensor-1", "keeper-0"):
        if rng.random() < 0.5:
            found.append({"link": [name, "broker"], "down": True})
    for name in ("sensor-2", "keeper-1", "broker"):
        if rng.random() < 0.5:
            found.append({"node": name, "crash": True})
    for each in found:
        each["at"] = f"{rng.randrange(3000, 25_000)}ms"
        each["for"] = f"{rng.choice([300, 2000, 9000])}ms"
    return found


def scenario(seed: int, broker: dict[str, Any]) -> str:
    rng = Random(seed)
    delay = {"min": "5ms", "exponential": f"{rng.choice([1, 30])}ms"}
    will = {"topic": "status/{node}", "payload": "gone", "qos": 1, "retain": True}
    return json.dumps(
        {
            "simcore": 1,
            "duration": "30s",
            "seed": seed,
            "nodes": {
                "sensor": {"count": 3, "model": "code.py:client"},
                "keeper": {"count": 3, "model": "code.py:client"},
                "broker": broker,
            },
            "network": {
                "model": "latency",
                "links": [
                    {"between": ["sensor", "broker"], "delay": delay, "loss": rng.choice([0, 0.3])},
                    {"between": ["keeper", "broker"], "delay": "3ms", "loss": rng.choice([0, 0.1])},
                ],
            },
            "mqtt": {
                "broker": "broker",
                "clients": {
                    "sensor": {"keepalive": "3s", "events": True, "will": will},
                    "keeper": {
                        "clean": False,
                        "keepalive": "5s",
                        "client_id": "same" if seed % 2 else "keeper of {node}",
                        "will": {"topic": "t/1", "payload": 1, "qos": 2},
                        "subscribe": [{"filter": "t/#", "qos": 2}],
                    },
                },
            },
            "faults": faults(rng),
        }
    )


@pytest.mark.parametrize("seed", range(6))
def test_model_and_mosquitto_are_one(seed: int, tmp_path: Path) -> None:
    [version] = [name for name, like in DIALECTS.items() if like == mosquitto.dialect()]
    real = {"implementation": "mosquitto", "run": "process", "program": mosquitto.program()}
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    digests, messages = [], []
    for name, broker in (("model", {**MODEL, "config": {"version": version}}), ("real", real)):
        loaded = loads(scenario(seed, broker), base=tmp_path)
        digests.append(Federation(loaded, out=tmp_path / name).run())
        with open_run(tmp_path / name) as run:
            query = "SELECT id, kind, sent, cause FROM messages ORDER BY sent, id"
            messages.append(run.connection.execute(query).fetchall())
    assert messages[0] == messages[1]
    assert digests[0] == digests[1]
    kinds = Counter(row[1] for row in messages[0])
    assert len(messages[0]) > 2000
    for kind in ("publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe", "unsuback"):
        assert kinds[f"mqtt.{kind}"] > 10, kind
