"""What names the image of a service: all that goes into it, and nothing else."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from simcore_backends.docker import images
from simcore_backends.docker.engine import EngineError, Refused
from simcore_backends.services.echo import Echo

from simcore.errors import UsageError


class Api:
    """An engine that has or lacks images, and builds what it is asked to."""

    def __init__(self, *has: str) -> None:
        self.ids = {name: f"sha256:{name}" for name in has}
        self.asked: list[str] = []
        self.built: list[dict[str, Any]] = []

    def inspect_image(self, name: str) -> dict[str, str]:
        self.asked.append(name)
        return {"Id": self.ids.get(name, "sha256:some")}

    def build(self, **options: Any) -> Iterator[dict[str, Any]]:
        self.built.append(options)
        yield {"stream": "Step 1/1 : FROM scratch\n"}
        yield {"aux": {"ID": "sha256:built"}}


class Engine:
    """As `simcore_backends.docker.engine.Engine`."""

    address = "unix:///nowhere"

    def __init__(self, api: Api) -> None:
        self.api = api

    def ask(self, what: str, action: Callable[[], Any]) -> Any:
        return action()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIMCORE_BASE_IMAGE", "SIMCORE_WHEELS", "SIMCORE_PIP_ARGS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service with its recipe."""
    made = tmp_path / "service"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM x\n")
    (made / "requirements.txt").write_text("paho-mqtt\n")
    monkeypatch.setattr(images, "folder_of", lambda service: made)
    return made


def tag(*has: str) -> str:
    api = Api(*has)
    found = images.of_service(Engine(api), "echo", Echo, lambda line: None)  # type: ignore[arg-type]
    assert api.asked[-1] == found.name
    return found.name


def test_the_same_each_time(folder: Path) -> None:
    first = tag()
    assert first.startswith("simcore/echo:") and len(first.partition(":")[2]) == 12
    for each in folder.iterdir():
        os.utime(each, (1, 1))
    assert tag() == first


@pytest.mark.parametrize("name", ["Dockerfile", "requirements.txt"])
def test_another_recipe(folder: Path, name: str) -> None:
    first = tag()
    (folder / name).write_text("another\n")
    assert tag() != first


def test_another_runtime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tag()
    runtime = images.runtime()
    monkeypatch.setattr(images, "runtime", lambda: runtime | {"simcore/units.py": b"pass\n"})
    second = tag()
    monkeypatch.setattr(images, "runtime", lambda: dict(reversed(runtime.items())))
    assert second != first == tag()


def test_other_settings(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tags = [tag()]
    monkeypatch.setenv("SIMCORE_PIP_ARGS", "--index-url=http://here/")
    tags.append(tag())
    monkeypatch.setenv("SIMCORE_BASE_IMAGE", "debian")
    tags.append(tag("debian"))
    tags.append(tag())  # of the same name, and of another content
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("SIMCORE_WHEELS", str(wheels))
    tags.append(tag())
    (wheels / "a-1-py3-none-any.whl").write_bytes(b"1")
    tags.append(tag())
    (wheels / "unrelated.txt").write_bytes(b"1")
    assert tag() == tags[-1]
    assert len(set(tags)) == len(tags)


def test_the_host_of_a_service_is_all_there(folder: Path) -> None:
    found = images.runtime()
    assert {
        "simcore/__init__.py",
        "simcore/protocol/service_main.py",
        "simcore_backends/__init__.py",
        "simcore_backends/services/echo/__init__.py",
        "simcore_backends/services/onnx_inference/__init__.py",
    } <= found.keys()
    assert not any("docker" in name or "federation" in name for name in found)


@pytest.mark.parametrize(
    "module",
    [
        "simcore.protocol.service_main",
        "simcore_backends.mqtt",
        "simcore_backends.mqtt.service",
        "simcore_backends.services.echo",
        "simcore_backends.services.mqtt_gateway",
    ],
)
def test_what_hosts_a_service_needs_nothing_else(module: str, tmp_path: Path) -> None:
    for name, data in images.runtime().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {module}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


class Builder(Api):
    """Has no image of a service."""

    def inspect_image(self, name: str) -> dict[str, str]:
        raise LookupError


def test_what_is_built(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "a-1-py3-none-any.whl").write_bytes(b"wheel")
    monkeypatch.setenv("SIMCORE_WHEELS", str(wheels))
    monkeypatch.setattr(images, "_inspect", lambda engine, name: None)
    said: list[str] = []
    api = Builder()
    found = images.of_service(Engine(api), "echo", Echo, said.append)  # type: ignore[arg-type]
    assert found.id == "sha256:built"
    assert said == [f"docker: building the image {found.name} (once; a minute or more)"]
    [options] = api.built
    assert options["tag"] == found.name
    assert options["buildargs"] == {"PIP_ARGS": "--no-index --find-links=/w/wheels"}
    with tarfile.open(fileobj=io.BytesIO(options["fileobj"].read())) as tar:
        entries = {entry.name: entry for entry in tar}
        assert {entry.mode for entry in entries.values()} == {0o644}
        wheel = tar.extractfile("wheels/a-1-py3-none-any.whl")
        assert wheel is not None and wheel.read() == b"wheel"
    assert {"Dockerfile", "requirements.txt", "runtime/simcore/units.py"} <= entries.keys()


@pytest.mark.parametrize("missing", ["Dockerfile", "requirements.txt"])
def test_a_service_without_an_image(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(UsageError, match=f"comes without a {missing} for an image of its own"):
        tag()


def test_no_folder_of_wheels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCORE_WHEELS", "/nowhere")
    with pytest.raises(UsageError, match="SIMCORE_WHEELS names /nowhere, and that is no folder"):
        tag()


class Failing(Api):
    """Lacks the image, and fails to build it at a step."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step = step

    def build(self, **options: Any) -> Iterator[dict[str, Any]]:
        yield {"stream": "Step 1/9 : ARG BASE_IMAGE=python:3.11-slim\n"}
        yield {"stream": self.step}
        yield {"error": "no such host"}


@pytest.mark.docker
@pytest.mark.parametrize(
    ("step", "advised"),
    [
        ("Step 2/9 : FROM ${BASE_IMAGE}\n", True),
        ("STEP 2/9: FROM python:3.11-slim\n", True),  # Podman
        ("Step 2/9 : FROM a\nStep 3/9 : RUN pip install x\n", False),
    ],
)
def test_a_base_that_cannot_be_had(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, advised: bool
) -> None:
    monkeypatch.setattr(images, "_inspect", lambda engine, name: None)
    with pytest.raises(EngineError, match="cannot be built: no such host") as caught:
        images.of_service(Engine(Failing(step)), "echo", Echo, lambda line: None)  # type: ignore[arg-type]
    advice = "\n  SIMCORE_BASE_IMAGE names another image to build from: see 'Without a registry' "
    assert (advice in str(caught.value)) is advised


def test_a_base_of_an_impossible_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(engine: Engine, name: str) -> str:
        raise Refused(f"the Docker Engine refuses to look for the image {name}: invalid", "invalid")

    monkeypatch.setenv("SIMCORE_BASE_IMAGE", "bad name")
    monkeypatch.setattr(images, "_inspect", refuse)
    with pytest.raises(EngineError, match=r"image bad name: invalid; SIMCORE_BASE_IMAGE names it$"):
        tag()
