"""What a run with free-running nodes says of its windows: exact, or labelled and by how much."""

from __future__ import annotations

import json

import pytest
from worlds import Taking, both, one_way, play, world

import simcore
from simcore.protocol.service import Done, Output


class Silent:
    """Does nothing."""

    def advance(self, until, inputs):
        return Done([], [])


SILENT = Taking("free_running", lambda name, life, born: Silent())


def at(*times):
    """A model that sends to `f` at the given instants."""

    def model(node):
        for time in times:
            yield node.sleep(time - node.now)
            node.send("f", "x", size=1)

    return model


def manifest_of(scenario, path):
    play(scenario, out=path)
    return json.loads((path / "manifest.json").read_text())


def test_windows_within_the_least_delay_are_exact(tmp_path):
    nodes = {"f": SILENT, "a": at(3, 20, 47)}
    manifest = manifest_of(world(nodes, [both("f", "a", "50ns")], lasts=200), tmp_path / "run")
    assert manifest["determinism"] == "exact"
    assert manifest["windows"] == {
        "count": 4, "length_ns": 50, "grain_ns": 1, "quantum_ns": None,
        "late": {"messages": 0, "worst_ns": 0, "total_ns": 0},
    }  # fmt: skip
    assert "participants" not in manifest  # it ran inside simcore


def test_a_quantum_that_made_nothing_late_is_exact(tmp_path):
    nodes = {"f": SILENT, "a": at(50, 100)}
    manifest = manifest_of(world(nodes, lasts=150, quantum="50ns"), tmp_path / "run")
    assert (manifest["determinism"], manifest["windows"]["quantum_ns"]) == ("exact", 50)


def test_a_quantum_that_made_something_late_labels_the_run(tmp_path):
    nodes = {"f": SILENT, "a": at(3, 20, 47, 200)}
    manifest = manifest_of(world(nodes, lasts=250, quantum="50ns"), tmp_path / "run")
    assert manifest["determinism"] == "quantum"
    assert manifest["windows"]["late"] == {"messages": 3, "worst_ns": 47, "total_ns": 80}
    with simcore.open_run(tmp_path / "run") as run:
        late = run.late()
    assert list(zip(late.id, late.sent, late.late, strict=True)) == [
        ("a/1", 3, 47), ("a/2", 20, 30), ("a/3", 47, 3),
    ]  # fmt: skip


def test_what_leaves_a_window_late_is_named_by_its_link(tmp_path):
    class Once:
        def advance(self, until, inputs):
            sent = Output(10, "a", "x", "null", 1, None, 0, 0)
            return Done([sent] if until == 50 else [], [])

    nodes = {"f": Taking("free_running", lambda *_: Once()), "a": None}
    play(world(nodes, lasts=100, quantum="50ns"), out=tmp_path / "run")
    with simcore.open_run(tmp_path / "run") as run:
        assert list(run.late().itertuples(index=False)) == [("f/1", "f", "a", "x", 10, 40)]


def test_without_links_windows_have_no_length_of_their_own(tmp_path):
    nodes = {"f": SILENT, "a": None, "b": None}
    scenario = world(nodes, [one_way("a", "b", "50ns")], lasts=100)
    windows = manifest_of(scenario, tmp_path / "run")["windows"]
    assert (windows["count"], windows["length_ns"]) == (1, None)


def test_a_run_without_free_running_nodes_says_nothing_of_windows(tmp_path):
    manifest = manifest_of(world({"a": None}, lasts=100), tmp_path / "run")
    assert "windows" not in manifest and "participants" not in manifest


@pytest.mark.parametrize("slices", [(30, 120), (47, 48, 99, 251)])
def test_slices_do_not_change_what_is_late(tmp_path, slices):
    nodes = {"f": SILENT, "a": at(3, 20, 47, 200)}
    scenario = world(nodes, lasts=250, quantum="50ns")

    def drive(federation):
        for until in (*slices, 250):
            if until > federation.env.now:
                federation.env.run(until=min(until, 250))

    run = play(scenario, drive, out=tmp_path / "run")
    assert run.federation.windows.late == (3, 47, 80)
