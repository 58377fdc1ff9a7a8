"""`torch_inference`: a class and its weights, and what is said of those that cannot be used."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simcore_backends.services.inference import BadModel
from simcore_backends.services.torch_inference import TorchInference

NETWORK = """\
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.often = torch.nn.Dropout(0.5)

    def forward(self, x):
        return self.often(self.layer(x)).{call}


class Plain:
    pass


class Raising(torch.nn.Module):
    def __init__(self):
        raise RuntimeError("no GPU")
"""


@pytest.fixture
def net(torch: Any, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes a class and weights that pass two numbers on; returns the config."""
    state = {"layer.weight": torch.eye(2), "layer.bias": torch.zeros(2)}

    def made(call: str = "softmax(1)", state: Any = state, number: Any = None) -> dict[str, Any]:
        number = len(list(tmp_path.iterdir())) if number is None else number
        (tmp_path / f"net{number}.py").write_text(NETWORK.format(call=call))
        torch.save(state, tmp_path / f"net{number}.pt")
        return {"model": f"net{number}.py:Net", "weights": f"net{number}.pt", "shape": [2]}

    return made


def refused(serve: Any, base: Path, **config: Any) -> str:
    with pytest.raises(BadModel) as caught:
        serve(TorchInference, base, **config)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("torch_inference of gateway: ")
    return message.removeprefix("torch_inference of gateway: ")


def test_it_evaluates_and_does_not_train(net: Any, serve: Any, tmp_path: Path) -> None:
    ask = serve(TorchInference, tmp_path, **net())
    expected = ("result", {"label": 1, "confidence": 0.7311})  # e / (e + 1); no dropout
    assert [ask([0, 1]) for _ in range(20)] == [expected] * 20


def test_double_precision_stays(torch: Any, net: Any, serve: Any, tmp_path: Path) -> None:
    config = net("double().softmax(1)")
    assert serve(TorchInference, tmp_path, **config)([0, 1])[1] == {
        "label": 1,
        "confidence": 0.7311,
    }


def test_weights_that_are_none(torch: Any, net: Any, serve: Any, tmp_path: Path) -> None:
    config = net()
    good = (tmp_path / config["weights"]).read_bytes()
    for data in (b"", b"nonsense", good[:500], good[: len(good) // 2] + bytes(100)):
        (tmp_path / "broken.pt").write_bytes(data)
        message = refused(serve, tmp_path, **config | {"weights": "broken.pt"})
        assert message.startswith("broken.pt cannot be loaded as weights: ")
        assert message.endswith("; write it with torch.save(model.state_dict(), file)")


class Harmful:
    """Would write a file, if it were unpickled as it wants."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.victim,)


def test_a_file_of_weights_runs_nothing(torch: Any, net: Any, serve: Any, tmp_path: Path) -> None:
    victim, bad = tmp_path / "victim", tmp_path / "bad.pt"
    torch.save({"layer.weight": Harmful(victim)}, bad)
    assert "cannot be loaded as weights" in refused(
        serve, tmp_path, **net() | {"weights": "bad.pt"}
    )
    bad.write_bytes(pickle.dumps(Harmful(victim)))
    assert "cannot be loaded as weights" in refused(
        serve, tmp_path, **net() | {"weights": "bad.pt"}
    )
    assert not victim.exists()


def test_weights_of_another_model(torch: Any, net: Any, serve: Any, tmp_path: Path) -> None:
    for state, why in (
        ({"layer.weight": torch.eye(3), "layer.bias": torch.zeros(2)}, "size mismatch"),
        ({"layer.weight": torch.eye(2)}, "Missing key(s)"),
        ({"state_dict": {}}, "Unexpected key(s)"),
        (torch.eye(2), "Expected state_dict to be dict-like"),
    ):
        config = net(state=state)
        message = refused(serve, tmp_path, **config)
        assert message.startswith(f"{config['weights']} holds no weights of {config['model']}: ")
        assert why in message


def test_classes_that_are_no_models(net: Any, serve: Any, tmp_path: Path) -> None:
    config = net(number="x")
    said = refused(serve, tmp_path, **config | {"model": "netx.py:Plain"})
    assert said == "netx.py:Plain is a Plain, and must be a torch.nn.Module"
    assert refused(serve, tmp_path, **config | {"model": "netx.py:Raising"}) == (
        "netx.py:Raising cannot be made: RuntimeError: no GPU"
    )
    said = refused(serve, tmp_path, **config | {"model": "netx.py:Gone"})
    assert said == "netx.py:Gone: netx.py has no 'Gone'"


def test_outputs_and_shapes(net: Any, serve: Any, tmp_path: Path) -> None:
    assert refused(serve, tmp_path, **net() | {"shape": [3]}).endswith(
        "cannot be used with inputs of 3 float32: tried with zeros, the model failed with "
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 2x2)"
    )
    assert "failed with AttributeError" in refused(serve, tmp_path, **net("max(1)"))
    ask = serve(TorchInference, tmp_path, **net("sqrt()"))
    assert ask([1, -1]) == ("error", {"error": "the model's outputs are not finite numbers"})
    assert ask([0, 1]) == ("result", {"label": 1, "confidence": 1.0})
