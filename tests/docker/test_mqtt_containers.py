"""MQTT with its services in containers: the digest of the same in simcore's own process.

sensor (x 2) ---- broker ---- gateway;   broker ---- modem ---- pump
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import contained, digest_of, run
from support import Project

from simcore import open_run

CODE = """
from simcore_backends import mqtt


def sensor(node):
    number = 0
    while True:
        yield node.sleep(round(node.random.expovariate(1 / 4e8)))
        mqtt.publish(node, f"level/{node.name}", number, number % 3)
        number += 1


class Gateway:
    def start(self, ctx):
        mqtt.subscribe(ctx, "level/+", 2)

    def on_message(self, ctx, msg):
        ctx.compute("3ms")
        mqtt.publish(ctx, "command/pump", msg.payload["payload"], 1)


def pump(node):
    while True:
        message = yield node.receive()
        node.record("told", message.payload)
"""

SCENARIO = """
simcore: 1
duration: 8s
nodes:
  sensor: {count: 2, model: code.py:sensor}
  gateway: {service: code.py:Gateway}
  modem:
    service: mqtt_gateway
    config: {subscribe: [{filter: command/+, to: "{1}", kind: command, qos: 1}]}
  pump: {model: code.py:pump}
  broker: {service: mqtt_broker}
network:
  model: latency
  links:
    - {between: [sensor, broker], delay: 10ms, loss: 10%}
    - {between: [gateway, broker], delay: 2ms}
    - {between: [modem, broker], delay: 20ms, loss: 10%}
    - {between: [pump, modem], delay: 1ms}
mqtt: {broker: broker, clients: {sensor: {}, gateway: {}, modem: {}}}
faults:
  - {at: 3s, for: 1s, node: broker, crash: true}
  - {at: 5s, for: 1s, node: gateway, crash: true}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.write("code.py", CODE)
        made.write("scenario.yaml", SCENARIO)
        yield made


@pytest.mark.usefixtures("provisions")
def test_services_and_broker_in_containers_of_their_own_images(project: Project) -> None:
    run(project)
    wanted = digest_of(project)
    with open_run(project.path / "run") as opened:
        [(told,)] = opened.connection.execute(
            "SELECT count(*) FROM measurements WHERE name = 'told'"
        )
    assert told > 10
    nodes = ("broker", "gateway", "modem")
    run(project, *(f"--set=nodes.{name}.implementation=docker" for name in nodes))
    assert digest_of(project) == wanted


def test_a_service_in_an_image_that_knows_nothing_of_it(project: Project, base_image: str) -> None:
    run(project)
    wanted = digest_of(project)
    keys = ("implementation=docker", f"image={base_image}")
    run(project, *(f"--set=nodes.gateway.{key}" for key in keys))
    assert digest_of(project) == wanted
