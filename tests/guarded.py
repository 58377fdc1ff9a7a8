"""Programs that are killed, and what they leave behind.

A `Ward` watches over all that one test starts: each of these processes has a word of its own in
the environment it was started with, or among its arguments.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from support import PATIENCE

from simcore.ending import GUARD, Look, Proc, start_time

DRIVER = '''
"""A run with three children, again and again until it is killed."""

import os
import signal
import sys
from pathlib import Path

from simcore.guard import Guard
from simcore.launch import Child, Limits
from simcore.private import PrivateDirectory

CHILDREN = (
    ["sleep", "3600"],
    ["sh", "-c", "sleep 3600 & exec sleep 3600"],
    ["sh", "-c", "trap '' TERM; setsid sleep 3600 <&- >&- 2>&- & exec sleep 3600"],
)


def run():
    with Guard() as guard:
        directory = PrivateDirectory(guard)
        children = [
            Child.launch(
                command,
                environment=os.environ,
                directory=directory.path,
                log=directory.path / f"{number}.log",
                limits=Limits(files=64) if number == 1 else None,
                guard=guard,
            )
            for number, command in enumerate(CHILDREN)
        ]
        children[0].end()
        children[1].kill()


def killed_at(step):
    """One run, killed at this call or return of a function."""
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    run()
    sys.setprofile(None)
    print(steps)


if sys.argv[1] == "step":
    killed_at(int(sys.argv[2]))
else:
    with open(os.environ["READY"], "w") as ready:
        ready.write("ready")
    while True:
        run()
'''


class Ward:
    """What a test has started, and what there is of it.

    Args:
        folder: a folder of the test's own.
    """

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._since = start_time(os.getpid()) or 0
        self._word = f"WARD={secrets.token_hex(8)}"
        name, _, value = self._word.partition("=")
        self.environment = {name: value, "TMPDIR": str(self.temporary), "XDG_RUNTIME_DIR": ""}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program to its end."""
        return subprocess.run(
            [sys.executable, *command], env={**os.environ, **self.environment},
            cwd=self.temporary.parent, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def processes(self) -> list[tuple[Look, bool]]:
        """All processes that live, and whether each is a guard."""
        proc, found = Proc(), []
        for look in filter(None, map(proc.look, proc.pids())):
            if look.over or look.kernel or look.start < self._since:
                continue
            variables = self._variables(proc, look)
            if self._word.encode() in [*variables, *_arguments(look.pid)]:
                found.append((look, any(each.startswith(GUARD.encode()) for each in variables)))
        return found

    def _variables(self, proc: Proc, look: Look) -> list[bytes]:
        # While a process loads its program it has no environment, and neither do some for good.
        deadline = time.monotonic() + PATIENCE
        while True:
            now = proc.look(look.pid)
            found = proc.environment(look)
            if found != b"" or now is None or now.over or not now.loading:
                return (found or b"").split(b"\0")
            assert time.monotonic() < deadline, "a process never loads its program"
            time.sleep(0.0005)

    def left(self) -> list[str]:
        """What is there once no guard is at work any more."""
        at_work = time.monotonic()
        while processes := self.processes():
            guards = [look.pid for look, is_guard in processes if is_guard]
            if guards:
                assert _await(guards[0], PATIENCE), "a guard does not end"
                at_work = time.monotonic()
            # What remains may be a guard that does not yet look like one.
            elif _await(processes[0][0].pid, 0.02) or time.monotonic() - at_work < 30:
                continue
            else:
                break
        return [f"process {look.pid} in state {look.state}" for look, _ in processes] + [
            str(path) for path in self.temporary.iterdir()
        ]

    def end(self) -> None:
        """End what a test that failed has left."""
        while processes := self.processes():
            for look, _ in processes:
                os.kill(look.pid, signal.SIGKILL)
            for look, _ in processes:
                _await(look.pid, 1)
        for path in self.temporary.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _arguments(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _await(pid: int, seconds: float) -> bool:
    """Wait for the end of any process; whether it came."""
    try:
        file = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return bool(select.select([file], [], [], seconds)[0])
    finally:
        os.close(file)
