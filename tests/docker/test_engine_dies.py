"""The Docker Engine ends while simcore uses it.

Its containers live on when it is killed, and so does a run that has begun; what they leave is
removed once an engine is there again, by the next run.
"""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from boxed import boxed
from docker import DockerClient
from engine import left, made_by_simcore
from engine_proxy import EngineProxy, Fault
from private_engine import PrivateEngine
from support import Project

from simcore import open_run


@pytest.fixture(scope="module")
def private(engine: DockerClient, base_image: str) -> Iterator[PrivateEngine]:
    with PrivateEngine(Path(tempfile.mkdtemp(prefix="e"))) as made:
        with closing(made.client()) as client:
            client.images.load(engine.images.get(base_image).save(named=True))
        yield made


@pytest.fixture
def project(tmp_path: Path, base_image: str, private: PrivateEngine) -> Iterator[Project]:
    tmp_path.chmod(0o755)  # nobody's program reads it
    with boxed(tmp_path, base_image) as made:
        made.environment["DOCKER_HOST"] = private.host
        yield made
    with closing(private.client()) as client:
        assert left(client) == []


def digest(out: str) -> list[str]:
    return re.findall(r"digest ([0-9a-f]+)", out)


def test_engine_is_killed_in_the_middle_of_a_run(project: Project, private: PrivateEngine) -> None:
    undisturbed = project.simcore("scenario.yaml")
    with project.start(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.config.waits_at=4"
    ) as run:
        run.until("reached")
        private.end(signal.SIGKILL)
        run.go()
        ended = run.end()
    private.start()
    assert ended.code == 0, ended.err
    assert digest(ended.out) == digest(undisturbed.out) != []
    assert "Warnings" in ended.out
    log = (project.path / "run" / "logs" / "simcore.log").read_text()
    for node in ("sink", "other"):
        assert re.search(
            rf" is left: .* docker rm -f simcore-\w+-\d+-{node} removes it$", log, re.M
        )
    assert "Traceback" not in ended.err
    with closing(private.client()) as client:
        assert len(made_by_simcore(client)) == 2
        assert project.simcore("scenario.yaml").code == 0
        assert made_by_simcore(client) == []


def test_engine_is_stopped_in_the_middle_of_a_run(project: Project, private: PrivateEngine) -> None:
    """It takes its containers with it."""
    with project.start(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.config.waits_at=4"
    ) as run:
        run.until("reached")
        private.end(signal.SIGTERM)
        run.go()
        ended = run.end()
    private.start()
    assert ended.code == 3
    assert "Traceback" not in ended.err
    assert re.search(r"^simcore: (sink|other) .*\(rule: process-ended\)$", ended.err, re.M), (
        ended.err
    )
    with open_run(project.path / "run") as opened:
        query = "SELECT count(*) FROM messages WHERE source = 'sink'"
        assert opened.connection.execute(query).fetchone() == (2,)
    assert project.simcore("scenario.yaml").code == 0


@pytest.mark.parametrize("request_", ["POST /containers/create", "POST /containers/[^/]+/start"])
def test_engine_is_killed_while_containers_start(
    project: Project, private: PrivateEngine, request_: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        fault = Fault(request_, "call", action=lambda: private.end(signal.SIGKILL))
        engine = private.host.removeprefix("unix://")
        with EngineProxy(Path(folder), [fault], engine) as proxy:
            project.environment["DOCKER_HOST"] = proxy.host
            ended = project.simcore("scenario.yaml", "--out", "run")
    project.environment["DOCKER_HOST"] = private.host
    private.start()
    assert ended.code == 3
    assert "the Docker Engine at unix://" in ended.err and " times: " in ended.err
    assert "Traceback" not in ended.err
    assert project.simcore("scenario.yaml").code == 0
