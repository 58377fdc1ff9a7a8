"""Timelines as a viewer reads them: what stands where, and that nothing overlaps."""

from __future__ import annotations

import json
import tracemalloc
from random import Random

import pytest
from by_hand import EXCHANGES, LIVES, MS
from click.testing import CliRunner
from trace_events import read

from simcore.cli.timeline import command
from simcore.errors import ResultsError, UsageError
from simcore.results.store import open_run
from simcore.results.timeline import write_timeline


def timeline(directory):
    """The timeline of a run, as a viewer reads it."""
    path = directory / "timeline.json"
    with open_run(directory) as run:
        write_timeline(run, path)
    return read(path.read_text())


def told(slices, process):
    """What one of the two processes shows, as text, by time."""
    found = [each for each in slices if each.process == process]
    return [str(each).partition(": ")[2] for each in sorted(found, key=lambda s: s.begin)]


def test_virtual_time_is_what_each_was_let_go_for(make_run):
    trace = timeline(make_run(outside={}))
    assert told(trace.slices, "virtual time") == [
        "gateway: 0 instant",
        f"network: 0-{18 * MS} network",  # it stopped at its first delivery
        f"meter: 0-{50 * MS} window",
        f"network: {18 * MS}-{35 * MS} network",
        f"gateway: {20 * MS} instant",
        f"meter: {100 * MS}-{150 * MS} window",  # down in between
    ]


def test_wall_time_is_who_worked_and_who_waited(make_run):
    trace = timeline(make_run(outside={}))
    assert told(trace.slices, "wall time") == [
        "gateway: 10000-40000 starts",
        "meter: 20000-60000 starts",
        "network: 30000-50000 starts",
        "gateway: 61000-66000 advance",
        "simcore: 63000-66000 waits for gateway",
        "meter: 67000-120000 advance",
        "network: 70000-75000 advance",
        "simcore: 71000-75000 waits for network",
        "gateway: 80000-85000 advance",
        "simcore: 80000-85000 waits for gateway",
        "network: 86000-90000 advance",
        "simcore: 87000-90000 waits for network",
        "simcore: 100000-120000 waits for meter",
        "meter: 130000 was killed by SIGKILL",
        "meter: 131000-150000 starts",
        "meter: 151000-190000 advance",
        "simcore: 160000-190000 waits for meter",
        "gateway: 195000 exited with code 0",
        "meter: 198000 exited with code 0",
    ]


def test_rows_have_names_and_an_order(make_run):
    trace = timeline(make_run(outside={}))
    participants = ["gateway", "meter", "network"]  # as they were started
    assert trace.order == [
        *(f"virtual time: {name}" for name in participants),
        "wall time: simcore",
        *(f"wall time: {name}" for name in participants),
    ]
    assert trace.other == {
        "scenario": "by-hand", "seed": "7", "digest": "0123456789abcdef" * 4, "simcore": "0.1.0",
    }  # fmt: skip


def test_arrows_lead_from_work_to_waiting(make_run):
    trace = timeline(make_run(outside={}))
    assert len(trace.arrows) == len(EXCHANGES)
    for arrow, (name, seq, *_) in zip(trace.arrows, EXCHANGES, strict=True):
        assert (arrow.begin.thread, arrow.begin.name) == (name, "advance")
        assert (arrow.end.thread, arrow.end.name) == ("simcore", f"waits for {name}")
        assert arrow.begin.args["seq"] == arrow.end.args["seq"] == seq


def test_slices_say_what_was_exchanged(make_run):
    trace = timeline(make_run(outside={}))
    by_name = {(each.process, each.thread): each for each in trace.slices if "seq" in each.args}
    virtual, wall = by_name["virtual time", "network"], by_name["wall time", "network"]
    assert virtual.args == {
        "seq": 2, "inputs": 0, "outputs": 0, "took_ns": 4000, "waited_ns": 3000,
    }  # fmt: skip
    assert wall.args == {
        "seq": 2, "inputs": 0, "outputs": 0, "at_ns": 20 * MS, "until_ns": 40 * MS,
    }  # fmt: skip
    starts = [each for each in trace.slices if each.name == "starts"]
    assert starts[0].args == {"life": 1, "pid": 71, "command": ["python", "gw.py"]}


def test_of_a_killed_run_exchanges_may_be_all_there_is(make_run):
    trace = timeline(make_run(outside={"lives": [], "exchanges": EXCHANGES[::2]}))
    assert told(trace.slices, "virtual time") == [
        "gateway: 0 instant",
        f"meter: 0-{50 * MS} window",
        f"gateway: {20 * MS} instant",
    ]


def test_who_never_was_ready(make_run):
    failed = (*LIVES[0][:8], None, 30, "exited with code 7")
    trace = timeline(make_run(outside={"lives": [failed], "exchanges": []}))
    assert told(trace.slices, "wall time") == [
        "gateway: 10000-30000 starts",
        "gateway: 30000 exited with code 7",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_overlaps_whatever_was_exchanged(make_run, seed):
    draw = Random(seed)
    wall, at, rows, reached = 0, 0, [], {}
    for number in range(60):
        name = draw.choice(["a", "b", "c"])
        began = wall + draw.randrange(3)
        awaited = began + draw.randrange(3)
        wall = awaited + draw.randrange(1, 4)
        at += draw.randrange(3)
        until = at + draw.choice([0, 1, 5])
        # A network may come less far than the run is, or further than it was let go next.
        reached[name] = max(reached.get(name, 0), draw.randrange(at // 2, until + 1))
        rows.append((name, number, at, until, 0, 0, began, awaited, wall, reached[name]))
    kinds = zip("abc", ("reactive", "free_running", "network"), strict=True)
    lives = [(name, 1, kind, "x", "[]", "[]", 1, 0, 0, None, None) for name, kind in kinds]
    trace = timeline(make_run(outside={"lives": lives, "exchanges": rows}))
    assert len(trace.arrows) == 60


def test_names_that_need_escaping(make_run):
    name = 'a "b" \\ \n ü'
    life = (name, *LIVES[0][1:])
    rows = [(name, *EXCHANGES[0][1:])]
    trace = timeline(make_run(outside={"lives": [life], "exchanges": rows}))
    assert trace.order[0] == f"virtual time: {name}"


def test_the_command_tells_what_it_wrote(make_run, tmp_path):
    directory = make_run(outside={})
    done = CliRunner().invoke(command, [str(directory)], standalone_mode=False)
    assert done.output == f"{directory}/timeline.json  6 exchanges of 3 participants\n"
    out = tmp_path / "t.json"
    done = CliRunner().invoke(command, [str(directory), "-o", str(out)], standalone_mode=False)
    assert done.output == f"{out}  6 exchanges of 3 participants\n"
    assert out.read_text() == (directory / "timeline.json").read_text()


def test_a_run_without_participants_has_none(make_run, tmp_path):
    with (
        open_run(make_run()) as run,
        pytest.raises(UsageError, match="everything in it ran inside simcore"),
    ):
        write_timeline(run, tmp_path / "timeline.json")
    assert not (tmp_path / "timeline.json").exists()


def test_a_place_that_cannot_be_written(make_run, tmp_path):
    with open_run(make_run(outside={})) as run, pytest.raises(ResultsError, match="--out"):
        write_timeline(run, tmp_path / "no" / "folder.json")


@pytest.mark.parametrize(
    "change",
    [
        {"dur": -1}, {"ts": "5"}, {"ts": 0.0001}, {"dur": 21}, {"tid": 99}, {"pid": 0},
        {"ph": "B"}, {"colour": 1}, {"name": ""},
    ],
)  # fmt: skip
def test_the_reader_refuses_what_is_wrong(make_run, change):
    directory = make_run(outside={})
    with open_run(directory) as run:
        write_timeline(run, directory / "t.json")
    document = json.loads((directory / "t.json").read_text())
    event = next(e for e in document["traceEvents"] if e["ph"] == "X" and e["name"] == "advance")
    event.update(change)
    with pytest.raises((AssertionError, KeyError)):
        read(json.dumps(document))


@pytest.mark.parametrize("phase", ["s", "f", "M"])
def test_the_reader_misses_what_is_missing(make_run, phase):
    directory = make_run(outside={})
    with open_run(directory) as run:
        write_timeline(run, directory / "t.json")
    document = json.loads((directory / "t.json").read_text())
    events = document["traceEvents"]
    events.remove(next(e for e in events if e["ph"] == phase))
    with pytest.raises((AssertionError, KeyError)):
        read(json.dumps(document))


def test_a_timeline_may_be_larger_than_memory(make_run):
    rows = [("a", n, n, n, 1, 1, 10 * n, 10 * n + 2, 10 * n + 9, n) for n in range(10_000)]
    directory = make_run(outside={"exchanges": rows})
    path = directory / "timeline.json"
    tracemalloc.start()
    try:
        with open_run(directory) as run:
            write_timeline(run, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.4 * path.stat().st_size
