"""No container outlives simcore, at whatever moment that is killed, paused containers included.

    simcore --- proxy, which counts requests --- Docker Engine
       |                                            |
       +-- guard, which removes what is left        +-- sink, other

A moment is a step of simcore's: a request to the engine that is heard or not, answered or not, or
an exchange with the containers. So the same moments come in each run of the tests.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from boxed import boxed, container_of
from docker import DockerClient
from engine import left, made_by_simcore
from engine_proxy import EngineProxy, Fault, Kind
from guarded import Ward
from support import PATIENCE, Project

from simcore import open_run
from simcore.results.store import DATABASE

EXCHANGES = 100
"""Milliseconds of a run, with one exchange each."""


class Killing:
    """Kills one run after the other.

    Args:
        project: with the scenario.
        engine: where its containers are.
        ward: watches over all processes and files.
        seed: of moments.

    Attributes:
        counts: kills of each kind; containers that were there at that moment; databases read.
    """

    def __init__(self, project: Project, engine: DockerClient, ward: Ward, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._project = project
        self._engine = engine
        self._ward = ward
        self._random = random.Random(seed)
        self._requests = self._undisturbed()

    def _undisturbed(self) -> int:
        """How many requests a whole run has."""
        with tempfile.TemporaryDirectory(prefix="p") as folder, EngineProxy(Path(folder)) as proxy:
            self._project.environment["DOCKER_HOST"] = proxy.host
            ended = self._project.simcore("scenario.yaml", "--out", "whole")
        assert ended.code == 0, ended.err
        assert left(self._engine) == []
        return len(proxy.requests)

    def at_requests(self, count: int) -> None:
        """Kill simcore at so many requests, before or after the engine has heard of them.

        One is drawn from each part of a run: a run has more or fewer requests, and is to be met
        as often while it has containers.
        """
        whens: tuple[Kind, ...] = ("call", "call after")
        steps = [(number, when) for number in range(self._requests) for when in whens]
        bounds = [len(steps) * part // count for part in range(count + 1)]
        drawn = [self._random.choice(steps[first:last]) for first, last in pairwise(bounds)]
        self._random.shuffle(steps)
        for number, when in [*drawn, *(step for step in steps if step not in drawn)]:
            if self.counts["at a request"] < count:
                self._at_a_request(number, when)

    def _at_a_request(self, number: int, when: Kind) -> None:
        victims: list[int] = []
        with tempfile.TemporaryDirectory(prefix="p") as folder:
            fault = Fault("", when, skip=number, action=lambda: self._kill(victims.pop()))
            with EngineProxy(Path(folder), [fault]) as proxy:
                self._project.environment["DOCKER_HOST"] = proxy.host
                with self._project.start("scenario.yaml", "--out", "run", "--quiet") as run:
                    victims.append(run.process.pid)
                    run.process.communicate(timeout=PATIENCE)
                    if len(proxy.requests) <= number:
                        # It looks more or less often how its containers do.
                        shutil.rmtree(self._project.path / "run")
                        return
                    self._check(run.process.returncode, f"{when} request {number}")
        self.counts["at a request"] += 1

    def at_an_exchange(self) -> None:
        """Kill simcore as it sends a message."""
        number = self._random.randint(1, EXCHANGES)
        option = f"--set=nodes.sensor.config.killed_at={number}"
        self._project.environment.pop("DOCKER_HOST", None)
        with self._project.start("scenario.yaml", "--out", "run", "--quiet", option) as run:
            run.process.communicate(timeout=PATIENCE)
            self._check(run.process.returncode, f"exchange {number}")
        self.counts["at an exchange"] += 1

    def with_paused_containers(self) -> None:
        """Pause one container or both, and kill simcore."""
        number = self._random.randint(1, EXCHANGES)
        nodes = self._random.choice((["sink"], ["other"], ["sink", "other"]))
        option = f"--set=nodes.sensor.config.waits_at={number}"
        self._project.environment.pop("DOCKER_HOST", None)
        with self._project.start("scenario.yaml", "--out", "run", "--quiet", option) as run:
            run.until("reached")
            for node in nodes:
                container_of(self._engine, node, run.process.pid).pause()
            self._kill(run.process.pid)
            run.process.communicate(timeout=PATIENCE)
            self._check(run.process.returncode, f"exchange {number}, {nodes} paused")
        self.counts["paused"] += 1

    def _kill(self, process: int) -> None:
        ours = [each for each in made_by_simcore(self._engine) if each.process == process]
        self.counts["containers"] += len(ours)
        os.kill(process, signal.SIGKILL)

    def _check(self, code: int, moment: str) -> None:
        """Nothing is left but results, which can be read."""
        assert code == -signal.SIGKILL, moment
        found = self._ward.left() + left(self._engine)
        assert found == [], f"{moment}: {found}"
        database = self._project.path / "run" / DATABASE
        if database.exists():
            with open_run(database.parent) as run:
                run.connection.execute("SELECT count(*) FROM message").fetchone()
            self.counts["databases"] += 1
            shutil.rmtree(database.parent)


@pytest.fixture
def killing(tmp_path: Path, base_image: str, engine: DockerClient) -> Iterator[Killing]:
    tmp_path.chmod(0o755)  # nobody's program reads it
    with boxed(tmp_path, base_image) as project, tempfile.TemporaryDirectory(prefix="k") as folder:
        ward = Ward(Path(folder))
        project.environment |= ward.environment
        text = (project.path / "scenario.yaml").read_text()
        project.write("scenario.yaml", text.replace("duration: 10ms", f"duration: {EXCHANGES}ms"))
        try:
            yield Killing(project, engine, ward, seed=50)
        finally:
            ward.end()


@pytest.mark.slow
def test_fifty_kills_at_random_moments(killing: Killing) -> None:
    killing.at_requests(24)
    for _ in range(8):
        killing.at_an_exchange()
    for _ in range(18):
        killing.with_paused_containers()
    counts = killing.counts
    assert counts["at a request"] + counts["at an exchange"] + counts["paused"] == 50
    assert counts["containers"] >= 50, counts
    assert counts["databases"] >= 40, counts
