"""A project with a real Mosquitto, in which much can go wrong.

sensor (x 3) ---- broker ---- gateway        the sensors publish, the gateway answers
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guarded import Ward
from reports import Report, report_of
from support import Ended, Project

from simcore import open_run

MODELS = """
import os

from simcore_backends import mqtt


def sensor(node):
    number = 0
    while True:
        yield node.sleep("10ms")
        number += 1
        if number == node.config.get("waits_at") and node.index == 0:
            with open(os.environ["READY"], "w") as ready:
                ready.write("reached")
            with open(os.environ["GO"]) as go:
                go.readline()
        if number <= node.config.get("last", 100):
            mqtt.publish(node, f"plant/{node.name}/reading", number, number % 3)


def gateway(node):
    while True:
        message = yield node.receive(kind="mqtt.message")
        found = message.payload
        node.record("heard", f"{found['topic']} {found['payload']} {found['qos']}")
        mqtt.publish(node, "plant/answer", found["payload"], 1, cause=message)
"""

SCENARIO = """\
simcore: 1
name: brokered
duration: 1s
nodes:
  sensor: {{count: 3, model: models.py:sensor, config: {{}}}}
  gateway: {{model: models.py:gateway}}
  broker: {{implementation: mosquitto, run: {run}, config: {{}}}}
network:
  model: latency
  links:
    - {{between: [sensor, broker], delay: 2ms}}
    - {{between: [gateway, broker], delay: 1ms}}
mqtt:
  broker: broker
  clients:
    sensor: {{reconnect: {{min: 10ms}}, subscribe: [{{filter: plant/answer, qos: 1}}]}}
    gateway: {{reconnect: {{min: 10ms}}, subscribe: [{{filter: plant/+/reading, qos: 2}}]}}
"""
WAITS = "--set=nodes.sensor.config.waits_at=30"
"""At 300 ms, the run waits for the test."""


class Brokered(Project):
    """The project, and what watches over all that it starts."""

    def __init__(self, path: Path, ward: Ward, run: str) -> None:
        super().__init__(path, {**ward.environment, "PYTHONDONTWRITEBYTECODE": "1"})
        self.ward = ward
        self.write("models.py", MODELS)
        self.write("scenario.yaml", SCENARIO.format(run=run))

    def failed(self, ended: Ended) -> Report:
        """The report of a run that the broker has failed; what came before is kept."""
        assert ended.code == 3, ended.err
        assert "Traceback (most recent call last):" not in ended.err
        return report_of(self, ended, "broker")

    def run(self, *options: object, out: str = "run") -> dict[str, Any]:
        """The manifest of a run that succeeds."""
        ended = self.simcore("scenario.yaml", "--out", out, *options)
        assert ended.code == 0, ended.err
        with open_run(self.path / out) as run:
            return dict(run.manifest)

    def heard(self, out: str = "run") -> int:
        """How many messages the gateway has got."""
        with open_run(self.path / out) as run:
            query = "SELECT count(*) FROM measurements WHERE name = 'heard'"
            (found,) = run.connection.execute(query).fetchone()
        return int(found)


@contextmanager
def brokered(run: str) -> Iterator[Brokered]:
    """The project, in a folder whose name is short, as sockets need it; nothing may be left."""
    with tempfile.TemporaryDirectory(prefix="b") as folder:
        path = Path(folder) / "project"
        path.mkdir()
        Path(folder).chmod(0o755)  # nobody's program comes by here
        ward = Ward(Path(folder))
        try:
            yield Brokered(path, ward, run)
            assert ward.left() == []
        finally:
            ward.end()
