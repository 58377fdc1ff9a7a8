"""Figures as files for a paper: of the width of its columns, with captions that say their origin.

The files are the same bytes for the same runs and versions of matplotlib: no dates, no random
names. `captions.txt` is for reading, `captions.tex` for LaTeX; each caption stands in the metadata
of its file as well, for when that is all that is left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from simcore.results import report_inferences, report_runs, show, variants
from simcore.results.drawing import Chart, document
from simcore.results.figures import of_messages
from simcore.results.inference_figures import MOST, confusion_matrix
from simcore.results.judged import judge
from simcore.results.metrics import Metrics
from simcore.results.node_timeline import moments
from simcore.results.store import Run
from simcore.results.variants import Compared, Variant
from simcore.results.writing import writing

CAPTIONS, LATEX = "captions.txt", "captions.tex"
_LONGEST = 60
"""Letters of a variant's name in a file's."""
_ONE_COLUMN = 4.0
"""Inches above which a figure stands across both columns."""

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}  # fmt: skip


def of_run(
    run: Run, *, node: str | None = None, between: tuple[int, int] | None = None
) -> list[tuple[Chart, str]]:
    """The charts of one run with their captions.

    Args:
        run: the run.
        node, between: what the timeline shows, as for a report.
    """
    judged = judge(run)
    charts = of_messages(Metrics(run.connection))
    if judged is not None:
        some = moments(run.connection, node=node, between=between)
        charts = [*report_inferences.charts(judged, some), *charts]
    origin = show.identity(run.manifest)
    count = None if judged is None else judged.everything.n
    return [(chart, _caption(chart, origin, count)) for chart in charts]


def of_runs(compared: Compared) -> list[tuple[Chart, str]]:
    """The charts of several runs with their captions."""
    count = sum(run.everything.n for run in compared.runs)
    found = [(c, _caption(c, compared.identity, count)) for c in report_runs.charts(compared)]
    names = show.distinct(map(_file_name, compared.variants))
    for variant, name in zip(compared.variants, names, strict=True):
        matrix = variant.confusion
        if 0 < len(matrix.labels) <= MOST:
            chart = confusion_matrix(matrix)
            chart = replace(chart, name=name, title=f"{chart.title}, {variant.name}")
            origin = variants.identity([(variant.name, run.manifest) for run in variant.runs])
            total = sum(run.everything.n for run in variant.runs)
            found.append((chart, _caption(chart, origin, total)))
    return found


def _file_name(variant: Variant) -> str:
    """What the confusion matrix of a variant is called, if no other is."""
    words = re.sub(r"[^A-Za-z0-9.]+", "-", variant.name).strip("-")
    return f"confusion-{words[:_LONGEST].strip('-')}".strip("-")


def write(
    charts: Sequence[tuple[Chart, str]], directory: Path, forms: Sequence[str], width: float
) -> list[Path]:
    """Write figures and captions.

    Args:
        charts: each with its caption.
        directory: where to; made if it does not exist.
        forms: of `drawing.FORMATS`.
        width: of the figures, inches.

    Raises:
        MissingDependency: matplotlib is not installed.
        ResultsError: a file cannot be written.
    """
    written = []
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for chart, caption in charts:
            for form in forms:
                path = directory / f"{chart.name}.{form}"
                path.write_bytes(document(chart, form, width, caption))
                written.append(path)
        texts = [f"{chart.name}\n{caption}\n" for chart, caption in charts]
        blocks = [_block(chart, caption, width) for chart, caption in charts]
        for name, parts in ((CAPTIONS, texts), (LATEX, blocks)):
            path = directory / name
            path.write_text("\n".join(parts), encoding="utf-8")
            written.append(path)
    return written


def _caption(chart: Chart, origin: str, count: int | None) -> str:
    told = "" if count is None else f"; N = {count:,} inferences"
    return " ".join(filter(None, (f"{chart.title}.", chart.note, f"Scenario {origin}{told}.")))


def _block(chart: Chart, caption: str, width: float) -> str:
    """A figure of LaTeX, with a package such as graphicx."""
    kind = "figure" if width <= _ONE_COLUMN else "figure*"
    text = "".join(_SPECIAL.get(letter, letter) for letter in caption)
    return (
        f"\\begin{{{kind}}}\n  \\centering\n  \\includegraphics{{{chart.name}}}\n"
        f"  \\caption{{{text}}}\n  \\label{{fig:{chart.name}}}\n\\end{{{kind}}}\n"
    )
