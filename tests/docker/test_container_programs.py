"""Programs in containers that speak the protocol themselves, of all kinds and in two languages.

sensor (x 4) --ask--> program --answer--> sensor
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import choice_of, contained, digest_of, log_of, manifest_of, run
from support import PATIENCE, ROOT, Project, require

from simcore import open_run

PROGRAM = '''
"""Answers with what came, as many bytes as it is asked for. It knows nothing of simcore's code."""

import os
import sys

from peer import serve


class Program:
    kind = "KIND"

    def start(self, peer):
        self.due = peer.time + 7_000_000
        print("hosting", *peer.nodes, os.environ.get("OWN"), flush=True)
        print("standard error, too", file=sys.stderr, flush=True)
        return self.following()

    def following(self):
        """A free-running participant has a course of its own."""
        return self.due if self.kind == "reactive" else None

    def advance(self, peer, until, inputs):
        for message in inputs:
            own = {"source": message.destination} if len(peer.nodes) > 1 else {}
            payload = {"was": message.payload, "data": "x" * (message.payload or {}).get("bytes", 0)}
            peer.send(message.source, "answer", payload, at=self.time(peer, message), cause=message, **own)
        while self.due < until or (self.kind == "reactive" and self.due == until):
            peer.record("tick", self.due, at=self.due, node=peer.nodes[0])
            self.due += 7_000_000
        return self.following()

    def time(self, peer, message):
        return message.at if self.kind == "free_running" else peer.now


serve(Program())
'''

MODEL = """
def sensor(node):
    number = 0
    while True:
        yield node.sleep(round(node.random.expovariate(1 / 2e6)))
        number += 1
        node.send(node.config.get("to", "program"), "ask", {"number": number, **node.config["more"]})
"""

SCENARIO = """
simcore: 1
name: programs
duration: 40ms
nodes:
  sensor: {count: 4, model: models.py:sensor, config: {more: {}}}
  program: {implementation: docker, image: IMAGE, command: [python3, program.py], files: [program.py, peer.py]}
network: {model: latency, links: [{between: [sensor, program], delay: 1ms}]}
"""

AS_A_PROCESS = """
  program: {implementation: process, command: [python3, program.py], KEYS}
"""


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    with contained(tmp_path) as made:
        shutil.copy(ROOT / "simcore" / "protocol" / "peer.py", tmp_path)
        made.write("models.py", MODEL)
        made.write("program.py", PROGRAM.replace("KIND", "reactive"))
        made.write("scenario.yaml", SCENARIO.replace("IMAGE", base_image))
        yield made


def of_a_process(project: Project, keys: str = "") -> str:
    """The digest of the same program in a process."""
    lines = (project.path / "scenario.yaml").read_text().splitlines()
    [index] = [number for number, line in enumerate(lines) if line.startswith("  program: ")]
    lines[index] = AS_A_PROCESS.replace(", KEYS", keys and f", {keys}").strip("\n")
    project.write("process.yaml", "\n".join(lines) + "\n")
    ended = project.simcore("process.yaml", "--out", "process")
    assert ended.code == 0, ended.err
    return digest_of(project, "process")


@pytest.mark.parametrize("transport", ["auto", "unix", "stdio"])
@pytest.mark.parametrize("kind", ["reactive", "free_running"])
def test_as_in_a_process(project: Project, kind: str, transport: str) -> None:
    if kind == "free_running":
        project.write("program.py", PROGRAM.replace("KIND", kind))
    ended = run(
        project, f"--set=nodes.program.transport={transport}", f"--set=nodes.program.kind={kind}"
    )
    assert digest_of(project) == of_a_process(project, f"kind: {kind}")
    if transport == "auto":
        assert choice_of(ended) == "a Unix socket"
    else:
        assert "containers connect over" not in ended.err
    log = log_of(project, "program")
    assert "standard error, too\n" in log
    assert "hosting program None\n" in log
    with open_run(project.path / "run") as opened:
        [(answers,)] = opened.connection.execute(
            "SELECT count(*) FROM messages WHERE kind = 'answer'"
        )
    assert answers > 40


def test_one_container_for_a_group(project: Project, base_image: str) -> None:
    text = SCENARIO.replace("IMAGE", base_image)
    text = text.replace("  program: {", "  program: {count: 3, hosts: group, ")
    text = text.replace("config: {more: {}}", "config: {to: program-2, more: {}}")
    project.write("scenario.yaml", text)
    run(project)
    assert log_of(project, "program").startswith("hosting program-0 program-1 program-2 None\n")
    with open_run(project.path / "run") as opened:
        [life] = opened.participants().to_dict("records")
    assert (life["name"], json.loads(life["nodes"])) == (
        "program", ["program-0", "program-1", "program-2"],
    )  # fmt: skip
    assert manifest_of(project)["participants"]["reactive"] == 1


def test_the_environment(project: Project, base_image: str) -> None:
    project.environment["SECRET"] = "of simcore's own environment"
    run(project, "--set=nodes.program.environment={OWN: 'a b=c'}")
    assert "hosting program a b=c\n" in log_of(project, "program")


LARGE = 1 << 20


@pytest.mark.parametrize("transport", ["unix", "stdio"])
def test_large_messages_both_ways(project: Project, transport: str) -> None:
    """A mebibyte comes in a message, and two go out."""
    project.write("models.py", MODEL + f"\n\nPAD = 'y' * {LARGE}\n")
    model = (project.path / "models.py").read_text()
    project.write("models.py", model.replace("**node.config", "'pad': PAD, **node.config"))
    more = f"--set=nodes.sensor.config.more.bytes={2 * LARGE}"
    run(project, "--until=6ms", more, f"--set=nodes.program.transport={transport}")
    with open_run(project.path / "run") as opened:
        [(answers, least)] = opened.connection.execute(
            "SELECT count(*), min(size) FROM messages WHERE kind = 'answer'"
        )
    assert answers >= 3
    assert least > 3 * LARGE


def test_many_lines_at_once(project: Project) -> None:
    """A thousand answers to one message are one line, and a flood on standard error is none."""
    text = PROGRAM.replace("KIND", "reactive").replace(
        "        while self.due <",
        "        for number in range(500):\n"
        "            print('noise', number, 'z' * 200, file=sys.stderr)\n"
        "        while self.due <",
    )
    project.write("program.py", text)
    run(project, "--set=nodes.program.transport=stdio", "--set=nodes.program.log=64KiB")
    log = project.path / "run" / "logs" / "program.log"
    text = log.read_text()
    assert text.startswith("hosting") or "standard error" in text[:200]
    assert log.stat().st_size <= 64 << 10
    assert "noise 499 " in text.splitlines()[-1]


def test_compiled(project: Project, base_image: str) -> None:
    """Written in C, and linked to nothing that the image would have to have."""
    examples = ROOT / "scenarios"
    for name in ("participants", "participants.yaml", "participants_models.py"):
        copy = shutil.copytree if (examples / name).is_dir() else shutil.copy
        copy(examples / name, project.path / name)  # type: ignore[operator]
    source = project.path / "participants" / "thermostat.c"
    program = project.path / "thermostat"
    build = [require("gcc"), "-O2", "-static", "-o", str(program), str(source)]
    subprocess.run(build, check=True, capture_output=True, timeout=PATIENCE)
    ended = project.simcore("participants.yaml", "--out", "process")
    assert ended.code == 0, ended.err
    keys = ("implementation=docker", f"image={base_image}", "command=[./thermostat]",
            "files=[thermostat]", "transport=stdio")  # fmt: skip
    options = [f"--set=nodes.thermostat.{key}" for key in keys]
    ended = project.simcore("participants.yaml", "--out", "run", *options)
    assert ended.code == 0, ended.err
    assert digest_of(project) == digest_of(project, "process")


def test_the_contract_kit_examines_what_is_in_an_image(project: Project, base_image: str) -> None:
    """As docs/docker.md says: over the streams of `docker run`."""
    docker = [
        require("docker"), "run", "-i", "--rm", "--init", "--network=none",
        f"--volume={project.path}:/scenario:ro", "--workdir=/scenario",
        "--env=SIMCORE_ADDRESS", "--env=SIMCORE_TOKEN", "--env=SIMCORE_NAME",
        base_image, "python3", "program.py",
    ]  # fmt: skip
    patience = ("--start-timeout=60s", "--timeout=60s")
    ended = project.simcore("contract", "--transport=stdio", *patience, "--", *docker)
    assert ended.code == 0, ended.out + ended.err
    assert " kept, 0 broken" in ended.out
