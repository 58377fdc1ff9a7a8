"""`timeline`: the exchanges of a run for a viewer of traces."""

from __future__ import annotations

from pathlib import Path

import click

from simcore.results.store import open_run
from simcore.results.timeline import write_timeline


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to write it.  [default: timeline.json in the run directory]",
)  # fmt: skip
def command(run: Path, out: Path | None) -> None:
    """Write a timeline of what RUN's participants did, for https://ui.perfetto.dev.

    It shows what each was let go for in virtual time, and who worked and who waited in wall
    time.
    """
    with open_run(run) as opened:
        path = out or opened.path / "timeline.json"
        written = write_timeline(opened, path)
    exchanges = f"{written.exchanges:,} exchange{'s' if written.exchanges != 1 else ''}"
    who = f"{written.participants:,} participant{'s' if written.participants != 1 else ''}"
    click.echo(f"{path}  {exchanges} of {who}")
