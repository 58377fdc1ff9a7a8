"""The files that a container sees: mounted as they are, or packed."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from simcore_backends.docker import files
from simcore_backends.docker.files import Share, bind

from simcore.errors import UsageError

WHY = "the engine is elsewhere"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "scenario"
    for name, text in {
        "model.py": "a",
        "run.sh": "#!/bin/sh\n",
        "data/inner/table.csv": "1;2",
        "runs/first/results.sqlite": "old",
        "data/__pycache__/x.pyc": "c",
        ".git/config": "g",
        ".hidden": "h",
    }.items():
        file = made / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for each in (made, *made.rglob("*")):
        each.chmod(0o755 if each.is_dir() or each.name == "run.sh" else 0o644)
    return made


def unpacked(share: Share) -> dict[str, tuple[str, int]]:
    """Names, contents and modes; a folder's content is "/"."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(share.packed(WHY))) as tar:
        for entry in tar:
            data = tar.extractfile(entry)
            found[entry.name] = ("/" if data is None else data.read().decode(), entry.mode)
            assert (entry.uid, entry.gid, entry.mtime) == (0, 0, 0)
    return found


def test_mounts_are_read_only(folder: Path) -> None:
    assert Share("/scenario", folder).mounts() == [
        {"Type": "bind", "Source": str(folder), "Target": "/scenario", "ReadOnly": True}
    ]


def test_each_name_is_mounted_once_where_it_lies(folder: Path) -> None:
    share = Share("/scenario", folder, ("data", "./model.py", "data/", "data/inner/table.csv"))
    assert share.mounts() == [
        bind(folder / "data", "/scenario/data"),
        bind(folder / "model.py", "/scenario/model.py"),
        bind(folder / "data/inner/table.csv", "/scenario/data/inner/table.csv"),
    ]


def test_the_volume_of_copies_bears_labels(folder: Path) -> None:
    assert Share("/scenario", folder, ("data",)).volume({"simcore.run": "7"}) == {
        "Type": "volume",
        "Target": "/scenario",
        "VolumeOptions": {"Labels": {"simcore.run": "7"}},
    }


def test_all_of_a_folder_is_packed_but_for_what_no_run_needs(folder: Path) -> None:
    assert unpacked(Share("/scenario", folder)) == {
        ".": ("/", 0o755),
        "model.py": ("a", 0o644),
        "run.sh": ("#!/bin/sh\n", 0o755),
        "data": ("/", 0o755),
        "data/inner": ("/", 0o755),
        "data/inner/table.csv": ("1;2", 0o644),
        ".hidden": ("h", 0o644),
    }


def test_what_is_named_is_packed_where_it_lies(folder: Path) -> None:
    share = Share("/scenario", folder, ("data/inner", "model.py", "runs"))
    assert unpacked(share) == {
        "data/inner": ("/", 0o755),
        "data/inner/table.csv": ("1;2", 0o644),
        "model.py": ("a", 0o644),
        "runs": ("/", 0o755),
        "runs/first": ("/", 0o755),
        "runs/first/results.sqlite": ("old", 0o644),
    }


def test_packing_is_the_same_each_time(folder: Path) -> None:
    first = Share("/scenario", folder).packed(WHY)
    os.utime(folder / "model.py", (1, 1))
    assert Share("/scenario", folder).packed(WHY) == first


def test_what_was_private_is_readable_in_the_copy(folder: Path) -> None:
    (folder / "model.py").chmod(0o600)
    folder.chmod(0o700)
    assert unpacked(Share("/scenario", folder))["model.py"] == ("a", 0o644)


def test_links_are_followed_and_loops_are_not(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "big.csv").write_text("9")
    (folder / "data" / "outside").symlink_to(tmp_path / "elsewhere")
    (folder / "data" / "again").symlink_to("inner")
    (folder / "data" / "inner" / "up").symlink_to("..")
    (folder / "data" / "nowhere").symlink_to("nothing")
    (folder / "data" / "itself").symlink_to("../data")
    found = unpacked(Share("/scenario", folder, ("data",)))
    assert {name for name, (text, _) in found.items() if text != "/"} == {
        "data/inner/table.csv",
        "data/again/table.csv",
        "data/outside/big.csv",
    }


def test_sockets_and_pipes_are_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "data" / "pipe")
    assert "data/pipe" not in unpacked(Share("/scenario", folder))


def test_what_is_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGEST", 3 << 20)
    (folder / "big").write_bytes(bytes(3 << 20))
    with pytest.raises(UsageError) as caught:
        Share("/scenario", folder).packed(WHY)
    assert str(caught.value) == (
        f"{folder} has to be copied into a container, for the engine is elsewhere, and is larger "
        "than 3 MiB: name what is needed with 'files'"
    )
    assert "model.py" in unpacked(Share("/scenario", folder, ("model.py",)))


# -- What keeps files from being mounted


def test_what_everybody_may_read_is_mounted(folder: Path) -> None:
    (folder / "data" / "again").symlink_to("inner")
    assert Share("/scenario", folder).obstacle() is None


CLOSED = {"scenario": 0o700, "scenario/data": 0o750, "scenario/data/inner/table.csv": 0o640}


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_closed_to_others_is_not(folder: Path, name: str) -> None:
    place = folder.parent / name
    place.chmod(CLOSED[name])
    assert Share("/scenario", folder).obstacle() == f"{place} may not be read by everybody"
    assert Share("/scenario", folder, ("model.py",)).obstacle() is None


def test_what_is_left_out_is_no_obstacle(folder: Path) -> None:
    for name in (".git", "runs", "data/__pycache__"):
        (folder / name).chmod(0o700)
    assert Share("/scenario", folder).obstacle() is None


@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_that_leads_out(folder: Path, absolute: bool) -> None:
    (folder.parent / "table.csv").write_text("5")
    (folder.parent / "table.csv").chmod(0o644)
    link = folder / "data" / "link.csv"
    link.symlink_to(folder.parent / "table.csv" if absolute else "../../table.csv")
    share = Share("/scenario", folder)
    assert share.obstacle() == f"the link {link} leads out of its folder"
    assert unpacked(share)["data/link.csv"] == ("5", 0o644)
    # Named by itself, it is what it leads to that is mounted.
    assert Share("/scenario", folder, ("data/link.csv",)).obstacle() is None


def test_parents_may_be_closed(folder: Path) -> None:
    """The engine mounts by the root of the machine's files, and needs no way to them."""
    folder.parent.chmod(0o700)
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert Share("/scenario", folder).obstacle() is None


def test_not_every_file_of_a_huge_folder_is_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "run.sh").chmod(0o700)
    assert Share("/scenario", folder).obstacle() is not None
    monkeypatch.setattr(files, "_LOOKED_AT", 3)
    assert Share("/scenario", folder).obstacle() is None
