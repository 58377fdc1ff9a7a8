"""What a run with processes leaves: participants, exchanges, windows, lateness, a timeline.

ticker (free-running) --tick--> judge (reactive) --verdict--> ticker, with no delay at all: so
there is a quantum of 5 ms, and what arrives inside a window is late.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import Project, without_progress
from trace_events import read

import simcore

MS = 10**6

TICKER = """
from simcore.protocol.peer import serve

class Ticker:
    kind = "free_running"

    def start(self, peer):
        self.next = peer.time

    def advance(self, peer, until, inputs):
        for message in inputs:
            peer.record("verdict", message.payload, at=message.at)
        while self.next < until:
            peer.send("judge", "tick", self.next, at=self.next)
            self.next += 7_000_000

serve(Ticker())
"""
JUDGE = """
from simcore.protocol.peer import serve

class Judge:
    kind = "reactive"

    def start(self, peer):
        return None

    def advance(self, peer, until, inputs):
        for message in inputs:
            peer.send("ticker", "verdict", message.payload % 2, cause=message)

serve(Judge())
"""
SCENARIO = """
simcore: 1
name: late
duration: 50ms
quantum: 5ms
nodes:
  ticker: {implementation: process, command: [python, ticker.py], kind: free_running}
  judge: {implementation: process, command: [python, judge.py]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, with one run of it in `run`."""
    folder = tmp_path_factory.mktemp("project")
    root = str(Path(simcore.__file__).parents[1])
    made = Project(folder, {"PYTHONPATH": root, "COLUMNS": "120"})
    made.write("ticker.py", TICKER)
    made.write("judge.py", JUDGE)
    made.write("scenario.yaml", SCENARIO)
    done = made.simcore("scenario.yaml", "--out", "run")
    assert (done.code, without_progress(done.err)) == (0, "")
    made.write("summary.txt", done.out)
    return made


def test_the_manifest_counts_participants_and_windows(project: Project) -> None:
    manifest = json.loads((project.path / "run" / "manifest.json").read_text())
    participants = manifest["participants"]
    assert 0 < participants.pop("waited_s") <= manifest["times"]["wall_s"]
    # Ten windows, and one instant for each tick; the last one is in flight when the run ends.
    assert participants == {"free_running": 1, "reactive": 1, "exchanges": 17}
    windows = manifest["windows"]
    late = windows.pop("late")
    assert windows == {
        "count": 10, "length_ns": 5 * MS, "grain_ns": 1, "quantum_ns": 5 * MS,
    }  # fmt: skip
    with simcore.open_run(project.path / "run") as run:
        frame = run.late()
    assert late == {
        "messages": len(frame), "worst_ns": frame.late.max(), "total_ns": frame.late.sum(),
    }  # fmt: skip
    assert manifest["determinism"] == "quantum"


def test_every_late_message_is_named(project: Project) -> None:
    with simcore.open_run(project.path / "run") as run:
        late, messages = run.late(), run.messages()
    # A tick is known at the end of its window. The answer comes with the next window, in time.
    assert set(late.source) == {"ticker"}
    assert list(late.sent // MS) == [0, 7, 14, 21, 28, 35, 42]
    assert list(late.late // MS) == [5, 3, 1, 4, 2, 5, 3]
    ticks = messages[(messages.kind == "tick") & (messages.fate == "delivered")]
    assert list(ticks.latency) == list(late.late)


def test_the_summary_says_so(project: Project) -> None:
    out = (project.path / "summary.txt").read_text()
    assert "quantum\ncompleted" in out
    assert "Participants   1 reactive, 1 free-running; 17 exchanges; " in out
    assert "Windows   10 of at most 5 ms, quantum 5 ms\n" in out
    assert "messages handed over late (" in out and "    ticker->judge: 7, by 5 ms at worst" in out
    assert "  python -m simcore timeline run\n" in out


def test_participants_are_told_with_their_lives(project: Project) -> None:
    with simcore.open_run(project.path / "run") as run:
        frame = run.participants().set_index("name")
        exchanges = run.exchanges()
    ticker = frame.loc["ticker"]
    assert (ticker.life, ticker.kind, ticker.implementation) == (1, "free_running", "process")
    assert json.loads(ticker.nodes) == ["ticker"]
    assert json.loads(ticker.command)[-1] == "ticker.py"
    assert ticker.exit == "exited with code 0" and ticker.pid > 1
    assert 0 <= ticker.started < ticker.ready < ticker.ended
    assert dict(frame.exchanges) == {"ticker": 10, "judge": 7}
    assert (exchanges.reached == exchanges.until).all()
    assert (exchanges.begun <= exchanges.awaited).all()
    assert (exchanges.awaited < exchanges.done).all()


def test_a_timeline_opens(project: Project) -> None:
    done = project.simcore("timeline", "run")
    assert (done.code, done.out) == (0, "run/timeline.json  17 exchanges of 2 participants\n")
    trace = read((project.path / "run" / "timeline.json").read_text())
    virtual = {name: [] for name in ("ticker", "judge")}
    for each in trace.slices:
        if each.process == "virtual time":
            virtual[each.thread].append((each.begin // MS, each.end // MS, each.name))
    assert virtual["ticker"] == [(5 * k, 5 * k + 5, "window") for k in range(10)]
    assert virtual["judge"][:3] == [(5, 5, "instant"), (10, 10, "instant"), (15, 15, "instant")]
    assert len(trace.arrows) == 17


def test_verify_repeats_a_run_with_a_quantum(project: Project) -> None:
    for target in ("run", "scenario.yaml"):
        done = project.simcore("verify", target)
        assert done.code == 0, done.err
        assert done.out.startswith("identical: digest ")


def test_compare_tells_the_windows_apart(project: Project) -> None:
    done = project.simcore("scenario.yaml", "--set", "quantum=10ms", "--out", "other", "--quiet")
    assert (done.code, done.err) == (0, "")
    done = project.simcore("compare", "run", "other", "--json")
    document = json.loads(done.out)
    assert done.code == 1 and not document["same"]
    assert document["other"]["windows.length_ns"] == [5 * MS, 10 * MS]
    assert document["difference"]["field"] == "at"


FAILS = """
import os, signal
from simcore.protocol.peer import serve

class Judge:
    kind = "reactive"

    def start(self, peer):
        return None

    def advance(self, peer, until, inputs):
        if until >= 20_000_000:
            os.kill(os.getpid(), signal.SIGKILL)

serve(Judge())
"""


def test_a_run_that_failed_tells_how_its_participants_ended(project: Project) -> None:
    project.write("fails.py", FAILS)
    setting = "nodes.judge.command=[python, fails.py]"
    done = project.simcore("scenario.yaml", "--set", setting, "--out", "failed")
    assert done.code == 3
    with simcore.open_run(project.path / "failed") as run:
        frame = run.participants().set_index("name")
        assert run.manifest["participants"]["reactive"] == 1
    assert frame.loc["judge"].exit == "was killed by SIGKILL"
    assert frame.loc["ticker"].exit is not None
    assert project.simcore("timeline", "failed").code == 0
    read((project.path / "failed" / "timeline.json").read_text())
