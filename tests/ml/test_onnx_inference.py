"""`onnx_inference`: ONNX files as they come, and what is said of those that cannot be used."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simcore_backends.services.inference import BadModel
from simcore_backends.services.onnx_inference import OnnxInference

Build = Callable[..., str]


@pytest.fixture
def build(onnx: Any, onnxruntime: Any, tmp_path: Path) -> Build:
    """Writes an ONNX file of one operation on its input; returns its name."""

    def made(
        operation: str, *, shape: list[Any], type: str = "FLOAT", inputs: int = 1, **attributes: Any
    ) -> str:
        kind = getattr(onnx.TensorProto, type)
        names = [f"in{number}" for number in range(inputs)]
        nodes = [onnx.helper.make_node(operation, names, ["out"], **attributes)]
        if type != "FLOAT" and operation != "Cast":
            nodes[0].output[0] = "raw"
            nodes.append(onnx.helper.make_node("Cast", ["raw"], ["out"], to=1))
        graph = onnx.helper.make_graph(
            nodes, "g",
            [onnx.helper.make_tensor_value_info(name, kind, shape) for name in names],
            [onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
        )  # fmt: skip
        opset = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m")
        return "m"

    return made


def refused(serve: Any, base: Path, **config: Any) -> str:
    with pytest.raises(BadModel) as caught:
        serve(OnnxInference, base, **config)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("onnx_inference of gateway: ")
    return message.removeprefix("onnx_inference of gateway: ")


def test_the_shape_is_the_models(build: Build, serve: Any, tmp_path: Path) -> None:
    ask = serve(OnnxInference, tmp_path, model=build("Softmax", shape=["n", 3], axis=1))
    kind, said = ask([0, 1, 0])
    assert (kind, said) == ("result", {"label": 1, "confidence": 0.5761})  # e / (e + 2)
    assert ask([0, 1]) == (
        "error",
        {"error": "'image' holds 2 numbers; the model takes 3"},
    )


@pytest.mark.parametrize("batch", [1, "n", None])
def test_a_batch_of_one_is_what_it_gets(
    batch: Any, build: Build, serve: Any, tmp_path: Path
) -> None:
    ask = serve(OnnxInference, tmp_path, model=build("Sigmoid", shape=[batch, 2, 2]))
    assert ask([[9, 0], [0, 0]]) == ("result", {"label": 0, "confidence": 0.9999})


def test_a_shape_that_the_model_leaves_open_is_declared(
    build: Build, serve: Any, tmp_path: Path
) -> None:
    model = build("Sigmoid", shape=["n", "height", 2])
    assert refused(serve, tmp_path, model=model) == (
        "m does not say what it takes: give the 'shape' of one input"
    )
    ask = serve(OnnxInference, tmp_path, model=model, shape=[3, 2])
    assert ask([0, 0, 0, 0, 1, 0])[1]["label"] == 4


@pytest.mark.parametrize("type", ["FLOAT", "DOUBLE", "FLOAT16", "UINT8", "INT8", "INT32", "INT64"])
def test_types_of_inputs(type: str, build: Build, serve: Any, tmp_path: Path) -> None:
    ask = serve(
        OnnxInference, tmp_path, model=build("Identity", shape=["n", 2], type=type), digits=1
    )
    assert ask([0, 1]) == ("result", {"label": 1, "confidence": 1.0})


def test_files_that_are_no_models(onnxruntime: Any, serve: Any, tmp_path: Path) -> None:
    whole = (Path(__file__).parents[2] / "scenarios/models/digits_mlp.onnx").read_bytes()
    for data in (b"", b"nonsense", whole[:3000], whole[:100] + b"\xff" * 50 + whole[150:]):
        (tmp_path / "broken.onnx").write_bytes(data)
        message = refused(serve, tmp_path, model="broken.onnx")
        assert message.startswith("broken.onnx cannot be loaded as an ONNX model: ")
        assert message.endswith("; export it anew, or update onnxruntime if the file is newer")
    assert refused(serve, tmp_path, model="gone.onnx").startswith("there is no ")


def test_models_that_cannot_be_used(build: Build, serve: Any, tmp_path: Path) -> None:
    two = build("Add", shape=["n", 2], inputs=2)
    assert refused(serve, tmp_path, model=two) == "m has 2 inputs (in0, in1), and must have one"
    four = build("Sigmoid", shape=[4, 2])
    assert refused(serve, tmp_path, model=four).startswith(
        "m takes tensor(float) of the shape [4, 2], and must take a batch: its first dimension 1 "
        "or open, and its type one of tensor(float), "
    )
    flags = build("Cast", shape=["n", 2], type="BOOL", to=1)
    assert refused(serve, tmp_path, model=flags).startswith("m takes tensor(bool) of the shape ")
    other = build("Sigmoid", shape=["n", 2])
    assert refused(serve, tmp_path, model=other, shape=[3]) == (
        "m takes inputs of 2, not of 3 as 'shape' says: write shape: [2], or leave it out"
    )
    logits = build("Sub", shape=["n", 2], inputs=2)
    assert "has 2 inputs" in refused(serve, tmp_path, model=logits)


def test_the_output_that_counts(onnx: Any, onnxruntime: Any, serve: Any, tmp_path: Path) -> None:
    """As scikit-learn's converter makes them: a label, then probabilities."""
    make, types = onnx.helper, onnx.TensorProto
    nodes = [
        make.make_node("Softmax", ["x"], ["probabilities"], axis=1),
        make.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
    ]
    graph = make.make_graph(
        nodes, "g", [make.make_tensor_value_info("x", types.FLOAT, ["n", 3])],
        [
            make.make_tensor_value_info("label", types.INT64, ["n"]),
            make.make_tensor_value_info("probabilities", types.FLOAT, ["n", 3]),
        ],
    )  # fmt: skip
    opset = [make.make_opsetid("", 17)]
    onnx.save(make.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m")
    have = "it has label (tensor(int64)), probabilities (tensor(float))"
    assert refused(serve, tmp_path, model="m") == (
        f"the output 'label' of m is no score of each class: name another with 'output'; {have}"
    )
    said = refused(serve, tmp_path, model="m", output="scores")
    assert said == f"m has no output 'scores'; {have}"
    ask = serve(OnnxInference, tmp_path, model="m", output="probabilities")
    assert ask([0, 0, 1]) == ("result", {"label": 2, "confidence": 0.5761})
    ask = serve(OnnxInference, tmp_path, model="m", answer="values")
    assert ask([0, 0, 1]) == ("result", {"values": [2.0]})


def test_outputs_that_are_no_numbers_are_an_error_of_one_message(
    build: Build, serve: Any, tmp_path: Path
) -> None:
    ask = serve(OnnxInference, tmp_path, model=build("Sqrt", shape=["n", 2]))
    assert ask([1, -1]) == ("error", {"error": "the model's outputs are not finite numbers"})
    assert ask([0, 1]) == ("result", {"label": 1, "confidence": 1.0})
    model = build("Log", shape=["n", 2])
    assert refused(serve, tmp_path, model=model) == (
        "m cannot be used with inputs of 2 float32: tried with zeros, the model's outputs are not "
        "finite numbers"
    )


def test_one_thread_and_no_telemetry(build: Build, serve: Any, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/task")), threading.active_count()
    ask = serve(OnnxInference, tmp_path, model=build("Softmax", shape=["n", 2000], axis=1))
    ask(np.zeros(2000).tolist())
    assert (len(os.listdir("/proc/self/task")), threading.active_count()) == before
    # That it is set before the import, tests/unit/services/test_inference.py says.
    assert OnnxInference.environment == {"ORT_DISABLE_TELEMETRY": "1"}
