"""`run`, the default command: one scenario, one run directory, one summary."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from simcore.cli.console import make_console
from simcore.cli.progress import Progress
from simcore.errors import ResultsError, RunFailed, SimcoreError
from simcore.results.store import MANIFEST, open_run
from simcore.results.summary import print_summary
from simcore.runner import new_directory, run_scenario
from simcore.scenario import load
from simcore.scenario.examples import locate
from simcore.units import show_exact

LEVELS = ("debug", "info", "warning", "error")


@click.command("run")
@click.argument("scenario", metavar="SCENARIO")
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True,
    help="Change a value of the scenario, as nodes.meter.count=50; may be repeated.",
)  # fmt: skip
@click.option("--seed", type=int, help="Replace the seed.")
@click.option("--until", metavar="DURATION", help="Replace the duration, as 10s.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Run directory, new or empty; runs/NAME-1, -2, ... without it.",
)  # fmt: skip
@click.option(
    "--realtime", type=click.FloatRange(min=0, min_open=True), metavar="FACTOR",
    help="Let FACTOR virtual seconds pass in a second; being late is tolerated and reported.",
)  # fmt: skip
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="warning", help="Of logs/simcore.log."
)
@click.option("--log-time", is_flag=True, help="Log every grant and every message's fate.")
@click.option(
    "--base", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Folder that file names in the scenario are relative to; its own without it.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    scenario: str,
    overrides: tuple[str, ...],
    seed: int | None,
    until: str | None,
    out: Path | None,
    realtime: float | None,
    log_level: str,
    log_time: bool,
    base: Path | None,
    quiet: bool,
) -> int:
    """Run a scenario and print a summary of what happened.

    SCENARIO is a YAML file, or the name of a shipped example such as `quickstart`.
    """
    path = locate(scenario)
    if not quiet and path != Path(scenario):
        click.echo(f"running the shipped example {path}", err=True)
    loaded = load(path, base=base, overrides=overrides, seed=seed, until=until)
    directory = out or new_directory(loaded)
    occupied = os.path.exists(directory / MANIFEST)
    console = make_console()
    progress = Progress(loaded.name, loaded.duration, enabled=not quiet)
    options: dict[str, Any] = {"realtime": realtime, "log_time": log_time}
    try:
        with progress:
            result = run_scenario(
                loaded, directory, log_level=getattr(logging, log_level.upper()),
                tick=progress.update, say=progress.say, notice=None if quiet else progress.say,
                **options,
            )  # fmt: skip
    except SimcoreError as error:
        if out is None:
            with suppress(OSError):
                directory.rmdir()  # it was made here, and is empty where nothing was started
        # An occupied directory holds another run; one of a run that never started is gone.
        kept = not occupied and os.path.exists(directory / MANIFEST)
        report_failure(directory, error, loaded.base, kept=kept and not quiet)
        return int(error.exit_code)
    if not quiet:
        with open_run(directory) as run:
            print_summary(run, console, result.outcomes)
    for outcome in result.outcomes:
        if quiet and not outcome.passed:
            click.echo(
                f"simcore: expectation failed: {outcome.text}: {outcome.explanation}", err=True
            )
    return int(result.exit_code)


def report_failure(directory: Path, error: SimcoreError, base: Path, *, kept: bool) -> None:
    """One report: where, when, what, the traceback of the user's file, and what is kept."""
    click.echo(f"simcore: {error}", err=True)
    if isinstance(error, RunFailed) and error.now is not None:
        where = "" if error.node is None else f", node {error.node}"
        click.echo(f"  at virtual time {show_exact(error.now)}{where}", err=True)
    for line in _traceback(error, str(base.resolve())):
        click.echo(f"  {line}", err=True)
    for note in getattr(error, "__notes__", ()):
        click.echo(f"  {note}", err=True)
    if kept:
        click.echo(f"results so far are in {directory} (exit reason: {error.reason})", err=True)


def _traceback(error: SimcoreError, base: str) -> Iterator[str]:
    """The traceback of what a user's file raised, from where that file was entered."""
    cause = error.__cause__
    if cause is None or isinstance(error, ResultsError):
        return
    trace = cause.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(base):
        trace = trace.tb_next
    for line in traceback.format_exception(cause.with_traceback(trace or cause.__traceback__)):
        yield from line.splitlines()
