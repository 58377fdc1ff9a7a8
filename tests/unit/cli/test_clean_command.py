"""What `clean` says and returns; what it does is tested with real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simcore.cli import clean
from simcore.ending import Look
from simcore.private import Stale

RUN = "4711-100-1-aa"


def invoke(*options: str) -> Result:
    return CliRunner().invoke(clean.command, options, standalone_mode=False)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    """What there is, and what cannot be ended or removed."""
    state: dict[str, list[object]] = {"directories": [], "processes": [], "stuck": [], "kept": []}
    monkeypatch.setattr(clean, "_await_guards", lambda: None)
    monkeypatch.setattr(clean.Plugins, "backends", {})
    monkeypatch.setattr(clean, "stale", lambda: iter(state["directories"]))
    monkeypatch.setattr(clean, "_processes", lambda: iter(state["processes"]))
    monkeypatch.setattr(clean, "end_everything", lambda run, groups: state["stuck"])
    monkeypatch.setattr(clean, "remove", lambda path: path not in state["kept"])
    return state


def look(pid: int) -> Look:
    return Look(pid, f"{pid} (x) S 1 2 3 0 0 0 {'0 ' * 10} 1 0 5".encode())


def test_nothing_to_do() -> None:
    for options in ([], ["--dry-run"]):
        done = invoke(*options)
        assert (done.stdout, done.return_value) == ("nothing was left behind\n", 0)


def test_what_is_left_is_told(machine: dict[str, list[object]]) -> None:
    machine["directories"] = [Stale(Path("/tmp/a"), RUN), Stale(Path("/tmp/b"), None)]
    machine["processes"] = [
        (look(2**22 + 1), f"SIMCORE_RUN={RUN}\0".encode()),
        (look(2**22 + 2), f"SIMCORE_RUN=x:{RUN}\0".encode()),
        (look(2**22 + 3), b"SIMCORE_RUN=garbage\0"),
    ]
    machine["stuck"] = [2**22 + 1]
    machine["kept"] = ["/tmp/b"]
    done = invoke()
    assert done.stdout == (
        f"ended process 4194306 (ended) of run {RUN}\nremoved /tmp/a of run {RUN}\n"
    )
    assert done.stderr == "process 4194305 cannot be ended\n/tmp/b cannot be removed\n"
    assert done.return_value == 3


def test_a_dry_run_only_says_so(
    machine: dict[str, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine["directories"] = [Stale(Path("/tmp/b"), None)]
    for name in ("_await_guards", "end_everything", "remove"):
        monkeypatch.setattr(clean, name, None)
    done = invoke("--dry-run")
    assert (done.stdout, done.return_value) == ("would remove /tmp/b of an unknown run\n", 0)


def test_where_a_backend_cannot_look(monkeypatch: pytest.MonkeyPatch) -> None:
    class Backend:
        def clean(self, dry_run: bool, say: Callable[[str], None]) -> Iterator[str]:
            say("the Docker Engine was not asked: it sleeps")
            return iter(())

    monkeypatch.setattr(clean.Plugins, "backends", {"docker": Backend()})
    done = invoke()
    assert done.stdout == "the Docker Engine was not asked: it sleeps\nnothing was left behind\n"
    assert done.return_value == 0
