"""Tests with a real Docker Engine: what they share, and that nothing of simcore's is left in it.

Each test in this folder bears the marker `docker`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import unavailable

try:
    from brokers import mosquitto
    from engine import Missing, connect, left, made_by_simcore
    from provisions import base_image as make_base
    from provisions import mosquitto_image as make_mosquitto
    from provisions import wheels as make_wheels
except ImportError as error:
    if not (error.name or "").startswith("docker"):
        raise
    # Without the library of the extra `docker` there is nothing to import, or this folder itself: CI
    # has it.
    collect_ignore_glob = ["test_*.py"]

if TYPE_CHECKING:
    from brokers import Mosquitto
    from docker import DockerClient

FOLDER = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before anything is chosen by marker."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("docker")


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """A client of the engine."""
    try:
        client = connect()
    except Missing as error:
        unavailable(str(error))
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_image(engine: DockerClient) -> str:
    """Name of an image with Python, pip and apt."""
    try:
        return make_base(engine)
    except Missing as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def wheels(engine: DockerClient, base_image: str) -> Path:
    """Folder of the wheels that the services need."""
    try:
        return make_wheels(engine, base_image)
    except Missing as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def mosquitto_image(engine: DockerClient, base_image: str) -> str:
    """Name of an image with Debian's Mosquitto."""
    try:
        return make_mosquitto(engine, base_image)
    except Missing as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def provisions(base_image: str, wheels: Path) -> Iterator[dict[str, str]]:
    """What simcore is told about this machine's images and wheels, in the environment, too."""
    told = {"SIMCORE_BASE_IMAGE": base_image, "SIMCORE_WHEELS": str(wheels)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        yield told


@pytest.fixture(autouse=True)
def nothing_left(engine: DockerClient) -> Iterator[None]:
    """No container, network or volume of simcore's outlives a test."""
    before = {each.id for each in made_by_simcore(engine)}
    yield
    found = left(engine, before)
    assert found == [], f"left behind: {found}"


@pytest.fixture
def broker_folder(tmp_path: Path) -> Path:
    """Where the broker of a test keeps what it needs."""
    folder = tmp_path / "broker"
    folder.mkdir()
    return folder


@pytest.fixture
def broker(engine: DockerClient, mosquitto_image: str, broker_folder: Path) -> Iterator[Mosquitto]:
    """A real Mosquitto for one test."""
    with mosquitto(engine, mosquitto_image, broker_folder) as started:
        yield started
