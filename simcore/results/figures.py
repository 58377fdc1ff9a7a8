"""The report's figures as SVG text: the same bytes for the same run, and legible without colour.

Lines differ by dashes and markers, bars by hatching, so that a page survives a black-and-white
printer and a reader who does not see colours. matplotlib is used without its global state.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.errors import MissingDependency
from simcore.results import show
from simcore.results.metrics import Flow, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES, MOST_BARS = 8, 16
_POINTS = 400
"""Points of a curve: more than a screen resolves, and independent of the size of the run."""

_DASHES = ("-", "--", "-.", ":")
_GREYS = ("#000000", "#6a6a6a")
_MARKERS = ("o", "s", "^", "D", "v", "x", "P", "*")
_PARTS = (("network", "#ffffff", ""), ("queueing", "#bdbdbd", "///"), ("computing", "#525252", ""))
_STYLE: Any = {
    "svg.hashsalt": "simcore",  # otherwise the ids in the file are random
    "svg.fonttype": "none",  # text stays text: searchable, and read aloud
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 9.0,
    "text.parse_math": False,  # a kind may hold a dollar sign
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
}
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def latency_cdf(series: Sequence[tuple[str, Ints]]) -> str:
    """Cumulative distribution of the latency.

    Args:
        series: name and latencies (ns) of each flow, none empty.
    """
    scale, unit = _unit(max(float(values.max()) for _, values in series))
    positive = min(float(values.min()) for _, values in series) > 0
    wide = max(v.max() for _, v in series) > 100 * min(v.min() for _, v in series)

    def draw(axes: Axes) -> None:
        for place, (name, values) in enumerate(series):
            x, y = _curve(values)
            axes.plot(
                x / scale,
                y,
                linestyle=_DASHES[place % len(_DASHES)],
                color=_GREYS[place // len(_DASHES) % len(_GREYS)],
                marker=_MARKERS[place % len(_MARKERS)],
                markevery=(place * 7 % 40, max(1, len(x) // 8)),
                markersize=4,
                linewidth=1.2,
                # Few values are shown as the steps they are, many as the curve they approach.
                drawstyle="steps-post" if len(values) <= _POINTS else "default",
                label=show.label(name),
            )
        if positive and wide:
            _plain_log(axes)
        axes.set_xlabel(f"latency [{unit}]")
        axes.set_ylabel("share of delivered messages")
        axes.set_ylim(0, 1.02)
        axes.grid(linewidth=0.3, color="#cccccc")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)

    return _svg(draw, height=3.2)


def latency_split(flows: Sequence[Flow]) -> str:
    """Mean latency of each flow, split into network, queueing and computing.

    Args:
        flows: flows of which something was delivered.
    """
    scale, unit = _unit(max(flow.latency.mean for flow in flows))
    names = [show.label(f"{flow.name}, {flow.kind}") for flow in flows]

    def draw(axes: Axes) -> None:
        left = np.zeros(len(flows))
        for part, colour, hatch in _PARTS:
            means = np.array([getattr(flow, part).mean for flow in flows]) / scale
            axes.barh(
                names, means, left=left, label=part, color=colour, hatch=hatch,
                edgecolor="#000000", linewidth=0.6, height=0.6,
            )  # fmt: skip
            left += means
        axes.invert_yaxis()
        axes.set_xlabel(f"mean latency [{unit}]")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)

    return _svg(draw, height=0.9 + 0.32 * len(flows))


def losses(lost: Mapping[str, int], sent: int) -> str:
    """Messages lost, by reason.

    Args:
        lost: number of messages by reason, not empty.
        sent: number of all messages.
    """

    def draw(axes: Axes) -> None:
        bars = axes.barh(
            list(lost), list(lost.values()), color="#bdbdbd", edgecolor="#000000", height=0.6
        )
        texts = [f"{count:,} ({show.share(count, sent)})" for count in lost.values()]
        axes.bar_label(bars, labels=texts, padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.25)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("messages lost")

    return _svg(draw, height=0.9 + 0.32 * len(lost))


def _curve(values: Ints) -> tuple[Any, Any]:
    """Points of the cumulative distribution, from the least to the greatest value."""
    if len(values) <= _POINTS:
        x = np.sort(values).astype(float)
        return x, np.arange(1, len(x) + 1) / len(x)
    shares = np.linspace(0, 1, _POINTS)
    return np.quantile(values, shares), shares


def _plain_log(axes: Axes) -> None:
    """A logarithmic axis whose ticks say 0.01 where matplotlib would write 10^-2 in TeX."""
    from matplotlib.ticker import FormatStrFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _unit(largest: float) -> tuple[float, str]:
    return next((unit for unit in _UNITS if largest >= unit[0]), _UNITS[-1])


def _svg(draw: Any, height: float) -> str:
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency("matplotlib", extra="report", purpose="figures") from None
    with matplotlib.rc_context(_STYLE):
        figure: Figure = Figure(figsize=(7.5, height))
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        target = io.StringIO()
        figure.savefig(
            target, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None}
        )
    return _inline(target.getvalue())


def _inline(svg: str) -> str:
    """The `svg` element alone, fit to stand several times in one page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The names of groups (axes_1, patch_2 ...) repeat in every figure; nothing refers to them.
    svg = re.sub(r'<g id="[a-z0-9]+_[0-9_]+">', "<g>", svg, flags=re.IGNORECASE)
    return svg.replace("<svg ", '<svg role="img" ', 1)
