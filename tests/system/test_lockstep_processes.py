"""The random topologies of `test_lockstep`, with every participant in a process of its own.

Each answers at a pace that differs from run to run; the digest is that of the run in one process.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes import Frames, NativeNetwork
from worlds import PLUGINS, play

from simcore import Federation, Plugins
from simcore.commands import Program as Command
from simcore.hosting import host
from simcore.launch import Limits
from simcore.network_participant import ParticipantNetwork
from simcore.node import Node
from simcore.remote import Remote
from simcore.scenario.model import NodeSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "core"))

from test_lockstep import Topology, behind_packets, told

PROGRAMS = Path(__file__).parents[1] / "participants"


def command(federation: Federation, name: str, *words: str) -> Command:
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    line = [sys.executable, str(PROGRAMS / words[0]), *words[1:]]
    return Command(federation, name, line, PROGRAMS, environment, Limits(), 1 << 20)


@dataclass(frozen=True)
class Apart:
    """Nodes of `test_lockstep`, each in a process of its own."""

    topology: Topology
    pause: int
    transport: str = "unix"
    name = "inline"
    determinism = "exact"

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        does = spec.options["does"]
        if not hasattr(does, "kind"):  # a model, or nothing
            return PLUGINS.extra["backends"]["inline"].attach(federation, spec)
        config = {
            "seed": self.topology.seed,
            "peers": self.topology.peers[spec.name],
            "period": 400,
            "pause": self.pause,
        }

        def make(life: int) -> Remote:
            program = command(federation, spec.name, "program.py", does.kind)
            return Remote(
                federation, spec.name, [spec.name], program, kind=does.kind, config=config,
                life=life, transport=self.transport,
            )  # fmt: skip

        return host(federation, spec, make, kind=does.kind)


class PacketsApart:
    """The packet network in a process of its own."""

    name = "packets"
    determinism = "exact"

    def __init__(self, pause: int) -> None:
        self.pause = pause

    def build(self, federation: Federation, scenario: Any) -> Any:
        options = scenario.network
        if options.get("native"):
            return NativeNetwork(federation, Frames(options["seed"], options["least"]))
        config = {"seed": options["seed"], "least": options["least"], "pause": self.pause}
        remote = Remote(
            federation, "network", federation.names, command(federation, "network", "frames.py"),
            kind="network", config=config,
        )  # fmt: skip
        return ParticipantNetwork(federation, remote, least=options["least"])


def apart(seed: int, pause: int, transport: str = "unix") -> Plugins:
    backends = {"inline": Apart(Topology(seed), pause, transport)}
    return Plugins(extra={"backends": backends, "netmodels": {"packets": PacketsApart(pause)}})


@pytest.mark.parametrize("seed", range(6))
def test_processes_at_any_pace_give_the_run_of_one_process(seed):
    topology = Topology(seed)
    truth = topology.truth()
    for window, pause in ((None, 0), ("9ns", 0), (None, 300)):
        scenario = topology.scenario(free=True, window=window)
        run = play(scenario, plugins=apart(seed, pause))
        assert told(run) == told(truth)
    assert run.digest == truth.digest


@pytest.mark.parametrize("transport", ["tcp", "stdio"])
def test_the_transport_does_not_matter(transport):
    topology = Topology(4)
    run = play(topology.scenario(free=True), plugins=apart(4, 100, transport))
    assert run.digest == topology.truth().digest


@pytest.mark.parametrize("seed", range(4))
def test_a_network_in_a_process_of_its_own(seed):
    truth = play(
        behind_packets(seed, free=False, network={"native": True}),
        plugins=Plugins(extra={**PLUGINS.extra, "netmodels": {"packets": PacketsApart(0)}}),
    )
    for free, pause in ((False, 0), (True, 0), (True, 200)):
        run = play(behind_packets(seed, free=free), plugins=apart(seed, pause))
        assert told(run) == told(truth)
    assert run.digest == truth.digest


def test_one_processor_core_or_all():
    """What runs at the same time, or one after the other, does the same."""
    topology = Topology(3)
    scenario = topology.scenario(free=True)
    cores = os.sched_getaffinity(0)
    digests = {play(scenario, plugins=apart(3, 0)).digest}
    os.sched_setaffinity(0, {min(cores)})
    try:
        digests.add(play(scenario, plugins=apart(3, 0)).digest)
    finally:
        os.sched_setaffinity(0, cores)
    assert digests == {topology.truth().digest}
