"""Seeds, directories and counts of replications."""

from __future__ import annotations

from pathlib import Path

from simcore.experiments.figures import COUNT, SHARE, Metric, aligned
from simcore.experiments.trials import Job, Trial, plan


def test_seeds_follow_each_other_and_directories_sort() -> None:
    jobs = plan(Path("a.yaml"), 3, base=40, out=Path("out"), overrides=["x=1"], until="2s")
    assert [(job.number, job.seed, job.path.name) for job in jobs] == [
        (0, 40, "trial-000"),
        (1, 41, "trial-001"),
        (2, 42, "trial-002"),
    ]
    assert {(job.overrides, job.until) for job in jobs} == {(("x=1",), "2s")}
    many = [job.path.name for job in plan(Path("a.yaml"), 1001, base=0, out=Path("out"))]
    assert many == sorted(many) and many[-1] == "trial-1000"


def test_a_missed_expectation_is_no_failure() -> None:
    job = Job(0, Path("a.yaml"), 1, Path("out"))
    assert [code for code in (0, 1, 2, 3, 4, 130, 143) if Trial(job, code).failed] == [
        2,
        3,
        4,
        130,
        143,
    ]


def test_a_count_that_one_run_lacks_is_zero_there_and_a_mean_is_not() -> None:
    lost, latency = Metric("lost", "queue_full", COUNT), Metric("latency_p50", "a -> b x", "ns")
    share = Metric("mean", "correct", SHARE)
    rows = aligned([{lost: 4.0, latency: 5.0, share: 1.0}, {}])
    assert rows == [{lost: 4.0, latency: 5.0, share: 1.0}, {lost: 0.0}]
