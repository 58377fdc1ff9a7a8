"""`trials`: replications of a scenario with different seeds; means and confidence intervals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from simcore.cli.console import make_console
from simcore.errors import ExitCode
from simcore.experiments import record
from simcore.experiments.figures import COUNT, JOULE, SHARE, Metric, aligned
from simcore.experiments.statistics import Estimate, estimates, student_t
from simcore.experiments.trials import Trial, plan, run_all
from simcore.results.show import energy as show_energy
from simcore.results.show import label
from simcore.runner import new_directory
from simcore.scenario import load
from simcore.scenario.examples import locate
from simcore.units import show_duration


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def _show(metric: Metric, value: float, digits: int) -> str:
    if metric.unit == "ns":
        return show_duration(value, digits)
    if metric.unit == SHARE:
        return f"{100 * value:.{digits}g} %"
    if metric.unit == JOULE:
        return show_energy(value)
    return f"{value:.1f}" if metric.unit == COUNT else f"{value:.{digits}g}"


def _table(summary: Mapping[Metric, Estimate]) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    table.add_column("of", no_wrap=True)
    for heading in ("mean", "95 % interval", "trials"):
        table.add_column(heading, justify="right", no_wrap=True)
    for metric, found in summary.items():
        half = found.half_width
        interval = "-" if half is None else f"+/- {_show(metric, half, 3)}"
        cells = (metric.name, metric.of, _show(metric, found.mean, 5), interval, str(found.count))
        table.add_row(*(Text(label(cell)) for cell in cells))
    return table


def _announce(trial: Trial) -> None:
    what = f"trial {trial.job.number} (seed {trial.job.seed})"
    if trial.failed:
        click.echo(f"{what}: failed, exit code {trial.exit_code}: {trial.error}")
    elif trial.exit_code == ExitCode.DIFFERENT:
        click.echo(f"{what}: done, but an expectation failed")
    else:
        click.echo(f"{what}: done")


def _report(out: Path, trials: list[Trial], summary: Mapping[Metric, Estimate]) -> int:
    if summary:
        console = make_console()
        console.print()
        console.print(_table(summary))
    completed = [trial for trial in trials if not trial.failed]
    if len(completed) < 2:
        click.echo("\nan interval takes at least two completed trials")
    click.echo(f"\nresults: {out}{os.sep} (trials.csv, trials.json, a run directory per trial)")
    failed = [trial for trial in trials if trial.failed]
    unmet = [trial for trial in completed if trial.exit_code == ExitCode.DIFFERENT]
    for word, some in (("failed", failed), ("missed an expectation", unmet)):
        if some:
            seeds = ", ".join(str(trial.job.seed) for trial in some)
            click.echo(f"{len(some)} of {len(trials)} {word}: seed {seeds}")
    if failed:
        return ExitCode.FAILED
    return ExitCode.DIFFERENT if unmet else ExitCode.OK


@click.command("trials")
@click.argument("scenario")
@click.argument("count", metavar="N", type=click.IntRange(1, 1_000_000))
@click.option("--seed", "base", type=click.IntRange(0), metavar="BASE", help="First seed.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override, as in run.")
@click.option("--until", metavar="TIME", help="Another duration, as in run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New or empty; runs/NAME-trials-1, -2, ... without it.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="J",
    help="Trials that run at the same time (default: as many as there are cores).",
)
def command(
    scenario: str,
    count: int,
    base: int | None,
    overrides: tuple[str, ...],
    until: str | None,
    out: Path | None,
    jobs: int | None,
) -> int:
    """Run SCENARIO N times with different seeds; show means and 95 % confidence intervals.

    The seeds are BASE, BASE+1, ... (BASE: the scenario's own seed). Each trial is an ordinary
    run in DIR/trial-NNN. Exit code 3 if a trial failed, 1 if one missed an expectation.
    """
    path = locate(scenario)
    if path != Path(scenario):
        click.echo(f"running the shipped example {path}", err=True)
    checked = load(path, overrides=overrides, seed=base, until=until)  # before anything starts
    quantile = student_t() if count > 1 else None
    first = checked.seed
    if out is None:
        out = new_directory(replace(checked, name=f"{checked.name}-trials"))
    else:
        record.claim(out)
    planned = plan(path, count, base=first, out=out, overrides=overrides, until=until)
    ended: list[Trial] = []

    def done(trial: Trial) -> None:
        ended.append(trial)
        _announce(trial)

    def keep() -> dict[Metric, Estimate]:
        ended.sort(key=lambda trial: trial.job.number)
        rows = aligned([trial.metrics for trial in ended if not trial.failed])
        summary = estimates(rows, quantile)
        record.write(
            out, scenario=checked.name, base=first, wanted=count, trials=ended, summary=summary
        )
        return summary

    parallel = min(count, jobs or cores())
    trials = "1 trial" if count == 1 else f"{count:,} trials"
    click.echo(f"running {trials}, {parallel} at a time", err=True)
    try:
        run_all(planned, parallel=parallel, done=done)
    except KeyboardInterrupt:
        keep()
        raise  # the command line knows which signal it was
    return _report(out, ended, keep())
