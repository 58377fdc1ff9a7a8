"""What `implementation: process` is refused for, before anything starts: each problem alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcore.errors import ScenarioError
from simcore.scenario import loads

SCENARIO = """\
simcore: 1
duration: 1s
network: {{model: latency, links: [{{between: [node, other], delay: 1ms}}]}}
nodes:
  other: {{}}
  node:
    implementation: process
{keys}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "plain").write_text("data")
    (tmp_path / "plain").chmod(0o644)
    (tmp_path / "services.py").write_text("class Service: ...\ndef function(): ...\n")
    (tmp_path / "sub").mkdir()
    return tmp_path


def problems(folder: Path, keys: str) -> list[str]:
    text = SCENARIO.format(keys="".join(f"    {line}\n" for line in keys.splitlines()))
    try:
        loads(text, base=folder)
    except ScenarioError as error:
        return [str(problem).split(": ", 1)[1] for problem in error.problems]
    return []


TOOL = "command: [./tool]\n"
SERVICE = "service: services.py:Service\n"

VALID = {
    "command": TOOL,
    "beside the scenario": "command: [tool]",
    "in PATH": "command: [sh, -c, 'exit 0']",
    "python": "command: [python, anything.py]",
    "service": SERVICE + "workers: 3\nqueue: 0",
    "installed service": "service: echo",
    "everything of a command": TOOL
    + "kind: free_running\nhosts: group\ncount: 2\ntransport: stdio\n"
    "environment: {A: b}\ndirectory: sub\nlog: 4KiB\nstart_timeout: 1ms\ntimeout: 1ms\n"
    "limits: {memory: 1GiB, cpu: 10s, files: 10, processes: 10}\nconfig: {anything: goes}",
    "everything of a service": SERVICE + "transport: tcp\nenvironment: {A: b}\ndirectory: sub\n"
    "log: 1MB\nstart_timeout: 1s\ntimeout: 1s\nlimits: {cpu: 1min}",
    "PATH of its own": "command: [tool-of-its-own]\nenvironment: {PATH: PLACE}",
}


@pytest.mark.parametrize("case", VALID)
def test_valid(folder: Path, case: str) -> None:
    place = folder / "bin"
    place.mkdir()
    (place / "tool-of-its-own").write_text("#!/bin/sh\n")
    (place / "tool-of-its-own").chmod(0o755)
    assert problems(folder, VALID[case].replace("PLACE", str(place))) == []


INVALID = {
    "config: {}": "nodes.node: a process needs a 'command' or a 'service'",
    TOOL + "service: echo": "nodes.node.service: a node has a command or a service, not both",
    "command: []": "nodes.node.command: must not be empty",
    "command: ['']": "nodes.node.command[0]: a command is made of words without NUL, and its "
    "first is a program",
    'command: [sh, "", "a\\0b"]': "nodes.node.command[2]: a command is made of words without NUL",
    TOOL + 'environment: {A: "a\\0b"}': "nodes.node.environment.A: holds a NUL character",
    "command: [./tol]": "nodes.node.command[0]: there is no such file: './tol' (did you mean 'tool'?)",
    "command: [./sub]": "nodes.node.command[0]: is a directory, not a file: './sub'",
    "command: [./plain]": "nodes.node.command[0]: './plain' is not executable: chmod +x it, or "
    "put what runs it in front, as in [python, program.py]",
    "command: [plain]": "nodes.node.command[0]: 'plain' is not executable: chmod +x it, or put "
    "what runs it in front, as in [python, program.py]",
    "command: [no-such-program]": "nodes.node.command[0]: there is no program 'no-such-program' "
    "in PATH, nor a file of this name beside the scenario: install it, or give its path",
    "command: [sh]\nenvironment: {PATH: /nowhere}": "nodes.node.command[0]: there is no program "
    "'sh' in PATH, nor a file of this name beside the scenario: install it, or give its path",
    "service: services.py:Servise": "nodes.node.service: services.py has no class 'Servise' (did "
    "you mean 'services.py:Service'?)",
    "service: services.py:function": "nodes.node.service: function in services.py is a function, "
    "a class is needed",
    "service: ecko": "nodes.node.service: unknown service 'ecko': write file.py:Class, or one of "
    "echo, ",
    TOOL + "workers: 2": "nodes.node.workers: 'workers' has no effect without 'service'",
    TOOL + "queue: 2": "nodes.node.queue: 'queue' has no effect without 'service'",
    SERVICE + "kind: free_running": "nodes.node.kind: 'kind' has no effect without 'command': "
    "services are reactive",
    SERVICE + "count: 2\nhosts: group": "nodes.node.hosts: 'hosts' has no effect without "
    "'command': each node has a service of its own",
    TOOL + "hosts: group": "nodes.node.hosts: 'hosts: group' has no effect without 'count'",
    TOOL + "directory: sup": "nodes.node.directory: there is no directory 'sup'",
    TOOL + "directory: plain": "nodes.node.directory: there is no directory 'plain'",
    TOOL + "timeout: 0s": "nodes.node.timeout: must be more than 0",
    TOOL + "start_timeout: 0s": "nodes.node.start_timeout: must be more than 0",
    TOOL + "timeout: 5": "nodes.node.timeout: 5 has no unit: a duration needs one of ns, us, ms, "
    "s, min, h, d, as in 10ms",
    TOOL + "log: 1kB": "nodes.node.log: must be at least 4KiB",
    TOOL + "limits: {cpu: 1500ms}": "nodes.node.limits.cpu: is counted in whole seconds, and at "
    "least one",
    TOOL + "limits: {cpu: 0s}": "nodes.node.limits.cpu: is counted in whole seconds, and at least "
    "one",
    TOOL + "limits: {memory: 1kB}": "nodes.node.limits.memory: must be at least 1MiB",
    TOOL + "limits: {files: 0}": "nodes.node.limits.files: must be at least 1, got 0",
    TOOL + "limits: {cores: 2}": "nodes.node.limits.cores: unknown key",
    TOOL + "environment: {SIMCORE_TOKEN: x}": "nodes.node.environment.SIMCORE_TOKEN: SIMCORE_ "
    "variables are set by simcore",
    TOOL
    + "environment: {'A=B': x}": 'nodes.node.environment."A=B": a variable of the environment has '
    "a name without '='",
    TOOL + "environment: {A: 5}": "nodes.node.environment.A: ",
    TOOL + "transport: pipe": "nodes.node.transport: ",
    TOOL + "kind: network": "nodes.node.kind: ",
    TOOL + "model: m.py:f": "nodes.node.model: unknown key",
}


@pytest.mark.parametrize("keys", INVALID)
def test_problem(folder: Path, keys: str) -> None:
    found = problems(folder, keys)
    assert len(found) == 1, found
    expected = INVALID[keys]
    assert found[0].startswith(expected), found[0]


def test_nothing_is_run_by_a_check(folder: Path) -> None:
    (folder / "tool").write_text("#!/bin/sh\ntouch was-run\n")
    assert problems(folder, TOOL + "directory: sub") == []
    assert not list(folder.rglob("was-run"))
