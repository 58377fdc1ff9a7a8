"""Replications: each is the run it would be alone, none can harm another, none is left over."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import PATIENCE

from simcore.cli.trials import command
from simcore.errors import ExitCode, MissingDependency, ResultsError, ScenarioError
from simcore.federation import Federation
from simcore.scenario import load

MODELS = """
import os
import signal
import threading

SENT = 0  # a module that remembers: must not leak from one trial into the next


def sender(node):
    global SENT
    while True:
        yield node.sleep("10ms")
        if node.now >= 500_000_000:
            trouble(node.federation.seed, node.config)
        SENT += 1
        node.record("sent_before", SENT)
        node.send("sink", kind="beat", payload={"value": node.random.random()})


def trouble(seed, config):
    if seed == config.get("raises"):
        raise RuntimeError("as the test asked")
    if seed == config.get("dies"):
        os.kill(os.getpid(), 9)
    if "hangs" in config:
        with open(config["hangs"], "w") as pipe:
            blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            pipe.write(f"{os.getpid()} {blocked:d}\\n")
            pipe.flush()
            threading.Event().wait()
"""
SCENARIO = """
simcore: 1
name: beats
seed: 7
duration: 1s
nodes:
  sender: {model: models.py:sender, config: {}}
  sink: {}
network:
  model: latency
  links: [{between: [sender, sink], delay: {min: 1ms, exponential: 2ms}, loss: 10%, rate: 1Mbit/s}]
expect: [delivered >= 1]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
    path = tmp_path / "beats.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def trials(scenario: Path, count: int, *options: object) -> tuple[Result, Path]:
    out = scenario.parent / "out"
    arguments = [str(scenario), str(count), "--out", str(out), *map(str, options)]
    return CliRunner().invoke(command, arguments, standalone_mode=False), out


def document(out: Path) -> Any:
    return json.loads((out / "trials.json").read_text(encoding="utf-8"))


def values(document: Any, metric: str, of: str) -> list[float]:
    return [
        found["value"]
        for trial in document["trials"]
        for found in trial["metrics"]
        if (found["metric"], found["of"]) == (metric, of)
    ]


def test_each_trial_is_the_run_it_would_be_alone(scenario: Path) -> None:
    result, out = trials(scenario, 4, "--seed", 20, "--jobs", 2)
    assert result.return_value == ExitCode.OK, result.output
    assert result.output.startswith("running 4 trials, 2 at a time\n")
    written = document(out)
    assert [trial["seed"] for trial in written["trials"]] == [20, 21, 22, 23]
    digests = [trial["digest"] for trial in written["trials"]]
    assert len(set(digests)) == 4
    for trial in written["trials"]:
        # `sent_before` is in the digest: had a module been shared, it would have gone on counting.
        assert values({"trials": [trial]}, "mean", "sent_before") == [50.0]
        assert (out / trial["run"] / "manifest.json").is_file()
    # A module of the same name is imported once a process: one run is all that can be compared.
    alone = Federation(load(scenario, seed=21)).run()
    assert alone == digests[1]


def test_mean_and_interval_come_from_the_values_written(scenario: Path) -> None:
    result, out = trials(scenario, 3)
    written = document(out)
    assert written["base_seed"] == 7
    found = {(entry["metric"], entry["of"]): entry for entry in written["summary"]}
    delivered = values(written, "delivered", "all")
    assert len(delivered) == 3
    entry = found["delivered", "all"]
    assert entry["mean"] == pytest.approx(statistics.mean(delivered))
    # t(2, 0.975) = 4.303, from any table
    half = 4.303 * statistics.stdev(delivered) / 3**0.5
    assert entry["half_width"] == pytest.approx(half, rel=1e-3)
    assert ("latency_p99", "sender -> sink beat") in found
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["value"]) for r in rows if r["metric"] == "delivered"] == delivered
    assert "latency_p99" in result.output and "+/-" in result.output


def test_a_model_that_raises_costs_its_own_trial_only(scenario: Path) -> None:
    result, out = trials(scenario, 3, "--set", "nodes.sender.config.raises=8")
    assert result.return_value == ExitCode.FAILED
    assert "trial 1 (seed 8): failed" in result.output and "as the test asked" in result.output
    assert "1 of 3 failed: seed 8" in result.output
    written = document(out)
    assert [trial["exit_code"] for trial in written["trials"]] == [0, 3, 0]
    assert written["trials"][1]["metrics"] == []
    assert {entry["count"] for entry in written["summary"]} == {2}


def test_a_trial_that_is_killed_costs_its_own_trial_only(scenario: Path) -> None:
    result, out = trials(scenario, 3, "--set", "nodes.sender.config.dies=7", "--jobs", 2)
    assert result.return_value == ExitCode.FAILED
    assert "trial 0 (seed 7): failed" in result.output and "killed" in result.output
    assert [trial["exit_code"] for trial in document(out)["trials"]] == [3, 0, 0]


def test_where_all_fail_there_is_nothing_to_tabulate(scenario: Path) -> None:
    result, out = trials(scenario, 1, "--set", "nodes.sender.config.raises=7")
    assert result.return_value == ExitCode.FAILED
    assert "1 of 1 failed: seed 7" in result.output and "metric" not in result.output
    assert document(out)["summary"] == []


def test_a_missed_expectation_is_told_and_counted(scenario: Path) -> None:
    result, _ = trials(scenario, 2, "--set", "expect=[lost == 0]")
    assert result.return_value == ExitCode.DIFFERENT
    assert "2 of 2 missed an expectation: seed 7, 8" in result.output


def test_one_trial_has_no_interval_and_needs_no_scipy(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    result, out = trials(scenario, 1)
    assert result.return_value == ExitCode.OK, result.output
    assert "at least two" in result.output and "+/-" not in result.output
    assert {entry["half_width"] for entry in document(out)["summary"]} == {None}


def test_without_scipy_nothing_is_started(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    result, out = trials(scenario, 2)
    assert isinstance(result.exception, MissingDependency)
    assert not out.exists()


def test_an_invalid_scenario_starts_nothing(scenario: Path) -> None:
    result, out = trials(scenario, 2, "--set", "nodes.sender.workers=x")
    assert isinstance(result.exception, ScenarioError)
    assert not out.exists()


def test_an_occupied_directory_is_left_alone(scenario: Path) -> None:
    out = scenario.parent / "out"
    out.mkdir()
    (out / "precious").write_text("mine", encoding="utf-8")
    result, _ = trials(scenario, 2)
    assert isinstance(result.exception, ResultsError) and "--out" in str(result.exception)
    assert [path.name for path in out.iterdir()] == ["precious"]


class Hanging:
    """An experiment whose two trials hang; `pipe` ends when neither process lives."""

    def __init__(self, scenario: Path) -> None:
        self.out = scenario.parent / "out"
        fifo = scenario.parent / "pipe"
        os.mkfifo(fifo)
        hang = ["--set", f"nodes.sender.config.hangs={fifo}", "--jobs", "2"]
        arguments = ["trials", str(scenario), "3", "--out", str(self.out), *hang]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simcore", *arguments],
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.pipe = os.open(fifo, os.O_RDONLY)
        self.children: list[int] = []
        text = ""
        while text.count("\n") < 2:
            text += self.read()
        lines = [line.split() for line in text.splitlines()]
        self.children = [int(pid) for pid, _ in lines]
        self.blocked = [bool(int(blocked)) for _, blocked in lines]
        """Whether each child leaves Ctrl-C to its parent; else it may die while it imports."""

    def read(self) -> str:
        ready, _, _ = select.select([self.pipe], [], [], PATIENCE)
        assert ready, "nothing happened for minutes"
        return os.read(self.pipe, 100).decode()

    def check_end(self, code: ExitCode) -> None:
        """Wait for the end: no process is left, and what was done before is kept."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == code, output
        assert "Traceback" not in output
        assert self.read() == ""  # the end of the pipe: nobody holds it any more
        assert document(self.out)["wanted"] == 3

    def clear(self) -> None:
        os.close(self.pipe)
        for pid in (self.process.pid, *self.children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


def test_ctrl_c_leaves_no_process_and_keeps_what_is_done(scenario: Path) -> None:
    hanging = Hanging(scenario)
    try:
        assert hanging.blocked == [True, True]
        os.killpg(hanging.process.pid, signal.SIGINT)  # as a terminal does, children included
        hanging.check_end(ExitCode.INTERRUPTED)
    finally:
        hanging.clear()


def test_ctrl_c_once_more_ends_what_takes_its_time(scenario: Path) -> None:
    hanging = Hanging(scenario)
    try:
        hanging.process.send_signal(signal.SIGINT)
        log = hanging.out / "trial-000" / "logs" / "simcore.log"
        for _ in range(100 * PATIENCE):
            if log.exists() and "stopping at the next instant" in log.read_text():
                break
            time.sleep(0.01)
        else:
            pytest.fail("the trials were not asked to end")
        hanging.process.send_signal(signal.SIGINT)
        hanging.check_end(ExitCode.INTERRUPTED)
    finally:
        hanging.clear()


def test_sigterm_leaves_no_process_and_keeps_what_is_done(scenario: Path) -> None:
    hanging = Hanging(scenario)
    try:
        hanging.process.terminate()
        hanging.check_end(ExitCode.TERMINATED)
    finally:
        hanging.clear()


def test_killing_the_parent_ends_the_trials(scenario: Path) -> None:
    hanging = Hanging(scenario)
    try:
        hanging.process.kill()
        hanging.process.wait(PATIENCE)
        assert hanging.read() == ""
    finally:
        hanging.clear()
