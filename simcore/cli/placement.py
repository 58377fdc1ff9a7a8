"""`placement`: one scenario under each policy, and one comparison of what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simcore.cli.console import make_console
from simcore.cli.trials import cores
from simcore.errors import ExitCode
from simcore.experiments import record
from simcore.experiments.placement import Placed, choose, compared, jobs, known_of, write
from simcore.experiments.trials import Trial, run_all
from simcore.results import show
from simcore.results.inferences import PLACES
from simcore.runner import new_directory
from simcore.scenario.examples import locate

WIDE = 118
"""Columns from which the whole comparison fits on one line each."""


@click.command("placement")
@click.argument("scenario")
@click.option(
    "--policies", metavar="A,B",
    help="Policies to compare; all that are built in and the scenario's own without it.",
)  # fmt: skip
@click.option(
    "--replications", type=click.IntRange(1, 1_000_000), default=1, metavar="N",
    help="Runs of each policy, with different seeds: means and 95 % confidence intervals.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), help="First seed, the same for each policy.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override, as in run.")
@click.option("--until", metavar="TIME", help="Another duration, as in run.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="New or empty; runs/NAME-placement-1, -2, ... without it.",
)  # fmt: skip
@click.option(
    "--jobs", "parallel", type=click.IntRange(1), metavar="J",
    help="Runs at the same time (default: as many as there are cores).",
)  # fmt: skip
def command(
    scenario: str,
    policies: str | None,
    replications: int,
    seed: int | None,
    overrides: tuple[str, ...],
    until: str | None,
    out: Path | None,
    parallel: int | None,
) -> int:
    """Run SCENARIO with each placement policy and compare them.

    Each policy has the same seed and is an ordinary run in DIR/POLICY. Policies that the scenario
    cannot be run with (no cloud, no deadline) are named and left out. What the scenario expects, it
    expects of its own policy. Exit code 3 if a run failed, 1 if one of that missed an expectation.
    """
    path = locate(scenario)
    if path != Path(scenario):
        click.echo(f"running the shipped example {path}", err=True)
    asked = [word for word in map(str.strip, (policies or "").split(",")) if word]
    checked, chosen, left = choose(path, asked, overrides=overrides, seed=seed, until=until)
    if out is None:
        out = new_directory(replace(checked, name=f"{checked.name}-placement"))
    else:
        record.claim(out)
    planned = jobs(
        path, chosen, own=checked.extensions["placement"]["policy"], base=checked.seed, out=out,
        replications=replications, overrides=overrides, until=until,
    )  # fmt: skip
    names = {job.number: policy for policy, some in planned.items() for job in some}
    ended: list[Trial] = []

    def done(trial: Trial) -> None:
        ended.append(trial)
        _announce(trial, names[trial.job.number], replications)

    def keep() -> list[Placed]:
        placed = compared(planned, ended)
        write(out, scenario=checked.name, base=checked.seed, placed=placed, left=left)
        return placed

    for each in left:
        click.echo(f"{each.policy}: left out: {each.why}")
    parallel = min(len(names), parallel or cores())
    runs = "1 run" if len(names) == 1 else f"{len(names):,} runs"
    click.echo(f"running {', '.join(chosen)}: {runs}, {parallel} at a time", err=True)
    try:
        run_all(list(chain.from_iterable(planned.values())), parallel=parallel, done=done)
    except KeyboardInterrupt:
        keep()
        raise  # the command line knows which signal it was
    return _report(out, keep(), make_console())


def _announce(trial: Trial, policy: str, replications: int) -> None:
    what = policy if replications == 1 else f"{policy} (seed {trial.job.seed})"
    if trial.failed:
        click.echo(f"{what}: failed, exit code {trial.exit_code}: {trial.error}")
    elif trial.exit_code == ExitCode.DIFFERENT:
        click.echo(f"{what}: done, but an expectation failed")
    else:
        click.echo(f"{what}: done")


def _report(out: Path, placed: Sequence[Placed], console: Console) -> int:
    shown = [each for each in placed if each.mean("n")]
    if shown:
        console.print()
        for columns in _layout(shown, console.width):
            console.print(_table(shown, columns))
            console.print()
        for line in _notes(shown):
            console.print(Text(line), soft_wrap=True)
    for each in placed:
        if each.summary and not each.mean("n"):
            click.echo(f"{each.policy}: no device took a picture")
    runs = "a run directory per policy"
    click.echo(f"\nresults: {out}{os.sep} (placement.csv, placement.json, {runs})")
    trials = [trial for each in placed for trial in each.trials]
    failed = [trial for trial in trials if trial.failed]
    unmet = [trial for trial in trials if trial.exit_code == ExitCode.DIFFERENT]
    for word, some in (("failed", failed), ("missed an expectation", unmet)):
        if some:
            paths = ", ".join(os.path.relpath(trial.job.path, out) for trial in some)
            click.echo(f"{len(some)} of {len(trials)} {word}: {paths}")
    if failed:
        return ExitCode.FAILED
    return ExitCode.DIFFERENT if unmet else ExitCode.OK


# --- the table ---

_Column = tuple[str, Callable[[Placed], str]]
_POLICY = "  policy"


def _layout(placed: Sequence[Placed], width: int) -> Iterable[list[_Column]]:
    """The columns of each table: one if it fits."""
    quality: list[_Column] = [
        (_POLICY, lambda each: _star(each) + each.policy),
        ("N", lambda each: show.number(each.mean("n"))),
        ("accuracy", _accuracy),
        ("latency", lambda each: show.time(each.mean("latency_mean"))),
        ("p50", lambda each: show.time(each.mean("latency_p50"))),
        ("p95", lambda each: show.time(each.mean("latency_p95"))),
    ]
    if any(each.mean("in_time") is not None for each in placed):
        quality.append(("in time", lambda each: _percent(each.mean("in_time"))))
    cost: list[_Column] = [("uplink", _uplink)]
    if _energetic(placed):
        cost.insert(0, ("energy", lambda each: show.energy(each.mean("energy"))))
    cost += [(f"at {place}", _share_of(place)) for place in PLACES]
    if width >= WIDE:
        return [quality + cost]
    return [quality, [quality[0], *cost]]


def _table(placed: Sequence[Placed], columns: Sequence[_Column]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name, _ in columns:
        table.add_column(name, justify="left" if name == _POLICY else "right", no_wrap=True)
    for each in placed:
        table.add_row(*(Text(show.label(cell(each))) for _, cell in columns))
    return table


def _energetic(placed: Sequence[Placed]) -> bool:
    """Whether any energy is known."""
    return any(each.mean("energy") is not None for each in placed)


def _star(placed: Placed) -> str:
    return "* " if placed.best else "  "


def _accuracy(placed: Placed) -> str:
    accuracy, interval = placed.mean("accuracy"), placed.interval
    if accuracy is None:
        return show.NOTHING
    if interval is None:
        return show.percent(accuracy)
    low, high = (show.percent(bound).removesuffix(" %") for bound in interval)
    return f"{show.percent(accuracy)} ({low} to {high})"


def _percent(share: float | None) -> str:
    return show.NOTHING if share is None else show.percent(share)


def _uplink(placed: Placed) -> str:
    size = placed.mean("uplink")
    return show.NOTHING if size is None else f"{size:,.1f} B"


def _share_of(place: str) -> Callable[[Placed], str]:
    return lambda each: _percent(each.mean("share", place))


def _notes(placed: Sequence[Placed]) -> Iterator[str]:
    """What the stars and the columns mean."""
    known = [metric.name.partition("_")[0] for metric in known_of(placed)]
    if len(known) < 2:
        yield "* not known: it takes two of accuracy, latency and energy for every policy"
    else:
        best = ", ".join(each.policy for each in placed if each.best)
        yield f"* Pareto front of {', '.join(known[:-1])} and {known[-1]}: {best}"
    costs = "energy, uplink" if _energetic(placed) else "uplink"
    yield f"  latency (mean), p50, p95: picture to answer; {costs}: of the device"
