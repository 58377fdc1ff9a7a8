"""Figures of a run's messages: how long they took, where the time went, what was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.results import drawing, show
from simcore.results.drawing import Chart
from simcore.results.metrics import Flow, Ints, Metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES, MOST_BARS = 8, 16
_POINTS = 400
"""Points of a curve: more than a screen resolves, and independent of the size of the run."""

_PARTS = (("network", "#ffffff", ""), ("queueing", "#bdbdbd", "///"), ("computing", "#525252", ""))


def of_messages(figures: Metrics) -> list[Chart]:
    """The charts of all messages of a run; those that have something to show."""
    done = [flow for flow in figures.flows if flow.counts.delivered]
    busiest = sorted(done, key=lambda flow: -flow.counts.delivered)
    found = []
    if done:
        lines = _chosen(done, busiest[:MOST_LINES])
        series = [(f"{f.name}, {f.kind}", figures.flow_series(f)) for f in lines]
        title = "Cumulative distribution of the latency per flow" + _of(lines, done)
        found.append(_latency(title, series))
        bars = _chosen(done, busiest[:MOST_BARS])
        title = "Mean latency per flow, split into network, queueing and computing"
        found.append(_split(title + _of(bars, done), bars))
    totals = figures.totals
    if totals.lost:
        found.append(_losses(totals.lost, totals.sent))
    return found


def draw_cdf(
    axes: Axes,
    series: Sequence[tuple[str, Ints]],
    of: str,
    totals: Sequence[int] | None = None,
    *,
    log: bool | None = None,
) -> tuple[float, str]:
    """Draw cumulative distributions of times.

    Args:
        axes: where.
        series: name and times (ns) of each, none empty.
        of: of what the shares are.
        totals: of how many each is a share; None: of as many as have a time.
        log: whether the axis is logarithmic, if no time is 0; None: if the times differ much.

    Returns:
        The unit of the axis: its length in ns, and its name.
    """
    scale, unit = drawing.unit_of(max(float(values.max()) for _, values in series))
    positive = min(float(values.min()) for _, values in series) > 0
    if log is None:
        log = bool(max(v.max() for _, v in series) > 100 * min(v.min() for _, v in series))
    for place, (name, values) in enumerate(series):
        x, y = _curve(values)
        if totals is not None:
            y = y * (len(values) / totals[place])
        axes.plot(
            x / scale,
            y,
            **drawing.line_style(place),
            markevery=(place * 7 % 40, max(1, len(x) // 8)),
            # Few values are shown as the steps they are, many as the curve they approach.
            drawstyle="steps-post" if len(values) <= _POINTS else "default",
            label=drawing.entry(name),
        )
    if positive and log:
        drawing.plain_log(axes)
    axes.set_xlabel(f"latency [{unit}]")
    axes.set_ylabel(f"share of {of}")
    axes.set_ylim(0, 1.02)
    drawing.grid(axes)
    return scale, unit


def _latency(title: str, series: Sequence[tuple[str, Ints]]) -> Chart:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        draw_cdf(axes, series, "delivered messages")
        drawing.legend(figure, axes)

    lines = len(series)
    return Chart("messages-latency", title, draw, lambda width: drawing.plane(width) + 0.1 * lines)


def _split(title: str, flows: Sequence[Flow]) -> Chart:
    scale, unit = drawing.unit_of(max(flow.latency.mean for flow in flows))
    places = range(len(flows))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        left = np.zeros(len(flows))
        for part, colour, hatch in _PARTS:
            means = np.array([getattr(flow, part).mean for flow in flows]) / scale
            axes.barh(
                places, means, left=left, label=part, color=colour, hatch=hatch,
                edgecolor="#000000", linewidth=0.6, height=0.6,
            )  # fmt: skip
            left += means
        names = [f"{flow.name}, {flow.kind}" for flow in flows]
        axes.set_yticks(places, drawing.fitted(names, figure.get_figwidth() / 2))
        axes.set_ylim(len(flows) - 0.5, -0.5)
        axes.set_xlabel(f"mean latency [{unit}]")
        drawing.legend(figure, axes)

    return Chart("messages-breakdown", title, draw, drawing.rows(len(flows)))


def _losses(lost: Mapping[str, int], sent: int) -> Chart:
    """Messages lost, by reason, of so many that were sent."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        bars = axes.barh(
            list(lost), list(lost.values()), color="#bdbdbd", edgecolor="#000000", height=0.6
        )
        texts = [f"{count:,} ({show.share(count, sent)})" for count in lost.values()]
        axes.bar_label(bars, labels=texts, padding=4)
        axes.set_ylim(len(lost) - 0.5, -0.5)
        axes.margins(x=0.25)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("messages lost")

    title = "Messages lost, by reason"
    return Chart("messages-lost", title, draw, drawing.rows(len(lost), legend=0))


def _chosen(flows: Sequence[Flow], some: Sequence[Flow]) -> list[Flow]:
    """Some of the flows, in the order of all."""
    return [flow for flow in flows if flow in some]


def _of(shown: Sequence[Flow], everything: Sequence[Flow]) -> str:
    if len(shown) == len(everything):
        return ""
    return f" (the {len(shown)} with most messages of {len(everything)})"


def _curve(values: Ints) -> tuple[Any, Any]:
    """Points of the cumulative distribution, from the least to the greatest value."""
    if len(values) <= _POINTS:
        x = np.sort(values).astype(float)
        return x, np.arange(1, len(x) + 1) / len(x)
    shares = np.linspace(0, 1, _POINTS)
    return np.quantile(values, shares), shares
