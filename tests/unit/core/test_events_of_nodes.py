"""What `sleep` and `receive` give are SimPy events, as a model's author knows them."""

from __future__ import annotations

from pathlib import Path

import pytest

import simcore

MODEL = """
def model(node):
    answer, short = node.receive(), node.sleep("1s")
    node.record("before", answer.triggered or short.triggered or short.processed)
    came = yield answer | short
    node.record("sleep is over", short.triggered and short.processed and short in came)
    node.record("answer is not", not answer.triggered and answer not in came)
    node.send("self", kind="word")
    yield answer
    node.record("now it is", answer.triggered and answer.value.kind == "word")
"""
SCENARIO = "{simcore: 1, duration: 5s, nodes: {self: {model: model.py:model}}}"


def test_events_tell_whether_they_have_happened(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    simcore.Federation(simcore.loads(SCENARIO, base=tmp_path), out=tmp_path / "run").run()
    with simcore.open_run(tmp_path / "run") as run:
        found = dict(run.connection.execute("SELECT name, value FROM measurements"))
    assert found == {"before": 0, "sleep is over": 1, "answer is not": 1, "now it is": 1}


def test_an_event_to_come_has_no_value(tmp_path: Path) -> None:
    federation = simcore.Federation(simcore.loads("{simcore: 1, duration: 5s, nodes: {a: {}}}"))
    with federation:
        event = federation.nodes["a"].receive()
        with pytest.raises(AttributeError, match="not yet available"):
            _ = event.value
