"""A model that is missing, corrupt, of another shape or not a number, in a container.

What is wrong with it is found before the first message, and said in the words of the service.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from contained import contained
from support import ROOT, Project

MODELS = ROOT / "scenarios" / "models"

SCENARIO = """
simcore: 1
name: models
duration: 10ms
nodes:
  client: {model: models.py:asks}
  onnx:
    implementation: docker
    service: onnx_inference
    config: {model: models/digits_mlp.onnx, scale: 16}
  torch:
    implementation: docker
    service: torch_inference
    config:
      model: models/digits_cnn.py:DigitsCnn
      weights: models/digits_cnn.pt
      shape: [1, 8, 8]
      scale: 16
      softmax: true
"""

ASKS = """
def asks(node):
    for image in (bytes(64), bytes(63), [float(i % 17) for i in range(64)], "no image"):
        yield node.sleep("1ms")
        for service in ("onnx", "torch"):
            node.send(service, "image", {"image": image})
            answer = yield node.receive()
            node.record(f"{service}_{answer.kind}", 1)
"""


@pytest.fixture
def project(tmp_path: Path, provisions: dict[str, str]) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.environment |= provisions
        made.write("models.py", ASKS)
        made.write("scenario.yaml", SCENARIO)
        shutil.copytree(MODELS, tmp_path / "models")
        yield made


def failed(project: Project, node: str, *options: str, out: str = "run") -> str:
    """What a run says that fails as it starts."""
    ended = project.simcore("scenario.yaml", "--out", out, *options)
    assert ended.code == 3, ended.err
    assert re.search(rf"^simcore: {node}_inference of {node}: ", ended.err, re.M), ended.err
    assert f"node {node}" in ended.err
    assert "Traceback" not in ended.err
    assert (project.path / out / "manifest.json").exists()
    return ended.err


def test_bad_images_are_answered(project: Project) -> None:
    """They say nothing against the model."""
    ended = project.simcore("scenario.yaml", "--out", "run")
    assert ended.code == 0, ended.err
    for node in ("onnx", "torch"):
        assert re.search(rf"{node}_result +2 ", ended.out), ended.out
        assert re.search(rf"{node}_error +2 ", ended.out), ended.out


@pytest.mark.parametrize("key", ["onnx.config.model", "torch.config.weights"])
def test_file_that_is_missing_is_found_before(project: Project, key: str) -> None:
    ended = project.simcore("scenario.yaml", f"--set=nodes.{key}=models/none")
    assert ended.code == 2
    assert "models/none" in ended.err and "Traceback" not in ended.err


def test_file_that_the_container_does_not_see(project: Project) -> None:
    said = failed(project, "onnx", "--set=nodes.onnx.files=[models/README.md]")
    assert "there is no /scenario/models/digits_mlp.onnx: does the key 'files'" in said
    said = failed(project, "torch", "--set=nodes.torch.files=[models/digits_cnn.py]", out="second")
    assert "there is no /scenario/models/digits_cnn.pt: does the key 'files'" in said


@pytest.mark.parametrize("content", [b"", b"no model", "half"])
@pytest.mark.parametrize(
    ("node", "file", "says"),
    [
        ("onnx", "digits_mlp.onnx", "cannot be loaded as an ONNX model"),
        ("torch", "digits_cnn.pt", "cannot be loaded as weights"),
    ],
)
def test_file_that_is_corrupt(
    project: Project, node: str, file: str, says: str, content: bytes | str
) -> None:
    path = project.path / "models" / file
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    assert f"models/{file} {says}" in failed(project, node)


@pytest.mark.parametrize(
    ("node", "shape", "says"),
    [
        ("onnx", "[1, 7, 7]", "models/digits_mlp.onnx takes inputs of "),
        ("torch", "[1, 3, 3]", "cannot be used with inputs of 1 x 3 x 3 float32"),
    ],
)
def test_another_shape(project: Project, node: str, shape: str, says: str) -> None:
    assert says in failed(project, node, f"--set=nodes.{node}.config.shape={shape}")


def test_weights_that_are_no_numbers(project: Project) -> None:
    path = project.path / "models" / "digits_cnn.pt"
    weights = torch.load(path, weights_only=True)
    for each in weights.values():
        each.fill_(float("nan"))
    torch.save(weights, path)
    assert "the model's outputs are not finite numbers" in failed(project, "torch")


def test_weights_of_another_model(project: Project) -> None:
    torch.save({"w": torch.zeros(3)}, project.path / "models" / "digits_cnn.pt")
    said = failed(project, "torch")
    assert "models/digits_cnn.pt holds no weights of models/digits_cnn.py:DigitsCnn" in said
