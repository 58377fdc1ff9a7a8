"""The comparison of policies: their runs, figures and Pareto front, told rather than simulated."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from simcore.cli import placement as shown
from simcore.errors import ExitCode
from simcore.experiments.figures import ALL, COUNT, SHARE, Metric, at
from simcore.experiments.placement import Left, compared, jobs, write
from simcore.experiments.trials import Job, Trial
from simcore.results.statistics import wilson_interval

MS = 1e6


def metrics(
    right: int, latency: float, energy: float | None, shares: tuple[float, float, float]
) -> dict[Metric, float]:
    """Figures of a run with 200 inferences, all of them judged."""
    found = {
        Metric("n", ALL, COUNT): 200.0,
        Metric("judged", ALL, COUNT): 200.0,
        Metric("right", ALL, COUNT): float(right),
        Metric("accuracy", ALL, SHARE): right / 200,
        Metric("latency_mean", ALL, "ns"): latency * MS,
        Metric("latency_p50", ALL, "ns"): latency * MS,
        Metric("latency_p95", ALL, "ns"): 2 * latency * MS,
        Metric("in_time", ALL, SHARE): 0.75,
        Metric("uplink", ALL, "B"): 81.25,
        Metric("downlink", ALL, "B"): 16.0,
        Metric("size", ALL, "B"): 176.0,
        **{
            Metric("share", at(place), SHARE): share
            for place, share in zip(("device", "edge", "cloud"), shares, strict=True)
        },
    }
    if energy is not None:
        found[Metric("energy", ALL, "J")] = energy
    return found


DEVICE = metrics(170, 5, 0.001, (1, 0, 0))
EDGE = metrics(190, 30, 0.002, (0, 1, 0))
WORSE = metrics(190, 31, 0.002, (0, 0.5, 0.5))


def planned(*policies: str, replications: int = 1) -> dict[str, list[Job]]:
    return jobs(
        Path("a.yaml"), policies, own="device", base=7, out=Path("out"), replications=replications
    )


def ended(plan: Mapping[str, list[Job]], *told: Mapping[Metric, float] | None) -> list[Trial]:
    every = [job for some in plan.values() for job in some]
    return [
        Trial(job, ExitCode.FAILED, "as the test asked")
        if of_job is None
        else Trial(job, ExitCode.OK, None, "ab", dict(of_job))
        for job, of_job in zip(every, told, strict=True)
    ]


def test_each_policy_has_its_directory_and_all_have_the_same_seed() -> None:
    plan = planned("device", "my.py:Mine", "other.py:Mine", "my.py:mine")
    assert [str(some[0].path) for some in plan.values()] == [
        "out/device", "out/Mine", "out/Mine-2", "out/mine-3",
    ]  # fmt: skip
    assert {some[0].seed for some in plan.values()} == {7}
    assert plan["device"][0].overrides == ("placement.policy=device",)
    assert plan["my.py:Mine"][0].overrides == ("placement.policy=my.py:Mine", "expect=[]")


def test_replications_have_the_same_seeds_for_each_policy() -> None:
    plan = planned("device", "edge", replications=3)
    assert [[job.seed for job in some] for some in plan.values()] == [[7, 8, 9]] * 2
    assert [job.number for some in plan.values() for job in some] == list(range(6))
    assert str(plan["edge"][2].path) == "out/edge/trial-002"


def test_the_front_holds_what_nothing_beats() -> None:
    plan = planned("device", "edge", "cloud")
    found = compared(plan, ended(plan, DEVICE, EDGE, WORSE)[::-1])
    assert [(each.policy, each.best) for each in found] == [
        ("device", True), ("edge", True), ("cloud", False),
    ]  # fmt: skip
    assert found[0].interval == wilson_interval(170, 200)


def test_energy_that_one_policy_lacks_says_nothing() -> None:
    plan = planned("edge", "cloud")
    dear = metrics(190, 30, 9.0, (0, 1, 0))
    unknown = metrics(190, 31, None, (0, 1, 0))
    assert [each.best for each in compared(plan, ended(plan, dear, unknown))] == [True, False]


SILENT = {m: v for m, v in EDGE.items() if m.name in ("n", "energy", "uplink", "in_time")}
"""Nobody ever answers."""


def test_a_policy_that_is_never_answered_does_not_hide_the_others() -> None:
    plan = planned("device", "edge", "cloud", "silent")
    found = compared(plan, ended(plan, DEVICE, EDGE, WORSE, SILENT))
    assert [each.best for each in found] == [True, True, False, None]
    plan = planned("silent")
    assert [each.best for each in compared(plan, ended(plan, SILENT))] == [None]


def test_there_is_no_front_of_one_figure() -> None:
    plan = planned("device", "edge")
    told = [
        {m: v for m, v in some.items() if m.name not in ("accuracy", "energy")}
        for some in (DEVICE, EDGE)
    ]
    assert [each.best for each in compared(plan, ended(plan, *told))] == [None, None]


def test_a_failed_run_does_not_hide_the_others() -> None:
    plan = planned("device", "edge")
    found = compared(plan, ended(plan, None, EDGE))
    assert [each.best for each in found] == [None, True]
    assert found[0].mean("accuracy") is None and found[0].interval is None


def test_replications_have_an_interval_by_students_t() -> None:
    plan = planned("edge", replications=2)
    found = compared(plan, ended(plan, EDGE, metrics(180, 30, 0.002, (0, 1, 0))))[0]
    assert found.mean("accuracy") == pytest.approx(0.925)
    low, high = found.interval or (0, 0)
    assert low == pytest.approx(0.925 - 12.706 * 0.025, abs=1e-4) and high == 1.0


def test_what_is_written(tmp_path: Path) -> None:
    plan = jobs(Path("a.yaml"), ["device", "edge"], own="edge", base=7, out=tmp_path)
    placed = compared(plan, ended(plan, DEVICE, None))
    left = [Left("cloud", "it needs 'cloud'")]
    write(tmp_path, scenario="told", base=7, placed=placed, left=left)
    with (tmp_path / "placement.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["policy"], row["seed"], row["run"], row["front"]) == ("device", "7", "device", "1")
    assert (row["accuracy"], row["latency_mean_ns"], row["energy_J"]) == (
        "0.85",
        "5000000",
        "0.001",
    )
    assert (row["share_device"], row["latency_p99_ns"]) == ("1", "")
    document = json.loads((tmp_path / "placement.json").read_text(encoding="utf-8"))
    assert document["left_out"] == [{"policy": "cloud", "why": "it needs 'cloud'"}]
    device, edge = document["policies"]
    assert device["front"] is True and edge["front"] is None
    assert device["accuracy_interval"] == list(wilson_interval(170, 200))
    assert edge["runs"][0]["error"] == "as the test asked" and edge["summary"] == []


def printed(width: int, *told: Mapping[Metric, float] | None, policies: tuple[str, ...]) -> str:
    plan = planned(*policies)
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        code = shown._report(Path("out"), compared(plan, ended(plan, *told)), console)
    assert code == (ExitCode.FAILED if None in told else ExitCode.OK)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def test_the_comparison_on_a_wide_terminal() -> None:
    text = printed(120, DEVICE, EDGE, WORSE, policies=("device", "edge", "cloud"))
    head, device, *_ = text.splitlines()
    assert max(map(len, text.splitlines())) <= 120
    assert " ".join(head.split()) == (
        "policy N accuracy latency p50 p95 in time energy uplink at device at edge at cloud"
    )
    assert " ".join(device.split()) == (
        "* device 200 85 % (79.4 to 89.3) 5 ms 5 ms 10 ms 75 % 1 mJ 81.2 B 100 % 0 % 0 %"
    )


def test_without_energy_and_after_a_failure() -> None:
    plain = metrics(170, 5, None, (1, 0, 0))
    text = printed(80, plain, None, policies=("device", "edge"))
    assert "energy" not in text and "* edge" not in text and "  edge" not in text
    assert "* Pareto front of accuracy and latency: device" in text


def test_the_comparison_on_a_narrow_terminal() -> None:
    text = printed(80, DEVICE, EDGE, WORSE, policies=("device", "edge", "cloud"))
    assert max(map(len, text.splitlines())) <= 80
    assert (
        text
        == """
  policy    N             accuracy  latency    p50    p95  in time
* device  200  85 % (79.4 to 89.3)     5 ms   5 ms  10 ms     75 %
* edge    200    95 % (91 to 97.3)    30 ms  30 ms  60 ms     75 %
  cloud   200    95 % (91 to 97.3)    31 ms  31 ms  62 ms     75 %

  policy  energy  uplink  at device  at edge  at cloud
* device    1 mJ  81.2 B      100 %      0 %       0 %
* edge      2 mJ  81.2 B        0 %    100 %       0 %
  cloud     2 mJ  81.2 B        0 %     50 %      50 %

* Pareto front of accuracy, latency and energy: device, edge
  latency (mean), p50, p95: picture to answer; energy, uplink: of the device
""".strip("\n")
    )
