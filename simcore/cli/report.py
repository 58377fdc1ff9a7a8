"""`report`: one HTML page with the figures and tables of a run, or of several side by side."""

from __future__ import annotations

import os
from pathlib import Path

import click

from simcore.cli.measures import span
from simcore.results.store import open_run


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to write the page.  [default: report.html in the run directory, of several runs "
    "in the folder that holds them]",
)  # fmt: skip
@click.option("--node", metavar="NAME", help="Whose timeline to show.  [default: a busy one]")
@click.option(
    "--between", nargs=2, callback=span, metavar="FROM TO",
    help="Virtual times between which to show it.  [default: around a few images]",
)  # fmt: skip
def command(
    runs: tuple[Path, ...], out: Path | None, node: str | None, between: tuple[int, int] | None
) -> None:
    """Write a self-contained HTML report of RUN; it needs no network to be read.

    Of several runs of a scenario, or of a folder that holds them, it compares the inferences:
    accuracy, latency and energy of each policy, with confidence intervals where runs differ in
    their seed alone.
    """
    # numpy is enough for the other commands
    from simcore.results import page, report, report_runs, variants

    found = variants.directories(runs)
    if len(found) == 1:
        with open_run(found[0]) as opened:
            path = out or opened.path / "report.html"
            report.write_report(opened, path, node=node, between=between)
    else:
        if node is not None or between is not None:
            raise click.UsageError("a timeline is of one run: give one RUN with --node")
        path = out or _folder(runs, found) / "report.html"
        compared = variants.compare(found)
        page.write(report_runs.content(compared), path)
        for left_out, why in compared.left_out:
            click.echo(f"{left_out} is not compared: {why}", err=True)
    click.echo(path)


def _folder(asked: tuple[Path, ...], found: list[Path]) -> Path:
    """What holds all the runs: the folder that was asked for, if it was one."""
    if len(asked) == 1:
        return asked[0]
    return Path(os.path.relpath(os.path.commonpath([run.absolute().parent for run in found])))
