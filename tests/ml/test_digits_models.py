"""The shipped models of digits: what their README says of them, and that the script makes them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simcore_backends.services.onnx_inference import OnnxInference
from simcore_backends.services.torch_inference import TorchInference
from support import PATIENCE, ROOT

SCENARIOS = ROOT / "scenarios"
MODELS = SCENARIOS / "models"
FILES = ("digits_mlp.onnx", "digits_cnn.pt", "digits_light.npz")
TINY = "tiny_weights.c"
WHERE = {TINY: ROOT / "firmware" / "app" / TINY, **{name: MODELS / name for name in FILES}}
MLP = {"model": "models/digits_mlp.onnx", "scale": 16}
CNN = {
    "model": "models/digits_cnn.py:DigitsCnn", "weights": "models/digits_cnn.pt",
    "shape": [1, 8, 8], "scale": 16, "softmax": True,
}  # fmt: skip
README = (MODELS / "README.md").read_text(encoding="utf-8")


def right(ask: Any, digits: tuple[list[bytes], list[int]]) -> int:
    images, labels = digits
    return sum(ask(i)[1]["label"] == label for i, label in zip(images, labels, strict=True))


def test_the_small_one(onnxruntime: Any, serve: Any, digits: Any) -> None:
    assert right(serve(OnnxInference, SCENARIOS, **MLP), digits) == 855
    assert "855 of 899" in README


def test_the_large_one(torch: Any, serve: Any, digits: Any) -> None:
    assert right(serve(TorchInference, SCENARIOS, **CNN), digits) == 884
    assert "884 of 899" in README


def test_the_files_are_those_of_the_readme() -> None:
    for name, file in WHERE.items():
        data = file.read_bytes()
        assert f"| {len(data):,} | `{hashlib.sha256(data).hexdigest()}` |" in README, name


def test_the_readme_counts_the_weights(torch: Any, onnx: Any) -> None:
    graph = onnx.load(MODELS / "digits_mlp.onnx").graph
    small = sum(onnx.numpy_helper.to_array(each).size for each in graph.initializer)
    state = torch.load(MODELS / "digits_cnn.pt", weights_only=True)
    large = sum(each.numel() for each in state.values())
    assert f" | {small:,} | {large:,} |" in README


@pytest.mark.parametrize("capability", [None, "default"])
def test_the_script_makes_the_same_bytes(
    capability: str | None, torch: Any, onnx: Any, tmp_path: Path
) -> None:
    """Also without the wider instructions of this processor, which add up in another order."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if capability is not None:
        environment |= {"ATEN_CPU_CAPABILITY": capability, "ONEDNN_MAX_CPU_ISA": "SSE41"}
    done = subprocess.run(
        [sys.executable, MODELS / "train_digits.py", tmp_path],
        env=environment, capture_output=True, text=True, check=True, timeout=5 * PATIENCE,
    )  # fmt: skip
    assert done.stdout == (
        "digits_tiny: 776 of 899 right, 86.3%\n"
        "digits_mlp: 855 of 899 right, 95.1%\ndigits_cnn: 884 of 899 right, 98.3%\n"
    )
    for name, file in WHERE.items():
        assert (tmp_path / name).read_bytes() == file.read_bytes(), name


def test_no_training_on_the_test_half(torch: Any, onnx: Any, tmp_path: Path) -> None:
    """Black images instead of the test half change no file."""
    copy = tmp_path / "scenarios"
    (copy / "models").mkdir(parents=True)
    (copy / "data").mkdir()
    for name in ("train_digits.py", "digits_cnn.py"):
        (copy / "models" / name).write_bytes((MODELS / name).read_bytes())
    records = (SCENARIOS / "data" / "digits.bin").read_bytes()
    (copy / "data" / "digits.bin").write_bytes(records[: 898 * 65] + bytes(899 * 65))
    (tmp_path / "firmware" / "app").mkdir(parents=True)
    command = [sys.executable, copy / "models" / "train_digits.py"]
    subprocess.run(command, check=True, capture_output=True, timeout=5 * PATIENCE)
    for name, file in WHERE.items():
        assert (tmp_path / file.relative_to(ROOT)).read_bytes() == file.read_bytes(), name
