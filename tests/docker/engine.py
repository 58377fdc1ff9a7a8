"""The Docker Engine that the tests use, and what simcore has left in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from docker import DockerClient
from docker.errors import DockerException, NotFound

from simcore.private import is_over

RUN = "simcore.run"
"""The label of all that simcore makes for a run."""

OWNER = "simcore.owner"
"""The label that says whose run it belongs to."""

CLEARING = 300
"""Seconds of wall time for a guard to clear up after a simcore that was killed: a backstop."""


class Missing(Exception):
    """What the tests need and this machine lacks."""


def connect() -> DockerClient:
    """A client of the engine that DOCKER_HOST names, or else of the local one.

    Raises:
        Missing: no engine answers.
    """
    try:
        client = DockerClient.from_env(timeout=120)
        client.ping()
    except DockerException as error:
        raise Missing(f"no Docker Engine answers: {error}") from error
    return client


@dataclass(frozen=True)
class Thing:
    """A container, network or volume.

    Attributes:
        id: by which the engine knows it.
        text: its kind, name and state.
        labels: its labels.
    """

    id: str
    text: str
    labels: dict[str, str] = field(compare=False)

    @property
    def process(self) -> int:
        """The process whose run it belongs to."""
        return int(self.labels[RUN].partition("-")[0])


def made_by_simcore(client: DockerClient) -> list[Thing]:
    """All containers, networks and volumes of runs."""
    api = client.api
    found = [
        Thing(
            each["Id"], f"container {each['Names'] or each['Id']}, {each['State']}", each["Labels"]
        )
        for each in api.containers(all=True)
    ]
    found += [
        Thing(each["Id"], f"network {each['Name']}", each["Labels"]) for each in api.networks()
    ]
    volumes = api.volumes()["Volumes"] or ()
    found += [Thing(each["Name"], f"volume {each['Name']}", each["Labels"]) for each in volumes]
    return [each for each in found if RUN in (each.labels or ())]


def of_another(labels: dict[str, str]) -> bool:
    """Whether it belongs to a run of another process that lives, as in a parallel test."""
    owner = json.loads(labels.get(OWNER, "null"))
    return owner is not None and not is_over(owner) and owner["pid"] != os.getpid()


def left(
    client: DockerClient, before: Set[str] = frozenset(), clearing: float = CLEARING
) -> list[str]:
    """What simcore has left, once its guards have had time to clear up.

    Args:
        before: ids of what was there before.
        clearing: seconds of wall time that they have.
    """
    deadline = time.monotonic() + clearing
    while True:
        found = [
            f"{each.text} with {each.labels}"
            for each in made_by_simcore(client)
            if each.id not in before and not of_another(each.labels)
        ]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)  # the guard of a killed simcore works beside us


@contextmanager
def running(client: DockerClient, image: str, command: Any = None, **options: Any) -> Iterator[Any]:
    """A container of the test's own, which is removed at the end, whatever happens."""
    container = client.containers.run(image, command, detach=True, **options)
    try:
        yield container
    finally:
        with suppress(NotFound):
            container.remove(force=True, v=True)
