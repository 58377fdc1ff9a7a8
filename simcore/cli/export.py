"""`export`: the tables of a run as CSV or Parquet files."""

from __future__ import annotations

from pathlib import Path

import click

from simcore.results.export import FORMATS, export
from simcore.results.store import open_run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True,
    help="Kind of files; Parquet needs the extra `report`.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Where to write them.  [default: exports/ in the run directory]",
)  # fmt: skip
def command(run: Path, form: str, out: Path | None) -> None:
    """Write messages, measurements, faults, links, nodes and hops of RUN to files.

    Participants and their exchanges, and what a quantum made late, are written if there are any.
    Times are in ns and sizes in bytes; columns.csv explains every column.
    """
    with open_run(run) as opened:
        written = export(opened, out or run / "exports", form)
    for path, count in written:
        click.echo(f"{path}  {count:,} rows")
