"""Where the files are that hold a container, and what is made of what they say.

The files of both versions are regular ones here, in a root folder of the test's own; real ones are
tried in `tests/docker/test_wallclock.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest
from simcore_backends.docker.engine import Engine, EngineError
from simcore_backends.docker.freezer import (
    CgroupFreezer,
    EngineFreezer,
    FreezeError,
    Gone,
    cgroup_v1,
    cgroup_v2,
    freezer_of,
)

ID = "0f" * 32
PID = 4711
NO_ENGINE = cast(Engine, None)

V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 {top} /sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer
"""
V2_MOUNT = "41 31 0:38 {top} {point} rw,relatime - cgroup2 cgroup2 rw\n"
V1 = f"8:memory:/docker/{ID}\n6:freezer:/docker/{ID}\n"
SYSTEMD = f"/system.slice/docker-{ID}.scope"


def machine(root: Path, cgroups: str, mounts: str, *folders: str) -> Path:
    """A root folder with what the kernel tells, and cgroups at these places."""
    for name, text in ((f"proc/{PID}/cgroup", cgroups), ("proc/self/mountinfo", mounts)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for folder in folders:
        place = root / folder
        place.mkdir(parents=True)
        if "freezer" in folder:
            (place / "freezer.state").write_text("FROZEN\n")
        else:
            (place / "cgroup.freeze").write_text("1\n")
            (place / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    return root


def switch_of(root: Path) -> str | None:
    """The file with which the container is held, below the root; None: the engine does it."""
    found = freezer_of(NO_ENGINE, ID, PID, root)
    if isinstance(found, EngineFreezer):
        return None
    assert isinstance(found, CgroupFreezer)
    found.thaw()
    files = [path for path in root.rglob("*") if path.is_file()]
    [written] = [path for path in files if path.read_text() in ("THAWED\n", "0\n")]
    assert found.name == ("cgroup v1" if written.name == "freezer.state" else "cgroup v2")
    return str(written.relative_to(root))


def test_version_1(tmp_path: Path) -> None:
    folder = f"sys/fs/cgroup/freezer/docker/{ID}"
    root = machine(tmp_path, V1, V1_MOUNTS.format(top="/"), folder)
    assert switch_of(root) == f"{folder}/freezer.state"


def test_version_1_whose_mount_begins_further_down(tmp_path: Path) -> None:
    folder = f"sys/fs/cgroup/freezer/{ID}"
    root = machine(tmp_path, V1, V1_MOUNTS.format(top="/docker"), folder)
    assert switch_of(root) == f"{folder}/freezer.state"


def test_version_2(tmp_path: Path) -> None:
    folder = f"sys/fs/cgroup{SYSTEMD}"
    mounts = V2_MOUNT.format(top="/", point="/sys/fs/cgroup")
    root = machine(tmp_path, f"0::{SYSTEMD}\n", mounts, folder)
    assert switch_of(root) == f"{folder}/cgroup.freeze"


def test_both_versions(tmp_path: Path) -> None:
    """The engine itself uses version 1 then."""
    mounts = V1_MOUNTS.format(top="/") + V2_MOUNT.format(top="/", point="/sys/fs/cgroup/unified")
    folder = f"sys/fs/cgroup/freezer/docker/{ID}"
    unified = f"sys/fs/cgroup/unified/docker/{ID}"
    root = machine(tmp_path, f"{V1}0::/docker/{ID}\n", mounts, folder, unified)
    assert switch_of(root) == f"{folder}/freezer.state"


V2_MOUNTS = V2_MOUNT.format(top="/", point="/sys/fs/cgroup")
ELSEWHERE = {
    "another process has this number": ("0::/user.slice\n", V2_MOUNTS),
    "the container is outside what we see": (f"0::/../../docker/{ID}\n", V2_MOUNTS),
    "not mounted": (f"0::{SYSTEMD}\n", "31 23 0:28 / /sys rw - sysfs sysfs rw\n"),
    "another part is mounted": (f"0::{SYSTEMD}\n", V2_MOUNT.format(top="/else", point="/cgroup")),
    "gone by now": ("0::/docker/{ID}\n", V2_MOUNTS),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_the_engine_does_it(tmp_path: Path, case: str) -> None:
    root = machine(tmp_path, *ELSEWHERE[case], "sys/fs/cgroup/user.slice")
    assert switch_of(root) is None


def test_there_is_no_such_process_here(tmp_path: Path) -> None:
    assert isinstance(freezer_of(NO_ENGINE, ID, PID, tmp_path), EngineFreezer)


def test_we_may_not_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = f"sys/fs/cgroup{SYSTEMD}"
    root = machine(tmp_path, f"0::{SYSTEMD}\n", V2_MOUNTS, folder)
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK)  # root may everything
    assert switch_of(root) is None


def test_freezing_waits_for_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = cgroup_v1(tmp_path)
    states = iter(["FREEZING\n", "FREEZING\n", "FROZEN\n"])
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path: next(states) if path == switch.state else read(path)
    )
    switch.file.write_bytes(b"THAWED")
    CgroupFreezer(switch).freeze()
    assert list(states) == []
    assert switch.file.read_bytes() == b"FROZEN"


def test_a_kernel_that_does_not_freeze(tmp_path: Path) -> None:
    switch = cgroup_v2(tmp_path)
    switch.file.write_text("0")
    switch.state.write_text("populated 1\nfrozen 0\n")
    freezer = CgroupFreezer(switch, patience=0.0)
    with pytest.raises(FreezeError, match=r"the kernel did not freeze it within 0 s \(.*freeze\)"):
        freezer.freeze()
    assert switch.file.read_text() == "1"
    switch.state.write_text("populated 1\nfrozen 1\n")
    freezer.freeze()
    freezer.thaw()
    assert switch.file.read_text() == "0"


def test_a_container_that_is_gone(tmp_path: Path) -> None:
    for make in (cgroup_v1, cgroup_v2):
        freezer = CgroupFreezer(make(tmp_path / "gone"))
        for act in (freezer.freeze, freezer.thaw):
            with pytest.raises(Gone):
                act()


def test_a_file_that_is_refused(tmp_path: Path) -> None:
    freezer = CgroupFreezer(cgroup_v2(tmp_path))
    (tmp_path / "cgroup.freeze").mkdir()
    with pytest.raises(FreezeError, match="its cgroup refuses: "):
        freezer.freeze()


class FakeEngine:
    """An engine that fails, though it may have done what was asked."""

    def __init__(self, **state: Any) -> None:
        self.state = {"Running": True, "Paused": False} | state
        self.api = self
        self.heard: list[str] = []
        self.deaf = False

    def ask(self, what: str, action: Any) -> None:
        try:
            action()
        except OSError as error:
            raise EngineError(f"failed to {what}: {error}") from None

    def pause(self, container: str) -> None:
        self._hear("pause", True)

    def unpause(self, container: str) -> None:
        self._hear("unpause", False)

    def _hear(self, what: str, paused: bool) -> None:
        self.heard.append(what)
        if not self.deaf:
            self.state["Paused"] = paused
        raise OSError("no answer")

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"State": self.state}


def test_an_answer_of_the_engine_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcore_backends.docker.freezer.failures", lambda: (OSError,))
    engine = FakeEngine()
    freezer = EngineFreezer(cast(Engine, engine), ID)
    freezer.freeze()
    assert engine.state["Paused"]
    freezer.thaw()
    assert not engine.state["Paused"]
    assert engine.heard == ["pause", "unpause"]
    engine.deaf = True
    with pytest.raises(FreezeError, match="failed to pause the container: no answer"):
        freezer.freeze()
    engine.state["Running"] = False
    for act in (freezer.freeze, freezer.thaw):
        with pytest.raises(Gone):
            act()
