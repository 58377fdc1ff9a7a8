"""What inference services share, with a model that is a function: messages in, answers out.

meter ---> gateway ---> cloud      driven by hand, so every time is the service's own
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcore_backends.services.inference import BadModel, Inference
from support import PATIENCE

from simcore import ScenarioError, loads
from simcore.payload import freeze, thaw
from simcore.protocol.service import Done, ServiceHost

MS = 10**6


class Message(NamedTuple):
    payload: Any
    kind: str = "reading"
    id: str = "meter/1"
    source: str = "meter"
    size: int = 72
    sent: int = 0


class Summing(Inference):
    """Says how much there is in the first and in the second half of four numbers."""

    name = "summing"
    library = "numpy"
    own: list[int] | None = [2, 2]
    kind = "float32"

    def load(self, ctx, library):
        assert library is np
        return self.own, self.kind

    def run(self, values):
        assert values.shape == (1, 2, 2) and values.dtype == self.kind
        return values.reshape(1, 2, 2).sum(axis=2)


def host(of: type = Summing, queue: int | None = None, **config: Any) -> ServiceHost:
    made = ServiceHost(
        of(), name="gateway", seed=1, config={"model": "sums.model", **config}, base=Path(),
        queue=queue, freeze=freeze,
    )  # fmt: skip
    made.advance(0, [])
    return made


def answers(done: Done) -> list[tuple[str, str, Any]]:
    return [(out.destination, out.kind, thaw(out.payload)) for out in done.outputs]


def answer(payload: Any, of: type = Summing, **config: Any) -> tuple[str, Any]:
    [(destination, word, said)] = answers(host(of, **config).advance(5, [Message(payload)]))
    assert destination == "meter"
    return word, said


def test_the_class_with_the_highest_score_and_its_confidence():
    assert answer({"image": [0.5, 0.25, 0.125, 0.0]}) == (
        "result",
        {"label": 0, "confidence": 0.75},
    )
    assert answer({"image": [[0, 0.25], [0.5, 0.0]]}) == ("result", {"label": 1, "confidence": 0.5})


def test_bytes_are_numbers_and_scaled():
    said = answer({"image": bytes([1, 2, 3, 4])}, scale=16)
    assert said == ("result", {"label": 1, "confidence": 0.4375})


def test_a_scale_that_makes_numbers_too_large_is_an_error_of_the_message():
    said = answer({"image": [1e308, 0, 0, 0]}, scale=0.001)
    assert said == ("error", {"error": "'image' holds numbers that are no float32"})


def test_labels_and_rounding():
    said = answer({"image": [0.1, 0.23456, 0, 0]}, labels=["dark", "light"], digits=2)
    assert said == ("result", {"label": "dark", "confidence": 0.33})


def test_softmax_makes_probabilities_of_logits():
    """e^1 / (e^1 + e^3) = 0.1192; large logits overflow nothing."""
    assert answer({"image": [1, 0, 1, 2]}, softmax=True)[1] == {"label": 1, "confidence": 0.8808}
    said = answer({"image": [30000, 0, 0, 30000]}, softmax=True)
    assert said[1] == {"label": 0, "confidence": 0.5}


def test_values_are_answered_as_they_are():
    said = answer({"image": [100, 0.5, -3, 0]}, answer="values", digits=1)
    assert said == ("result", {"values": [100.5, -3.0]})


def test_nothing_is_not_less_than_nothing():
    """Which of the two a processor computes is chance."""
    for little in (-1e-9, 1e-9, -0.0):
        [done] = host(answer="values").advance(0, [Message({"image": [little, 0, 1, 1]})]).outputs
        assert done.payload == '{"values":[0.0,2.0]}'


def test_what_is_kept_and_where_it_goes():
    made = host(to="cloud", kind="verdict", keep=["index", "absent"], size="16B", input="pixels")
    message = Message({"pixels": [0, 0, 1, 0], "index": 7, "other": 8})
    done = made.advance(5, [message])
    assert answers(done) == [
        ("cloud", "verdict", {"index": 7, "label": 1, "confidence": 1.0, "source": "meter"})
    ]
    assert (done.outputs[0].size, done.outputs[0].cause) == (16, message)


def test_computing_takes_the_time_that_is_declared():
    made = host(compute="4ms")
    done = made.advance(0, [Message({"image": [0, 0, 1, 0]})] * 2)
    assert [(out.at, out.waited, out.computed) for out in done.outputs] == [
        (4 * MS, 0, 4 * MS),
        (8 * MS, 4 * MS, 4 * MS),
    ]


def test_what_finds_no_room_is_told_so_and_counted():
    made = host(compute="4ms", queue=0, keep=["index"])
    done = made.advance(0, [Message({"image": [0, 0, 1, 0], "index": n}) for n in (1, 2)])
    assert answers(done) == [
        ("meter", "result", {"index": 1, "label": 1, "confidence": 1.0}),
        ("meter", "rejected", {"index": 2, "error": "gateway: 0 computations wait already"}),
    ]
    assert [(out.at, out.kind) for out in done.outputs] == [(4 * MS, "result"), (0, "rejected")]
    assert [(m.at, m.name, m.value) for m in done.measures] == [(0, "rejected", 1)]


LIBRARY = """
import os

SEEN = os.environ.get("LIBRARY_IS_QUIET")
"""


@pytest.mark.parametrize(("before", "seen"), [(None, "1"), ("0", "0")])
def test_a_library_finds_its_environment_when_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, seen: str
) -> None:
    """As ONNX Runtime, which sends telemetry otherwise; what the user has set counts."""
    found = []

    class Quiet(Summing):
        library = "library_that_looks"
        environment = {"LIBRARY_IS_QUIET": "1"}

        def load(self, ctx, library):
            found.append(library.SEEN)
            return self.own, self.kind

    (tmp_path / "library_that_looks.py").write_text(LIBRARY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "library_that_looks", raising=False)
    monkeypatch.setenv("LIBRARY_IS_QUIET", before or "")
    if before is None:
        monkeypatch.delenv("LIBRARY_IS_QUIET")
    host(Quiet)
    del sys.modules["library_that_looks"]
    assert found == [seen]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (None, "the payload has no 'image'"),
        ([1, 2, 3, 4], "the payload has no 'image'"),
        ({"picture": b"1234"}, "the payload has no 'image'"),
        ({"image": "1234"}, "'image' is text, not bytes or a list of numbers"),
        ({"image": None}, "'image' is nothing, not bytes or a list of numbers"),
        ({"image": {"a": 1}}, "'image' is a mapping, not bytes or a list of numbers"),
        ({"image": True}, "'image' is true or false, not bytes or a list of numbers"),
        ({"image": 7}, "'image' is a number, not bytes or a list of numbers"),
        ({"image": b"123"}, "'image' holds 3 numbers; the model takes 2 x 2"),
        ({"image": []}, "'image' holds 0 numbers; the model takes 2 x 2"),
        ({"image": [[1, 2, 3, 4, 5]]}, "'image' holds 5 numbers; the model takes 2 x 2"),
        ({"image": [[1], [2, 3, 4]]}, "'image' holds lists of different lengths"),
        ({"image": ["1", "2", "3", "4"]}, "'image' holds something else than numbers"),
        ({"image": [1, 2, 3, None]}, "'image' holds something else than numbers"),
        ({"image": [True, False, True, True]}, "'image' holds something else than numbers"),
        ({"image": [10**30, 1, 1, 1]}, "'image' holds something else than numbers"),
        ({"image": [1e300, 1, 1, 1]}, "'image' holds numbers that are no float32"),
        (
            {"image": [3, 0, 0, 0]},
            "the model's outputs are not between 0 and 1: if they are logits, say softmax: true",
        ),
    ],
)
def test_a_message_that_makes_no_sense_is_answered_and_counted(payload: Any, why: str):
    made = host(keep=["index"], compute="4ms")
    good = Message({"image": [0, 0, 1, 0]})
    bad = Message({**payload, "index": 3} if isinstance(payload, dict) else payload)
    done = made.advance(0, [bad, good])
    kept = {"index": 3} if isinstance(payload, dict) else {}
    first, second = answers(done)
    assert first == ("meter", "error", {**kept, "error": why})
    assert second[:2] == ("meter", "result"), "one bad message does not end it"
    assert [(m.name, m.value) for m in done.measures] == [("failed", 1)]


def test_errors_go_where_answers_go():
    done = host(to="cloud").advance(0, [Message({})])
    assert answers(done) == [
        ("cloud", "error", {"error": "the payload has no 'image'", "source": "meter"})
    ]


@pytest.mark.parametrize("kind", ["error", "rejected"])
def test_errors_of_others_are_not_answered_for_it_might_never_end(kind: str):
    done = host().advance(0, [Message({"error": "no"}, kind=kind)])
    assert (list(done.outputs), list(done.measures)) == ([], [])


class Failing(Summing):
    def run(self, values):
        if values.sum() > 3:
            raise RuntimeError(f"at {id(values)}")
        return np.array([[0.5, np.nan if values.sum() > 1 else 0.25]])


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ([1, 1, 0, 0], "the model's outputs are not finite numbers"),
        ([1, 1, 1, 1], "the model failed with RuntimeError"),
    ],
)
def test_what_a_model_makes_no_sense_of(image: list[int], why: str):
    """Without what the library said, which may differ from run to run: it is in the log."""
    assert answer({"image": image}, Failing) == ("error", {"error": why})


def test_whole_numbers_are_taken_as_they_are_or_not_at_all():
    class Whole(Summing):
        kind = "uint8"

        def run(self, values):
            return values.sum(axis=2) / 510

    assert answer({"image": [255, 255, 0, 0]}, Whole)[1] == {"label": 0, "confidence": 1.0}
    for wrong in (-1, 256, 1.5):
        said = answer({"image": [wrong, 0, 0, 0]}, Whole)
        assert said == ("error", {"error": "'image' holds numbers that are no uint8"})


def started(of: type = Summing, **config: Any) -> str:
    with pytest.raises(BadModel) as caught:
        host(of, **config)
    assert caught.value.node == "gateway"
    message = str(caught.value)
    assert message.startswith("summing of gateway: ")
    return message.removeprefix("summing of gateway: ")


def test_a_model_and_a_scenario_that_do_not_fit_end_the_run_at_its_start():
    assert started(shape=[4]) == (
        "sums.model takes inputs of 2 x 2, not of 4 as 'shape' says: write shape: [2, 2], or "
        "leave it out"
    )
    assert started(labels=["one"]) == (
        "sums.model has 2 outputs, and 'labels' has 1 names: give one for each"
    )

    class Silent(Summing):
        own = None

    assert started(Silent) == "sums.model does not say what it takes: give the 'shape' of one input"
    assert answer({"image": [0, 0, 1, 0]}, Silent, shape=[2, 2])[0] == "result"

    class Logits(Summing):
        def run(self, values):
            return values.sum(axis=2) - 5

    assert started(Logits) == (
        "sums.model cannot be used with inputs of 2 x 2 float32: tried with zeros, the model's "
        "outputs are not between 0 and 1: if they are logits, say softmax: true"
    )

    class Broken(Summing):
        def run(self, values):
            raise ValueError("expected 3 channels")

    assert "tried with zeros, the model failed with ValueError" in started(Broken)


def test_a_library_that_is_missing_is_named_with_what_installs_it():
    class Missing(Summing):
        library = "no_such_library"

    assert started(Missing) == (
        "no_such_library is needed for the service summing and is not installed; install it "
        "with: pip install 'simcore[ml]'"
    )


def test_a_subclass_decides_where_answers_go():
    class Asking(Summing):
        def answer(self, ctx, msg, kind, payload):
            sure = payload.get("confidence", 0) > 0.6
            ctx.send("meter" if sure else "cloud", kind if sure else msg.kind, payload)

    made = host(Asking)
    done = made.advance(0, [Message({"image": [n, 0, 0, 0]}) for n in (0.5, 0.75)])
    assert [said[:2] for said in answers(done)] == [("cloud", "reading"), ("meter", "result")]


payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["image", "b"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(payloads | st.builds(lambda value: {"image": value}, payloads))
def test_whatever_comes_is_answered(payload: Any):
    [(_, kind, said)] = answers(host().advance(0, [Message(payload)]))
    assert (kind == "error") == ("error" in said)
    assert kind == "error" or 0 <= said["confidence"] <= 1.001


def test_classes_need_no_library_before_they_start():
    """In a container there is the standard library, and a scenario is checked without any."""
    code = (
        "import sys\n"
        "blocked = ['numpy', 'onnxruntime', 'torch', 'msgspec', 'simpy', 'yaml', 'jsonschema', 'click']\n"
        "sys.modules.update(dict.fromkeys(blocked))\n"
        "import simcore.protocol.service_main\n"
        "import simcore_backends.services.echo\n"
        "import simcore_backends.services.onnx_inference\n"
        "import simcore_backends.services.torch_inference\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


# -- before a run

SCENARIO = """\
simcore: 1
duration: 1s
nodes:
  meter: {{count: 2}}
  gateway:
    service: {service}
    config: {config}
"""


def problems(service: str, config: str, base: Path) -> list[str]:
    try:
        loads(SCENARIO.format(service=service, config=config), base=base)
    except ScenarioError as error:
        return [str(problem).removeprefix("<string>:") for problem in error.problems]
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.onnx").touch()
    (tmp_path / "net.pt").touch()
    (tmp_path / "net.py").write_text("class Net: pass\n\ndef make(): pass\n")
    return tmp_path


def test_everything_wrong_with_a_config_is_reported_at_once(folder: Path):
    config = "{model: nte.onnx, scale: 0, to: meter, compute: 4, digits: 10, lables: [a]}"
    assert problems("onnx_inference", config, folder) == [
        "7:21: nodes.gateway.config.model: there is no such file: 'nte.onnx' (did you mean 'net.onnx'?)",
        "7:38: nodes.gateway.config.scale: must be greater than 0, got 0",
        "7:45: nodes.gateway.config.to: 'meter' is a group; answers go to one node",
        "7:61: nodes.gateway.config.compute: 4 has no unit: a duration needs one of ns, us, ms, s, min, h, d, as in 10ms",
        "7:72: nodes.gateway.config.digits: must be at most 9, got 10",
        "7:76: nodes.gateway.config.lables: unknown key (did you mean 'labels'?)",
    ]


@pytest.mark.parametrize(
    ("service", "config", "expected"),
    [
        ("onnx_inference", "{model: net.onnx}", []),
        (
            "onnx_inference",
            "{}",
            ["7:5: nodes.gateway.config: missing key 'model'"],
        ),
        (
            "echo\n  edge: {service: onnx_inference}\n  cloud:\n    service: echo",
            "{}",
            ["7:3: nodes.edge.config: missing key 'model'"],
        ),
        (
            "onnx_inference",
            "{model: net.onnx, to: clod}",
            ["7:35: nodes.gateway.config.to: there is no node or group 'clod'"],
        ),
        (
            "onnx_inference",
            "{model: net.onnx, answer: values, softmax: true}",
            ["7:47: nodes.gateway.config.softmax: 'softmax' has no effect with 'answer: values'"],
        ),
        (
            "onnx_inference",
            "{model: net.onnx, compute: {table: none.txt}}",
            ["7:31: nodes.gateway.config.compute: cannot read the table 'none.txt'"],
        ),
        ("torch_inference", "{model: 'net.py:Net', weights: net.pt, shape: [1, 8, 8]}", []),
        (
            "torch_inference",
            "{model: 'net.py:make', weights: net.pth}",
            [
                "7:5: nodes.gateway.config: missing key 'shape'",
                "7:21: nodes.gateway.config.model: make in net.py is a function, a class is needed",
                "7:45: nodes.gateway.config.weights: there is no such file: 'net.pth' "
                "(did you mean 'net.pt'?)",
            ],
        ),
        (
            "torch_inference",
            "{model: net.pt, weights: net.pt, shape: [8]}",
            ["7:21: nodes.gateway.config.model: 'net.pt' names no class: write file.py:class"],
        ),
    ],
)
def test_what_a_config_may_hold(service: str, config: str, expected: list[str], folder: Path):
    found = problems(service, config, folder)
    assert len(found) == len(expected)
    assert all(map(str.startswith, found, expected)), found
