"""Deployed, a node says to what it hears in a run what it said in the run, byte for byte.

simulated:  device --> node <--> broker, edge, cloud
deployed:   the test says on the node's topics, and on its own, what the node was sent, and keeps
            what it says
"""

from __future__ import annotations

from pathlib import Path

import pytest
from deployed import Connection, Life, life_of
from placement_world import SCENARIO, write
from simcore_backends.docker.bundle import environment, of_scenario
from simcore_backends.services.deploy.__main__ import find_service
from simcore_backends.services.deploy.mqtt import Mqtt
from simcore_backends.services.deploy.node import Node, make_host
from simcore_backends.services.deploy.options import Options, read
from simcore_backends.services.deploy.topics import Topics
from support import ROOT

import simcore

LIGHT = ROOT / "scenarios" / "placement_light.yaml"
LASTS = "6s"


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light") / "run"
    simcore.run_scenario(simcore.load(LIGHT, until=LASTS, overrides=["expect=[]"]), out=folder)
    return folder


def options_of(scenario: Path, name: str) -> Options:
    """What `deploy_to_edge.sh` has the node be told."""
    told = environment(of_scenario(str(scenario), name))
    folders = {"SIMCORE_DEPLOY_BASE": str(scenario.parent), "SIMCORE_DEPLOY_BROKER": "edge"}
    return read([], told | folders)


def deployed(options: Options, life: Life) -> Connection:
    """Have the node live this life again."""
    connection, topics = Connection(), Topics(options.prefix, options.name)
    service = find_service(options.service, options.base)
    host = make_host(service, options.name, options.seed, 1, options.config, options.base)
    mqtt = Mqtt(options.mqtt, topics, connection)
    node = Node(host, topics, connection, mqtt, lambda: 0)
    node.start()
    for message in life.heard:
        node.receive(message.topic, message.payload, message.retain, message.qos or 0)
    return connection


def test_a_dispatcher_over_mqtt(light: Path) -> None:
    life = life_of(light, "dispatcher", "dispatcher")
    kinds = {topic.rpartition("/")[2] for topic, *_ in life.said}
    assert kinds == {"setup", "result", "infer"}
    assert {each.qos for each in life.said} == {0, None}
    again = deployed(options_of(LIGHT, "dispatcher"), life)
    assert again.said == life.said
    kinds = ["boot", "image", "reading", "shown"]
    assert again.filters == {f"meters/+/{kind}": 0 for kind in kinds}


def test_an_mqtt_gateway(light: Path) -> None:
    life = life_of(light, "gateway", "gateway")
    assert len([each for each in life.said if each.qos == 1]) > 50
    assert len([each for each in life.said if each.qos is None]) > 20
    again = deployed(options_of(LIGHT, "gateway"), life)
    assert again.said == life.said
    assert again.filters == {"meters/+/setup": 1, "meters/+/result": 1}


def test_a_dispatcher_without_mqtt(tmp_path: Path) -> None:
    scenario = write(tmp_path) / "direct.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    simcore.run_scenario(simcore.load(scenario, until=LASTS), out=tmp_path / "run")
    life = life_of(tmp_path / "run", "gateway", "gateway")
    assert {topic.rpartition("/")[2] for topic, *_ in life.said} == {"setup", "result", "infer"}
    again = deployed(options_of(scenario, "gateway"), life)
    assert again.said == life.said
    assert again.filters == {}


def test_a_policy_of_ones_own_goes_along(tmp_path: Path) -> None:
    scenario = write(tmp_path) / "mine.yaml"
    text = SCENARIO.replace(
        "policy: confidence", "policy: my_policy.py:Mine\n  config: {every: 3, rule: both}"
    )
    scenario.write_text(text, encoding="utf-8")
    simcore.run_scenario(simcore.load(scenario, until=LASTS), out=tmp_path / "run")
    life = life_of(tmp_path / "run", "gateway", "gateway")
    assert deployed(options_of(scenario, "gateway"), life).said == life.said
