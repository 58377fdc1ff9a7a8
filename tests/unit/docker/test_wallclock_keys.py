"""What `timing: wallclock` is refused for, before any engine is asked, and what it makes of a run."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import simcore_backends.docker as backend

from simcore.errors import ScenarioError
from simcore.scenario import loads

SCENARIO = """\
simcore: 1
duration: 1s
{top}nodes:
  other: {{}}
  several: {{count: 3}}
  node:
    implementation: docker
    image: a
{keys}"""
LINKS = "network: {model: latency, links: [{between: [node, other], delay: 1ms}]}\n"
PACED = "timing: wallclock\n"


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is checked does not depend on the library, which this environment may not have.
    found = ModuleSpec("docker", None, origin="somewhere")
    monkeypatch.setattr(backend, "find_spec", lambda name: found)


def problems(folder: Path, keys: str, top: str = LINKS) -> list[str]:
    indented = "".join(f"    {line}\n" for line in keys.splitlines())
    try:
        loads(SCENARIO.format(keys=indented, top=top), base=folder)
    except ScenarioError as error:
        return [str(problem).split(": ", 1)[1] for problem in error.problems]
    return []


VALID = {
    "nothing else": PACED,
    "virtual": "timing: virtual\nkind: reactive\ntransport: unix\nconfig: {a: 1}",
    "lines": PACED + "talk: {stdio: lines, kind: reading}",
    "lines to a node": PACED + "talk: {to: other}",
    "lines to one of a group": PACED + "talk: {to: several-2}",
    "http": PACED + "talk: {http: {port: 8080}}",
    "http in full": PACED + "talk: {kind: label, http: {port: 65535, path: '/a?b=c', method: PUT, "
    "headers: {X-Api-Key: 'a b', Host: example.org}}}",
    "everything else": PACED + "count: 2\nhealth: {command: [test, -e, /x]}\nlimits: {cpus: 1}\n"
    "allow: [root, write, network]\nenvironment: {A: b}\nlog: 1MiB\nstart_timeout: 1s\ntimeout: 1s",
}


@pytest.mark.parametrize("case", VALID)
def test_valid(tmp_path: Path, case: str) -> None:
    assert problems(tmp_path, VALID[case]) == []


TALK = "nodes.node.talk"
INVALID = {
    "timing: measured": "nodes.node.timing: must be one of virtual, wallclock, got 'measured'",
    "talk: {stdio: lines}": f"{TALK}: 'talk' has no effect without 'timing: wallclock'",
    "timing: virtual\ntalk: {}": f"{TALK}: 'talk' has no effect without 'timing: wallclock'",
    PACED + "kind: free_running": "nodes.node.kind: 'kind' has no effect with 'timing: wallclock': "
    "in real time every program is free-running",
    PACED
    + "count: 2\nhosts: group": "nodes.node.hosts: 'hosts' has no effect with 'timing: wallclock'",
    PACED + "transport: stdio": "nodes.node.transport: 'transport' has no effect with",
    PACED + "config: {a: 1}": "nodes.node.config: 'config' has no effect with 'timing: wallclock': "
    "nobody hands it to an unmodified program: use 'environment', 'files' or 'command'",
    PACED + "service: echo": "nodes.node.service: 'service' has no effect with 'timing: wallclock'",
    PACED + "talk: {stdio: words}": f"{TALK}.stdio: ",
    PACED + "talk: {stdio: lines, http: {port: 80}}": f"{TALK}.stdio: a program is spoken with by "
    "lines or by HTTP, not both",
    PACED + "talk: {to: other, http: {port: 80}}": f"{TALK}.to: 'to' has no effect with 'http'",
    PACED + "talk: {to: othr}": f"{TALK}.to: ",
    PACED + "talk: {to: several}": f"{TALK}.to: 'several' is a group of 3 nodes: name one of them, "
    "as several-0",
    PACED + "talk: {http: {}}": f"{TALK}.http: ",
    PACED + "talk: {http: {port: 0}}": f"{TALK}.http.port: ",
    PACED + "talk: {http: {port: 65536}}": f"{TALK}.http.port: ",
    PACED + "talk: {http: {port: 80, path: predict}}": f"{TALK}.http.path: begins with a slash",
    PACED + "talk: {http: {port: 80, path: '/a b'}}": f"{TALK}.http.path: begins with a slash",
    PACED + "talk: {http: {port: 80, method: TRACE}}": f"{TALK}.http.method: ",
    PACED + "talk: {http: {port: 80, headers: {'a b': c}}}": f"{TALK}.http.headers",
    PACED + 'talk: {http: {port: 80, headers: {a: "c\\r\\nd: e"}}}': f"{TALK}.http.headers.a: is "
    "printable ASCII",
    PACED + "talk: {http: {port: 80, headers: {Content-Length: '3'}}}": f"{TALK}.http.headers."
    "Content-Length: Content-Length says how a request is sent, which simcore does",
    PACED + "talk: {kind: ''}": f"{TALK}.kind: ",
    PACED + "talk: {htp: {port: 80}}": f"{TALK}.htp: ",
}


@pytest.mark.parametrize("keys", INVALID)
def test_invalid(tmp_path: Path, keys: str) -> None:
    [found] = problems(tmp_path, keys)
    assert found.startswith(INVALID[keys]), found


def test_it_needs_windows(tmp_path: Path) -> None:
    [found] = problems(tmp_path, PACED, top="")
    assert found.startswith("nodes.node: is free-running, and the network promises no delay")
    assert problems(tmp_path, PACED, top="quantum: 5ms\n") == []
    [found] = problems(tmp_path, "timing: virtual", top="quantum: 5ms\n")
    assert found == "quantum: has no effect: no node is free-running"


def test_the_run_is_statistical() -> None:
    docker = backend.Docker()
    assert docker.determinism_of({"timing": "wallclock"}) == "statistical"
    assert docker.determinism_of({"timing": "virtual"}) == docker.determinism_of({}) == "exact"
    assert docker.kind_of({"timing": "wallclock"}) == "free_running"
    assert docker.kind_of({}) == "reactive"
