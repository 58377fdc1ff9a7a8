"""The end of what a run has outside: everything goes, also when the user loses patience."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from simcore.outside import Outside


def outside() -> Outside:
    federation: Any = SimpleNamespace(archive=None)
    return Outside(federation)


def test_last_actions_come_in_order_and_before_the_directory_goes() -> None:
    ours, seen = outside(), []
    path = ours.directory.path
    for name in ("first", "second"):
        ours.finally_(lambda name=name: seen.append((name, path.exists())))  # type: ignore[misc]
    ours.close()
    assert seen == [("first", True), ("second", True)]
    assert not path.exists()
    ours.close()  # a second time is nothing
    assert len(seen) == 2


def test_a_signal_in_a_last_action_leaves_nothing_behind() -> None:
    ours, seen = outside(), []
    path = ours.directory.path

    def interrupted() -> None:
        raise KeyboardInterrupt

    ours.finally_(interrupted)
    ours.finally_(lambda: seen.append("the next one"))
    with pytest.raises(KeyboardInterrupt):
        ours.close()
    assert seen == ["the next one"]
    assert not path.exists()
    assert ours.guard.process == 0


def test_what_a_backend_has_once() -> None:
    ours = outside()
    made: list[Any] = []

    def make(federation: Any) -> list[Any]:
        made.append(federation)
        return made

    assert ours.one(make) is ours.one(make)
    assert len(made) == 1
    ours.close()
