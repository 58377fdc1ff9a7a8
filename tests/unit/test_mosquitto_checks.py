"""What `implementation: mosquitto` is refused for, before anything starts; and which program it is."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from simcore_backends.mosquitto import Mosquitto, program
from simcore_backends.mqtt.settings import DIALECTS, dialect_of

from simcore import Federation
from simcore.errors import ScenarioError, UsageError
from simcore.scenario import loads

SCENARIO = """\
simcore: 1
duration: 1s
nodes:
  meter: {{}}
  broker:
    implementation: mosquitto
{keys}mqtt: {{broker: broker, clients: {{meter: {{}}}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a program in PATH and one beside the scenario, and a machine that has no other."""
    for name in ("mosquitto", "mine"):
        make(tmp_path / "bin" / name, "echo mosquitto version 2.0.11")
    (tmp_path / "plain").write_text("data")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(program, "_PLACES", ())
    return tmp_path


def make(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def without_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without docker-py."""
    found: Callable[..., ModuleSpec | None] = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "docker" else found(name, package)

    monkeypatch.setattr("simcore_backends.mosquitto.find_spec", find_spec)


def problems(folder: Path, keys: str) -> list[str]:
    text = SCENARIO.format(keys="".join(f"    {line}\n" for line in keys.splitlines()))
    try:
        loads(text, base=folder)
    except ScenarioError as error:
        return [str(problem).split(": ", 1)[1] for problem in error.problems]
    return []


VALID = (
    "",
    "run: process",
    "program: mine",
    "program: ./bin/mine\nrun: process",
    "image: mosquitto:mine",
    "log: 4KiB\nstart_timeout: 1ms\ntimeout: 1ms",
    "config: {version: 2.0.11, max_inflight_messages: 0, allow_duplicate_messages: true}",
)


@pytest.mark.parametrize("keys", VALID)
@pytest.mark.usefixtures("without_docker")
def test_valid(folder: Path, keys: str) -> None:
    assert problems(folder, keys) == []


INVALID = {
    "run: anywhere": "nodes.broker.run: must be one of auto, container, process",
    "run: process\nprogram: yours": "nodes.broker.program: there is no such program: 'yours'",
    "program: ./mine": "nodes.broker.program: there is no such program: './mine'",
    "program: ./plain": "nodes.broker.program: there is no such program: './plain'",
    "program: ./bin": "nodes.broker.program: there is no such program: './bin'",
    "program: ''": "nodes.broker.program: must ",
    "run: process\nimage: mine": "nodes.broker.image: 'image' has no effect with run: process",
    "image: a b": "nodes.broker.image: is the name of an image, as in eclipse-mosquitto:2",
    "log: 1KiB": "nodes.broker.log: must be at least 4KiB",
    "timeout: 0s": "nodes.broker.timeout: must be more than 0",
    "environment: {}": "nodes.broker.environment: unknown key",
    "service: mqtt_broker": "nodes.broker.service: unknown key",
    "config: {max_inflight: 3}": "nodes.broker.config.max_inflight: unknown key",
    "config: {version: 1.6.9}": "nodes.broker.config.version: must be one of 2.0.11, 2.0.21, 2.1",
}


@pytest.mark.parametrize("keys", INVALID)
def test_invalid(folder: Path, keys: str) -> None:
    [found] = problems(folder, keys)
    assert found.startswith(INVALID[keys])


@pytest.mark.docker
def test_program_of_a_container(folder: Path) -> None:
    expected = "nodes.broker.program: 'program' has no effect with run: container"
    assert problems(folder, "run: container\nprogram: mine") == [expected]
    assert problems(folder, "run: container") == []


def test_nothing_there(folder: Path, monkeypatch: pytest.MonkeyPatch, without_docker: None) -> None:
    monkeypatch.setenv("PATH", str(folder / "none"))
    [found] = problems(folder, "")
    assert found.startswith("nodes.broker.implementation: there is no Mosquitto on this machine: ")
    assert "apt install mosquitto" in found and "pip install 'simcore[docker]'" in found
    [found] = problems(folder, "run: process")
    assert found.startswith("nodes.broker.run: there is no Mosquitto on this machine: ")
    [found] = problems(folder, "run: container")
    assert found.startswith("nodes.broker.run: containers need a library that is not installed")
    works, says = Mosquitto().doctor()
    assert not works and "there is no Mosquitto" in says


# docker-py leaves a socket behind that could not connect.
@pytest.mark.docker
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_neither_an_engine_nor_a_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/none")
    monkeypatch.setattr(program, "find", lambda *_: None)
    scenario = loads(SCENARIO.format(keys=""), base=folder)
    with pytest.raises(UsageError) as found:
        Federation(scenario)
    [text] = str(found.value).splitlines()
    del found
    gc.collect()
    assert text.startswith(
        "broker: there is no Mosquitto on this machine, and none in a container: no Docker Engine "
        f"answers at unix://{folder}/none"
    )
    assert "apt install mosquitto" in text
    assert text.endswith("or take the model: service: mqtt_broker")


def test_program_is_looked_for_where_systems_keep_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(program, "_PLACES", (str(folder / "bin"),))
    assert program.find(None, folder) == folder / "bin" / "mosquitto"
    assert program.find("mine", folder) == folder / "bin" / "mine"


def test_doctor_tells_the_version(folder: Path) -> None:
    assert Mosquitto().doctor() == (True, f"Mosquitto 2.0.11, {folder / 'bin' / 'mosquitto'}")
    make(folder / "bin" / "mosquitto", "echo mosquitto version 1.6.9")
    works, says = Mosquitto().doctor()
    assert not works and says.endswith("is Mosquitto 1.6.9, and simcore needs 2.0 or newer")


def test_program_that_is_none(folder: Path) -> None:
    for text in ("echo tea", "exit 1", "printf '\\377\\n'", "echo mosquitto version unknown"):
        with pytest.raises(UsageError, match="is no Mosquitto: it does not say its version"):
            program.version(make(folder / "other", text))
    with pytest.raises(UsageError, match="cannot be asked for its version"):
        program.version(folder / "plain")


LOG = """\
1795348619: Warning: something is old.
1795348619: mosquitto version {} starting
"""


@pytest.mark.parametrize("version", ["2.0.11", "2.1.2", "2.1.0rc1", "2.2"])
def test_version_is_read_from_a_log(tmp_path: Path, version: str) -> None:
    log = tmp_path / "broker.log"
    assert program.said_version(log) is None
    log.write_text(LOG[:50])
    assert program.said_version(log) is None
    for end in range(len(version)):  # as it is being written
        log.write_text(LOG.format(version)[: LOG.index("{}") + end + 1])
        assert program.said_version(log) in (None, version.partition("rc")[0])
    log.write_text(LOG.format(version))
    found = program.said_version(log)
    assert found == version.partition("rc")[0]
    assert found is not None
    assert dialect_of(found) is not None


def test_dialects_are_those_of_the_versions_that_name_them() -> None:
    assert {version: dialect_of(version) for version in DIALECTS} == DIALECTS
    assert dialect_of("2.0.12") == DIALECTS["2.0.11"]
    assert dialect_of("2.0.18") is None
