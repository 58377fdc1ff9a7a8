"""Devices that crash and start again: how old their images are, as their dispatcher knows it.

meter (x 3) ---- gateway ---- edge

Over MQTT, gateway ---- broker ---- dispatcher stand in the place of the gateway. What a policy is
told of the age (`elapsed`) is compared with the table of inferences, which knows when nodes start.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from placement_world import OVER_MQTT, SCENARIO, write
from support import require

import simcore

MS = 10**6
FAULTS = """
faults:
  - {at: 15ms, for: 35ms, node: meter-0, crash: true}   # before its setup comes
  - {at: 100ms, for: 150ms, node: meter-0, crash: true} # and before its first image
  - {at: 10s, for: 5s, node: meter-0, crash: true}      # long after
  - {at: 2s, for: 1s, node: meter-1, crash: true}
"""
STARTS = {"meter-0": (0, 50, 250, 15_000), "meter-1": (0, 3000), "meter-2": (0,)}
"""When lives begin, ms."""
POLICY = """
from simcore.extensions.placement.policy import Decision, Policy

class Ages(Policy):
    def rule(self, device):
        return "both"

    def decide(self, ask):
        return Decision(ask.place if ask.asked else "edge", str(ask.elapsed))
"""
LINE = '{"dst":"gateway","kind":"boot","payload":{"firmware":"reader","version":1,"at":0}}\n'
BOOT_LINE = len(LINE) * 86_806
"""How long firmware takes to say `boot`, at 115200 baud, ns."""
MODEL = ", model: placement_models.py:meter"
TRUTH = "  truth: placement_models.py:truth\n"
DEVICES = {
    "python": ("nodes.meter.model=placement_models.py:meter",),
    "python that waits": (
        "nodes.meter.model=placement_models.py:meter",
        "nodes.meter.config={warm_up: 7ms}",
    ),
    "native": ("nodes.meter.implementation=native", "nodes.meter.firmware=reader"),
}
NETWORKS = {"direct": SCENARIO, "mqtt": OVER_MQTT}


def too_young(folder: Path, network: str, device: str) -> dict[tuple[str, int], set[int]]:
    """By how much images are taken for younger than they are, ns, by device and start (ms)."""
    (write(folder) / "ages.py").write_text(POLICY)
    text = NETWORKS[network] + FAULTS
    assert MODEL in text and TRUTH in text
    scenario = simcore.loads(
        text.replace(MODEL, "").replace(TRUTH, ""),
        base=folder,
        overrides=("placement.policy=ages.py:Ages", *DEVICES[device]),
    )
    simcore.Federation(scenario, out=folder / "run").run()
    found = defaultdict(set)
    with simcore.open_run(folder / "run") as run:
        rows = run.connection.execute(
            "WITH asked AS (SELECT id, sent, json_extract(payload, '$.device') AS device, "
            "json_extract(payload, '$.n') AS n, json_extract(payload, '$.why') AS why "
            "FROM messages WHERE kind = 'infer') "
            "SELECT device, asked.sent, max(sampled), why FROM asked JOIN inference "
            "ON inference.n = asked.n AND node = substr(device, 7) AND sampled <= asked.sent "
            "GROUP BY asked.id"
        )
        for name, sent, sampled, age in rows:
            start = max(each for each in STARTS[name] if each * MS <= sampled)
            found[name, start].add(sent - sampled - int(age))
    return found


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("device", DEVICES)
def test_a_restart_is_noticed_whenever_it_happens(tmp_path, device, network):
    if device == "native":
        require("make")
    found = too_young(tmp_path, network, device)
    # The life of meter-0 from 50 ms on takes no image.
    assert set(found) == {
        ("meter-0", 250), ("meter-0", 15_000), ("meter-1", 0), ("meter-1", 3000), ("meter-2", 0),
    }  # fmt: skip
    for (_, start), young in found.items():
        (error,) = young  # of one life, all by the same
        if start == 0:
            assert error == 0
        elif network == "direct":
            assert error == (BOOT_LINE if device == "native" else 0)
        else:  # by what `boot` takes to the broker as well
            assert 0 < error - (BOOT_LINE if device == "native" else 0) < 20 * MS
