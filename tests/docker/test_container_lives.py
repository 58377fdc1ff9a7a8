"""Lives of containers: crashes and restarts, and what removes those that nobody else can."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from contained import contained, digest_of, log_of, run
from docker import DockerClient
from docker.errors import NotFound
from engine import running
from simcore_backends.docker.sweep import labels
from support import Project

from simcore import open_run
from simcore.guard import Owner

SERVICES = """
class Counts:
    def start(self, ctx):
        self.count = 0
        print("a life begins", flush=True)

    def on_message(self, ctx, msg):
        self.count += 1
        ctx.reply(msg, "answer", {"count": self.count})
"""

SCENARIO = """
simcore: 1
duration: 60ms
nodes:
  client: {count: 2, model: models.py:client}
  service: {implementation: python_model, service: services.py:Counts}
network: {model: latency, links: [{between: [client, service], delay: 1ms}]}
faults:
  - {at: 20ms, for: 5ms, node: service, crash: true}
  - {at: 40ms, for: 1ms, node: service, crash: true}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.write("services.py", SERVICES)
        made.write("scenario.yaml", SCENARIO)
        yield made


def in_docker(image: str, *keys: str) -> list[str]:
    return [
        f"--set=nodes.service.{key}" for key in ("implementation=docker", f"image={image}", *keys)
    ]


@pytest.mark.parametrize("transport", ["unix", "stdio"])
def test_each_life_has_a_container_of_its_own(
    project: Project, base_image: str, transport: str
) -> None:
    run(project)
    wanted = digest_of(project)
    run(project, *in_docker(base_image, f"transport={transport}"))
    assert digest_of(project) == wanted
    assert log_of(project, "service") == "a life begins\n" * 3
    with open_run(project.path / "run") as opened:
        lives = opened.participants().to_dict("records")
    assert [each["life"] for each in lives] == [1, 2, 3]
    assert [each["exit"] for each in lives] == [
        "was removed by simcore", "was removed by simcore", "exited with code 0",
    ]  # fmt: skip


# -- What no guard could remove


@contextmanager
def left_behind(engine: DockerClient, image: str, run: str) -> Iterator[Any]:
    """A container and its volume, as a run makes them."""
    marks = labels(run, "gateway")
    mount = {"Type": "volume", "Target": "/scenario", "VolumeOptions": {"Labels": marks}}
    made = engine.api.create_container_from_config(
        {
            "Image": image,
            "Cmd": ["sleep", "3600"],
            "Labels": marks,
            "HostConfig": {"NetworkMode": "none", "Mounts": [mount]},
        }
    )
    container = engine.containers.get(made["Id"])
    try:
        container.start()
        yield container
    finally:
        with suppress(NotFound):
            container.remove(force=True, v=True)


class Other:
    """A simcore that lives until it is ended: what it made is nobody else's until then."""

    def __init__(self) -> None:
        program = "from simcore.guard import Owner; print(Owner.new().run, flush=True); input()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.run = self._process.stdout.readline().strip()

    def end(self) -> None:
        if self._process.returncode is None:
            self._process.communicate("\n")


@pytest.fixture
def other() -> Iterator[Other]:
    made = Other()
    yield made
    made.end()


def is_there(engine: DockerClient, container: Any) -> bool:
    try:
        engine.containers.get(container.id)
    except NotFound:
        return False
    return True


def volumes_of(engine: DockerClient, run: str) -> list[Any]:
    found: list[Any] = engine.volumes.list(filters={"label": f"simcore.run={run}"})
    return found


def test_the_next_start_removes_what_dead_runs_left(
    project: Project, engine: DockerClient, base_image: str, other: Other
) -> None:
    """Paused or not; and not what belongs to a run that lives, or to somebody else."""
    with (
        left_behind(engine, base_image, other.run) as dead,
        left_behind(engine, base_image, other.run) as paused,
        left_behind(engine, base_image, Owner.new().run) as alive,
        running(engine, base_image, ["sleep", "3600"], network_mode="none") as unknown,
    ):
        paused.pause()
        assert len(volumes_of(engine, other.run)) == 2
        run(project, *in_docker(base_image))
        assert is_there(engine, dead) and is_there(engine, paused), "its run is not over yet"
        other.end()
        run(project, *in_docker(base_image))
        assert not is_there(engine, dead) and not is_there(engine, paused)
        assert is_there(engine, alive) and is_there(engine, unknown)
        assert volumes_of(engine, other.run) == []


def test_a_volume_whose_container_somebody_removed(
    project: Project, engine: DockerClient, base_image: str, other: Other
) -> None:
    with left_behind(engine, base_image, other.run) as container:
        container.remove(force=True)
        assert len(volumes_of(engine, other.run)) == 1
        other.end()
        run(project, *in_docker(base_image))
        assert volumes_of(engine, other.run) == []


def test_clean(project: Project, engine: DockerClient, base_image: str) -> None:
    """A run that another test starts at this moment may come first; then once more, often enough
    for a busy machine, where such moments are long."""
    for _ in range(50):
        other = Other()
        with left_behind(engine, base_image, other.run) as dead:
            line = f"container {dead.name} of run {other.run}"
            assert line not in project.simcore("clean", "--dry-run").out
            other.end()
            tried = project.simcore("clean", "--dry-run")
            was_there = is_there(engine, dead)
            ended = project.simcore("clean")
            assert (tried.code, ended.code) == (0, 0)
            assert not is_there(engine, dead) and volumes_of(engine, other.run) == []
            if line in ended.out:
                assert line in tried.out and was_there
                return
    pytest.fail(f"never removed by clean: {ended.out}")


def test_clean_without_an_engine(project: Project, tmp_path: Path) -> None:
    project.environment["DOCKER_HOST"] = f"unix://{tmp_path}/none.sock"
    ended = project.simcore("clean")
    assert ended.code == 0 and ended.err == ""
    assert (
        f"the Docker Engine was not asked: no Docker Engine answers at unix://{tmp_path}"
        in ended.out
    )


def test_doctor(project: Project, engine: DockerClient, tmp_path: Path) -> None:
    version = engine.version()["Version"]
    assert f"Docker Engine {version} at " in project.simcore("doctor").out
    project.environment["DOCKER_HOST"] = f"unix://{tmp_path}/none.sock"
    assert (
        f"no Docker Engine answers at unix://{tmp_path}/none.sock" in project.simcore("doctor").out
    )


def test_labels_say_whose_a_container_is(
    project: Project, base_image: str, engine: DockerClient
) -> None:
    """Of a run that is under way."""
    project.write("models.py", (project.path / "models.py").read_text() + WAITS)
    options = [
        "--set=nodes.client.count=1",
        "--set=nodes.client.model=models.py:waits",
        *in_docker(base_image),
    ]
    with project.start("scenario.yaml", "--out", "run", *options) as started:
        started.until("reached")
        [container] = [
            each
            for each in engine.containers.list(
                filters={"label": "simcore.node=service"}, ignore_removed=True
            )
            if each.labels["simcore.run"].startswith(f"{started.process.pid}-")
        ]
        assert container.name.startswith("simcore-") and container.name.endswith("-service")
        assert json.loads(container.labels["simcore.owner"])["pid"] == started.process.pid
        assert container.attrs["Config"]["Healthcheck"] == {"Test": ["NONE"]}
        started.go()
        assert started.end().code == 0
    assert not is_there(engine, container)


WAITS = """

import os


def waits(node):
    yield node.sleep("1ms")
    with open(os.environ["READY"], "w") as ready:
        ready.write("reached")
    with open(os.environ["GO"]) as go:
        go.readline()
"""
