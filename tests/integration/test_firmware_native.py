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
BYTE = 86806  # ns at 115200 baud

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
        - [4200000000, meter-2, next 17]
        - [4200000000, meter-2, nonsense]
        - [5200000000, meter-2, to operator]
        - [9200000000, meter-2, report]
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


def duration(line: str, *values: Any) -> int:
    """How long a line takes on the wire, with its newline."""
    return BYTE * (len(line % values) + 1)


def heard(at: int, number: int, command: str) -> int:
    """When a device has heard a command of the operator's."""
    line = '{"src":"operator","kind":"command","id":"operator/%d","payload":"%s"}'
    return at + duration(line, number, command)


def answered(at: int, number: int, command: str, kind: str = "ok") -> int:
    """When the answer to it is there."""
    line = '{"dst":"operator","kind":"%s","re":"operator/%d","payload":"%s"}'
    return at + duration(line, kind, number, command)


FIRST = heard(1503 * MS, 1, "period 100")  # the command was sent at 1.5 s, and took 3 ms
SECOND_COMMAND = heard(1503 * MS + 7, 2, "mode local")
THIRD = heard(SECOND_COMMAND, 3, "period 99")  # one line behind the other
FOURTH = heard(4203 * MS, 4, "next 17")
FIFTH = heard(FOURTH, 5, "nonsense")
SIXTH = heard(5203 * MS, 6, "to operator")
SEVENTH = heard(9203 * MS, 7, "report")


def test_pictures_come_to_the_nanosecond(run: Run) -> None:
    line = '{"dst":"gateway","kind":"%s","size":%d,"payload":%s}'

    def taken(source: str, kind: str, size: int) -> list[int]:
        return [
            at - duration(line, kind, size, json.dumps(payload, separators=(",", ":")))
            for at, payload in sent(run, kind, source)
        ]

    at = [1 * SECOND, *range(FIRST + 100 * MS, 20 * SECOND, 100 * MS)]
    assert taken("meter-0", "image", 72) == at and len(at) == 185
    images = [payload for _, payload in sent(run, "image", "meter-0")]
    assert [payload["n"] for payload in images] == list(range(1, 186))
    assert [payload["index"] for payload in images] == [n % 128 for n in range(185)]
    at = list(range(THIRD + 99 * MS, 20 * SECOND, 99 * MS))
    assert taken("meter-1", "digit", 16) == at


def test_commands_are_obeyed_and_answered(run: Run) -> None:
    first = answered(FIRST, 1, "period 100")
    second = answered(SECOND_COMMAND, 2, "mode local")
    third = answered(max(second, THIRD), 3, "period 99")
    fourth = answered(FOURTH, 4, "next 17")
    fifth = answered(max(fourth, FIFTH), 5, "nonsense", "refused")
    sixth = answered(SIXTH, 6, "to operator")
    answers = run.connection.execute(
        "SELECT source, sent, kind, payload, cause FROM messages "
        "WHERE destination = 'operator' AND kind IN ('ok', 'refused') ORDER BY sent, source, number"
    ).fetchall()
    assert answers == [
        ("meter-0", first, "ok", '"period 100"', "operator/1"),
        ("meter-1", second, "ok", '"mode local"', "operator/2"),
        ("meter-1", third, "ok", '"period 99"', "operator/3"),
        ("meter-2", fourth, "ok", '"next 17"', "operator/4"),
        ("meter-2", fifth, "refused", '"nonsense"', "operator/5"),
        ("meter-2", sixth, "ok", '"to operator"', "operator/6"),
    ]
    images = [payload["index"] for _, payload in sent(run, "image", "meter-2")]
    assert images == [0, 1, 2, 3, *range(17, 32)]
    to = run.connection.execute(
        "SELECT DISTINCT destination, sent >= 6000000000 FROM messages "
        "WHERE source = 'meter-2' AND kind = 'image' ORDER BY 1"
    )
    assert to.fetchall() == [("gateway", 0), ("operator", 1)]
    (when, counts), *_ = sent(run, "report", "meter-2")
    line = '{"dst":"operator","kind":"report","re":"operator/7","payload":%s}'
    assert when == SEVENTH + duration(line, json.dumps(counts, separators=(",", ":")))
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
        line = '{"dst":"gateway","kind":"boot","payload":{"firmware":"meter","version":1}}'
        assert [when for when, _ in boots] == [duration(line), 3100 * MS + duration(line)]
        images = [(at // MS, image["n"]) for at, image in sent(run, "image", "meter-2")]
        assert images[:4] == [(1015, 1), (2015, 2), (4115, 1), (5115, 2)]
