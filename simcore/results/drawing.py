"""What all figures share: one look, and their files, the same bytes for the same data.

Lines differ by dashes and markers, areas by hatching, so that a figure survives a black-and-white
printer and a reader who does not see colours. A chart draws itself for any width: the report puts
it into its page, a paper gets it as a file of the width of its columns. matplotlib is used without
its global state.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from simcore.errors import MissingDependency
from simcore.results import show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE = 7.5
"""Width (inches) of a figure in a page."""

NARROW = 5.0
"""Width (inches) below which panels stand one above the other."""

DASHES = ("-", "--", "-.", ":")
GREYS = ("#000000", "#6a6a6a")
MARKERS = ("o", "s", "^", "D", "v", "x", "P", "*")
AREAS = (
    ("#ffffff", ""),
    ("#ffffff", "////"),
    ("#d0d0d0", ""),
    ("#d0d0d0", "\\\\\\\\"),
    ("#ffffff", "...."),
    ("#555555", ""),
    ("#909090", "xxxx"),
)
"""Fill and hatching of areas; those beside each other differ most."""

UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))
FORMATS = ("pdf", "svg")

_STYLE: Any = {
    "svg.hashsalt": "simcore",  # otherwise the ids in the file are random
    "svg.fonttype": "none",  # text stays text: searchable, and read aloud
    "pdf.fonttype": 42,  # fonts as they are (TrueType), which publishers ask for
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "text.parse_math": False,  # a kind may hold a dollar sign
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": "medium",
    "legend.handlelength": 2.8,  # long enough for a whole pattern of dashes
}
_LETTER = 0.52
"""Width of a letter of this font, on average, as a share of its size."""

_PAGE_SIZE, _PAPER_SIZE = 9.0, 7.5
"""Size of text in points: in a page, and in the column of a paper."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure that can be drawn at any width.

    Attributes:
        name: what its file is called, without ending.
        title: what it shows, as a sentence without its full stop.
        draw: puts it into an empty figure, whose width is given.
        height: its height for a width, both in inches.
        note: what else a reader has to know: sentences.
    """

    name: str
    title: str
    draw: Callable[[Figure], None]
    height: Callable[[float], float]
    note: str = ""


def plane(width: float) -> float:
    """The height of a figure with two axes of numbers."""
    return min(3.4, max(2.3, 0.7 * width))


def rows(count: int, legend: int = 1) -> Callable[[float], float]:
    """The height of a figure with so many bars below each other, and rows of a legend."""
    return lambda width: 0.75 + 0.3 * count + 0.2 * legend


def inline(chart: Chart) -> str:
    """The chart as an `svg` element, fit to stand in a page with others."""
    svg = _render(chart, PAGE, _PAGE_SIZE, "svg", {"Date": None}).decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The names of groups (axes_1, patch_2 ...) repeat in every figure; nothing refers to them.
    svg = re.sub(r'<g id="[a-z0-9]+_[0-9_]+">', "<g>", svg, flags=re.IGNORECASE)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(chart.title)}" ', 1)


def document(chart: Chart, form: str, width: float, caption: str) -> bytes:
    """The chart as a file of its own.

    Args:
        chart: the chart.
        form: one of `FORMATS`.
        width: in inches; the file has it exactly.
        caption: kept in the file's metadata.
    """
    told = {"Title": chart.name, "Creator": "simcore"}
    if form == "pdf":
        metadata = {**told, "Subject": caption, "CreationDate": None, "Producer": None}
    else:
        metadata = {**told, "Description": caption, "Date": None}
    return _render(chart, width, _PAPER_SIZE, form, metadata)


def legend(figure: Figure, *panels: Axes) -> None:
    """A legend above everything, with as many columns as fit."""
    shown: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    if not shown:
        return
    room = figure.get_figwidth() * 72 / text_size()
    # Sample and gaps are as wide as 5 letters are high.
    labels = [shortened(label, (room - 5) / _LETTER) for label in shown]
    handles = list(shown.values())
    longest = max(len(label) for label in labels)
    fit = int(room / (_LETTER * longest + 5))
    columns = max(1, min(fit, len(labels)))
    # matplotlib fills column by column; people read row by row.
    order = [place for column in range(columns) for place in range(column, len(labels), columns)]
    figure.legend(
        [handles[place] for place in order], [labels[place] for place in order],
        loc="outside upper left", ncols=columns,
        borderpad=0.1, labelspacing=0.35, columnspacing=1.5,
    )  # fmt: skip


def entry(name: object) -> str:
    """A name for the legend. matplotlib leaves out what begins with an underscore."""
    text = show.label(name)
    return f" {text}" if text.startswith("_") else text


def fitted(names: Sequence[object], room: float) -> list[str]:
    """Names beside an axis, none of them longer than so many inches."""
    most = room * 72 / text_size() / _LETTER
    return [shortened(show.label(name), most) for name in names]


def shortened(text: str, most: float) -> str:
    """The beginning and the end of a text of more than so many letters."""
    if len(text) <= most:
        return text
    kept = max(2, int(most) - 3)
    return f"{text[: -(-kept // 2)]}...{text[-(kept // 2) :]}"


def legend_rows(labels: int) -> int:
    """About how many rows the legend of so many short labels takes."""
    return -(-labels // 4)


def text_size() -> float:
    """The size of text, in points, while a chart is drawn."""
    import matplotlib

    return float(matplotlib.rcParams["font.size"])


def grid(axes: Axes) -> None:
    """Thin lines behind everything."""
    axes.grid(linewidth=0.3, color="#cccccc")
    axes.set_axisbelow(True)


def unit_of(largest: float) -> tuple[float, str]:
    """The unit in which a time (ns) reads best: its length in ns, and its name."""
    return next((unit for unit in UNITS if largest >= unit[0]), UNITS[-1])


def line_style(place: int) -> dict[str, Any]:
    """How the line in a place differs from all others, without colour."""
    return {
        "linestyle": DASHES[place % len(DASHES)],
        "color": GREYS[place // len(DASHES) % len(GREYS)],
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 3.5,
        "linewidth": 1.1,
    }


def stacked(
    axes: Axes,
    names: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    totals: Sequence[float],
    looks: Sequence[str],
    of: str,
) -> None:
    """Bars below each other, each stacked from parts.

    Args:
        axes: where.
        names: of the bars, from the top.
        parts: length of each part, by bar.
        totals: of each bar, with what is too short to be drawn.
        looks: all parts that there could be; the place of a part here decides how it looks.
        of: what is measured, with its unit.
    """
    left = [0.0] * len(names)
    places = range(len(names))
    for part, lengths in parts.items():
        colour, hatch = AREAS[looks.index(part) % len(AREAS)]
        axes.barh(
            places, lengths, left=left, label=part, color=colour, hatch=hatch,
            edgecolor="#000000", linewidth=0.6, height=0.62,
        )  # fmt: skip
        left = [a + b for a, b in zip(left, lengths, strict=True)]
    for place, end, total in zip(places, left, totals, strict=True):
        axes.annotate(
            f"{total:.3g}", (end, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.18 * max([*left, 1e-300]))
    axes.set_xlabel(of)


def plain_log(axes: Axes) -> None:
    """A logarithmic axis whose ticks say 0.01 where matplotlib would write 10^-2 in TeX."""
    from matplotlib.ticker import FormatStrFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _render(
    chart: Chart, width: float, size: float, form: str, metadata: Mapping[str, str | None]
) -> bytes:
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency("matplotlib", extra="report", purpose="figures") from None
    with matplotlib.rc_context({**_STYLE, "font.size": size}):
        figure: Figure = Figure(figsize=(width, chart.height(width)), layout="constrained")
        FigureCanvasAgg(figure)
        chart.draw(figure)
        target = io.BytesIO()
        figure.savefig(target, format=form, transparent=True, metadata=metadata)
    return target.getvalue()
