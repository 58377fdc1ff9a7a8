"""The same traffic through simcore and in one ns-3 process without it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from simcore_netmodels.ns3 import plan, wheel
from simcore_netmodels.ns3.model import Groups
from simcore_netmodels.ns3.own import own_config
from support import PATIENCE, unavailable

import simcore
from simcore.builds import built

HERE = Path(__file__).parent
SERVE = 1_234_567
"""What a server takes to answer, ns."""

SEGMENTS = {
    "p2p": "{kind: p2p, between: [client, gateway], rate: 1Mbit/s, delay: 2ms}",
    "csma": "{kind: csma, nodes: [client, gateway], rate: 10Mbit/s, delay: 6560ns}",
    "wifi": "{kind: wifi, nodes: [client, gateway], access_point: gateway}",
    "lrwpan": "{kind: lrwpan, nodes: [client, gateway], coordinator: gateway}",
}

MODELS = """
def client(node):
    for pause in node.config["pauses"][node.name]:
        yield node.sleep(pause)
        node.record("pause", pause)
        node.send("cloud", kind="request", size=node.config["size"])
        if node.config["answer"]:
            yield node.receive()


def answer(node, message):
    yield node.sleep({serve})
    node.send(message.source, kind="answer", size=node.config["answer"])


def server(node):
    while True:
        message = yield node.receive()
        if node.config["answer"]:
            node.process(answer(node, message))
"""


def require_ns3() -> None:
    """Skip where ns-3 cannot be used."""
    works, why = wheel.doctor()
    if not works:
        unavailable(why)


def require_bindings() -> None:
    """Skip where ns-3's Python bindings cannot be used."""
    require_ns3()
    if (why := wheel.lacks_bindings()) is not None:
        unavailable(why)


@cache
def library() -> Path:
    """The library with the traffic in it."""
    found = wheel.folder()
    assert isinstance(found, Path), found
    return built(wheel.recipe(found, HERE / "native.cc"))


@dataclass
class Traffic:
    """Clients that ask a server, over a segment and a long line.

    Attributes:
        segment: the entry of `segments` that joins clients and gateway.
        clients: how many.
        requests: of each.
        period: pauses are uniform in [0, period), ns.
        answer: bytes of an answer; 0: there is none, and nobody waits for one.
        more: further lines of `network`.
        nodes: further lines of `nodes`.
        fixed: pauses of all clients, instead of random ones.
        wan: the entry that joins gateway and cloud.
        own: the function of `topologies.py` that makes the network instead of all that.
    """

    segment: str
    clients: int = 5
    requests: int = 6
    period: int = 10**9
    size: int = 60
    answer: int = 40
    seed: int = 1
    duration: int = 20 * 10**9
    more: str = ""
    nodes: str = ""
    fixed: list[int] = field(default_factory=list)
    wan: str = "{kind: p2p, between: [gateway, cloud], rate: 20Mbit/s, delay: 20ms}"
    own: str = ""
    seconds: float = field(default=0.0, init=False)
    exchanges: int = field(default=0, init=False)
    native_seconds: float = field(default=0.0, init=False)
    native_cpu: float = field(default=0.0, init=False)

    @property
    def pauses(self) -> dict[str, list[int]]:
        """Before each request of each client, ns."""
        rng = random.Random(self.seed)
        names = [f"client-{i}" for i in range(self.clients)] if self.clients > 1 else ["client"]
        if self.fixed:
            return dict.fromkeys(names, self.fixed)
        return {name: [rng.randrange(self.period) for _ in range(self.requests)] for name in names}

    def scenario(self, folder: Path) -> simcore.Scenario:
        """The scenario, with its models in a folder."""
        (folder / "models.py").write_text(MODELS.format(serve=SERVE))
        config = {"pauses": self.pauses, "size": self.size, "answer": self.answer}
        made = f"""
  positions: {{client: {{circle: 5}}}}
  segments:
    - {self.segment}
    - {self.wan}
"""
        if self.own:
            shutil.copy(HERE / "topologies.py", folder)
            made = f"  topology: topologies.py:{self.own}"
        count = f"count: {self.clients}, " if self.clients > 1 else ""
        return simcore.loads(
            f"""
simcore: 1
name: traffic
duration: {self.duration}ns
seed: {self.seed}
nodes:
  client: {{{count}model: models.py:client, config: {json.dumps(config)}}}
  gateway: {{tier: edge}}
  cloud: {{tier: cloud, model: models.py:server, config: {{answer: {self.answer}}}}}
{self.nodes}
network:
  model: ns3
{made}
{self.more}
""",
            base=folder,
        )

    def through_simcore(
        self, folder: Path, watch: Callable[[simcore.Federation], Any] = lambda run: None
    ) -> list[list[Any]]:
        """Deliveries: time (ns), source, destination.

        Args:
            watch: called with the run when it is about to begin, and when it is over.
        """
        out = folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        with simcore.Federation(self.scenario(folder), out=out) as federation:
            watch(federation)
            began = time.perf_counter()
            federation.env.run(until=federation.end)
            self.seconds = time.perf_counter() - began
            watch(federation)
        with simcore.open_run(out) as run:
            self.exchanges = run.connection.execute("SELECT count(*) FROM exchange").fetchone()[0]
            return sorted(
                list(row)
                for row in run.connection.execute(
                    "SELECT at, source, destination FROM messages WHERE fate = 'delivered'"
                )
            )

    def _config(self, scenario: simcore.Scenario, names: list[str], folder: Path) -> dict[str, Any]:
        value, groups = scenario.network, Groups(scenario)
        if self.own:
            config = own_config(value, scenario, folder, print)
        else:
            found = plan.segments(value, groups)
            config = plan.config(value, found, groups, names, scenario.seed)
        return {**config, **plan.common(value, groups, names)}

    def natively(self, folder: Path) -> list[list[Any]]:
        """The same, in one process of ns-3."""
        scenario = self.scenario(folder)
        names = [spec.name for spec in scenario.nodes]
        job = {
            "library": str(library()),
            "config": self._config(scenario, names, folder),
            "seed": scenario.seed,
            "names": names,
            "end": self.duration,
            "clients": [
                {
                    "node": name,
                    "server": "cloud",
                    "size": self.size,
                    "answer": self.answer,
                    "serve": SERVE,
                    "pauses": pauses,
                }
                for name, pauses in self.pauses.items()
            ],
        }
        done = subprocess.run(
            [sys.executable, HERE / "run.py"], input=json.dumps(job), capture_output=True,
            text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        self.native_seconds, self.native_cpu = answer["seconds"], answer["cpu"]
        return sorted(row[:3] for row in answer["delivered"])
