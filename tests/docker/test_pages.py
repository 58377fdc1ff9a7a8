"""The pages with commands that need Docker, with Docker: these and all others of the page."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import mosquitto
from docker import DockerClient
from support import ROOT, unavailable


def _module(name: str) -> Any:
    """A module of the tests of pages, whose folder is not this one."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


pages = _module("pages")
PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in pages.pages()
    if "<!-- with docker -->" in page.read_text(encoding="utf-8")
]


@pytest.fixture
def all_gone(engine: DockerClient) -> Iterator[None]:
    """Nobody has deployed what the page on deployability deploys, and after it nobody has."""

    def deployed() -> list[Any]:
        found: list[Any] = []
        for name in ("gateway", "dispatcher"):
            label = {"label": f"simcore.deployed={name}"}
            found += engine.containers.list(all=True, filters=label, ignore_removed=True)
        return found

    if deployed():
        unavailable(f"services are deployed on this machine: {deployed()}")
    yield
    for container in deployed():
        container.remove(force=True, v=True)


@pytest.mark.usefixtures("provisions", "all_gone")
@pytest.mark.parametrize("page", PAGES)
def test_page(
    engine: DockerClient,
    mosquitto_image: str,
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("broker", "reader"):
        (tmp_path / name).mkdir()
    (tmp_path / "reader").chmod(0o755)
    with mosquitto(engine, mosquitto_image, tmp_path / "broker") as broker:
        monkeypatch.setenv("BROKER", broker.address)
        steps = pages.Reader(tmp_path / "reader", (), docker=True).read(ROOT / page)
    problems = [str(step) for step in steps if step.problem is not None]
    if problems:
        pytest.fail("\n\n".join([f"{len(problems)} problems", *problems]), pytrace=False)
