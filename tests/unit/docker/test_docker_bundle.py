"""What a node takes along when it leaves the simulator, of the keys of its container."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from simcore_backends.docker import images
from simcore_backends.docker.bundle import Deployed, environment, of_scenario, write
from simcore_backends.services.echo import Echo
from support import ROOT

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
    assert lines[:3] == ["PYTHONHASHSEED=0", "MODE=fast = 'best'", "EMPTY="]
    assert "SIMCORE_DEPLOY_NAME=node" in lines


def test_its_own_seed_of_hashes(folder: Path) -> None:
    bundle = bundled(folder, {"environment": {"PYTHONHASHSEED": "7"}})
    lines = (bundle / "node.env").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("PYTHONHASHSEED")] == ["PYTHONHASHSEED=7"]


class Engine:
    """Has all images but one; as `simcore_backends.docker.engine.Engine`."""

    def __init__(self) -> None:
        self.api = self

    def ask(self, what: str, action: Callable[[], Any]) -> Any:
        return action()

    def inspect_image(self, name: str) -> dict[str, str]:
        if name == "lab/python:3":
            from docker.errors import APIError

            raise APIError("", SimpleNamespace(status_code=404))  # type: ignore[arg-type]
        return {"Id": f"sha256:{name}"}

    def close(self) -> None:
        pass


@pytest.mark.parametrize("base", [None, "debian"])
def test_its_image_is_that_of_simulations(
    folder: Path, monkeypatch: pytest.MonkeyPatch, base: str | None, tmp_path: Path
) -> None:
    for name in ("SIMCORE_BASE_IMAGE", "SIMCORE_PIP_ARGS"):
        monkeypatch.delenv(name, raising=False)
    if base is not None:
        monkeypatch.setenv("SIMCORE_BASE_IMAGE", base)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "a-1-py3-none-any.whl").write_bytes(b"wheel")
    monkeypatch.setenv("SIMCORE_WHEELS", str(wheels))
    monkeypatch.setattr(images, "Engine", Engine)
    simulated = images.of_service(Engine(), "echo", Echo, print)  # type: ignore[arg-type]
    bundle = bundled(folder, {})
    assert (bundle / "names").read_text().splitlines()[0] == simulated.name


@pytest.mark.docker  # for docker-py's errors
def test_a_digest_without_the_base_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIMCORE_BASE_IMAGE", "lab/python:3")
    monkeypatch.setattr(images, "Engine", Engine)
    image = (bundled(folder, {}) / "names").read_text().splitlines()[0]
    assert image.endswith("-no-base")
    assert capsys.readouterr().err == (
        f"simcore: {image}: simulations name it otherwise, for the digest lacks the id of its base: "
        "the Docker Engine here does not have the image lab/python:3\n"
    )


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


CLIENTS = """\
simcore: 1
duration: 1s
nodes:
  meter: {count: 2, service: mine.py:Mine}
  modem: {service: mine.py:Mine}
  other: {service: mine.py:Mine}
  hub: {service: mqtt_broker}
network: {model: direct}
mqtt:
  broker: hub
  clients:
    meter: {subscribe: [{filter: "plant/{node}/#", qos: 1}, {filter: all}], events: true}
    modem: {clean: false, will: {topic: gone}}
"""


@pytest.mark.parametrize(
    ("name", "told", "said"),
    [
        (
            "meter-1",
            '{"broker":"hub","subscribe":[{"filter":"plant/meter-1/#","qos":1},'
            '{"filter":"all","qos":0}],"events":true}',
            "",
        ),
        ("modem", '{"broker":"hub"}', "simcore: modem: of its keys in mqtt.clients, clean, will "),
        ("other", None, ""),
    ],
)
def test_what_the_scenario_says_of_its_mqtt(
    folder: Path, name: str, told: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "scenario" / "clients.yaml"
    file.write_text(CLIENTS, encoding="utf-8")
    assert environment(of_scenario(str(file), name)).get("SIMCORE_DEPLOY_MQTT") == told
    assert capsys.readouterr().err.startswith(said)
    assert bool(said) or capsys.readouterr().err == ""


def test_a_dispatcher_is_told_of_its_placement() -> None:
    told = environment(of_scenario(str(ROOT / "scenarios" / "placement_light.yaml"), "dispatcher"))
    config = json.loads(told["SIMCORE_DEPLOY_CONFIG"])
    assert config["broker"] == "broker"
    assert config["placement"]["threshold"] == {"device": "85%", "edge": "90%"}
    assert told["SIMCORE_DEPLOY_SERVICE"] == "simcore_backends.services.placement:Dispatcher"


def test_a_service_that_only_simulations_have(folder: Path) -> None:
    (folder / "scenario" / "clients.yaml").write_text(CLIENTS, encoding="utf-8")
    node = of_scenario(str(folder / "scenario" / "clients.yaml"), "hub")
    with pytest.raises(UsageError, match="the service mqtt_broker is for simulations only"):
        write(folder / "bundle", node, None, [])
