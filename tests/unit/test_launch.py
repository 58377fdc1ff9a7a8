"""A child: how it is started, what it is said to do, and how it is ended."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pipe_end import PipeEnd
from support import PATIENCE

from simcore import launch as launch_module
from simcore.ending import Proc
from simcore.guard import Guard
from simcore.launch import Child, LaunchError, Limits, Status


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard() as made:
        yield made


class Launcher:
    """Starts programs in a folder; what they write to their standard output can be waited for."""

    def __init__(self, guard: Guard, folder: Path) -> None:
        self.guard = guard
        self.folder = folder
        self.log = folder / "log"
        self.environment = dict(os.environ)
        self.children: list[Child] = []

    def __call__(self, *command: str, **options: Any) -> Child:
        given = {"environment": self.environment, "directory": self.folder, "log": self.log}
        child = Child.launch(command, guard=self.guard, **{**given, **options})
        self.children.append(child)
        return child

    def python(self, program: str, **options: Any) -> Child:
        return self(sys.executable, "-c", program, **options)

    def heard(self, program: str, **options: Any) -> tuple[Child, PipeEnd]:
        """A Python program whose standard input and output we have the other end of."""
        theirs, ours = PipeEnd.pair()
        child = self.python(program, stdio=theirs, **options)
        theirs.close()
        return child, ours


@pytest.fixture
def launch(guard: Guard, tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(guard, tmp_path)
    yield launcher
    for child in launcher.children:
        child.kill()


def state(child: Child) -> str:
    look = Proc().look(child.pid)
    return look.state if look is not None else "gone"


def test_exit_codes(launch: Launcher) -> None:
    for code in (0, 3, 255):
        child = launch("sh", "-c", f"exit {code}")
        assert child.wait(PATIENCE)
        assert child.status() == Status("exited", code)
        assert child.describe() == f"exited with code {code}"
        assert state(child) == "Z"  # its number is kept
        assert child.end() == Status("exited", code) == child.status()
        assert state(child) == "gone"


def test_signals_by_name(launch: Launcher) -> None:
    child = launch("sh", "-c", "kill -USR1 $$")
    assert child.wait(PATIENCE)
    assert child.describe() == "was killed by SIGUSR1"
    assert child.kill() == Status("signalled", signal.SIGUSR1)


def test_descriptions() -> None:
    assert Status("signalled", 11, True).describe() == "was killed by SIGSEGV (core dumped)"
    assert Status("signalled", 63).describe() == "was killed by signal 63"
    assert Status("stopped", 19).describe() == "is stopped (SIGSTOP)"
    assert Status("exited").describe().startswith("ended; its exit code is unknown")


def test_running_stopped_and_running_again(launch: Launcher) -> None:
    child, ours = launch.heard("print(flush=True); input(); print(flush=True); input()")
    with ours:
        assert ours.recv(1) and child.describe() == "is running"
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        assert child.status() == Status("stopped", signal.SIGSTOP)
        assert child.describe() == "is stopped (SIGSTOP)"
        os.kill(child.pid, signal.SIGCONT)
        ours.send(b"\n")
        assert ours.recv(1) and child.describe() == "is running"


def test_a_child_somebody_else_waited_for(launch: Launcher) -> None:
    child = launch("true")
    os.waitpid(child.pid, 0)
    assert child.status() == Status("exited")
    assert child.end(PATIENCE).ended


def test_output_goes_to_the_log(launch: Launcher) -> None:
    launch.log.write_text("before\n", encoding="ascii")
    child = launch("sh", "-c", "echo out; echo err >&2; cat")  # its input is empty
    assert child.wait(PATIENCE)
    assert child.tail() == ["before", "out", "err"]
    assert child.tail(1) == ["err"] and child.tail(0) == []


def test_the_tail_of_a_log_is_made_fit_to_read(launch: Launcher) -> None:
    child = launch("true")
    assert child.wait(PATIENCE)
    launch.log.write_bytes(b"a\n" * 100_000 + b"\xff" + b"x" * 1000 + b"\nlast")
    line, last = child.tail(2)
    assert line == "\ufffd" + "x" * 499 + "..." and last == "last"
    launch.log.unlink()
    assert child.tail() == []


def test_standard_input_and_output_may_be_pipes(launch: Launcher) -> None:
    child, ours = launch.heard(
        "import sys; sys.stderr.write('log'); sys.stdout.write(input()[::-1])"
    )
    with ours:
        ours.send(b"abc\n")
        assert child.wait(PATIENCE)
        assert ours.recv(10) == b"cba" and ours.recv(1) == b""
    assert child.tail() == ["log"]


def test_environment_and_directory_are_the_ones_given(launch: Launcher, guard: Guard) -> None:
    child = launch("/usr/bin/env", environment={"A": "1"})
    assert child.wait(PATIENCE)
    assert sorted(child.tail()) == ["A=1", f"SIMCORE_RUN={guard.run}"]
    child = launch("pwd", log=launch.folder / "other")
    assert child.wait(PATIENCE) and child.tail() == [str(launch.folder)]


def test_it_leads_a_session(launch: Launcher) -> None:
    child, ours = launch.heard("print(flush=True); input()")
    with ours:
        ours.recv(1)
        assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


def test_limits(launch: Launcher) -> None:
    limits = Limits(memory=3 << 30, cpu=1000, files=50, processes=4000)
    program = (
        "import resource as r\n"
        "for name in 'AS', 'CPU', 'NOFILE', 'NPROC':\n"
        "    print(r.getrlimit(getattr(r, 'RLIMIT_' + name))[0])\n"
        "import sys; sys.exit(7)"
    )
    child = launch.python(program, limits=limits)
    assert child.wait(PATIENCE)
    assert child.tail() == [str(3 << 30), "1000", "50", "4000"]
    assert child.describe() == "exited with code 7"


def test_no_limit_needs_no_shell(launch: Launcher) -> None:
    assert Limits().shell() == ""
    child = launch.python("import sys; print(sys.argv)", limits=Limits())
    assert child.wait(PATIENCE) and child.tail() == ["['-c']"]


def test_memory_beyond_the_limit(launch: Launcher) -> None:
    child = launch.python("b = bytearray(1 << 30)", limits=Limits(memory=256 << 20))
    assert child.wait(PATIENCE)
    assert child.describe() == "exited with code 1" and child.tail()[-1] == "MemoryError"


def test_a_limit_that_cannot_be_set(launch: Launcher) -> None:
    child = launch("true", limits=Limits(files=1 << 60))
    assert child.wait(PATIENCE)
    assert child.describe() == "exited with code 126" and "limit" in child.tail()[-1]


# -- What cannot be started --------------------------------------------------------------------


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text, encoding="ascii")
    path.chmod(mode)
    return path


LIMITED = pytest.mark.parametrize("limits", [None, Limits(files=100)])


@LIMITED
@pytest.mark.parametrize(
    ("command", "reason", "message"),
    [
        ("no-such-program", "not_found", "no-such-program is not in PATH"),
        ("./none", "not_found", "none does not exist"),
        (".", "not_found", ". is not in PATH"),
        ("./folder", "not_found", "folder is a directory"),
        ("", "not_found", "the command is empty"),
        ("./plain", "not_executable", r"plain is not executable \(chmod \+x\)"),
        ("./text", "exec_format", "text is no program for this machine"),
        ("./empty", "exec_format", "empty is no program for this machine"),
        ("./strange", "not_found", "strange is to be run by /no/such, which cannot be started"),
        ("./bare", "not_found", "bare is to be run by nothing"),
    ],
)
def test_why_it_cannot_be_started(
    launch: Launcher, command: str, reason: str, message: str, limits: Limits | None
) -> None:
    (launch.folder / "folder").mkdir()
    script(launch.folder / "plain", "#!/bin/sh\n", 0o644)
    script(launch.folder / "text", "echo hello\n")
    script(launch.folder / "empty", "")
    script(launch.folder / "strange", "#!/no/such -x\n")
    script(launch.folder / "bare", "#!\n")
    with pytest.raises(LaunchError, match=message) as caught:
        launch(command, limits=limits)
    assert caught.value.reason == reason
    assert not launch.log.exists() and launch.guard.process == 0


def test_no_working_directory(launch: Launcher) -> None:
    with pytest.raises(LaunchError, match="no such working directory") as caught:
        launch("true", directory=launch.folder / "none")
    assert caught.value.reason == "no_directory"


def test_a_program_that_is_broken_inside(launch: Launcher) -> None:
    path = launch.folder / "broken"
    path.write_bytes(b"\x7fELF and nothing else")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(LaunchError, match="cannot be started") as caught:
        launch("./broken")
    assert caught.value.reason == "exec_format"


@LIMITED
def test_where_programs_are_found(launch: Launcher, limits: Limits | None) -> None:
    """A path is relative to the working directory, a name is in the child's own PATH."""
    (launch.folder / "bin").mkdir()
    script(launch.folder / "bin" / "mine", '#!/bin/sh\necho "$1"\n')
    for name, path in (("./bin/mine", ""), ("mine", "bin"), ("mine", str(launch.folder / "bin"))):
        environment = {"PATH": f"/nothing:{path}"}
        child = launch(name, "two words", environment=environment, limits=limits)
        assert child.wait(PATIENCE) and child.tail(1) == ["two words"]


# -- How it is ended ---------------------------------------------------------------------------


def test_end_waits_for_one_that_ends_by_itself(launch: Launcher) -> None:
    child, ours = launch.heard("input()")
    ours.send(b"\n")
    with ours:
        assert child.end(PATIENCE) == Status("exited", 0)


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child has as long to end after SIGTERM as a busy machine needs."""
    monkeypatch.setattr(launch_module, "_TERMINATION", (PATIENCE, PATIENCE))


@pytest.mark.usefixtures("patiently")
def test_end_asks_first(launch: Launcher) -> None:
    child, ours = launch.heard(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print(flush=True); input()"
    )
    with ours:
        ours.recv(1)
        assert child.end() == Status("exited", 9)


def test_end_insists(launch: Launcher) -> None:
    child, ours = launch.heard(
        "import signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(flush=True)\n"
        "while True: signal.pause()"
    )
    with ours:
        ours.recv(1)
        assert child.end() == Status("signalled", signal.SIGKILL)


@pytest.mark.usefixtures("patiently")
def test_a_stopped_child_is_ended(launch: Launcher) -> None:
    child, ours = launch.heard("print(flush=True); input()")
    with ours:
        ours.recv(1)
        os.kill(child.pid, signal.SIGSTOP)
        assert child.end() == Status("signalled", signal.SIGTERM)


GRANDCHILD = """
import os, signal
if os.fork() == 0:
    signal.pause()
print(flush=True)
input()
"""


def test_grandchildren_of_the_group_end_with_it(launch: Launcher) -> None:
    child, ours = launch.heard(GRANDCHILD)
    with ours:
        ours.recv(1)
        child.kill()
        assert ours.recv(10) == b""  # nobody has the other end


def test_kill_does_not_raise(launch: Launcher) -> None:
    child = launch("true")
    assert child.kill() == child.kill() == child.end(PATIENCE)


def test_without_files_of_processes(launch: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    child = launch("cat", "/dev/null")
    assert child.wait(PATIENCE)
    child, ours = launch.heard("input()")
    with ours:
        assert not child.wait(0.01)
