"""Where simcore and the process of ns-3 run while they take turns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from simcore_netmodels.ns3.core import QUICK, RENEWAL, SharedCore

ALL = os.sched_getaffinity(0)

pytestmark = pytest.mark.skipif(len(ALL) < 2, reason="there is one core only")


@pytest.fixture
def other() -> Iterator[int]:
    """A process that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


class Time:
    """A clock that is set by hand, s."""

    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


def test_both_are_on_one_core_while_one_waits(other: int) -> None:
    time = Time()
    shared = SharedCore(other, time)
    with shared:
        assert os.sched_getaffinity(0) == os.sched_getaffinity(other) == ALL  # is it quick?
    with shared:
        assert os.sched_getaffinity(0) == os.sched_getaffinity(other)
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == ALL  # as are threads and programs that are started now


def test_the_scheduler_may_choose_now_and_then(other: int) -> None:
    time = Time()
    shared = SharedCore(other, time)
    for _ in range(2):
        with shared:
            pass
    time.now += RENEWAL
    with shared:
        assert os.sched_getaffinity(0) == os.sched_getaffinity(other) == ALL
    with shared:
        assert len(os.sched_getaffinity(other)) == 1
    shared.free()
    assert os.sched_getaffinity(other) == ALL


def test_who_takes_long_runs_anywhere(other: int) -> None:
    time = Time()
    shared = SharedCore(other, time)
    for _ in range(3):
        with shared:
            time.now += 2 * QUICK
        with shared:
            time.now += 2 * QUICK
            assert os.sched_getaffinity(0) == os.sched_getaffinity(other) == ALL


def test_after_an_error_all_cores_are_there_again(other: int) -> None:
    shared = SharedCore(other, Time())
    with shared:
        pass
    with pytest.raises(KeyError), shared:
        raise KeyError
    assert os.sched_getaffinity(0) == ALL


def test_a_process_that_has_ended_is_left_alone() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    shared = SharedCore(ended.pid, Time())
    for _ in range(3):
        with shared:
            assert os.sched_getaffinity(0) == ALL
    shared.free()
