"""The scenario `gateway`: a small model at the edge, a larger one in the cloud for what it doubts.

meter (x 10) <-> gateway (ONNX Runtime) <-> cloud (PyTorch)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Project

from simcore.expect import evaluate, parse
from simcore.federation import Federation
from simcore.results.metrics import Metrics
from simcore.results.store import open_run
from simcore.runner import run_scenario
from simcore.scenario import load

SCENARIOS = ROOT / "scenarios"
GATEWAY = SCENARIOS / "gateway_python.yaml"
pytestmark = pytest.mark.usefixtures("onnxruntime", "torch")


def digest(*options: str, seed: int | None = None) -> str:
    return Federation(load(GATEWAY, overrides=options, seed=seed)).run()


def test_the_two_files_differ_in_one_word() -> None:
    one, other = (
        (SCENARIOS / f"gateway_{name}.yaml").read_text(encoding="utf-8").split(" ")
        for name in ("python", "docker")
    )
    assert [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]] == [
        ("python_model", "docker")
    ]


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_expectations_hold_whatever_the_seed(seed: int | None, tmp_path: Path) -> None:
    scenario = load(GATEWAY, seed=seed)
    Federation(scenario, out=tmp_path / "run").run()
    with open_run(tmp_path / "run") as run:
        metrics = Metrics(run.connection)
        for text in scenario.expect:
            outcome = evaluate(parse(text), metrics)
            assert outcome.passed, outcome.explanation


def test_in_processes_it_is_the_same_run() -> None:
    here = digest()
    assert digest("nodes.gateway.implementation=process") == here
    both = ("nodes.gateway.implementation=process", "nodes.cloud.implementation=process")
    assert digest(*both) == here != digest(seed=7)


def test_the_cloud_is_asked_where_the_gateway_is_not_sure(tmp_path: Path) -> None:
    run_scenario(load(GATEWAY), tmp_path / "run")
    with open_run(tmp_path / "run") as run:
        rows = run.connection.execute(
            "SELECT kind, source, destination, payload, fate, cause FROM messages ORDER BY sent"
        ).fetchall()
        inputs = run.manifest["inputs"]
    assert {"models/digits_mlp.onnx", "models/digits_cnn.py", "models/digits_cnn.pt"} <= set(inputs)
    results = [
        (destination, json.loads(payload))
        for kind, _, destination, payload, fate, _ in rows
        if kind == "result" and fate == "delivered"
    ]
    assert all(set(said) == {"index", "label", "confidence"} for _, said in results)
    doubted = {(who, said["index"]) for who, said in results if said["confidence"] < 0.8}
    trusted = {(who, said["index"]) for who, said in results if said["confidence"] >= 0.8}
    asked = {
        (source, json.loads(payload)["index"])
        for kind, source, destination, payload, _, _ in rows
        if (kind, destination) == ("reading", "cloud")
    }
    assert doubted and doubted <= asked, "at once, so none is cut off by the end of the run"
    unheard = asked - doubted
    assert len(unheard) < 0.05 * len(results) and len(trusted & asked) <= len(unheard)
    chains = {kind: {cause for k, *_, cause in rows if k == kind} for kind in ("result", "verdict")}
    assert all(cause is not None for causes in chains.values() for cause in causes)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of the scenario with a model that is broken."""
    for name in ("gateway_python.yaml", "gateway_models.py", "data", "models"):
        source = SCENARIOS / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    (tmp_path / "models" / "digits_mlp.onnx").write_bytes(b"not a model")
    return Project(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1"})


@pytest.mark.parametrize("implementation", ["python_model", "process"])
def test_broken(implementation: str, project: Project) -> None:
    option = f"nodes.gateway.implementation={implementation}"
    done = project.simcore("gateway_python.yaml", "--set", option, "--out", "r")
    assert done.code == 3
    assert (
        "simcore: onnx_inference of gateway: models/digits_mlp.onnx cannot be loaded as an ONNX "
        "model: " in done.err
    )
    assert "export it anew" in done.err and "Traceback" not in done.err
    manifest: dict[str, Any] = json.loads((project.path / "r" / "manifest.json").read_bytes())
    assert "models/digits_mlp.onnx" in manifest["exit"]["message"]


def test_a_model_that_is_not_there_is_found_before_the_run(project: Project) -> None:
    (project.path / "models" / "digits_mlp.onnx").unlink()
    done = project.simcore("validate", "gateway_python.yaml")
    assert done.code == 2
    assert (
        "gateway_python.yaml:34:14: nodes.gateway.config.model: there is no such file: "
        "'models/digits_mlp.onnx'" in done.err + done.out
    )
