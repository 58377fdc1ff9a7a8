"""Nothing outlives a run, at whatever moment simcore is killed.

simcore --socket--> guard
   |                  | ends, when the socket does:
   +-- child          +-- groups, marked processes, directories
       +-- grandchild
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from guarded import DRIVER, Ward
from support import PATIENCE, Started

PRELUDE = """
import os, signal, subprocess, sys
from pathlib import Path
from simcore import guard as guard_module, launch as launch_module
from simcore.guard import Guard
from simcore.launch import Child
from simcore.private import PrivateDirectory

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def say(word):
    with open(os.environ["READY"], "w") as ready:
        ready.write(word)

def launch(*command):
    return Child.launch(
        command, environment=os.environ, directory=directory.path,
        log=directory.path / "log", guard=guard)

guard = Guard()
directory = PrivateDirectory(guard)
"""


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    made = Ward(tmp_path)
    yield made
    made.end()


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    path = tmp_path / "driver.py"
    path.write_text(DRIVER, encoding="ascii")
    return path


def start(ward: Ward, *command: str, **options: object) -> Started:
    return Started([sys.executable, *command], ward.temporary.parent, ward.environment, **options)


def killed_after(ward: Ward, driver: Path, seconds: float) -> list[str]:
    """What a driver leaves that is killed so long after its first step."""
    with start(ward, str(driver), "run") as run:
        run.until("ready")
        time.sleep(seconds)  # what is chosen at random is the moment
        run.send(signal.SIGKILL)
        run.process.wait()
        return ward.left()


# -- At any moment -----------------------------------------------------------------------------


def test_killed_at_twenty_random_moments(ward: Ward, driver: Path) -> None:
    moments = random.Random(20)
    for _ in range(20):
        seconds = moments.uniform(0, 0.06)
        assert killed_after(ward, driver, seconds) == [], f"killed after {seconds} s"


@pytest.mark.slow
@pytest.mark.bench
def test_killed_at_a_thousand_random_moments(
    ward: Ward, driver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = random.Random(1000)
    processes = directories = 0
    for _ in range(1000):
        left = killed_after(ward, driver, moments.uniform(0, 0.06))
        processes += sum(each.startswith("process") for each in left)
        directories += sum(not each.startswith("process") for each in left)
        ward.end()
    with capsys.disabled():
        sys.stdout.write(f"1,000 kills: {processes} processes, {directories} directories left\n")
    assert processes == directories == 0


def steps_of(ward: Ward, driver: Path) -> int:
    done = ward.run(str(driver), "step", "0")
    assert done.returncode == 0 and ward.left() == [], done
    return int(done.stdout)


def killed_at_steps(ward: Ward, driver: Path, steps: range) -> None:
    for step in steps:
        done = ward.run(str(driver), "step", str(step))
        assert done.returncode in (-signal.SIGKILL, 0), done  # how often it waits varies
        assert ward.left() == [], f"killed at step {step}"


def test_killed_at_steps_of_its_program(ward: Ward, driver: Path) -> None:
    total = steps_of(ward, driver)
    killed_at_steps(ward, driver, range(7, total, total // 20))


@pytest.mark.slow
def test_killed_at_many_steps_of_its_program(ward: Ward, driver: Path) -> None:
    """A step is a call or return of a function, of C too; a run has some 12,000."""
    total = steps_of(ward, driver)
    killed_at_steps(ward, driver, range(1, total, total // 600))


MOMENTS = {
    "before the directory is made": "Path.mkdir = lambda *_: die()",
    "before the directory says whose it is": "Path.write_text = lambda *_, **__: die()",
    "before the guard is started": "guard_module.Guard._spawn = lambda *_: die()",
    "as the guard starts": (
        "spawn = guard_module.Guard._spawn\n"
        "guard_module.Guard._spawn = lambda *given: (spawn(*given), die())"
    ),
    "before a child is registered": "Guard.group = lambda *_: die()",
    "as the guard is told to end": (
        "end = guard_module.Guard._end_guard\n"
        "guard_module.Guard._end_guard = lambda *given: (os.kill(given[0].process, 19), die())"
    ),
    "after the end": "guard_module._reap = lambda *_: die()",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_moment_of_interest(ward: Ward, moment: str) -> None:
    head, tail = PRELUDE.split("guard = Guard()")
    program = (
        f"{head}{MOMENTS[moment]}\nguard = Guard(){tail}launch('sleep', '3600')\nguard.close()"
    )
    if "told to end" in moment:  # the guard was stopped, too
        program = program.replace(", 19)", ", signal.SIGCONT)")
    done = ward.run("-c", program)
    assert done.returncode == -signal.SIGKILL, done
    assert ward.left() == []


# -- Whatever a child does ---------------------------------------------------------------------

CHILDREN = {
    "leaves its session and closes everything": (
        "if os.fork(): signal.pause()\n"
        "os.setsid(); say('ready'); os.closerange(0, 100); signal.pause()"
    ),
    "ignores what can be ignored": (
        "for number in (1, 2, 3, 13, 15): signal.signal(number, signal.SIG_IGN)\n"
        "say('ready')\n"
        "while True: signal.pause()"
    ),
    "is stopped": "say('ready'); os.kill(os.getpid(), signal.SIGSTOP)",
    "forgets its environment and its father in its session": (
        "if os.fork(): os._exit(0)\n"
        "os.setpgid(0, 0)\n"
        "program = 'echo ready > $0; sleep 3600 & wait'\n"
        "words = ['sh', '-c', program, os.environ['READY'], 'WARD=' + os.environ['WARD']]\n"
        "os.execve('/bin/sh', words, {})"
    ),
    "has a grandchild without its father in the group": (
        "if os.fork(): os._exit(0)\nsay('ready'); signal.pause()"
    ),
    # The two loops end by themselves, late, in case nobody ends them.
    "forks in a loop": (
        "say('ready')\nfor _ in range(3000):\n    if os.fork(): os._exit(0)\nsignal.pause()"
    ),
    "leaves its session in a loop": (
        "say('ready')\n"
        "for _ in range(3000):\n    if os.fork(): os._exit(0)\n    os.setsid()\n"
        "signal.pause()"
    ),
    "forks beside its work": (
        "say('ready')\n"
        "for _ in range(300):\n    if os.fork() == 0: os.setsid(); signal.pause()\n"
        "signal.pause()"
    ),
}
CHILD = """
import os, signal
def say(word):
    with open(os.environ["READY"], "w") as ready:
        ready.write(word)
"""


@pytest.mark.parametrize("ends", ["killed", "closed"])
@pytest.mark.parametrize("does", CHILDREN)
def test_whatever_a_child_does(ward: Ward, does: str, ends: str) -> None:
    child = CHILD + CHILDREN[does]
    last = "signal.pause()" if ends == "killed" else "input(); guard.close()"
    program = f"{PRELUDE}launch(sys.executable, '-c', {child!r})\n{last}"
    with start(ward, "-c", program, stdin=-1) as run:
        run.until("ready")
        if ends == "killed":
            run.send(signal.SIGKILL)
        out, err = run.process.communicate("\n", timeout=PATIENCE)
        assert (out, err) == ("", "")
        if ends == "closed":
            assert run.process.returncode == 0
            assert ward.processes() == []  # at once
        assert ward.left() == []
        for _ in range(20):  # what runs away may be missed by one look
            assert ward.processes() == []


def test_readers_of_simcores_output_see_its_end(ward: Ward) -> None:
    """Neither guard nor child holds what simcore was started with."""
    program = f"{PRELUDE}child = launch('sleep', '3600')\nos.kill(guard.process, 19)\nsay('ready')\nsignal.pause()"
    ours, theirs = os.pipe()
    with start(ward, "-c", program, pass_fds=[theirs]) as run:
        os.close(theirs)
        run.until("ready")
        run.send(signal.SIGKILL)
        assert run.process.communicate(timeout=PATIENCE) == ("", "")  # though the guard is stopped
        for look, is_guard in ward.processes():
            if is_guard:
                os.kill(look.pid, signal.SIGCONT)
        assert os.read(ours, 1) == b""
        os.close(ours)
        assert ward.left() == []


def test_a_guard_was_killed_before(ward: Ward) -> None:
    program = f"""{PRELUDE}
launch("sleep", "3600")
os.kill(guard.process, signal.SIGKILL)
os.waitid(os.P_PID, guard.process, os.WEXITED | os.WNOWAIT)
launch("sleep", "3600")
die()
"""
    done = ward.run("-c", program)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == "the guard of this run was killed by signal 9; another one is started\n"
    assert ward.left() == []


def test_a_fork_that_has_not_loaded_its_program(ward: Ward) -> None:
    """It holds nothing of simcore's any more, and has not got the marker yet."""
    program = f"""{PRELUDE}
guard.start()
if os.fork() == 0:
    say("ready")
    os.closerange(0, 100)
    os.read(os.open(os.environ["GO"], os.O_RDONLY), 1)
    os.execve("/bin/sleep", ["sleep", "3600"], {{**os.environ, **guard.environment}})
signal.pause()
"""
    with start(ward, "-c", program) as run:
        run.until("ready")
        run.send(signal.SIGKILL)
        run.process.wait()
        run.go()
        assert ward.left() == []


def test_a_fork_of_simcore_that_lives_on(ward: Ward) -> None:
    """It holds the guard's socket, so that this does not end."""
    program = f"""{PRELUDE}
launch("sleep", "3600")
if os.fork() == 0:
    [os.close(number) for number in (0, 1, 2)]
    signal.pause()
die()
"""
    ward.run("-c", program)
    fork = [look for look, is_guard in ward.processes() if not is_guard and look.parent == 1]
    left = ward.left()
    assert len(left) == 1 and left[0].startswith(f"process {fork[0].pid} ")


# -- And nothing else --------------------------------------------------------------------------


def test_another_run_goes_on(ward: Ward, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Ward(tmp_path / "other")
    program = f"{PRELUDE}launch('sleep', '3600')\nsay('ready')\nsignal.pause()"
    with start(ward, "-c", program) as run, start(other, "-c", program) as neighbour:
        run.until("ready")
        neighbour.until("ready")
        before = [look.pid for look, _ in other.processes()]
        run.send(signal.SIGKILL)
        run.process.wait()
        assert ward.left() == []
        assert [look.pid for look, _ in other.processes()] == before and len(before) == 3
        assert len(list(other.temporary.iterdir())) == 1
        neighbour.send(signal.SIGKILL)
        neighbour.process.wait()
        assert other.left() == []


def test_a_run_inside_a_run_ends_with_it(ward: Ward) -> None:
    inner = f"{PRELUDE}launch('setsid', 'sleep', '3600')\nsay('ready')\nsignal.pause()"
    program = f"{PRELUDE}launch(sys.executable, '-c', {inner!r})\nsignal.pause()"
    with start(ward, "-c", program) as run:
        run.until("ready")
        assert sum(is_guard for _, is_guard in ward.processes()) == 2
        run.send(signal.SIGKILL)
        run.process.wait()
        assert ward.left() == []


# -- Logs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["die()", "guard.close()"])
def test_a_flood_stays_bounded(ward: Ward, tmp_path: Path, ends: str) -> None:
    log = tmp_path / "log"
    program = f"""{PRELUDE}
child = Child.launch(
    ["sh", "-c", "echo first; exec yes"], environment=os.environ, directory=directory.path,
    log=Path({str(log)!r}), guard=guard, log_cap=100_000)
while b"left out" not in child.log.read_bytes()[:60_000]:
    assert not child.wait(0.01)
{ends}
"""
    ward.run("-c", program)
    assert ward.left() == []
    lines = log.read_text(encoding="ascii").splitlines()
    assert log.stat().st_size <= 100_000
    assert lines[:2] == ["first", "y"] and len(lines) > 30_000
    assert next(line for line in lines[2:-1] if line != "y").endswith(" bytes left out ...")
