"""The reference scenario across all tiers: real firmware, Mosquitto, ONNX Runtime and PyTorch.

meter (x 10) --radio-- gateway --- broker --- dispatcher --- edge
                                                   +-- WAN -- cloud
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import contained, digest_of
from ns3_native import require_ns3
from support import PATIENCE, ROOT, Project, require

from simcore import open_run

pytestmark = [pytest.mark.slow, pytest.mark.ml, pytest.mark.usefixtures("provisions", "_images")]

SCENARIOS = ROOT / "scenarios"
QEMU = "--set=nodes.meter.implementation=qemu"
CONTAINERS = [f"--set=nodes.{node}.implementation=docker" for node in ("gateway", "dispatcher")]
"""Of the nodes that are models in the scenario; the others are in containers anyway."""


@pytest.fixture(scope="module")
def _images(mosquitto_image: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The images of four services, which the first run builds: it may take its time."""
    with contained(tmp_path_factory.mktemp("images")) as project:
        project.environment["SIMCORE_MOSQUITTO_IMAGE"] = mosquitto_image
        options = ("--until=1ms", "--set=expect=[]", *CONTAINERS)
        with project.start(SCENARIOS / "placement.yaml", "--out", "run", *options) as started:
            _, said = started.process.communicate(timeout=5 * PATIENCE)
            assert started.process.returncode == 0, said


@pytest.fixture
def project(tmp_path: Path, mosquitto_image: str) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.environment["SIMCORE_MOSQUITTO_IMAGE"] = mosquitto_image
        yield made


def run(project: Project, scenario: str, out: str, *options: str) -> str:
    """Run one of the scenarios, all of whose expectations hold; its digest."""
    ended = project.simcore(SCENARIOS / f"{scenario}.yaml", "--out", out, *options)
    assert ended.code == 0, ended.err
    return digest_of(project, out)


Answers = dict[tuple[str, int], tuple[str, int | None, float | None]]


def answers(folder: Path, kinds: str) -> Answers:
    """What was said of each picture: place and reason, label, confidence."""
    query = f"SELECT source, destination, kind, payload FROM messages WHERE kind IN {kinds}"
    found: Answers = {}
    with open_run(folder) as opened:
        for source, destination, kind, text in opened.connection.execute(query):
            payload = json.loads(text)
            device = destination if kind == "result" else source
            said = payload.get("label"), payload.get("confidence")
            found[device, payload["n"]] = (payload.get("place", kind), *said)
    return found


@pytest.mark.parametrize("implementation", ["native", "qemu"])
def test_answers_are_those_of_the_light_form(project: Project, implementation: str) -> None:
    """Image by image: on the device, and what came back from edge and cloud."""
    require("qemu-system-arm")
    engine = f"--set=nodes.meter.implementation={implementation}"
    run(project, "placement", "full", engine, *CONTAINERS)
    run(project, "placement_light", "light")
    for kinds, least in (("('reading', 'image')", 280), ("('result')", 150)):
        full, light = (answers(project.path / name, kinds) for name in ("full", "light"))
        # The last ones may be under way at the end, as firmware takes time to write a line; and
        # what a radio loses is not the same when a message has been repeated over MQTT.
        both = full.keys() & light.keys()
        assert len(both) >= max(least, 0.98 * max(len(full), len(light)))
        assert [key for key in both if full[key] != light[key]] == []


def test_five_runs_of_everything(project: Project) -> None:
    """Firmware in QEMU; Mosquitto, ONNX Runtime, PyTorch and two more services in containers."""
    require("qemu-system-arm")
    digests = [run(project, "placement", f"run{n}", QEMU, *CONTAINERS) for n in range(5)]
    assert len(set(digests)) == 1
    with open_run(project.path / "run0") as opened:
        kinds = opened.participants().groupby("implementation").size().to_dict()
        assert kinds == {"docker": 4, "mosquitto": 1, "qemu": 10}
        assert opened.manifest["determinism"] == "exact"


@pytest.mark.ns3
def test_five_runs_of_everything_over_simulated_radios(project: Project) -> None:
    """The same behind IEEE 802.15.4; shorter and with fewer devices, for windows are short there."""
    require("qemu-system-arm")
    require_ns3()
    options = (QEMU, "--set=nodes.meter.count=4", "--until=8s", "--set=expect=[]", *CONTAINERS)
    digests = [run(project, "placement_lrwpan", f"run{n}", *options) for n in range(5)]
    assert len(set(digests)) == 1
    with open_run(project.path / "run0") as opened:
        assert opened.manifest["determinism"] == "exact"
        assert len(answers(project.path / "run0", "('result')")) > 8
