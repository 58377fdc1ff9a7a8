"""What a node takes along when it leaves the simulator, of the keys of its container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from simcore_backends.docker.bundle import Deployed, of_scenario, write

from simcore.errors import UsageError

SCENARIO = """\
simcore: 1
duration: 1s
nodes:
  node:
    implementation: process
    service: mine.py:Mine
    environment: {MODE: fast}
    limits: {cpu: 5s}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mine.py", "helper.py", "data/a.txt", "data/b.txt", "other.txt"):
        file = tmp_path / "scenario" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("class Mine:\n    def start(self, ctx):\n        pass\n")
    (tmp_path / "scenario" / "scenario.yaml").write_text(SCENARIO)
    return tmp_path


def bundled(folder: Path, options: Mapping[str, Any], image: str | None = None) -> Path:
    node = Deployed("node", "mine.py:Mine", folder / "scenario", {}, 1, options)
    write(folder / "bundle", node, image, [])
    return folder / "bundle"


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_files_that_its_container_sees(folder: Path) -> None:
    bundle = bundled(folder, {"files": ["./mine.py", "helper.py", "data"]})
    assert names(bundle / "node" / "files") == [
        *("data/a.txt", "data/b.txt", "helper.py", "mine.py")
    ]


def test_its_environment(folder: Path) -> None:
    bundle = bundled(folder, {"environment": {"MODE": "fast = 'best'", "EMPTY": ""}})
    lines = (bundle / "node.env").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["MODE=fast = 'best'", "EMPTY="]
    assert "SIMCORE_DEPLOY_NAME=node" in lines


@pytest.mark.parametrize("variable", [("A", "two\nlines"), ("A", "two\rlines"), ("#A", ""), ("A B", "")])  # fmt: skip
def test_an_environment_that_no_file_can_hold(folder: Path, variable: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="cannot be handed to Docker"):
        bundled(folder, {"environment": dict([variable])})


@pytest.mark.parametrize(("key", "text"), [("image", "lab/numpy:1"), ("build", "numerical")])
def test_an_image_of_its_own_has_to_be_named(folder: Path, key: str, text: str) -> None:
    """In a simulation simcore brings what hosts a service; on a device the image has to have it."""
    with pytest.raises(UsageError, match=f"its own '{key}' in the scenario: give --image"):
        bundled(folder, {key: text})
    bundle = bundled(folder, {key: text}, image="lab/deployed:1")
    assert (bundle / "names").read_text().splitlines()[0] == "lab/deployed:1"


def test_a_process_takes_its_environment_and_not_its_limits(folder: Path) -> None:
    node = of_scenario(str(folder / "scenario" / "scenario.yaml"), "node")
    assert node.options == {"environment": {"MODE": "fast"}}
