"""Private directories: who may enter them, and when they are taken for left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcore import private
from simcore.ending import PREFIX
from simcore.errors import SimcoreError
from simcore.guard import Guard, Owner
from simcore.private import PrivateDirectory, places, stale


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders for temporary things of this test's own."""
    for name in ("runtime", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard() as made:
        yield made


def test_it_is_for_its_owner_only_and_says_whose_it_is(guard: Guard, base: Path) -> None:
    path = PrivateDirectory(guard).path
    assert path.parent == base / "runtime" and path.name.startswith("simcore-")
    assert len(path.name) < 30
    assert path.stat().st_mode & 0o777 == 0o700
    owner = json.loads((path / "owner.json").read_text(encoding="utf-8"))
    assert owner["pid"] == os.getpid() and owner["run"] == guard.run
    assert set(owner) == {"pid", "start_time", "boot_id", "machine", "run"}
    assert list(stale()) == []


def test_it_goes_with_the_run_or_before(guard: Guard) -> None:
    first, second = PrivateDirectory(guard), PrivateDirectory(guard)
    (first.path / "socket").touch()
    first.remove()
    first.remove()
    assert not first.path.exists() and second.path.exists()
    guard.close()
    assert not second.path.exists()


def test_without_a_runtime_folder(
    guard: Guard, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("", "relative", "/no/such/folder"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert places() == [base / "temporary"]
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base / "temporary"))
    assert places() == [base / "temporary"]
    assert PrivateDirectory(guard).path.parent == base / "temporary"


def test_no_place_for_it(guard: Guard, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(private, "places", lambda: [base / "none"])
    with pytest.raises(SimcoreError, match="can be made in .*none: No such file.*set TMPDIR"):
        PrivateDirectory(guard)


def test_where_temporary_things_go(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("TEMP", str(base / "runtime"))
    assert places() == [base / "temporary"]
    monkeypatch.setenv("TMPDIR", str(base / "none"))
    assert places() == [base / "runtime"]
    monkeypatch.delenv("TEMP")
    monkeypatch.delenv("TMP", raising=False)
    assert places() == [Path("/tmp")]


def left_behind(guard: Guard, **changes: Any) -> Path:
    """A directory whose owner is as this process but for changes."""
    path = PrivateDirectory(guard).path
    file = path / "owner.json"
    owner = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(owner | changes), encoding="utf-8")
    return path


def dead() -> str:
    """The id of a run whose process's number is now this one's."""
    process, _, *rest = Owner.new().run.split("-")
    return "-".join([process, "1", *rest])


def test_of_a_dead_process(guard: Guard) -> None:
    run = dead()
    path = left_behind(guard, run=run)
    assert [(each.path, each.run) for each in stale()] == [(path, run)]


def test_of_before_the_machine_started(guard: Guard) -> None:
    path = left_behind(guard, boot_id="another")
    assert [each.path for each in stale()] == [path]


def test_of_what_cannot_be_known(guard: Guard) -> None:
    left_behind(guard, boot_id="another", machine="another")
    process, _, _, unique = Owner.new().run.split("-")
    left_behind(guard, run=f"{process}-1-7-{unique}")  # of another container
    assert list(stale()) == []


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"run": 3}', '{"run": "x"}', "\x00"])
def test_without_an_owner_only_when_it_is_old(base: Path, text: str | None) -> None:
    path = base / "temporary" / f"{PREFIX}x"
    path.mkdir()
    if text is not None:
        (path / "owner.json").write_text(text, encoding="utf-8")
    assert list(stale()) == []
    os.utime(path, (0, 0))
    assert [(each.path, each.run) for each in stale()] == [(path, None)]


def test_what_is_something_else(base: Path) -> None:
    (base / "temporary" / "simcore-verify-1").mkdir()
    (base / "temporary" / f"{PREFIX}link").symlink_to(base / "temporary")
    assert list(stale()) == []
