"""The models of the scenario `placement` say the same, whatever computes them.

ONNX Runtime and PyTorch --> label, 4 digits     of each of the 1,797 images
numpy, the light models  --> the same
numpy, double precision  --> the same, but where a confidence lies between two roundings
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from placed import models
from simcore_backends.services.onnx_inference import OnnxInference
from simcore_backends.services.torch_inference import TorchInference
from test_digits_models import CNN, MLP, SCENARIOS

RECORDS = np.frombuffer(models.DIGITS.read_bytes(), dtype=np.uint8).reshape(-1, 65)
EDGE = 1e-6
"""Two that differ by less than this in their sums may round a confidence to different digits."""


def said(ask: Any) -> list[tuple[int, float]]:
    answers = [ask(row[:64].tobytes())[1] for row in RECORDS]
    return [(each["label"], each["confidence"]) for each in answers]


@pytest.fixture(scope="module")
def weights(onnx: Any, torch: Any) -> dict[str, list[Any]]:
    """Of both networks, in double precision, from the files that the services load."""
    graph = onnx.load(SCENARIOS / "models" / "digits_mlp.onnx").graph
    named = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    state = torch.load(SCENARIOS / "models" / "digits_cnn.pt", weights_only=True)
    return {
        "mlp": [named[name].astype(np.float64) for name in ("w1", "b1", "w2", "b2")],
        "cnn": [each.numpy().astype(np.float64) for each in state.values()],
    }


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def mlp(image: Any, weights: list[Any]) -> Any:
    w1, b1, w2, b2 = weights
    return softmax(w2 @ np.maximum(w1 @ image + b1, 0) + b2)


def convolved(image: Any, weights: Any, bias: Any) -> Any:
    """Term by term, as a convolution is defined: not as the light model computes it."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    made = np.zeros((len(weights), 8, 8)) + bias[:, None, None]
    for row in range(3):
        for column in range(3):
            part = padded[:, row : row + 8, column : column + 8]
            made += np.tensordot(weights[:, :, row, column], part, axes=1)
    return made


def cnn(image: Any, weights: list[Any]) -> Any:
    w1, b1, w2, b2, w3, b3 = weights
    features = np.maximum(convolved(image.reshape(1, 8, 8), w1, b1), 0)
    features = np.maximum(convolved(features, w2, b2), 0)
    pooled = np.maximum.reduce([features[:, r::2, c::2] for r in (0, 1) for c in (0, 1)])
    return softmax(w3 @ pooled.reshape(-1) + b3)


def agree(found: list[tuple[int, float]], reference: Any, weights: list[Any]) -> int:
    """That answers are those of the reference; how many confidences lie between two roundings."""
    between = 0
    for (label, confidence), row in zip(found, RECORDS, strict=True):
        expected = reference(row[:64] / 16, weights)
        assert label == int(expected.argmax())
        exact = float(expected.max())
        if round(exact - EDGE, 4) != round(exact + EDGE, 4):
            between += 1
            assert abs(confidence - exact) < 0.5e-4 + EDGE
        else:
            assert confidence == round(exact, 4)
    return between


def test_onnx_runtime_says_what_double_precision_says(
    onnxruntime: Any, serve: Any, weights: Any
) -> None:
    found = said(serve(OnnxInference, SCENARIOS, **MLP))
    assert agree(found, mlp, weights["mlp"]) < 60


def test_pytorch_says_what_double_precision_says(torch: Any, serve: Any, weights: Any) -> None:
    found = said(serve(TorchInference, SCENARIOS, **CNN))
    assert agree(found, cnn, weights["cnn"]) < 60


def test_the_light_edge_says_what_onnx_runtime_says(onnxruntime: Any, serve: Any) -> None:
    found = said(serve(models.Edge, SCENARIOS, scale=16))
    assert found == said(serve(OnnxInference, SCENARIOS, **MLP))


def test_the_light_cloud_says_what_pytorch_says(torch: Any, serve: Any) -> None:
    found = said(serve(models.Cloud, SCENARIOS, scale=16, softmax=True))
    assert found == said(serve(TorchInference, SCENARIOS, **CNN))
