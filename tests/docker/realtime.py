"""A project with unmodified programs in containers, in real time.

sensor --reading--> sink    lines.py or server.py, which know nothing of simcore
       <--answer---
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import Project

from simcore import load, open_run
from simcore.runner import RunResult, run_scenario

MODELS = """
import os


def sensor(node):
    for number, payload in enumerate(node.config["payloads"], 1):
        if number == node.config.get("waits_at"):
            with open(os.environ["READY"], "w") as ready:
                ready.write("reached")
            with open(os.environ["GO"]) as go:
                go.readline()
        if payload == "bytes":
            payload = bytes(range(256))
        for sink in node.config.get("sinks", ["sink"]):
            node.send(sink, "reading", payload)
        yield node.sleep("20ms")
"""

LINES = """
import json
import sys
import time

mode = sys.argv[1]
print("I am not asked", flush=True)
open("/tmp/ready", "w").close()
for line in sys.stdin:
    print("got", line.strip(), file=sys.stderr)
    if mode == "exits":
        sys.exit(3)
    if mode == "eats memory":
        kept = [b"x" * 2**20 for _ in range(1000)]
    if mode == "without an end":
        while True:
            print("more")
    if mode == "without a line":
        sys.stdout.write("x" * 2**21)
        sys.stdout.flush()
    if mode == "answers":
        value = json.loads(line)
        print(json.dumps({"twice": 2 * value}) if type(value) is int else f"no number: {value!r}")
"""

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"]
        if body == b'"fails"':
            self.send_error(503)
            return
        if body == b'"hangs up"':
            return
        if body == b'"asks"':
            body = f'["{self.command}", "{self.path}", "{self.headers["X-Key"]}"]'.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer((sys.argv[1], 8080), Handler).serve_forever()
"""

SCENARIO = """
simcore: 1
name: realtime
duration: %dms
nodes:
  sensor: {model: models.py:sensor, config: {payloads: [1, text, 3]}}
  sink:
    implementation: docker
    image: %s
    timing: wallclock
    files: [lines.py, server.py]
    command: [python3, lines.py, answers]
    health: {command: [test, -e, /tmp/ready]}
network:
  model: latency
  links:
    - {between: [sensor, sink], delay: 20ms}
"""

SERVED = [
    "nodes.sink.command=[python3, server.py, 0.0.0.0]",
    "nodes.sink.health={command: ['true']}",
    "nodes.sink.talk={http: {port: 8080, path: /predict, headers: {X-Key: abc}}}",
]
"""Overrides that have a server in place of the program that reads lines."""


@contextmanager
def realtime(folder: Path, image: str, duration_ms: int = 4000) -> Iterator[Project]:
    """The project, with a folder for temporary files.

    What a program in real time says in a run depends on how much of this machine it gets: the
    duration leaves it a hundred times of what it needs.
    """
    temporary = tempfile.mkdtemp(prefix="s")
    environment = {"TMPDIR": temporary, "XDG_RUNTIME_DIR": "", "PYTHONDONTWRITEBYTECODE": "1"}
    project = Project(folder, environment)
    project.write("models.py", MODELS)
    project.write("lines.py", LINES)
    project.write("server.py", SERVER)
    project.write("scenario.yaml", SCENARIO % (duration_ms, image))
    try:
        yield project
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run(project: Project, *overrides: str) -> RunResult:
    """Run the scenario in this process, into `run`."""
    return run_scenario(
        load(project.path / "scenario.yaml", overrides=overrides), project.path / "run"
    )


def answers(project: Project, sink: str = "sink") -> list[tuple[Any, ...]]:
    """What a container has sent: cause, kind, payload as text, and size."""
    query = "SELECT cause, kind, payload, size FROM messages WHERE source = ? ORDER BY number"
    with open_run(project.path / "run") as found:
        return [tuple(row) for row in found.connection.execute(query, [sink])]
