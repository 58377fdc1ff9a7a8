"""Meters as programs of their own, in whole runs: exact, obedient, and right as often as they should be.

meter (x 3, the firmware, built for the host) <-> gateway -> meter;  operator -> meter -> operator
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from firmware_builds import native
from support import ROOT

import simcore
from simcore.expect import evaluate, parse
from simcore.federation import Federation
from simcore.results.metrics import Metrics
from simcore.results.store import Run, open_run

SECOND, MS = 10**9, 10**6

MODELS = """
from quickstart_models import TRAINING, Classifier, load_digits


def gateway(node):
    '''Reads images, checks what it reads and what it is told, and acknowledges.'''
    classifier = Classifier()
    classifier.start(None)
    truth = load_digits()[1][TRAINING:]
    while True:
        msg = yield node.receive()
        if msg.kind not in ("image", "digit"):
            continue
        digit = msg.payload.get("digit")
        if digit is None:
            digit = classifier.classify(msg.payload["image"])
        node.record(f"right_{msg.kind}", digit == int(truth[msg.payload["index"]]))
        node.send(msg.source, "ack", f"ack {msg.payload['n']}")


def operator(node):
    '''Gives commands at their times.'''
    for at, meter, command in node.config["commands"]:
        yield node.sleep(at - node.now)
        node.send(meter, "command", command)
    while True:
        yield node.receive()
"""

SCENARIO = """
simcore: 1
name: meters
seed: 3
duration: 20s
nodes:
  meter:
    count: 3
    tier: device
    implementation: process
    command: [{program}]
    transport: {transport}
  gateway: {{tier: edge, model: models.py:gateway}}
  operator:
    model: models.py:operator
    config:
      commands:
        - [1500000000, meter-0, period 100]
        - [1500000007, meter-1, mode local]
        - [1500000008, meter-1, period 99]
        - [4000000000, meter-2, next 17]
        - [4000000000, meter-2, nonsense]
        - [5000000000, meter-2, to operator]
        - [9000000000, meter-2, report]
network:
  model: latency
  links:
    - {{between: [meter, gateway], delay: {{min: 8ms, exponential: 2ms}}, rate: 250kbit/s}}
    - {{between: [operator, meter], delay: 3ms}}
"""


def simulate(program: Path, folder: Path, transport: str = "unix", extra: str = "") -> str:
    folder.mkdir(exist_ok=True)
    (folder / "data").mkdir()
    for name in ("quickstart_models.py", "data/digits.bin"):
        shutil.copy(ROOT / "scenarios" / name, folder / name)
    (folder / "models.py").write_text(MODELS, encoding="utf-8")
    text = SCENARIO.format(program=program, transport=transport) + extra
    (folder / "scenario.yaml").write_text(text, encoding="utf-8")
    scenario = simcore.load(folder / "scenario.yaml")
    return Federation(scenario, out=folder / "run").run()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def run(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("project")
    simulate(program, folder)
    with open_run(folder / "run") as opened:
        yield opened


def quickstart() -> ModuleType:
    path = ROOT / "scenarios" / "quickstart_models.py"
    found = importlib.util.spec_from_file_location("quickstart_models", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def sent(run: Run, kind: str, source: str) -> list[tuple[int, Any]]:
    """When messages of a kind were sent, and what they contain."""
    rows = run.connection.execute(
        "SELECT sent, payload FROM messages WHERE kind = ? AND source = ? ORDER BY sent, number",
        (kind, source),
    )
    return [(at, json.loads(payload)) for at, payload in rows]


def test_pictures_come_to_the_nanosecond(run: Run) -> None:
    obeyed = 1503 * MS  # the command was sent at 1.5 s, and took 3 ms
    at = [1 * SECOND, *range(obeyed + 100 * MS, 20 * SECOND, 100 * MS)]
    images = sent(run, "image", "meter-0")
    assert [when for when, _ in images] == at and len(at) == 185
    assert [payload["n"] for _, payload in images] == list(range(1, 186))
    assert [payload["index"] for _, payload in images] == [n % 128 for n in range(185)]
    digits = sent(run, "digit", "meter-1")
    assert [when for when, _ in digits] == list(range(obeyed + 8 + 99 * MS, 20 * SECOND, 99 * MS))


def test_commands_are_obeyed_and_answered(run: Run) -> None:
    answers = run.connection.execute(
        "SELECT source, sent, kind, payload, cause FROM messages "
        "WHERE destination = 'operator' AND kind IN ('ok', 'refused') ORDER BY sent, source, number"
    ).fetchall()
    assert answers == [
        ("meter-0", 1503 * MS, "ok", '"period 100"', "operator/1"),
        ("meter-1", 1503 * MS + 7, "ok", '"mode local"', "operator/2"),
        ("meter-1", 1503 * MS + 8, "ok", '"period 99"', "operator/3"),
        ("meter-2", 4003 * MS, "ok", '"next 17"', "operator/4"),
        ("meter-2", 4003 * MS, "refused", '"nonsense"', "operator/5"),
        ("meter-2", 5003 * MS, "ok", '"to operator"', "operator/6"),
    ]
    images = [payload["index"] for _, payload in sent(run, "image", "meter-2")]
    assert images == [0, 1, 2, 3, *range(17, 32)]
    to = run.connection.execute(
        "SELECT DISTINCT destination, sent >= 6000000000 FROM messages "
        "WHERE source = 'meter-2' AND kind = 'image' ORDER BY 1"
    )
    assert to.fetchall() == [("gateway", 0), ("operator", 1)]
    (when, counts), *_ = sent(run, "report", "meter-2")
    assert when == 9003 * MS
    assert counts == {"pictures": 9, "acks": 5, "commands": 3, "refused": 1, "lost": 0}


def test_the_device_sees_what_the_gateway_would_see(run: Run) -> None:
    models = quickstart()
    classifier = models.Classifier()
    classifier.start(None)
    images, labels = (part[models.TRAINING :] for part in models.load_digits())
    said = [(payload["index"], payload["digit"]) for _, payload in sent(run, "digit", "meter-1")]
    assert len(said) == 186
    assert said == [(index, classifier.classify(images[index].tobytes())) for index, _ in said]
    once = dict(said)
    assert sum(digit == labels[index] for index, digit in once.items()) == 116  # of all 128


def test_accuracy_is_reported(run: Run) -> None:
    metrics = Metrics(run.connection)
    for name in ("right_image", "right_digit"):
        outcome = evaluate(parse(f"mean(record.{name}) >= 88%"), metrics)
        assert outcome.passed, outcome.explanation


def test_ten_runs_are_one(program: Path, run: Run, tmp_path: Path) -> None:
    digests = {simulate(program, tmp_path / f"{number}") for number in range(10)}
    assert digests == {run.manifest["digest"]}


@pytest.mark.parametrize("transport", ["tcp", "stdio"])
def test_the_transport_makes_no_difference(
    program: Path, run: Run, tmp_path: Path, transport: str
) -> None:
    assert simulate(program, tmp_path, transport) == run.manifest["digest"]


def test_the_sanitizers_find_nothing(run: Run, tmp_path: Path) -> None:
    program = native(tmp_path / "build", "SANITIZE=1")
    assert simulate(program, tmp_path / "project") == run.manifest["digest"]


def test_a_restart_is_a_boot(program: Path, tmp_path: Path) -> None:
    fault = "faults:\n  - {at: 2500ms, for: 600ms, node: meter-2, crash: true}\n"
    simulate(program, tmp_path, extra=fault)
    with open_run(tmp_path / "run") as run:
        boots = sent(run, "boot", "meter-2")
        assert [when for when, _ in boots] == [0, 3100 * MS]
        images = [(at, image["n"]) for at, image in sent(run, "image", "meter-2")]
        assert images[:4] == [(1000 * MS, 1), (2000 * MS, 2), (4100 * MS, 1), (5100 * MS, 2)]
