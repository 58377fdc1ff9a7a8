"""Services with MQTT of their own leave the simulation: a placement's dispatcher, and its gateway.

simulated:  meter --> gateway <--> broker <--> dispatcher <--> edge, cloud
deployed:   one of them in its container, with a real Mosquitto; a paho client plays all others
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from brokers import Device, Mosquitto
from deployed import life_of
from deploying import NODE, deployed, forget_images
from docker import DockerClient
from support import ROOT

import simcore

SCENARIOS = ROOT / "scenarios"


@pytest.fixture(autouse=True)
def no_images_left(engine: DockerClient) -> Iterator[None]:
    yield
    forget_images(engine)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the placement with models in Python; dispatcher and gateway are the same services."""
    folder = tmp_path_factory.mktemp("light") / "run"
    scenario = simcore.load(SCENARIOS / "placement_light.yaml", until="6s", overrides=["expect=[]"])
    simcore.run_scenario(scenario, out=folder)
    return folder


def renamed(folder: Path, name: str) -> Path:
    """scenarios/placement.yaml, with another name for a node."""
    for each in SCENARIOS.iterdir():
        (folder / each.name).symlink_to(each)
    text = re.sub("#.*", "", (SCENARIOS / "placement.yaml").read_text(encoding="utf-8"))
    text = re.sub(rf"\b{name}\b", NODE, text).replace(f"{NODE}: {NODE}", f"{name}: {NODE}")
    file = folder / "renamed.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.usefixtures("provisions")
@pytest.mark.parametrize("name", ["dispatcher", "gateway"])
def test_what_it_says_is_what_it_said_in_the_simulation(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path, run: Path, name: str
) -> None:
    life = life_of(run, name, NODE)
    assert len(life.said) > 100
    folder = tmp_path / "scenario"
    folder.mkdir()
    scenario = renamed(folder, name)
    status = f"simcore/{NODE}/status"
    with (
        Device(broker.port, status, *{each.topic for each in life.said}) as device,
        deployed(engine, scenario, broker) as container,
    ):
        device.hears(status, b"online")
        for message in life.heard:
            device.say(message.topic, message.payload, retain=message.retain)
        device.until(lambda: len(device.heard) >= len(life.said))
        # What MQTT keeps is the order of each topic.
        assert by_topic(device.heard) == by_topic(each[:2] for each in life.said)
        log = container.logs().decode()
        assert "ERROR" not in log and "WARNING" not in log, log


def by_topic(messages: Iterable[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for topic, payload in messages:
        found.setdefault(topic, []).append(payload)
    return found
