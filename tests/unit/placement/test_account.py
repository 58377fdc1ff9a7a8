"""The table of inferences, and what is measured of them: told from devices' messages alone.

meter (x 2) ---- desk
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from worlds import both, one_way, play, world

from simcore import ModelError, UsageError
from simcore.extensions.placement.account import Inference

MS = 10**6
HERE = Path(__file__).parent
EDGE = 2
"""Place of the node that the results come from."""


def reading(n: int, label: Any = 7, **keys: Any) -> dict[str, Any]:
    return {
        "n": n,
        "index": n,
        "at": n * 1000,
        "label": label,
        "confidence": 0.5,
        "why": "sure",
    } | keys


def image(n: int, **keys: Any) -> dict[str, Any]:
    return {"n": n, "index": n, "at": n * 1000, "why": "unsure", "image": b"x"} | keys


def own(label: Any = 3) -> dict[str, Any]:
    return {"label": label, "confidence": 0.25}


def result(n: int, label: Any = 8, **keys: Any) -> dict[str, Any]:
    return {"n": n, "label": label, "confidence": 0.75, "place": "edge", "why": "sure 0.75"} | keys


def silent(node: Any) -> Any:
    yield node.env.event()


def saying(*steps: tuple[int, str, Any]) -> Any:
    """A device that sends these at these times (ms) of each life."""

    def meter(node: Any) -> Any:
        began = node.now
        for at, kind, payload in steps:
            yield node.sleep(began + at * MS - node.now)
            node.send("desk", kind, payload)

    return meter


def answering(*steps: tuple[int, str, Any]) -> Any:
    """A desk that sends these to the first meter at these times (ms)."""

    def desk(node: Any) -> Any:
        for at, destination, payload in steps:
            if at * MS > node.now:
                yield node.sleep(at * MS - node.now)
            node.send(destination, "result", payload)

    return desk


def run(
    tmp_path: Path, meter: Any, desk: Any = silent, *, truth: str | None = None, links: Any = None,
    lasts: str = "100ms", faults: Any = (),
) -> tuple[list[Inference], Any]:  # fmt: skip
    value = {"policy": "device", "devices": ["meter", "meter-0"], "dispatcher": "desk"}
    value |= {} if truth is None else {"truth": truth}
    scenario = world(
        {"meter": {"does": meter, "count": 2}, "desk": desk},
        links or [both("meter", "desk", "10ms")],
        lasts=lasts,
        faults=faults,
        extensions={"placement": value},
    )
    told = play(scenario, out=tmp_path / "run")
    return rows(tmp_path), told


def rows(tmp_path: Path) -> list[Inference]:
    """What is known of the first meter."""
    with closing(sqlite3.connect(tmp_path / "run/run.sqlite")) as connection:
        found = connection.execute("SELECT * FROM inference WHERE node = 0 ORDER BY sampled, n")
        return [Inference(*row) for row in found]


def test_an_answer_that_is_kept(tmp_path):
    (row, _), told = run(tmp_path, saying((5, "reading", reading(1)), (6, "reading", reading(2))))
    assert row == Inference(
        node=0, n=1, sampled=MS, sent=5 * MS, ended=5 * MS, place="device", reason="sure",
        label=7, confidence=0.5, truth=None, own=7, request=1,
    )  # fmt: skip
    at, *_ = next(line for line in told.lines if line[1] == "measurement")
    assert at == 15 * MS  # when it is known
    assert told.measured("placement") == ["device"] * 4
    assert told.measured("accuracy") == []


def test_a_device_that_is_not_named_is_warned_of(tmp_path, caplog):
    """It has sent what nobody counts; a node with another idea of a reading has not."""

    def other(node):
        node.send("desk", "reading", {"n": 1, "temperature": 20})
        yield node.env.event()

    links = [both(name, "desk", "10ms") for name in ("meter", "camera", "thermometer", "late")]
    value = {"policy": "device", "devices": "meter", "dispatcher": "desk"}
    nodes = {
        "camera": {"does": saying((5, "image", image(1)), (6, "image", image(2))), "count": 6},
        "late": saying((7, "reading", reading(1))),
        "thermometer": other,
        "meter": saying((5, "reading", reading(1))),
        "desk": silent,
    }
    play(world(nodes, links, lasts="100ms", extensions={"placement": value}), out=tmp_path / "run")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "the inferences of camera-0, camera-1, camera-2, camera-3, camera-4 and 2 more are not "
        "counted: 'placement.devices' has to name them"
    ]


def test_devices_that_are_named_are_not_warned_of(tmp_path, caplog):
    run(tmp_path, saying((5, "image", image(1)), (6, "reading", reading(2))))
    assert not caplog.records


def test_it_does_not_matter_whether_the_message_comes(tmp_path):
    (row,), told = run(
        tmp_path, saying((5, "reading", reading(1))), links=[both("meter", "desk", loss=1)]
    )
    assert (row.place, row.reason, row.ended) == ("device", "sure", 5 * MS)
    assert told.measured("placement") == ["device"] * 2


def test_a_result(tmp_path):
    (row,), told = run(
        tmp_path,
        saying((5, "image", image(1, **own()))),
        answering((20, "meter-0", result(1)), (20, "meter-1", result(1, place="cloud"))),
    )
    assert row == Inference(
        node=0, n=1, sampled=MS, sent=5 * MS, ended=30 * MS, place="edge", reason="sure 0.75",
        label=8, confidence=0.75, truth=None, own=3, request=1, answer_source=EDGE,
        answer_number=1,
    )  # fmt: skip
    assert told.measured("placement") == ["edge", "cloud"]


LOST = [one_way("meter", "desk", "10ms", loss=1), one_way("desk", "meter", "10ms")]
UNHEARD = [one_way("meter", "desk", "10ms"), one_way("desk", "meter", "10ms", loss=1)]


@pytest.mark.parametrize("links", [LOST, UNHEARD, None])
@pytest.mark.parametrize("with_own", [True, False])
def test_a_question_without_a_result(tmp_path, links, with_own):
    """The question is lost, or the result, or nobody answers."""
    desk = silent if links is None else answering((20, "meter-0", result(1)))
    asked = image(1, **(own() if with_own else {}))
    (row,), told = run(tmp_path, saying((5, "image", asked)), desk, links=links)
    assert (row.sent, row.reason, row.request) == (5 * MS, "no answer", 1)
    assert (row.answer_source, row.answer_number) == (None, None)
    if with_own:
        assert (row.place, row.label, row.confidence, row.own, row.ended) == (
            "device", 3, 0.25, 3, 5 * MS,
        )  # fmt: skip
    else:
        assert (row.place, row.label, row.confidence, row.own, row.ended) == (None,) * 5
        assert told.measured("placement") == []


@pytest.mark.parametrize("kind", ["reading", "image"])
def test_what_is_under_way_at_the_end(tmp_path, kind):
    payload = reading(1) if kind == "reading" else image(1, **own())
    (row,), told = run(tmp_path, saying((95, kind, payload), (100, kind, payload)))
    assert (row.place, row.ended) == ("device", 95 * MS)
    assert row.reason == ("sure" if kind == "reading" else "no answer")
    assert told.measured("placement") == []  # it is not over


def test_what_may_have_been_answered_later_is_under_way(tmp_path):
    """One had waited longer than the only answer took, one had not."""
    asked = [(at, "image", image(n, **own())) for n, at in ((1, 5), (2, 40), (3, 95))]
    rows, told = run(tmp_path, saying(*asked), answering((20, "meter-0", result(1))))
    found = {row.n: (row.place, row.reason, row.label, row.ended) for row in rows}
    assert found[2] == ("device", "no answer", 3, 40 * MS)
    assert found[3] == (None, "under way", None, None)
    assert told.measured("placement") == ["edge"]


def test_a_result_that_is_under_way_at_the_end_does_not_count(tmp_path):
    (row,), _ = run(tmp_path, saying((5, "image", image(1))), answering((95, "meter-0", result(1))))
    assert (row.place, row.ended) == (None, None)


def test_lives_are_told_apart(tmp_path):
    """It crashes with a question open; the same number of its next life is another image."""
    found, told = run(
        tmp_path,
        saying((5, "image", image(1)), (30, "reading", reading(2))),
        answering((21, "meter-0", result(1, 9)), (35, "meter-0", result(1, 8))),
        faults=[{"at": "16ms", "for": "4ms", "node": "meter-0", "crash": True}],
    )
    assert [(row.n, row.sampled, row.sent, row.label) for row in found] == [
        (1, MS, 5 * MS, None),
        (1, 21 * MS, 25 * MS, 8),  # the result of 21 ms was sent before the question
        (2, 22 * MS, 50 * MS, 7),
    ]
    measured = [line[2:4] for line in told.lines if line[1] == "measurement"]
    assert len(set(measured)) == len(measured)


def test_a_device_that_is_down_from_the_beginning(tmp_path):
    """Its clock begins with its first life, like any."""
    (row,), _ = run(
        tmp_path,
        saying((5, "reading", reading(1))),
        faults=[{"at": 0, "for": "20ms", "node": "meter-0", "crash": True}],
    )
    assert (row.sampled, row.sent) == (21 * MS, 25 * MS)


def test_results_of_nothing_and_copies_are_passed_over(tmp_path):
    found, told = run(
        tmp_path,
        saying((5, "image", image(1))),
        answering(
            (6, "meter-0", result(2)),
            (20, "meter-0", result(1)),
            (21, "meter-0", result(1, 9)),
            (22, "meter-0", 7),
            (23, "meter-0", {"n": "1", "label": 7}),
            (24, "meter-0", result(1, [7])),
        ),
    )
    assert [(row.n, row.label) for row in found] == [(1, 8)]
    assert told.measured("placement") == ["edge"]


def test_messages_that_make_no_sense_are_no_inferences(tmp_path):
    found, _ = run(
        tmp_path,
        saying(
            (1, "reading", 7),
            (2, "reading", {"n": 1}),
            (3, "image", "x"),
            (4, "other", reading(1)),
            (5, "reading", reading(0)),
            (6, "reading", reading(2**32)),
            (7, "image", image(2**70)),
            (8, "reading", reading(1, 2**70)),
            (95, "reading", 7),
            (95, "image", 7),
        ),
    )
    assert found == []


@pytest.mark.parametrize(("at", "sampled"), [(2**70, 5 * MS), (-(2**70), 0)])
def test_a_clock_that_runs_wrong(tmp_path, at, sampled):
    (row,), _ = run(tmp_path, saying((5, "reading", reading(1, at=at))))
    assert (row.sampled, row.sent) == (sampled, 5 * MS)


# -- the right labels


def right(tmp_path: Path, body: str) -> str:
    file = tmp_path / "labels.py"
    file.write_text(f"import numpy\ndef truth(index):\n    {body}\n")
    return f"{file}:truth"


def test_accuracy(tmp_path):
    meter = saying((1, "reading", reading(1)), (2, "reading", reading(2)), (3, "image", image(3)))
    truth = right(tmp_path, "return numpy.int64(index + 6)")
    found, told = run(tmp_path, meter, truth=truth)
    assert [(row.label, row.truth) for row in found] == [(7, 7), (7, 8), (None, 9)]
    assert all(type(row.truth) is int for row in found)
    assert told.measured("accuracy") == [True, True, False, False]
    assert {name: type(told.measured(name)[0]) for name in ("accuracy", "placement")} == {
        "accuracy": bool,
        "placement": str,
    }


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("return [index]", "gave [1], and that is no label, asked for the label of image 1"),
        ("return None", "gave None, and that is no label"),
        ("1 / 0", "raised ZeroDivisionError: division by zero, asked for the label of image 1"),
    ],
)
def test_a_truth_that_goes_wrong_is_named(tmp_path, body, what):
    meter = saying((1, "reading", reading(1)))
    with pytest.raises(ModelError, match=re.escape(what)):
        run(tmp_path, meter, truth=right(tmp_path, body))


def test_a_truth_that_is_no_function(tmp_path):
    (tmp_path / "labels.py").write_text("truth = 3\n")
    with pytest.raises(UsageError, match="is not a function"):
        run(tmp_path, silent, truth=f"{tmp_path / 'labels.py'}:truth")


# -- a run that ends badly


def test_what_was_finished_is_kept_when_a_run_fails(tmp_path):
    def meter(node: Any) -> Any:
        for n in range(1, 51):
            yield node.sleep("1ms")
            node.send("desk", "reading", reading(n))
        raise RuntimeError("broken")

    with pytest.raises(ModelError):
        run(tmp_path, meter)
    found = rows(tmp_path)
    assert [row.n for row in found] == list(range(1, 51))


def test_most_runs_have_none(tmp_path):
    play(world({"meter": saying((1, "other", 1)), "desk": silent}), out=tmp_path / "run")
    assert rows(tmp_path) == []
