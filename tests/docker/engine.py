"""The Docker Engine that the tests use, and what simcore has left in it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from docker import DockerClient
from docker.errors import DockerException, NotFound

from simcore.ending import start_time

MARK = "simcore."
"""How the name of each label begins that simcore puts on what it makes."""

OWNER = "simcore.owner"
"""The label that says which process made it: boot, process id and start time."""

CLEARING = 20
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


def made_by_simcore(client: DockerClient) -> dict[str, dict[str, str]]:
    """Labels of all containers, networks and volumes of simcore's, by kind and name."""
    api = client.api
    found = {
        f"container {each['Id'][:12]} ({each['State']})": each for each in api.containers(all=True)
    }
    found |= {f"network {each['Name']}": each for each in api.networks()}
    found |= {f"volume {each['Name']}": each for each in api.volumes()["Volumes"] or ()}
    labels = {name: dict(each["Labels"] or {}) for name, each in found.items()}
    return {
        name: each for name, each in labels.items() if any(key.startswith(MARK) for key in each)
    }


def _of_another(labels: dict[str, str]) -> bool:
    """Whether it belongs to a process that lives and is not this one, as in a parallel test."""
    boot, _, process = labels.get(OWNER, "").partition(":")
    pid, _, started = process.partition(":")
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        if boot != file.read().strip() or not pid.isdecimal() or int(pid) == os.getpid():
            return False
    return str(start_time(int(pid))) == started


def left(client: DockerClient, before: set[str] = frozenset()) -> list[str]:
    """What simcore has left, once its guards have had time to clear up.

    Args:
        before: names of what was there before.
    """
    deadline = time.monotonic() + CLEARING
    while True:
        found = [
            f"{name} with {labels}"
            for name, labels in made_by_simcore(client).items()
            if name not in before and not _of_another(labels)
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
