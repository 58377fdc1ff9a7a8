"""How long the reference scenario takes, with real parts in all tiers; `docs/benchmarks.md` explains.

As everywhere here, counts are asserted and times are not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from compare import Figures
from support import ROOT, require, unavailable

pytest.importorskip("docker.client", reason="needs the extra docker")
sys.path.append(str(ROOT / "tests" / "docker"))

from engine import Missing, connect
from provisions import base_image, mosquitto_image, wheels

pytestmark = pytest.mark.bench

SCENARIOS = ROOT / "scenarios"
QEMU = "--set=nodes.meter.implementation=qemu"
CONTAINER = "--set=nodes.dispatcher.implementation=docker"
TURNS = 5
LIMIT = 900
"""Seconds of wall time before a run is given up: images may have to be built."""


@pytest.fixture(scope="module")
def provisions() -> dict[str, str]:
    """What simcore is told about this machine's images and wheels."""
    try:
        client = connect()
        try:
            base = base_image(client)
            return {
                "SIMCORE_BASE_IMAGE": base,
                "SIMCORE_WHEELS": str(wheels(client, base)),
                "SIMCORE_MOSQUITTO_IMAGE": mosquitto_image(client, base),
            }
        finally:
            client.close()
    except Missing as error:
        unavailable(str(error))


def test_all_tiers_beside_the_wall_clock(
    figures: Figures, provisions: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten devices in QEMU and four containers; the same with native firmware; the light form."""
    require("qemu-system-arm")
    for name, value in provisions.items():
        monkeypatch.setenv(name, value)
    subjects = {
        "placement.yaml, 10 devices in QEMU, 4 containers": ("placement", QEMU, CONTAINER),
        "the same with native firmware": ("placement", CONTAINER),
        "placement_light.yaml": ("placement_light",),
    }
    speeds: dict[str, list[float]] = {subject: [] for subject in subjects}
    digests: dict[str, set[str]] = {subject: set() for subject in subjects}
    for turn in range(TURNS):
        for number, (subject, (scenario, *options)) in enumerate(subjects.items()):
            out = tmp_path / f"{number}-{turn}"
            command = [sys.executable, "-m", "simcore", SCENARIOS / f"{scenario}.yaml",
                       "--out", out, *options]  # fmt: skip
            subprocess.run(command, stdout=subprocess.DEVNULL, timeout=LIMIT, check=True)
            manifest = json.loads((out / "manifest.json").read_bytes())
            times = manifest["times"]
            speeds[subject].append(times["virtual_ns"] / 1e9 / times["wall_s"])
            digests[subject].add(manifest["digest"])
    assert all(len(each) == 1 for each in digests.values())
    first, *others = subjects
    figures.judge(f"virtual time over wall time: {first}", speeds[first], least=1.0)
    for subject in others:
        figures.state(subject, speeds[subject], "x")
