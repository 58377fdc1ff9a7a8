"""Two runs side by side."""

from __future__ import annotations

import json

import inferences_by_hand
import pytest
from by_hand import MANIFEST, MEASUREMENTS, MESSAGES, MS, OUTSIDE
from click.testing import CliRunner

from simcore.cli.compare import command
from simcore.results.compare import compare, flatten
from simcore.results.store import open_run

OTHER = {"digest": "f" * 64, "seed": 8, "resolved": {**MANIFEST["resolved"], "seed": 8}}


@pytest.fixture
def pair(make_run):
    """The run told by hand, and one with another seed in which one message came later."""
    late = (*MESSAGES[1][:5], 150, *MESSAGES[1][6:])
    messages = [MESSAGES[0], late, *MESSAGES[2:-1]]
    return make_run("a"), make_run(
        "b", manifest=OTHER, messages=messages, measurements=MEASUREMENTS[:2] + MEASUREMENTS[3:]
    )


def test_what_differs(pair):
    with open_run(pair[0]) as a, open_run(pair[1]) as b:
        found = compare(a, b)
    assert not found.same
    assert found.scenario == {"seed": (7, 8)} and found.other == {"seed": (7, 8)}
    assert found.versions == {} and found.inputs == {}
    assert found.counts == {"sent": (8, 7), "in_flight": (1, 0), "measurements": (10, 9)}
    assert found.flows["meter -> gateway reading"]["p50"] == (20 * MS, 40 * MS)
    assert found.measurements["temperature"] == (23.0, 21.0)
    assert (found.difference.record, found.difference.field) == ("meter-0 #1", "occurs")


def test_what_is_expected_is_no_difference_of_two_experiments(make_run):
    told = [{"seed": 7, **expected} for expected in ({"expect": ["sent > 1"]}, {"expect": []}, {})]
    runs = [make_run(f"{n}", manifest={"resolved": each}) for n, each in enumerate(told)]
    for path in runs[1:]:
        with open_run(runs[0]) as first, open_run(path) as second:
            assert compare(first, second).scenario == {}


def test_windows_and_exactness_are_compared(make_run):
    first, second = make_run("a"), make_run("b", manifest=OUTSIDE, outside={})
    with open_run(first) as a, open_run(second) as b:
        found = compare(a, b)
    assert found.same  # exchanges and windows are not part of the digest
    assert found.other["determinism"] == ("exact", "quantum")
    assert found.other["windows.late.messages"] == (None, 5)


def test_exit_code_and_text(pair, make_run):
    runs = [str(path) for path in pair]
    done = CliRunner().invoke(command, runs, standalone_mode=False)
    assert done.return_value == 1
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert lines[0] == "different: digests 0123456789ab and ffffffffffff"
    assert lines[1].startswith("first difference at 0.07s: measurement meter-0 #1: occurs is yes")
    assert "meter -> gateway reading, second 3 40 ms 40 ms 40 ms" in lines
    same = CliRunner().invoke(command, [runs[0], runs[0]], standalone_mode=False)
    assert same.return_value == 0
    assert same.output == f"same: both have the digest {MANIFEST['digest']}\n"


def test_an_unfinished_run_is_never_called_the_same(make_run):
    runs = [str(make_run(name, manifest={"digest": None})) for name in "ab"]
    done = CliRunner().invoke(command, runs, standalone_mode=False)
    assert done.return_value == 1
    assert "neither run was finished" in done.output
    assert "no recorded message, measurement or fault differs" in done.output


def test_json(pair):
    done = CliRunner().invoke(command, [*map(str, pair), "--json"], standalone_mode=False)
    document = json.loads(done.output)
    assert document["same"] is False and document["scenario"] == {"seed": [7, 8]}
    assert document["difference"]["at"] == 70 * MS


def test_flatten():
    assert flatten({"a": {"b": [1, {"c": 2}]}, "d": {}, "e": []}) == {
        "a.b.0": 1,
        "a.b.1.c": 2,
        "d": {},
        "e": [],
    }


def test_long_values_are_cut(make_run):
    long = {"digest": None, "resolved": {"description": "x" * 100}}
    runs = [str(make_run("a")), str(make_run("b", manifest=long))]
    output = CliRunner().invoke(command, runs, standalone_mode=False).output
    assert "x" * 37 + "..." in output and "x" * 38 not in output


def test_inferences_side_by_side(placed_run):
    others = [(*row[:5], "edge", *row[6:]) for row in inferences_by_hand.INFERENCES[:2]]
    first, second = placed_run("a"), placed_run("b", inferences=others)
    with open_run(first) as one, open_run(second) as other:
        found = compare(one, other)
    assert found.inferences["all"]["n"] == (5, 2)
    assert found.inferences["all"]["accuracy"] == (0.5, 1.0)
    assert found.inferences["device"]["p50"] == (8.5e6, None)
    assert found.inferences["all"]["energy"] == (None, None)


def test_inferences_are_printed(placed_run):
    others = [(*row[:5], "edge", *row[6:]) for row in inferences_by_hand.INFERENCES[:2]]
    runs = [
        str(placed_run("a")),
        str(placed_run("b", inferences=others, manifest={"digest": "f" * 64})),
    ]
    lines = [
        " ".join(line.split()) for line in CliRunner().invoke(command, runs).output.splitlines()
    ]
    begin = lines.index("Inferences")
    assert lines[begin + 1 : begin + 6] == [
        "N accuracy p50 p95 energy",
        "all, first 5 50 % 18 ms 111 ms -",
        "all, second 2 100 % 14.5 ms 23.1 ms -",
        "device, first 2 50 % 8.5 ms 11.7 ms -",
        "device, second - - - - -",
    ]
