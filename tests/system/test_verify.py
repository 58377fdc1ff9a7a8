"""`verify` finds what is not the same twice; the manifest lists what a run read.

sensor --reading--> sink
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support import Project, heeding_modes

MODELS = """
import csv
import random
from pathlib import Path

import neighbour

TABLE = Path(__file__).parent / "table.csv"


def honest(node):
    with TABLE.open(newline="") as file:
        rows = list(csv.reader(file))
    for row in rows:
        yield node.sleep("1ms")
        node.send("sink", "reading", {"value": neighbour.scale(row), "noise": node.random.random()})


def global_generator(node):
    yield node.sleep("1ms")
    node.send("sink", "reading", {"value": 1})
    yield node.sleep("1ms")
    node.send("sink", "reading", {"value": f"{random.getrandbits(64):016x}"})


def order_of_a_set(node):
    yield node.sleep("1ms")
    for word in {f"word{number}" for number in range(30)}:  # more orders than will ever be tried
        node.send("sink", word, {})
"""
SCENARIO = """
simcore: 1
name: twice
duration: 1s
nodes:
  sensor: {model: models.py:honest}
  sink: {}
"""
FILES = {
    "models.py": MODELS,
    "scenario.yaml": SCENARIO,
    "neighbour.py": "def scale(row):\n    return 2 * float(row[0])\n",
    "table.csv": "1\n2\n3\n",
    "unread.csv": "4\n",
}


@pytest.fixture
def twice(tmp_path: Path) -> Project:
    project = Project(tmp_path, {"TMPDIR": str(tmp_path)})
    for name, text in FILES.items():
        project.write(name, text)
    return project


def made(project: Project) -> Path:
    assert project.simcore("scenario.yaml", "--out", "run", "--quiet").code == 0
    return project.path / "run"


def test_scenario_that_is_the_same_twice(twice: Project) -> None:
    ended = twice.simcore("verify", "scenario.yaml")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("identical: digest ")
    assert "3 messages, 0 measurements, 0 fault records" in ended.out
    assert not (twice.path / "runs").exists()


def test_a_global_generator_is_found_at_its_first_record(twice: Project) -> None:
    model = "--set=nodes.sensor.model=models.py:global_generator"
    ended = twice.simcore("verify", "scenario.yaml", model)
    assert ended.code == 1
    assert ended.out.startswith("different: digest ")
    assert "at 0.002s: message sensor/2: payload is " in ended.out


def test_the_order_of_a_set_is_found(twice: Project) -> None:
    model = "--set=nodes.sensor.model=models.py:order_of_a_set"
    ended = twice.simcore("verify", "scenario.yaml", model)
    assert ended.code == 1
    assert "at 0.001s: message sensor/" in ended.out


@pytest.mark.parametrize("again", [False, True], ids=["first", "from byte code"])
def test_inputs_are_what_was_read(twice: Project, again: bool) -> None:
    if again:  # the neighbour then comes from __pycache__, and its source counts
        twice.simcore("scenario.yaml", "--quiet")
    path = made(twice)
    found = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["inputs"]
    assert found == {
        name: hashlib.sha256(FILES[name].encode()).hexdigest()
        for name in ("models.py", "neighbour.py", "table.csv")
    }


def test_a_published_run_is_repeated_from_its_manifest(twice: Project) -> None:
    made(twice)
    (twice.path / "scenario.yaml").unlink()
    ended = twice.simcore("verify", "run")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("identical: digest ")


def test_changed_inputs_are_listed_before_what_they_change(twice: Project) -> None:
    made(twice)
    twice.write("table.csv", "1\n2\n4\n")
    twice.write("neighbour.py", FILES["neighbour.py"] + "\n")
    twice.write("unread.csv", "5\n")
    ended = twice.simcore("verify", "run")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[:2] == ["input changed: neighbour.py", "input changed: table.csv"]
    assert lines[2].startswith("different: digest ")
    assert "at 0.003s: message sensor/3: payload is " in lines[4]


def test_a_missing_input_is_named(twice: Project) -> None:
    made(twice)
    (twice.path / "table.csv").unlink()
    ended = twice.simcore("verify", "run")
    assert ended.code == 3
    assert ended.out.splitlines()[0] == "input missing: table.csv"
    assert "FileNotFoundError" in ended.err


def test_a_run_that_did_not_complete_cannot_be_verified(twice: Project) -> None:
    path = made(twice)
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    manifest["digest"], manifest["exit"]["reason"] = None, "running"
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    ended = twice.simcore("verify", "run")
    assert ended.code == 2
    assert "did not complete (exit reason: running)" in ended.err


def test_an_input_that_is_gone_at_the_end_costs_no_results(twice: Project) -> None:
    body = "\n".join(
        (
            "from pathlib import Path",
            "def model(node):",
            "    path = Path(__file__).with_name('table.csv')",
            "    path.read_text()",
            "    path.chmod(0)",
            "    yield node.sleep('1ms')",
            "    node.send('sink', 'reading')",
        )
    )
    twice.write("gone.py", body)
    ended = twice.simcore(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.model=gone.py:model",
        prefix=heeding_modes(),
    )  # fmt: skip
    assert ended.code == 0, ended.err
    manifest = json.loads((twice.path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["inputs"]["table.csv"] == "unreadable: Permission denied"
    assert manifest["counts"]["messages"] == 1


def test_what_a_run_writes_is_no_input(twice: Project) -> None:
    body = "\n".join(
        (
            "import os",
            "from pathlib import Path",
            "def model(node):",
            "    folder = Path(__file__).parent",
            "    (folder / 'one.txt').write_text('1')",
            "    os.close(os.open(folder / 'two.txt', os.O_CREAT | os.O_WRONLY))",
            "    yield node.sleep('1ms')",
        )
    )
    twice.write("writer.py", body)
    ended = twice.simcore(
        "scenario.yaml", "--out", "run", "--set=nodes.sensor.model=writer.py:model"
    )
    assert ended.code == 0, ended.err
    manifest = json.loads((twice.path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest["inputs"]) == ["writer.py"]
