"""`calibrate`: how long services compute on this machine, as tables for scenarios."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from simcore.cli.progress import Progress
from simcore.cli.run import report_failure
from simcore.errors import ExitCode, ResultsError, SimcoreError, UsageError
from simcore.results.costs import ENOUGH, Costs, costs_of, scenario_of, table
from simcore.results.show import time
from simcore.results.store import Run, open_run
from simcore.runner import new_directory, run_scenario
from simcore.scenario import load
from simcore.scenario.examples import locate
from simcore.scenario.model import NodeSpec, Scenario


@click.command("calibrate")
@click.argument("scenario", metavar="SCENARIO")
@click.option(
    "--node", "names", metavar="NAME", multiple=True,
    help="Node or group to calibrate, all with a service without it; may be repeated.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Where the tables go; costs/ beside the scenario without it.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite what is not this scenario's table, too.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override, as in run.")
@click.option("--seed", type=int, help="Replace the seed.")
@click.option("--until", metavar="DURATION", help="Replace the duration, as 10s.")
def command(
    scenario: str,
    names: tuple[str, ...],
    out: Path | None,
    force: bool,
    overrides: tuple[str, ...],
    seed: int | None,
    until: str | None,
) -> int:
    """Run SCENARIO and measure how long its services take for each message on this machine.

    Writes one table of durations for each node or group with a service, to be named in a scenario
    as what computing costs. The run is kept, and labelled: its digest is not that of `run`.
    """
    path = locate(scenario)
    loaded = load(path, overrides=overrides, seed=seed, until=until)
    groups = _chosen(loaded, names)
    if out is None:
        out = (loaded.base if path == Path(scenario) else Path()) / "costs"
    if not force:
        _spare(loaded.name, groups, out)
    named = replace(loaded, name=f"{loaded.name}-calibration")
    directory = new_directory(named)
    progress = Progress(named.name, loaded.duration, enabled=True)
    try:
        with progress:
            run_scenario(
                loaded, directory, tick=progress.update, say=progress.say, notice=progress.say,
                calibrate=True,
            )  # fmt: skip
    except SimcoreError as error:
        report_failure(directory, error, loaded.base, kept=True)
        return int(error.exit_code)
    with open_run(directory) as run:
        return _write(run, groups, out, loaded.base)


def _chosen(scenario: Scenario, names: Sequence[str]) -> list[Sequence[NodeSpec]]:
    """The nodes that have a service, by group, of those that were named."""
    if not names:
        found = [m for m in scenario.groups.values() if m and "service" in m[0].options]
        if not found:
            raise UsageError("no node of this scenario has a 'service': nothing to calibrate")
        return list(found)
    chosen: list[Sequence[NodeSpec]] = []
    for name in names:
        members = scenario.select(name)
        if "service" not in members[0].options:
            raise UsageError(f"{name} has no 'service': only services can be calibrated")
        chosen.append(members)
    return chosen


def _spare(scenario: str, groups: Sequence[Sequence[NodeSpec]], out: Path) -> None:
    """See that no file is overwritten but tables of the scenario.

    Raises:
        UsageError: one would be.
    """
    others = []
    for file in _files(groups, out):
        try:
            found = scenario_of(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue  # not there, or writing says what is wrong
        if found != " ".join(scenario.split()):
            what = "no table of calibrate's" if found is None else f"a table of {found}"
            others.append(f"{file} is {what}")
    if others:
        raise UsageError(
            f"{', '.join(others)}: name another folder with --out, or overwrite with --force"
        )


def _files(groups: Sequence[Sequence[NodeSpec]], out: Path) -> Iterator[Path]:
    """Where the table of each group goes."""
    for members in groups:
        yield out / f"{members[0].group if len(members) > 1 else members[0].name}.txt"


def _write(run: Run, groups: Sequence[Sequence[NodeSpec]], out: Path, base: Path) -> int:
    """Write the tables, and say what they hold and how to use them."""
    written = 0
    for members, file in zip(groups, _files(groups, out), strict=True):
        costs = costs_of(run, members)
        name = file.stem
        if not costs.times:
            _echo(
                f"{name}: handled {costs.left_out} messages, and a table leaves out the first ones "
                "of each node: have it run longer, with --until"
            )
            continue
        try:
            out.mkdir(parents=True, exist_ok=True)
            file.write_text(table(costs, run, members), encoding="utf-8")
        except OSError as error:
            raise ResultsError(f"cannot write {file}: {error.strerror}; use --out") from error
        written += 1
        _tell(name, costs, file, base)
    click.echo(f"the run is in {run.path}")
    return ExitCode.OK if written else ExitCode.FAILED


def _tell(name: str, costs: Costs, file: Path, base: Path) -> None:
    click.echo(
        f"{name} ({costs.service}, {costs.implementation}): {len(costs.times):,} messages, "
        f"median {time(costs.median)}, 95th percentile {time(costs.p95)}: {file}"
    )
    if len(costs.times) < ENOUGH:
        _echo(
            f"  warning: so few samples say little about rare long times; {ENOUGH} are the least "
            "to publish"
        )
    relative = os.path.relpath(file, base)
    if relative.startswith(os.pardir):
        click.echo(f"  copy it beside the scenario, and use it as: compute: {{table: {file.name}}}")
    else:
        click.echo(f"  use it as: compute: {{table: {relative}}}")


def _echo(line: str) -> None:
    click.echo(line, err=True)
