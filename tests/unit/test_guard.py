"""What the guard is told, what it does, and who takes its place when it is killed."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcore import guard as guard_module
from simcore.ending import MARKER, PREFIX, Proc, start_time
from simcore.guard import Guard, GuardError, Owner
from simcore.guard_main import CappedLog, Charge


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard() as made:
        yield made


def blocked(guard: Guard) -> subprocess.Popen[bytes]:
    """A process of the run that waits for the end of its input."""
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **guard.environment},
        start_new_session=True,
    )


def alive(pid: int) -> bool:
    look = Proc().look(pid)
    return look is not None and not look.over


def kill(pid: int) -> None:
    """Kill a child of ours; returns when it is dead, and leaves it to be waited for."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_an_id_names_its_process() -> None:
    owner = Owner.new()
    assert owner.process == os.getpid() and owner.start == start_time(os.getpid())
    assert not owner.dead and Owner(owner.run).run == owner.run != Owner.new().run
    parts = owner.run.split("-")
    assert Owner("-".join([parts[0], "1", *parts[2:]])).dead  # its number went to this process
    assert not Owner("-".join(["4194305", "1", "7", "aa"])).dead  # of another container


@pytest.mark.parametrize("run", ["", "x", "1-2-3", "1-2-3-", "1-2-x-aa", "1-2-3-aa-b"])
def test_an_id_that_is_none(run: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of int(), of unpacking, or its own
        Owner(run)


def test_nothing_is_started_before_it_is_needed(guard: Guard) -> None:
    assert guard.process == 0


def test_it_leads_a_session_and_holds_nothing_of_simcore(guard: Guard) -> None:
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    guard.start()
    assert os.getsid(guard.process) == guard.process != os.getsid(0)
    os.close(theirs)
    assert os.read(ours, 1) == b""  # the end, for nobody else has it
    os.close(ours)
    files = {os.readlink(f"/proc/{guard.process}/fd/{number}") for number in range(3)}
    assert {name.partition(":")[0] for name in files} == {"socket", "/dev/null"}
    assert os.readlink(f"/proc/{guard.process}/cwd") == "/"


def test_signals_of_a_terminal_do_not_end_it(guard: Guard) -> None:
    guard.start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(guard.process, number)
    assert _closed_quietly(guard)


def _closed_quietly(guard: Guard) -> bool:
    pid = guard.process
    guard.close()
    return not alive(pid) and guard.process == 0


def test_close_ends_groups_and_marked_processes_and_directories(
    guard: Guard, tmp_path: Path
) -> None:
    folder = tmp_path / f"{PREFIX}1"
    guard.directory(folder)
    (folder / "deep").mkdir(parents=True)
    with blocked(guard) as grouped, blocked(guard) as unknown:
        guard.group(grouped.pid)
        guard.close()
        assert grouped.wait() == unknown.wait() == -signal.SIGKILL
    assert not folder.exists()


def test_what_is_forgotten_stays(guard: Guard, tmp_path: Path) -> None:
    folder, file = tmp_path / f"{PREFIX}1", tmp_path / "file"
    folder.mkdir()
    guard.directory(folder)
    guard.forget_directory(folder)
    guard.command(["touch", str(file)])
    guard.forget_command(["touch", str(file)])
    guard.forget_command(["never", "known"])
    guard.close()
    assert folder.exists() and not file.exists()


def test_commands_run_at_the_end(guard: Guard, tmp_path: Path) -> None:
    file = tmp_path / "name with\nall sorts 'of' \"things\""
    guard.command(["touch", str(file)])
    guard.command(["there-is-no-such-command"])
    guard.close()
    assert file.exists()


def test_a_guard_that_was_killed_is_replaced(
    guard: Guard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = tmp_path / f"{PREFIX}1", tmp_path / f"{PREFIX}2"
    guard.directory(one)
    first = guard.process
    kill(first)
    guard.directory(two)
    assert guard.process not in (0, first)
    for folder in (one, two):
        folder.mkdir()
    guard.close()
    assert not one.exists() and not two.exists()
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert "was killed by signal 9" in caplog.text


def test_a_guard_that_was_killed_last_is_stood_in_for(
    guard: Guard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, file = tmp_path / f"{PREFIX}1", tmp_path / "file"
    guard.directory(folder)
    folder.mkdir()
    guard.command(["touch", str(file)])
    guard.command(["there-is-no-such-command"])
    with blocked(guard) as process:
        guard.group(process.pid)
        kill(guard.process)
        guard.close()
        assert process.wait() == -signal.SIGKILL
    assert not folder.exists() and file.exists()
    assert "was killed by signal 9" in caplog.text


def test_a_guard_that_was_stopped_goes_on(guard: Guard, tmp_path: Path) -> None:
    folder = tmp_path / f"{PREFIX}1"
    guard.directory(folder)
    folder.mkdir()
    os.kill(guard.process, signal.SIGSTOP)
    guard.close()
    assert not folder.exists()


def test_guards_are_not_replaced_for_ever(
    guard: Guard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / f"{PREFIX}1"
    guard.directory(folder)
    folder.mkdir()
    for number in range(20):
        if guard.process:
            kill(guard.process)
        guard.log(tmp_path / f"{number}", 1000)
    assert guard.process == 0
    assert caplog.text.count("another one is started") == 4
    guard.close()
    assert not folder.exists()


def test_a_guard_somebody_else_waited_for(guard: Guard, tmp_path: Path) -> None:
    guard.start()
    os.kill(guard.process, signal.SIGKILL)
    os.waitpid(guard.process, 0)
    guard.directory(tmp_path / f"{PREFIX}1")
    assert alive(guard.process)


def test_no_guard_is_no_run(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module.sys, "executable", "/nothing/python")
    with pytest.raises(GuardError, match="could not be started: .*/nothing/python"):
        guard.start()


def test_close_twice_and_words_after_it(guard: Guard, tmp_path: Path) -> None:
    guard.start()
    guard.close()
    guard.directory(tmp_path / f"{PREFIX}1")
    guard.start()
    guard.close()
    assert guard.process == 0


def test_a_group_that_is_gone_is_none_to_register(guard: Guard) -> None:
    guard.group(2**22 + 1)
    assert guard.process == 0


FORK = """
import os
from pathlib import Path
from simcore.guard import Guard
guard = Guard()
guard.start()
child = os.fork()
if child == 0:
    guard.directory(Path("/nothing"))
    guard.close()
    os._exit(0)
os.waitpid(child, 0)
os.kill(guard.process, 0)
print("lives")
guard.close()
print("closed")
"""


def test_a_fork_does_not_end_its_parents_run() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["lives", "closed"], "")


def test_runs_may_be_nested(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    assert guard.environment == {MARKER: guard.run}
    monkeypatch.setenv(MARKER, guard.run)
    inner = Guard()
    assert inner.environment == {MARKER: f"{guard.run}:{inner.run}"}


def test_a_guard_that_has_simcores_standard_streams_closed(tmp_path: Path) -> None:
    """Its socket then has the number of one of them."""
    folder = tmp_path / f"{PREFIX}1"
    program = (
        "import os; [os.close(n) for n in (0, 1, 2)]\n"
        "from pathlib import Path; from simcore.guard import Guard\n"
        f"guard = Guard(); guard.directory(Path({str(folder)!r}))\n"
        f"Path({str(folder)!r}).mkdir(); os._exit(7)"
    )
    ours, theirs = socket.socketpair()
    with ours:
        # What a process has inherited besides is closed by the guard, and we see the end of it.
        with theirs:
            done = subprocess.run([sys.executable, "-c", program], check=False,
                                  pass_fds=[theirs.fileno()])  # fmt: skip
        assert done.returncode == 7
        assert ours.recv(1) == b""
    pids = [pid for pid in Proc().pids() if str(folder) in _command_line(pid)]
    assert not pids


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# -- Logs --------------------------------------------------------------------------------------


def lines(path: Path, first: int, last: int) -> None:
    with path.open("a", encoding="ascii") as file:
        file.writelines(f"line {number:05}\n" for number in range(first, last))


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines(path, 0, 10)
    assert not CappedLog(str(path), 110).attend()
    assert not CappedLog(str(tmp_path / "none"), 110).attend()
    assert path.stat().st_size == 110


def test_a_long_log_keeps_its_first_part_and_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = CappedLog(str(path), 1100)
    for begin in range(0, 1000, 250):
        lines(path, begin, begin + 250)
        assert log.attend() and not log.attend()
        assert path.stat().st_size <= 1100
    text = path.read_text(encoding="ascii").splitlines()
    first = [f"line {number:05}" for number in range(50)]
    last = [f"line {number:05}" for number in range(976, 1000)]
    left_out = 1000 * 11 - (len(first) + len(last)) * 11
    assert text == [*first, f"... {left_out} bytes left out ...", *last]


def test_what_is_written_while_a_log_is_cut_follows_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    lines(path, 0, 250)
    truncate = os.ftruncate

    def interrupted(file: int, length: int) -> None:
        truncate(file, length)
        with path.open("a", encoding="ascii") as others:  # the first half of a line
            others.write("line 00")

    monkeypatch.setattr(os, "ftruncate", interrupted)
    assert CappedLog(str(path), 1100).attend()
    with path.open("a", encoding="ascii") as others:
        others.write("250\n")
    text = path.read_text(encoding="ascii").splitlines()
    first = [f"line {number:05}" for number in range(50)]
    last = [f"line {number:05}" for number in range(226, 251)]
    assert text == [*first, f"... {(250 - 50 - 24) * 11} bytes left out ...", *last]


def test_a_log_of_one_endless_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 5000 + b"end")
    log = CappedLog(str(path), 1000)
    assert log.attend()
    head, note, last = path.read_bytes().split(b"\n")
    assert head == b"x" * 500 and last == b"x" * 247 + b"end"
    assert note == b"... 4253 bytes left out ..."


def test_a_log_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "log"
    other.write_bytes(b"x" * 5000)
    path.symlink_to(other)
    CappedLog(str(path), 1000).attend()
    assert other.stat().st_size == 5000


def test_a_charge_takes_records(tmp_path: Path) -> None:
    charge = Charge()
    for record in (b"group\x0012\x00340", b"group\x0013\x00350", b"-group\x0012", b"-group\x0099",
                   b"log\x00100\x00/x", b"directory\x00/d", b"directory\x00/e", b"-directory\x00/d",
                   b"command\x00a\x00", b"command\x00b", b"-command\x00b"):  # fmt: skip
        charge.take(record)
    assert charge.groups == {13: 350}
    assert list(charge.directories) == [b"/e"] and list(charge.commands) == [(b"a", b"")]
    assert list(charge.logs) == [b"/x"]
