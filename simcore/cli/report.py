"""`report`: one HTML page with the figures and tables of a run."""

from __future__ import annotations

from pathlib import Path

import click

from simcore.results.store import open_run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to write the page.  [default: report.html in the run directory]",
)  # fmt: skip
def command(run: Path, out: Path | None) -> None:
    """Write a self-contained HTML report of RUN; it needs no network to be read."""
    from simcore.results.report import write_report  # numpy is enough for the other commands

    with open_run(run) as opened:
        path = out or opened.path / "report.html"
        write_report(opened, path)
    click.echo(path)
