"""What `implementation: docker` is refused for, before any engine is asked: each problem alone."""

from __future__ import annotations

from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest
import simcore_backends.docker as backend

from simcore.errors import ScenarioError
from simcore.scenario import loads

SCENARIO = """\
simcore: 1
duration: 1s
network: {{model: latency, links: [{{between: [node, other], delay: 1ms}}]}}
nodes:
  other: {{}}
  node:
    implementation: docker
{keys}"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # What is checked does not depend on the library, which this environment may not have.
    found = ModuleSpec("docker", None, origin="somewhere")
    monkeypatch.setattr(backend, "find_spec", lambda name: found)
    (tmp_path / "services.py").write_text("class Service: ...\ndef function(): ...\n")
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "services.py").write_text("class Service: ...\n")
    (tmp_path / "sub" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "sub" / "other.dockerfile").write_text("FROM scratch\n")
    (tmp_path / "empty").mkdir()
    return tmp_path


def problems(folder: Path, keys: str) -> list[str]:
    text = SCENARIO.format(keys="".join(f"    {line}\n" for line in keys.splitlines()))
    try:
        loads(text, base=folder)
    except ScenarioError as error:
        return [str(problem).split(": ", 1)[1] for problem in error.problems]
    return []


IMAGE = "image: gateway:1\n"
SERVICE = "service: services.py:Service\n"

VALID = {
    "image": IMAGE,
    "image by digest": "image: registry:5000/a/b@sha256:" + "0" * 64,
    "build": "build: sub",
    "build in full": "build: {context: sub, dockerfile: other.dockerfile, args: {A: b}, target: x}",
    "installed service": "service: echo\nworkers: 3\nqueue: 0\nconfig: {kind: pong}",
    "service of the scenario's": SERVICE,
    "service in an image": SERVICE + IMAGE,
    "service in an image that is built": SERVICE + "build: ./sub",
    "service among its files": "service: sub/services.py:Service\nfiles: [sub]",
    "service among all files": SERVICE + "files: [.]",
    "everything of a program": IMAGE
    + "command: [./tool, --fast]\nkind: free_running\nhosts: group\ncount: 2\n"
    "files: [services.py, sub/, sub/deep]\nenvironment: {A: b}\nlog: 4KiB\n"
    "start_timeout: 1ms\ntimeout: 1ms\ntransport: stdio\n"
    "limits: {memory: 6MiB, cpus: 0.01, cpu_set: '0,2-3', processes: 2, shm: 1MiB}\n"
    "allow: [root, write, network, capabilities]\n"
    "health: {command: [test, -e, /x], interval: 1ms}\nconfig: {anything: goes}",
    "no limits": IMAGE + "limits: {}\nallow: []\nfiles: []",
}


@pytest.mark.parametrize("case", VALID)
def test_valid(folder: Path, case: str) -> None:
    assert problems(folder, VALID[case]) == []


INVALID = {
    "config: {}": "nodes.node: a container needs a 'service', an 'image' or a 'build'",
    IMAGE + "build: sub": "nodes.node.build: a node has an image or builds one, not both",
    "image: ''": "nodes.node.image: is the name of an image",
    "image: 'two words'": "nodes.node.image: is the name of an image, as in python:3.11-slim",
    "image: 5": "nodes.node.image: ",
    SERVICE + IMAGE + "command: [x]": "nodes.node.command: a node has a command or a service, not both",
    SERVICE + "kind: free_running": "nodes.node.kind: 'kind' has no effect with a service: "
    "services are reactive",
    SERVICE + "count: 2\nhosts: group": "nodes.node.hosts: 'hosts' has no effect with a service: "
    "each node has one of its own",
    IMAGE + "hosts: group": "nodes.node.hosts: 'hosts: group' has no effect without 'count'",
    IMAGE + "workers: 2": "nodes.node.workers: 'workers' has no effect without 'service'",
    IMAGE + "queue: 2": "nodes.node.queue: 'queue' has no effect without 'service'",
    "service: ecko": "nodes.node.service: unknown service 'ecko': write file.py:Class, or one of echo",
    "service: services.py:Servise": "nodes.node.service: services.py has no class 'Servise'",
    "service: services.py:function": "nodes.node.service: function in services.py is a function, "
    "a class is needed",
    "service: echo\nconfig: {kin: x}": "nodes.node.config.kin: unknown key",
    IMAGE + "command: []": "nodes.node.command: must not be empty",
    IMAGE + "command: ['']": "nodes.node.command[0]: a command is made of words without NUL, and "
    "its first is a program",
    IMAGE + 'command: [sh, "", "a\\0b"]': "nodes.node.command[2]: a command is made of words without NUL",
    IMAGE + "health: {command: ['']}": "nodes.node.health.command[0]: a command is made of words "
    "without NUL",
    IMAGE + 'health: {command: [sh, "a\\0b"]}': "nodes.node.health.command[1]: a command is made "
    "of words without NUL",
    IMAGE + "health: {command: []}": "nodes.node.health.command: must not be empty",
    IMAGE + "health: {interval: 1s}": "nodes.node.health: missing key 'command'",
    IMAGE + "health: {command: [x], interval: 0s}": "nodes.node.health.interval: must be more than 0",
    IMAGE + "files: [nowhere]": "nodes.node.files[0]: there is no such file: 'nowhere'",
    IMAGE + "files: [servces.py]": "nodes.node.files[0]: there is no such file: 'servces.py' (did "
    "you mean 'services.py'?)",
    IMAGE + "files: [sub, ../sub]": "nodes.node.files[1]: '../sub' is not below the scenario's folder",
    IMAGE + "files: [/etc]": "nodes.node.files[0]: '/etc' is not below the scenario's folder",
    IMAGE + "files: [sub, sub]": "nodes.node.files: ",
    IMAGE + 'files: ["a\\0b"]': "nodes.node.files[0]: there is no such file: ",
    SERVICE + "files: [sub]": "nodes.node.files: the service's 'services.py' is not among them",
    SERVICE + "files: []": "nodes.node.files: the service's 'services.py' is not among them",
    "build: nowhere": "nodes.node.build: there is no folder 'nowhere'",
    'build: "a\\0b"': "nodes.node.build: there is no folder ",
    "build: empty": "nodes.node.build: there is no Dockerfile in empty",
    "build: {context: nowhere}": "nodes.node.build.context: there is no folder 'nowhere'",
    "build: {context: sub, dockerfile: no.dockerfile}": "nodes.node.build.dockerfile: there is no "
    "no.dockerfile in sub",
    f"build: {{context: sub, dockerfile: {'x' * 5000}}}": "nodes.node.build.dockerfile: there is no ",
    "build: {dockerfile: Dockerfile}": "nodes.node.build: ",
    "build: {context: sub, args: {A: 5}}": "nodes.node.build.args.A: ",
    IMAGE + "limits: {memory: 5MiB}": "nodes.node.limits.memory: must be at least 6MiB",
    IMAGE + "limits: {memory: 100}": "nodes.node.limits.memory: ",
    IMAGE + "limits: {cpus: 0}": "nodes.node.limits.cpus: must be at least 0.01, got 0",
    IMAGE + "limits: {cpu_set: '0;1'}": "nodes.node.limits.cpu_set: is a list of processors, as in 0,2-3",
    IMAGE + "limits: {processes: 1}": "nodes.node.limits.processes: must be at least 2, got 1",
    IMAGE + "limits: {cpu: 5s}": "nodes.node.limits.cpu: unknown key",
    IMAGE + "allow: [everything]": "nodes.node.allow[0]: ",
    IMAGE + "allow: [write, write]": "nodes.node.allow: ",
    IMAGE + "timeout: 0s": "nodes.node.timeout: must be more than 0",
    IMAGE + "start_timeout: 0s": "nodes.node.start_timeout: must be more than 0",
    IMAGE + "log: 1kB": "nodes.node.log: must be at least 4KiB",
    IMAGE + "environment: {SIMCORE_TOKEN: x}": "nodes.node.environment.SIMCORE_TOKEN: SIMCORE_ "
    "variables are set by simcore",
    IMAGE + 'environment: {A: "a\\0b"}': "nodes.node.environment.A: holds a NUL character",
    IMAGE + "transport: tcp": "nodes.node.transport: ",
    IMAGE + "directory: sub": "nodes.node.directory: unknown key",
    IMAGE + "model: m.py:f": "nodes.node.model: unknown key",
}  # fmt: skip


@pytest.mark.parametrize("keys", INVALID)
def test_problem(folder: Path, keys: str) -> None:
    found = problems(folder, keys)
    assert len(found) == 1, found
    assert found[0].startswith(INVALID[keys]), found[0]


def test_service_outside(folder: Path) -> None:
    """A container sees the scenario's folder, and nothing beside it."""
    found = problems(folder / "sub", "service: ../services.py:Service")
    assert found == ["nodes.node.service: '../services.py' is not below the scenario's folder"]


@pytest.mark.parametrize("shadowed", [False, True])
def test_the_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shadowed: bool
) -> None:
    """A folder called docker beside the scenario is not taken for the library."""
    if shadowed:
        (tmp_path / "docker").mkdir()
    seen = PathFinder.find_spec("docker", [str(tmp_path)])
    assert (seen is not None) is shadowed
    monkeypatch.setattr(backend, "find_spec", lambda name: seen)
    assert problems(tmp_path, IMAGE) == [
        "nodes.node.implementation: docker needs a library that is not installed: pip install "
        "'simcore[docker]'"
    ]
