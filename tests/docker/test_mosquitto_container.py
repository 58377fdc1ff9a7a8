"""An unmodified Mosquitto in a container: the model's digest, and what is reported if it fails.

The file `tests/system/test_mosquitto_failures.py` is the same with one that is a process.
"""

from __future__ import annotations

import json
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fleet
import pytest
from boxed import container_of
from brokered import WAITS, Brokered, brokered
from docker import DockerClient
from mosquitto import program
from simcore_backends.mqtt.settings import DIALECTS, dialect_of
from support import PATIENCE, ROOT

from simcore import open_run

REAL = "implementation: mosquitto, run: container"
TIMEOUT = "--set=nodes.broker.timeout=10s"


@pytest.fixture
def project(mosquitto_image: str) -> Iterator[Brokered]:
    with brokered("container") as made:
        made.environment["SIMCORE_MOSQUITTO_IMAGE"] = mosquitto_image
        yield made


def modelled(project: Brokered, parts: Mapping[str, str], **keys: str) -> None:
    """Have the same scenario with a model of that Mosquitto."""
    like = dialect_of(parts["mosquitto of broker"])
    [name] = [name for name, each in DIALECTS.items() if each == like]
    model = ", ".join(["service: mqtt_broker", *(f"{key}: {keys[key]}" for key in keys)])
    text = (project.path / "scenario.yaml").read_text()
    text = text.replace(REAL, model).replace(
        "config: {}}\nnetwork", f"config: {{version: '{name}'}}}}\nnetwork"
    )
    assert model in text and name in text
    project.write("scenario.yaml", text)


# -- What it does


def test_digest_is_that_of_the_model(project: Brokered, provisions: Mapping[str, str]) -> None:
    real = project.run()
    parts = real["parts"]
    assert parts["image of broker"].startswith("sha256:")
    assert parts["docker"]
    with open_run(project.path / "run") as run:
        query = "SELECT kind, implementation, command FROM participant WHERE name = 'broker'"
        [(kind, implementation, command)] = run.connection.execute(query).fetchall()
    image = project.environment["SIMCORE_MOSQUITTO_IMAGE"]
    assert (kind, implementation) == ("reactive", "mosquitto")
    assert command == f'["{image}", "mosquitto", "-c", "mosquitto.conf"]'
    log = (project.path / "run" / "logs" / "broker.log").read_text()
    assert f"mosquitto version {parts['mosquitto of broker']} starting" in log
    assert project.heard() > 3 * 90
    modelled(project, parts)
    assert project.run(out="model")["digest"] == real["digest"]
    for where in ("process", "docker"):
        option = f"--set=nodes.broker.implementation={where}"
        assert project.run(option, out=where)["digest"] == real["digest"]


CRASH = "--set=faults=[{at: 300ms, for: 200ms, node: broker, crash: true}]"


def test_crash_and_restart_is_that_of_the_model(project: Brokered) -> None:
    real = project.run(CRASH)
    modelled(project, real["parts"])
    assert project.run(CRASH, out="model")["digest"] == real["digest"]
    with open_run(project.path / "run") as run:
        query = "SELECT life, exit FROM participant WHERE name = 'broker' ORDER BY life"
        lives = run.connection.execute(query).fetchall()
    assert lives == [(1, "was removed by simcore"), (2, "was removed by simcore")]


@pytest.mark.slow
def test_twenty_runs_of_the_example(project: Brokered) -> None:
    """In containers and as processes: all have the digest of scenarios/mqtt_python.yaml."""

    def digest(name: str, *options: str) -> str:
        shutil.rmtree(project.path / "run", ignore_errors=True)
        scenario = ROOT / "scenarios" / f"{name}.yaml"
        ended = project.simcore(scenario, "--out", "run", *options)
        assert ended.code == 0, ended.err  # so all expectations hold, too
        return str(json.loads((project.path / "run" / "manifest.json").read_bytes())["digest"])

    wanted = digest("mqtt_python")
    where = ["--set=nodes.broker.run=container", "--set=nodes.broker.run=process"]
    assert {digest("mqtt_docker", where[number % 2]) for number in range(20)} == {wanted}


def test_examples_differ_in_the_broker_alone() -> None:
    python, docker = ((ROOT / "scenarios" / f"mqtt_{name}.yaml").read_text().splitlines()
                      for name in ("python", "docker"))  # fmt: skip
    differing = [pair for pair in zip(python, docker, strict=True) if pair[0] != pair[1]]
    assert differing == [
        (
            "# Run it:               python -m simcore scenarios/mqtt_python.yaml",
            "# Run it:               python -m simcore scenarios/mqtt_docker.yaml",
        ),
        (
            "  broker: {tier: edge, service: mqtt_broker}",
            "  broker: {tier: edge, implementation: mosquitto}",
        ),
    ]


@pytest.mark.parametrize("broker", [REAL, "service: mqtt_broker, implementation: docker"])
def test_a_hundred_clients(project: Brokered, provisions: Mapping[str, str], broker: str) -> None:
    parts = project.run("--until=20ms", out="first")["parts"]
    like = dialect_of(parts["mosquitto of broker"])
    [version] = [name for name, each in DIALECTS.items() if each == like]
    digests = []
    for keys in (broker, "service: mqtt_broker"):
        fleet.write(project.path, keys, version, "2s")
        shutil.rmtree(project.path / "run", ignore_errors=True)
        ended = project.simcore("fleet.yaml", "--out", "run")
        assert ended.code == 0, ended.err
        manifest = json.loads((project.path / "run" / "manifest.json").read_bytes())
        digests.append(manifest["digest"])
    assert digests[0] == digests[1]


def test_it_may_do_little(project: Brokered, engine: DockerClient) -> None:
    with project.start("scenario.yaml", WAITS) as run:
        run.until("reached")
        container = container_of(engine, "broker", run.process.pid)
        found = engine.api.inspect_container(container.id)
        host = found["HostConfig"]
        [door] = project.ward.temporary.rglob("mqtt.sock")
        deadline = time.monotonic() + PATIENCE
        # Root, who is no stranger to any socket, may have come before it was opened to others.
        while mode(door) != 0o777 and time.monotonic() < deadline:
            pass
        modes = mode(door), mode(door.parents[1])
        run.go()
        assert run.end().code == 0
    assert found["Config"]["User"] == "65534:65534"
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    [mount] = found["Mounts"]
    assert mount["Destination"] == "/broker"
    # Whoever may come by the private directory may connect: simcore's user is another one.
    assert modes == (0o777, 0o700)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_auto_takes_a_container_or_else_a_process(project: Brokered) -> None:
    options = ["--set=nodes.broker.run=auto", "--until=20ms"]
    image = project.environment["SIMCORE_MOSQUITTO_IMAGE"]
    ended = project.simcore("scenario.yaml", *options)
    assert ended.code == 0, ended.err
    assert f"broker: Mosquitto of the image {image}, in a container" in ended.err

    own = program()
    project.environment["DOCKER_HOST"] = "unix:///nowhere"
    ended = project.simcore("scenario.yaml", *options)
    assert ended.code == 0, ended.err
    assert "broker: no container for Mosquitto: no Docker Engine answers at unix:" in ended.err
    assert f", {own}\n" in ended.err


# -- What is done to it

KILLS: Mapping[str, Callable[[Any], object]] = {
    "killed": lambda container: container.kill(),
    "removed": lambda container: container.remove(force=True),
}


@pytest.mark.parametrize("how", KILLS)
def test_gone(project: Brokered, engine: DockerClient, how: str) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        KILLS[how](container_of(engine, "broker", run.process.pid))
        run.go()
        report = project.failed(run.end())
    assert report.rule == "process-ended"
    assert report.first.startswith(
        ("broker exited with code 137 (SIGKILL) before it answered", "broker was removed before")
    )
    assert project.heard() == 3 * 29


def test_paused(project: Brokered, engine: DockerClient) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS, TIMEOUT) as run:
        run.until("reached")
        container = container_of(engine, "broker", run.process.pid)
        container.pause()
        run.go()
        report = project.failed(run.end())
    assert report.rule == "deadline"
    assert report.first.startswith("broker did not answer within 10 s")
    assert report.process.startswith(f"is paused (docker unpause {container.name} would")
    assert project.heard() == 3 * 29


def test_paused_for_a_while(project: Brokered, engine: DockerClient) -> None:
    """Virtual time waits for it."""
    undisturbed = project.run(out="first")["digest"]
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        container = container_of(engine, "broker", run.process.pid)
        container.pause()
        run.go()
        container.unpause()
        ended = run.end()
    assert ended.code == 0, ended.err
    with open_run(project.path / "run") as opened:
        assert opened.manifest["digest"] == undisturbed


def test_user_who_ends_a_run_whose_broker_is_paused(
    project: Brokered, engine: DockerClient
) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        container_of(engine, "broker", run.process.pid).pause()
        run.go()
        run.send(signal.SIGINT)
        ended = run.end()
    assert ended.code == 130, ended.err
    assert project.heard() == 3 * 29


def test_simcore_is_killed(project: Brokered, engine: DockerClient) -> None:
    with project.start("scenario.yaml", "--out", "run", WAITS) as run:
        run.until("reached")
        container_of(engine, "broker", run.process.pid)
        run.send(signal.SIGKILL)
        run.process.communicate()
        assert project.ward.left() == []  # and no container, which is looked for after each test


# -- Images that do not do


def test_image_without_mosquitto(project: Brokered, base_image: str) -> None:
    option = f"--set=nodes.broker.image={base_image}"
    report = project.failed(project.simcore("scenario.yaml", "--out", "run", option))
    assert report.rule == "process-ended"
    assert report.first.startswith("broker exited with code 127 (the image has no such program)")
    assert "mosquitto: not found" in report.text
    assert "advice: it has to be Mosquitto 2.0 or newer; an image has to have" in report.text


def test_image_that_is_nowhere(project: Brokered) -> None:
    ended = project.simcore(
        "scenario.yaml", "--out", "run", "--set=nodes.broker.image=localhost:9/none"
    )
    assert ended.code != 0
    assert "the image localhost:9/none is not on the Docker Engine" in ended.err
