"""Timelines of runs with participants of all three kinds, each in a process of its own."""

from __future__ import annotations

import pytest
from test_lockstep_processes import apart
from trace_events import read
from worlds import play

import simcore
from simcore.results.timeline import write_timeline

# isort: split
from test_lockstep import behind_packets


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("seed", [0, 2])
def test_a_network_and_what_it_connects(seed, free, tmp_path):
    run = play(behind_packets(seed, free=free), plugins=apart(seed, 0), out=tmp_path / "run")
    with simcore.open_run(tmp_path / "run") as opened:
        written = write_timeline(opened, tmp_path / "timeline.json")
        exchanges = opened.exchanges()
        lives = opened.participants()
    trace = read((tmp_path / "timeline.json").read_text())
    assert len(trace.arrows) == written.exchanges == len(exchanges) > 20
    # Crashes are among the faults; the last life of each ends with the run.
    assert set(lives.exit) <= {"exited with code 0", "was killed by SIGKILL"}
    assert lives.groupby("name").exit.last().eq("exited with code 0").sum() > 1
    network = lives.set_index("name").loc["network"]
    assert (network.kind, network.implementation) == ("network", "packets")
    # The network never goes back, and stops where it says that something was delivered.
    reached = exchanges[exchanges.participant == "network"].reached
    assert reached.is_monotonic_increasing
    arrivals = {at for at, _ in run.arrivals()}
    assert free or arrivals <= set(reached)
