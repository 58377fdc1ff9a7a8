"""`clean`: removes what runs left behind that could not do so themselves.

A run's guard does this as a rule. It cannot where it was killed too, or the machine lost power.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import click

from simcore.ending import GUARD, Look, Proc, end_everything, remove, runs_of, values_of
from simcore.errors import ExitCode
from simcore.guard import Owner
from simcore.plugins import Plugins
from simcore.private import stale

_LONGEST = 60
_PATIENCE = 10.0
"""Seconds for a guard that is at work to finish it."""


@click.command("clean")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def command(dry_run: bool) -> int:
    """End processes, remove containers and directories that earlier runs left behind.

    What belongs to a run that is alive, or to another user, is not touched. Exit code 3 if
    something is left.
    """
    if not dry_run:
        _await_guards()
    directories = list(stale())
    runs = {each.run for each in directories if each.run is not None}
    processes = _marked(runs)
    names = {look.pid: _name(look) for found in processes.values() for look in found}
    stuck: set[int] = set()
    if not dry_run:
        for run in {*runs, *processes}:
            stuck.update(end_everything(run, {}))
        for pid in stuck:
            click.echo(f"process {pid} cannot be ended", err=True)
    for run, found in processes.items():
        for look in found:
            if look.pid not in stuck:
                what = f"process {look.pid} ({names[look.pid]})"
                _say("would end" if dry_run else "ended", what, run)
    left = bool(stuck)
    for each in directories:
        if not dry_run and not remove(str(each.path)):
            left = True
            click.echo(f"{each.path} cannot be removed", err=True)
        else:
            _say("would remove" if dry_run else "removed", str(each.path), each.run)
    elsewhere = list(_elsewhere(dry_run))
    for what in elsewhere:
        click.echo(f"{'would remove' if dry_run else 'removed'} {what}")
    if not processes and not directories and not elsewhere:
        click.echo("nothing was left behind")
    return ExitCode.FAILED if left else ExitCode.OK


def _elsewhere(dry_run: bool) -> Iterator[str]:
    """What backends left where neither processes nor directories tell of it: containers."""
    for backend in Plugins().backends.values():
        clean = getattr(backend, "clean", None)
        if clean is not None:
            yield from clean(dry_run, click.echo)


def _say(done: str, what: str, run: str | None) -> None:
    click.echo(f"{done} {what} of " + ("an unknown run" if run is None else f"run {run}"))


def _await_guards() -> None:
    """Let guards of dead runs finish, and end those that do not."""
    deadline = time.monotonic() + _PATIENCE
    guards = [
        look
        for look, environment in _processes()
        if any(map(_is_dead, values_of(environment, GUARD)))
    ]
    for look in guards:
        _signal(look, signal.SIGCONT)
    while guards and time.monotonic() < deadline:
        time.sleep(0.01)
        guards = [look for look in guards if _alive(look)]
    for look in guards:
        _signal(look, signal.SIGKILL)


def _marked(runs: set[str]) -> dict[str, list[Look]]:
    """Processes of these runs and of all whose id says that they are dead, by run."""
    found: dict[str, list[Look]] = {}
    for look, environment in _processes():
        dead = [run for run in runs_of(environment) if run in runs or _is_dead(run)]
        if dead:
            found.setdefault(dead[0], []).append(look)
    return found


def _processes() -> Iterator[tuple[Look, bytes]]:
    """All other processes that live, with their environments as far as we may read them."""
    proc = Proc()
    for pid in proc.pids():
        look = proc.look(pid)
        if look is not None and not look.over and pid != os.getpid():
            yield look, proc.environment(look) or b""


def _is_dead(run: str) -> bool:
    try:
        return Owner(run).dead
    except ValueError:
        return False


def _alive(look: Look) -> bool:
    now = Proc().look(look.pid)
    return now is not None and now.start == look.start and not now.over


def _signal(look: Look, number: int) -> None:
    if _alive(look):
        try:
            os.kill(look.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def _name(look: Look) -> str:
    try:
        words = Path(f"/proc/{look.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return "ended"
    text = " ".join(b" ".join(words).decode(errors="replace").split())  # on one line
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
