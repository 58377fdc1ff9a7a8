"""`figures`: the figures of runs as files for a paper."""

from __future__ import annotations

from pathlib import Path

import click

from simcore.cli.measures import span, width
from simcore.errors import UsageError
from simcore.results.store import open_run

_FORMATS = ("pdf", "svg")


def _formats(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    found = list(dict.fromkeys(part.strip() for part in value.split(",")))
    for form in found:
        if form not in _FORMATS:
            raise click.BadParameter(f"{form!r} is none of {', '.join(_FORMATS)}", ctx, param)
    return found


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Where to write them.",
)  # fmt: skip
@click.option(
    "--format", "forms", default="pdf,svg", show_default=True, metavar="FORMATS",
    callback=_formats, help="pdf, svg, or both with a comma between.",
)  # fmt: skip
@click.option(
    "--width", default="88mm", show_default=True, callback=width, metavar="WIDTH",
    help="Width of the figures: of one column, or of two (181mm).",
)  # fmt: skip
@click.option("--node", metavar="NAME", help="Whose timeline to draw.  [default: a busy one]")
@click.option(
    "--between", nargs=2, callback=span, metavar="FROM TO",
    help="Virtual times between which to draw it.  [default: around a few images]",
)  # fmt: skip
def command(
    runs: tuple[Path, ...], out: Path, forms: list[str], width: float, node: str | None,
    between: tuple[int, int] | None,
) -> None:  # fmt: skip
    """Write the figures of RUN as files for a paper, and captions that say where they come from.

    Of several runs of a scenario, or of a folder that holds them, the figures compare the
    inferences; means and confidence intervals are over runs that differ in their seed alone.
    Figures are legible in black and white. captions.tex holds the captions for LaTeX.
    """
    # numpy is enough for the other commands
    from simcore.results import paper, variants

    found = variants.directories(runs)
    if len(found) == 1:
        with open_run(found[0]) as opened:
            charts = paper.of_run(opened, node=node, between=between)
    else:
        if node is not None or between is not None:
            raise click.UsageError("a timeline is of one run: give one RUN with --node")
        compared = variants.compare(found)
        charts = paper.of_runs(compared)
        for left_out, why in compared.left_out:
            click.echo(f"{left_out} is not compared: {why}", err=True)
    if not charts:
        raise UsageError(f"{found[0]} holds nothing to draw: no message was delivered or lost")
    for path in paper.write(charts, out, forms, width):
        click.echo(path)
