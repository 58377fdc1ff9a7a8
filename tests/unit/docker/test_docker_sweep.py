"""What is removed by its labels, with an engine as strict as the real one. Needs docker-py."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from simcore_backends.docker import sweep as module
from simcore_backends.docker.sweep import labels, of_run, remove, stale, sweep

from simcore.guard import Owner
from simcore.private import owner_of

pytestmark = pytest.mark.docker


class Answer:
    """An answer of HTTP, as much as docker-py's errors look at."""

    def __init__(self, status: int) -> None:
        self.status_code, self.reason, self.url = status, "", ""


def error(status: int) -> Exception:
    from docker.errors import APIError

    return APIError("wrapped", response=Answer(status), explanation=f"status {status}")


class FakeApi:
    """Containers and volumes, kept and refused as the engine does."""

    def __init__(self) -> None:
        self.here: dict[str, dict[str, str]] = {}
        self.volumes_here: dict[str, dict[str, str]] = {}
        self.used: dict[str, str] = {}  # volume: container
        self.trouble: dict[str, list[Exception]] = {}
        self.lists = 0
        self.late: dict[int, str] = {}
        """A container that appears with a list: its number, and the run."""

    def make(self, name: str, marks: dict[str, str], volume: str | None = None) -> None:
        self.here[name] = marks
        if volume is not None:
            self.volumes_here[volume] = marks
            self.used[volume] = name

    def containers(self, *, all: bool, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        assert all, "one that is not running would be left"
        self.lists += 1
        if self.lists in self.late:
            self.make(f"late-{self.lists}", labels(self.late[self.lists], "late"))
        return [
            {"Id": f"id-{name}", "Names": [f"/{name}"], "Labels": marks}
            for name, marks in self.here.items()
            if _matches(marks, filters)
        ]

    def volumes(self, *, filters: dict[str, list[str]]) -> dict[str, Any]:
        found = [
            {"Name": name, "Labels": marks}
            for name, marks in self.volumes_here.items()
            if _matches(marks, filters)
        ]
        return {"Volumes": found or None, "Warnings": None}

    def remove_container(self, container: str, *, v: bool, force: bool) -> None:
        assert v, "its volumes would be left"
        assert force, "one that runs would be left"
        name = container.removeprefix("id-")
        self._meet(name)
        if name not in self.here:
            raise error(404)
        del self.here[name]
        for volume in [volume for volume, user in self.used.items() if user == name]:
            del self.volumes_here[volume], self.used[volume]

    def remove_volume(self, name: str) -> None:
        self._meet(name)
        if name not in self.volumes_here:
            raise error(404)
        if name in self.used:
            raise error(409)
        del self.volumes_here[name]

    def _meet(self, name: str) -> None:
        if waiting := self.trouble.get(name):
            raise waiting.pop(0)


def _matches(marks: dict[str, str], filters: dict[str, list[str]]) -> bool:
    assert filters.keys() == {"label"}
    pairs = {f"{key}={value}" for key, value in marks.items()}
    return all(each in pairs | marks.keys() for each in filters["label"])


@pytest.fixture
def api() -> Any:
    return FakeApi()


@contextmanager
def other_process() -> Iterator[str]:
    """The run of a process that lives as long as this."""
    program = "from simcore.guard import Owner; print(Owner.new().run, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        yield other.stdout.readline().strip()
        other.communicate("\n")


def test_labels_say_whose_it_is() -> None:
    run = Owner.new().run
    found = labels(run, "gateway")
    assert found == {
        "simcore.run": run,
        "simcore.node": "gateway",
        "simcore.owner": json.dumps(owner_of(run)),
    }


def test_what_is_stale(api: Any) -> None:
    """Of a process that has ended or a boot that is over; not what lives, is elsewhere, or unknown."""
    run = Owner.new().run
    api.make("ours", labels(run, "x"))
    reboot = {**owner_of(run), "boot_id": "another"}
    api.make("before-the-reboot", labels(run, "x") | {"simcore.owner": json.dumps(reboot)})
    elsewhere = {**reboot, "machine": "another"}
    api.make("elsewhere", labels(run, "x") | {"simcore.owner": json.dumps(elsewhere)})
    api.make("nonsense", {"simcore.owner": "{"})
    api.make("more-nonsense", {"simcore.owner": '{"run": 7}'})
    api.make("not-simcores", {})
    with other_process() as other:
        api.make("theirs", labels(other, "x"), volume="their-volume")
        assert {each.name for each in stale(api)} == {"before-the-reboot"}
    found = list(stale(api))
    assert [(each.kind, each.name) for each in found] == [
        ("container", "before-the-reboot"),
        ("container", "theirs"),
        ("volume", "their-volume"),
    ]
    for each in found:
        each.remove(api)
    assert set(api.here) == {"ours", "elsewhere", "nonsense", "more-nonsense", "not-simcores"}
    assert api.volumes_here == {}, "it went with its container, which is no error"


@pytest.mark.parametrize("status", [404, 409])
def test_what_is_gone_or_being_removed_is_no_error(api: Any, status: int) -> None:
    api.make("x", labels(Owner.new().run, "x"))
    api.trouble["x"] = [error(status)]
    remove(api, "x")
    assert "x" in api.here
    remove(api, "x")
    assert api.here == {}


def test_what_the_engine_cannot_do_is_an_error(api: Any) -> None:
    run = Owner.new().run
    api.make("x", labels(run, "x"), volume="v")
    api.trouble |= {"x": [error(500)], "v": [error(500)]}
    for each in of_run(api, run):
        with pytest.raises(type(error(500))):
            each.remove(api)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the sweep, which goes on as it waits."""
    now = [0.0]

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

        @staticmethod
        def sleep(seconds: float) -> None:
            now[0] += seconds

    monkeypatch.setattr(module, "time", Time)
    return now


def test_a_sweep_removes_one_run_and_waits_for_what_comes_late(api: Any, soon: list[float]) -> None:
    run, other = Owner.new().run, Owner.new().run
    api.make("a", labels(run, "a"), volume="va")
    api.make("b", labels(other, "b"), volume="vb")
    api.late = {3: run, 15: run}
    api.trouble["late-3"] = [error(500), error(409)]
    sweep(api, run)
    assert set(api.here) == {"b"} and set(api.volumes_here) == {"vb"}
    assert 1.0 < soon[0] < 5.0


def test_a_sweep_gives_a_busy_engine_more_time(
    api: Any, soon: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes 0.1 s to be asked may make a container seconds after it was asked to."""
    run, listed = Owner.new().run, api.containers

    def slowly(**options: Any) -> Any:
        soon[0] += 0.1
        return listed(**options)

    monkeypatch.setattr(api, "containers", slowly)
    api.late = {30: run}  # after 4.5 s
    sweep(api, run)
    assert api.here == {}
    assert 4.5 + 5.0 <= soon[0] < 10.0


def test_a_sweep_ends_though_an_engine_never_does_what_it_is_asked(
    api: Any, soon: list[float]
) -> None:
    run = Owner.new().run
    api.make("a", labels(run, "a"))
    api.trouble["a"] = [error(500) for _ in range(10_000)]
    sweep(api, run)
    assert set(api.here) == {"a"}
    assert 30.0 <= soon[0] < 31.0
