"""Placement with its dispatcher in a container: the digest of the same in simcore's own process.

meter (x 3) ---- gateway ---- edge
                    |
                    +-------- cloud
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import contained, digest_of, run
from placement_world import OVER_MQTT, SCENARIO, write
from support import Project

pytestmark = pytest.mark.usefixtures("provisions")

LOSS = ("--set", "network.links.0.loss=10%")
OWN = ("--set", "placement.policy=my_policy.py:Mine", "--set", "placement.config={every: 3}")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with contained(tmp_path) as made:
        write(tmp_path)
        made.write("scenario.yaml", SCENARIO)
        yield made


def digests(project: Project, node: str, *options: str) -> list[str]:
    """Of a run with the dispatcher in each of its forms."""
    found = []
    for implementation in ("python_model", "process", "docker"):
        run(project, *options, "--set", f"nodes.{node}.implementation={implementation}")
        found.append(digest_of(project))
    return found


def test_the_dispatcher_in_a_container(project: Project) -> None:
    inside, process, contained_ = digests(project, "gateway", *LOSS)
    assert inside == process == contained_


def test_a_policy_of_ones_own_in_a_container(project: Project) -> None:
    inside, process, contained_ = digests(project, "gateway", *OWN)
    assert inside == process == contained_
    files = "nodes.gateway.files=[my_policy.py]"
    docker = ("--set", "nodes.gateway.implementation=docker")
    run(project, *OWN, *docker, "--set", files)
    assert digest_of(project) == inside
    ended = project.simcore("scenario.yaml", *OWN, *docker, "--set", files.replace("my_", "no_"))
    assert ended.code == 2 and "there is no such file: 'no_policy.py'" in ended.err


def test_a_nonsense_decision_in_a_container_is_one_clear_error(project: Project) -> None:
    wrong = ("--set", "placement.policy=my_policy.py:Wrong", "--set", "placement.config={every: 3}")
    docker = ("--set", "nodes.gateway.implementation=docker")
    ended = project.simcore("scenario.yaml", "--out", "run", *wrong, *docker)
    assert ended.code == 3
    assert ended.err.count("the policy my_policy.py:Wrong decided for 'moon': a place is") == 1
    assert "(image 1 of meter-" in ended.err


def test_the_dispatcher_over_mqtt_in_a_container(project: Project) -> None:
    project.write("scenario.yaml", OVER_MQTT)
    inside, process, contained_ = digests(project, "dispatcher", *LOSS)
    assert inside == process == contained_
