"""`calibrate` measures a service inside its container: the machine and the libraries it tells of.

client ---> server      over 1 ms, 30 messages
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from contained import contained, manifest_of
from support import Project

SCENARIO = """
simcore: 1
name: asking
duration: 100ms
nodes:
  client: {model: asks.py:client}
  server:
    implementation: docker
    service: services.py:Server
    config: {compute: 1us}
network: {model: latency, links: [{between: [client, server], delay: 1ms}]}
"""

ASKS = """
def client(node):
    for _ in range(30):
        node.send("server", "ask")
        yield node.receive()
"""

SERVICE = """
class Server:
    def on_message(self, ctx, msg):
        ctx.compute(ctx.config["compute"])
        ctx.reply(msg, "done")
"""


@pytest.fixture
def project(tmp_path: Path, provisions: dict[str, str]) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.environment |= provisions
        for name, text in {
            "scenario.yaml": SCENARIO,
            "asks.py": ASKS,
            "services.py": SERVICE,
        }.items():
            made.write(name, text)
        yield made


def test_a_table_of_what_a_container_takes(project: Project) -> None:
    done = project.simcore("calibrate", "scenario.yaml")
    assert done.code == 0, done.err
    lines = (project.path / "costs" / "server.txt").read_text().splitlines()
    assert lines[:2] == ["# service: services.py:Server", "# implementation: docker"]
    manifest = manifest_of(project, "runs/asking-calibration-1")
    assert manifest["determinism"] == "calibration"
    times = [int(line.removesuffix("ns")) for line in lines if not line.startswith("#")]
    assert len(times) == 20 and times == sorted(times)
    [counted] = [line for line in lines if line.startswith("# N: ")]
    assert counted == (
        f"# N: 20, without the first 10; median: {np.median(times):.0f}ns; "
        f"p95: {np.percentile(times, 95):.0f}ns"
    )

    used = ["--set", "nodes.server.config.compute={table: costs/server.txt}"]
    digests = []
    for implementation in ("docker", "python_model"):
        place = ["--set", f"nodes.server.implementation={implementation}"]
        ended = project.simcore("scenario.yaml", "--out", implementation, *used, *place)
        assert ended.code == 0, ended.err
        digests.append(manifest_of(project, implementation)["digest"])
    assert digests[0] == digests[1]
