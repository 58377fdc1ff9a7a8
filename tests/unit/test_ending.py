"""Which processes are a run's, on a machine that is made up.

A made-up process is a line: number, parent, group, session, start, environment.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from simcore import ending
from simcore.ending import PREFIX, Look, Proc, end_everything, remove, runs_of, start_time

RUN = "4711-100-1-aa"
OTHER = "4711-100-1-bb"
MARKED = f"A=1\0SIMCORE_RUN={RUN}\0B=2\0".encode()
STRANGE = b"HOME=/\0PATH=/bin\0"


class Machine(Proc):
    """Processes that end when they are killed, and may do something about it."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.root = root
        self.killed: list[int] = []
        self.protected: set[int] = set()
        self.immortal: set[int] = set()

    def add(
        self, pid: int, *, parent: int = 1, group: int = 0, session: int = 0, start: int = 200,
        environment: bytes | None = STRANGE, name: str = "x", state: str = "S", threads: int = 1,
        flags: int = 0, memory: int = 7,
    ) -> None:  # fmt: skip
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        group = group or pid
        numbers = [parent, group, session or group, 0, -1, flags, *[0] * 10, threads, 0, start]
        text = f"{pid} ({name}) {state} {' '.join(map(str, numbers))}{f' {memory}' * 30}\n"
        (folder / "stat").write_text(text, encoding="utf-8")
        if environment is not None:
            (folder / "environ").write_bytes(environment)

    def gone(self, pid: int) -> None:
        for file in sorted((self.root / str(pid)).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        (self.root / str(pid)).rmdir()

    def kill(self, look: Look) -> bool:
        if look.pid in self.protected:
            return False
        self.killed.append(look.pid)
        if look.pid not in self.immortal:
            self.gone(look.pid)
            self.died(look.pid)
        return True

    def died(self, pid: int) -> None:
        """What happens when a process was killed."""

    def kill_group(self, group: int) -> None:
        for pid in self.pids():
            look = self.look(pid)
            if look is not None and look.group == group:
                self.kill(look)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def ended(machine: Machine, groups: dict[int, int] | None = None, since: int = 100) -> set[int]:
    assert end_everything(RUN, groups or {}, since=since, proc=machine) == []
    return set(machine.killed)


def test_a_marked_process_is_ended_wherever_it_is(machine: Machine) -> None:
    machine.add(300, environment=MARKED)
    machine.add(301)
    assert ended(machine) == {300}


def test_another_runs_processes_stay(machine: Machine) -> None:
    machine.add(300, environment=f"SIMCORE_RUN={OTHER}\0".encode())
    machine.add(301, environment=f"SIMCORE_RUN={RUN}x\0".encode())
    machine.add(302, environment=f"XSIMCORE_RUN={RUN}\0".encode())
    assert ended(machine) == set()


def test_runs_inside_the_run_are_ended_with_it(machine: Machine) -> None:
    machine.add(300, environment=f"SIMCORE_RUN={RUN}:{OTHER}\0".encode())
    machine.add(301, environment=f"SIMCORE_RUN={OTHER}:{RUN}\0".encode())
    machine.add(302, environment=f"SIMCORE_RUN={OTHER}\0".encode())
    assert ended(machine) == {300, 301}


def test_group_and_session_are_ended_without_a_marker(machine: Machine) -> None:
    machine.add(300)
    machine.add(301, parent=300, group=300)
    machine.add(302, group=302, session=300)
    machine.add(303)
    assert ended(machine, {300: 200}) == {300, 301, 302}


def test_a_number_that_went_to_another_process_is_no_reason(machine: Machine) -> None:
    machine.add(300, start=250)
    machine.add(301, group=300, start=260)
    assert ended(machine, {300: 200}) == set()


def test_a_group_without_its_leader_is_ended(machine: Machine) -> None:
    machine.add(301, group=300, start=210)
    machine.add(302, group=300, start=199)  # older than the leader: not of this group
    assert ended(machine, {300: 200}) == {301}


def test_descendants_are_ended_though_they_hide(machine: Machine) -> None:
    machine.add(300, environment=MARKED)
    machine.add(290, parent=300)  # numbers began again
    machine.add(302, parent=290)
    assert ended(machine) == {300, 290, 302}


def test_what_is_older_than_simcore_is_not_looked_at(machine: Machine) -> None:
    machine.add(300, environment=MARKED, start=99)
    assert ended(machine) == set()


def test_what_is_another_users_is_skipped(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add(300)
    machine.add(301, environment=MARKED)
    machine.protected.add(301)
    read = Proc._read

    def refuse(self: Proc, name: str) -> bytes:
        if name == "300/environ":
            raise PermissionError(name)
        return read(self, name)

    monkeypatch.setattr(Proc, "_read", refuse)
    assert ended(machine) == set()


def test_zombies_and_kernel_threads_are_no_processes(machine: Machine) -> None:
    machine.add(300, environment=MARKED, state="Z")
    machine.add(301, environment=MARKED, flags=0x00200000)
    assert ended(machine) == set()


def test_a_process_whose_main_thread_has_ended_lives(machine: Machine) -> None:
    machine.add(300, environment=None, state="Z", threads=2)
    for thread, environment in (("300", b""), ("301", MARKED)):
        (machine.root / "300" / "task" / thread).mkdir(parents=True)
        (machine.root / "300" / "task" / thread / "environ").write_bytes(environment)
    assert ended(machine) == {300}


def test_names_may_hold_anything(machine: Machine) -> None:
    machine.add(300, environment=MARKED, name="a) S 1 (b c")
    assert ended(machine) == {300}


def test_a_chain_of_forks_is_followed_to_its_end(machine: Machine) -> None:
    class Chain(Machine):
        def died(self, pid: int) -> None:
            if pid < 340:
                self.add(pid + 1, environment=MARKED)

    chain = Chain(machine.root)
    chain.add(300, environment=MARKED)
    assert ended(chain) == set(range(300, 341))


def test_a_number_that_was_a_strangers_is_looked_at_again(machine: Machine) -> None:
    class Reused(Machine):
        def died(self, pid: int) -> None:
            if pid == 300:
                self.add(301, environment=MARKED)

    reused = Reused(machine.root)
    reused.add(300, environment=MARKED)
    reused.add(301)
    assert ended(reused) == {300, 301}


def test_a_process_that_loads_its_program_is_looked_at_again(machine: Machine) -> None:
    class Loading(Machine):
        looked = 0

        def environment(self, look: Look) -> bytes | None:
            self.looked += 1
            return b"" if self.looked < 3 else MARKED

    loading = Loading(machine.root)
    loading.add(300)
    assert ended(loading) == {300}


def test_a_busy_machine_takes_its_time_to_load_a_program(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much as a second, in which a process at rest is taken to have no environment."""

    class Loading(Machine):
        def environment(self, look: Look) -> bytes | None:
            if clock() > 1.5:
                self.add(300, environment=MARKED)
            return super().environment(look)

    ticks = count(1)

    def clock() -> float:
        return next(ticks) / 20

    monkeypatch.setattr(ending, "time", SimpleNamespace(monotonic=clock, sleep=lambda _: None))
    loading = Loading(machine.root)
    loading.add(300, environment=b"", memory=0)
    assert ended(loading) == {300}


def test_a_fork_of_simcore_becomes_a_program(machine: Machine) -> None:
    class Forked(Machine):
        looked = 0

        def environment(self, look: Look) -> bytes | None:
            self.looked += 1
            if self.looked == 3:
                self.add(300, memory=8, environment=MARKED)
            return super().environment(look)

    forked = Forked(machine.root)
    forked.add(300)
    assert end_everything(RUN, {}, memory="7 7", proc=forked) == []
    assert forked.killed == [300]


def test_a_fork_of_simcore_that_becomes_none_is_given_up(machine: Machine) -> None:
    machine.add(300)
    assert end_everything(RUN, {}, memory="7 7", proc=machine) == []
    assert machine.killed == []


def test_a_process_without_environment_is_given_up(machine: Machine) -> None:
    machine.add(300, environment=b"")
    assert ended(machine) == set()


def test_the_guard_of_an_inner_run_may_finish(machine: Machine) -> None:
    class Inner(Machine):
        def died(self, pid: int) -> None:
            if pid == 300:
                self.gone(301)  # it learned of the end of its simcore

    inner = Inner(machine.root)
    inner.add(300, environment=MARKED)
    inner.add(301, environment=MARKED + b"SIMCORE_GUARD=x\0")
    assert ended(inner) == {300}


def test_a_process_that_does_not_end_is_told(machine: Machine) -> None:
    machine.add(300, environment=MARKED)
    machine.immortal.add(300)
    assert end_everything(RUN, {}, patience=0, proc=machine) == [300]


def test_the_real_proc() -> None:
    proc, own = Proc(), os.getpid()
    look = proc.look(own)
    assert look is not None and own in proc.pids()
    assert (look.parent, look.group, look.session) == (os.getppid(), os.getpgid(0), os.getsid(0))
    assert look.start == start_time(own) and not look.over
    assert proc.environment(look)
    assert proc.look(2**22 + 1) is None and start_time(2**22 + 1) is None


def test_runs_are_read_from_a_long_environment() -> None:
    assert runs_of(b"A=" + b"x" * 10**6 + b"\0SIMCORE_RUN=a:b\0") == ["a", "b"]
    assert runs_of(b"") == []


def test_remove_takes_everything_and_follows_no_link(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").touch()
    private = tmp_path / f"{PREFIX}1"
    deep = private
    for _ in range(200):
        deep /= "d"
    deep.mkdir(parents=True)
    (private / "link").symlink_to(keep)
    (private / "dangling").symlink_to(private / "nothing")
    os.mkfifo(private / "fifo")
    (private / "d").chmod(0)
    assert remove(str(private))
    assert not private.exists() and (keep / "file").exists()
    assert remove(str(private))  # it is gone


def test_remove_touches_nothing_but_private_directories(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(folder)
    file = tmp_path / f"{PREFIX}file"
    file.touch()
    for path in (folder, link, file):
        assert not remove(str(path))
    assert folder.is_dir() and link.is_symlink() and file.is_file()
