"""Devices of a placement as firmware: they decide and show what a device in Python does.

meter (x 2) ---- gateway ---- edge
                    |
                    +-------- cloud

The same scenario with one word changed: `implementation` of the meters. The stand-in of Renode runs
a model of the reader; only a Renode that SIMCORE_RENODE names runs the reader itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import renode_machine
from support import ROOT, require

import simcore

SCENARIO = """
simcore: 1
duration: 40s
nodes:
  meter: {count: 2, tier: device}
  gateway: {tier: edge, service: placement}
  edge:
    tier: edge
    service: placement_models.py:Edge
    config:
      {scale: 16, compute: 4ms, kind: answer, size: 16B,
       keep: [n, index, device]}
  cloud:
    tier: cloud
    service: placement_models.py:Cloud
    config:
      {scale: 16, softmax: true, compute: 2ms, kind: answer,
       size: 16B, keep: [n, index, device]}
network:
  model: latency
  links:
    - {between: [meter, gateway], delay: 10ms}
    - {between: [gateway, edge], delay: 1ms}
    - {between: [gateway, cloud], delay: 45ms}
placement:
  policy: confidence
  threshold: {device: 85%, edge: 90%}
  deadline: 5ms
  devices: meter
  dispatcher: gateway
  edge: edge
  cloud: cloud
  truth: placement_models.py:truth
"""
COMPARED = 38
"""Images of each device; those after them may be under way when the run ends."""

DEVICES = {
    "python": ("nodes.meter.model=placement_models.py:meter", "nodes.meter.config={pictures: 128}"),
    "native": ("nodes.meter.implementation=native", "nodes.meter.firmware=reader"),
    "qemu": ("nodes.meter.implementation=qemu", "nodes.meter.firmware=reader"),
    "renode": ("nodes.meter.implementation=renode", "nodes.meter.firmware=reader"),
}


def run(out: Path, device: str, *overrides: str) -> dict[tuple[str, str, str], list[Any]]:
    """Payloads of a run by source, destination and kind, in order and without times."""
    scenario = simcore.loads(
        SCENARIO, base=ROOT / "scenarios", overrides=(*DEVICES[device], *overrides)
    )
    simcore.Federation(scenario, out=out).run()
    told: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    with simcore.open_run(out) as found:
        unexpected = found.connection.execute(
            "SELECT count(*) FROM measurements WHERE name = 'unexpected'"
        )
        assert unexpected.fetchone() == (0,)
        for source, destination, kind, text in found.connection.execute(
            "SELECT source, destination, kind, payload FROM messages ORDER BY sent, id"
        ):
            payload = json.loads(text)
            if isinstance(payload, dict) and payload.get("n", 0) > COMPARED:
                continue
            if kind in ("boot", "reading", "image"):
                del payload["at"]
            if kind == "result":
                del payload["why"]  # it may name times
            # Both devices ask at the same instant: who comes first at the models is of no interest.
            about = payload["device"] if kind in ("infer", "answer") else kind
            told[source, f"{destination} {about}", kind].append(payload)
    return dict(told)


@pytest.mark.parametrize("policy", ["device", "edge", "cloud", "confidence", "latency"])
def test_firmware_decides_as_python_does(tmp_path: Path, policy: str) -> None:
    require("make")
    word = f"placement.policy={policy}"
    python = run(tmp_path / "python", "python", word)
    assert len(python["meter-0", "gateway boot", "boot"]) == 1
    assert run(tmp_path / "native", "native", word) == python
    kinds = {kind for source, _, kind in python if source == "meter-0"}
    assert kinds - {"boot", "shown"} == {
        "device": {"reading"},
        "edge": {"image"},
        "cloud": {"image"},
    }.get(policy, {"reading", "image"})


@pytest.mark.parametrize("policy", ["confidence", "latency"])
@pytest.mark.parametrize("engine", ["qemu", "renode"])
def test_so_does_the_same_firmware_in_an_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, policy: str
) -> None:
    if engine == "qemu":
        require("qemu-system-arm")
    else:
        monkeypatch.setenv("RENODE", renode_machine.REAL or str(renode_machine.install(tmp_path)))
    word = f"placement.policy={policy}"
    assert run(tmp_path / "run", engine, word) == run(tmp_path / "python", "python", word)
