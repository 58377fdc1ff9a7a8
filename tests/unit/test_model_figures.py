"""What the README of the shipped models says of them: each figure, computed anew.

With numpy alone; that ONNX Runtime and PyTorch give the same answers is tested in tests/ml.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from placed import models, unseen

from simcore.payload import freeze, thaw
from simcore.protocol.service import ServiceHost
from simcore.results.statistics import wilson_interval

MODELS = models.HERE / "models"
README = (MODELS / "README.md").read_text(encoding="utf-8")
THRESHOLDS = (50, 60, 70, 80, 85, 90, 95)  # percent
CONFIG: dict[str, dict[str, Any]] = {"Edge": {}, "Cloud": {"softmax": True}}


class Message:
    """What a service sees of a message that holds an image."""

    id, source, kind, size, sent = "dispatcher/1", "dispatcher", "infer", 72, 0

    def __init__(self, image: bytes) -> None:
        self.payload = {"n": 1, "index": 2, "device": "meter", "image": image}


def serve(name: str, **config: Any) -> Any:
    """A service of `placement_models.py`; what it answers to an image."""
    config = {"scale": 16, **CONFIG[name], **config}
    host = ServiceHost(
        getattr(models, name)(), name="node", seed=1, config=config, base=models.HERE, freeze=freeze
    )
    host.advance(0, [])
    return lambda image: host.advance(1, [Message(image)]).outputs


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[Any, Any]]:
    """Of each model for each image of the test half: whether it is right, and how sure it is."""
    images, labels = unseen()
    tiny = models.Tiny()
    said = {"tiny": [tiny.classify(image) for image in images]}
    for column, name in (("edge", "Edge"), ("cloud", "Cloud")):
        ask = serve(name)
        found = [thaw(ask(image)[0].payload) for image in images]
        said[column] = [(each["label"], each["confidence"] * 1000) for each in found]
    return {
        name: (
            np.array([label for label, _ in each]) == labels,
            np.array([sure for _, sure in each]),
        )
        for name, each in said.items()
    }


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def test_accuracies(answers: Any) -> None:
    right, shares, intervals = [], [], []
    for good, _ in answers.values():
        low, high = wilson_interval(int(good.sum()), len(good))
        right.append(f"{good.sum()} of {len(good)}")
        shares.append(f"{percent(good.mean())} %")
        intervals.append(f"{percent(low)} to {percent(high)} %")
    assert f"| right on the test half | {' | '.join(right)} |" in README
    assert f"| accuracy | {' | '.join(shares)} |" in README
    assert f"| 95 % interval (Wilson 1927) | {' | '.join(intervals)} |" in README


def test_the_intervals_do_not_touch(answers: Any) -> None:
    bounds = [wilson_interval(int(good.sum()), len(good)) for good, _ in answers.values()]
    assert bounds[0][1] < bounds[1][0] and bounds[1][1] < bounds[2][0]


def test_what_is_kept_at_which_threshold(answers: Any) -> None:
    lines = []
    for threshold in THRESHOLDS:
        cells = []
        for good, sure in answers.values():
            kept = sure >= threshold * 10
            cells.append(f"{percent(kept.mean())} % | {percent(good[kept].mean())} %")
        lines.append(f"| {threshold} % | {' | '.join(cells)} |")
    assert "\n".join(lines) in README


def test_what_becomes_of_a_chain(answers: Any) -> None:
    (tiny, sure), (edge, surer), (cloud, _) = answers.values()
    kept = sure >= 850
    accepted = ~kept & (surer >= 900)
    rest = ~kept & ~accepted
    right = int(np.where(kept, tiny, np.where(accepted, edge, cloud)).sum())
    low, high = wilson_interval(right, len(tiny))
    assert (
        f"the device keeps {kept.sum()} images of 899, the edge {accepted.sum()} and the cloud "
        f"{rest.sum()} ({percent(rest.mean())} %); {right} answers are right "
        f"({percent(right / len(tiny))} %, {percent(low)} to {percent(high)} %)."
    ) in " ".join(README.split())


def test_useful_thresholds(answers: Any) -> None:
    """At least half of all goes to the edge, and a fifth of all to the cloud."""
    (_, sure), (_, surer), _ = answers.values()
    assert (sure < 850).mean() >= 0.5
    assert ((sure < 850) & (surer < 900)).mean() >= 0.2


def test_the_files_are_those_of_the_readme() -> None:
    for file in (MODELS / "digits_light.npz", models.HERE.parent / "firmware/app/tiny_weights.c"):
        data = file.read_bytes()
        assert f"| {len(data):,} | `{hashlib.sha256(data).hexdigest()}` |" in README, file


def test_the_readme_counts_the_weights() -> None:
    with np.load(MODELS / "digits_light.npz") as file:
        counts = {
            prefix: sum(file[name].size for name in file if name.startswith(prefix))
            for prefix in ("tiny_", "mlp_", "cnn_")
        }
    counts["tiny_"] -= 128 + 2  # a table and two shifts are no weights
    assert f"| weights | {' | '.join(f'{count:,}' for count in counts.values())} |" in README


def test_truth() -> None:
    labels = unseen()[1]
    assert [models.truth(index) for index in range(899)] == labels
    with pytest.raises(IndexError):
        models.truth(899)


@pytest.mark.parametrize("name", ["Edge", "Cloud"])
def test_an_answer_keeps_what_it_is_about(name: str) -> None:
    ask = serve(name, keep=["n", "index", "device"], kind="answer", size="16B")
    image = unseen()[0][0]
    [answer] = ask(image)
    assert (answer.destination, answer.kind, answer.size) == ("dispatcher", "answer", 16)
    payload = thaw(answer.payload)
    assert payload.keys() == {"n", "index", "device", "label", "confidence"}
    assert (payload["n"], payload["index"], payload["device"]) == (1, 2, "meter")
    [error] = ask(image[:63])
    assert error.kind == "error"


def test_an_image_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []
    monkeypatch.setattr(
        models.Edge, "outputs", lambda self, pixels: computed.append(1) or np.full(10, 0.1)
    )
    ask = serve("Edge")
    computed.clear()
    images = unseen()[0][:3]
    for image in images * 4:
        ask(image)
    assert len(computed) == 3
