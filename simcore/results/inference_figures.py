"""Figures of inferences: how long they took and on what, which were right, what they cost.

Each takes one run by places or several runs by what differs between them: a figure does not know
which.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simcore.results import drawing, show
from simcore.results.confusion import Confusion
from simcore.results.drawing import Chart
from simcore.results.figures import draw_cdf
from simcore.results.metrics import Ints
from simcore.results.split import PARTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 16
"""Lines, bars and points that a figure shows."""

_RESERVED = ("idle", "active", "tx", "rx")
"""Parts of the energy of every node; further ones are states of its own."""

_BESIDE = 40
"""Letters of labels that have room below a confusion matrix in one line."""

_TAIL = 20
"""How many times its median the slowest line may reach on an axis that is not logarithmic."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one way of placing inferences achieves.

    Attributes:
        name: what it is called in the legend.
        accuracy: share of right answers; None if nothing is known about the truth.
        interval: of the accuracy, 95 %.
        latency: mean, ns.
        reach: half the 95 % interval of the latency, ns; None without one.
        energy: of a device for each inference, J; None if the run counts none.
        efficient: no other point is better in one of the three and worse in none.
    """

    name: str
    accuracy: float | None
    interval: tuple[float, float] | None
    latency: float
    reach: float | None
    energy: float | None
    efficient: bool


def latency(series: Sequence[tuple[str, Ints, int]], *, by: str, deadlines: Sequence[int]) -> Chart:
    """Cumulative distribution of the latency.

    Args:
        series: of each line the name, the latencies (ns) of what was answered, none empty, and
            how many inferences there were.
        by: what the lines stand for.
        deadlines: ns; a line for each.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        lines = [(f"{name} (N = {total:,})", values) for name, values, total in series]
        totals = [total for *_, total in series]
        slowest = max(float(np.median(values)) for _, values in lines)
        tail = max(float(values.max()) for _, values in lines) > _TAIL * slowest
        scale, unit = draw_cdf(axes, lines, "inferences answered", totals, log=tail)
        for deadline in deadlines:
            axes.axvline(deadline / scale, color="#000000", linewidth=0.7, linestyle=(0, (1, 3)))
            axes.annotate(
                f"deadline {deadline / scale:g} {unit}", (deadline / scale, 0.02),
                xytext=(2, 0), textcoords="offset points", rotation=90, va="bottom", ha="left",
            )  # fmt: skip
        drawing.legend(figure, axes)

    extra = 0.12 * len(series)
    return Chart(
        "latency",
        f"Cumulative distribution of the latency of inferences, by {by}",
        draw,
        lambda width: drawing.plane(width) + extra,
        "From the sample to the answer that the device acts on; a line ends below 1 where some "
        "inferences never had one.",
    )


def breakdown(bars: Sequence[tuple[str, Mapping[str, float]]], *, by: str) -> Chart:
    """Mean latency, split into what it was spent on.

    Args:
        bars: name and split (ns, by part) of each.
        by: what the bars stand for.
    """
    scale, unit = drawing.unit_of(max(math.fsum(split.values()) for _, split in bars))
    return _stacks(
        "breakdown",
        f"Mean latency of inferences, by {by}, and what it was spent on",
        [(name, {part: ns / scale for part, ns in split.items()}) for name, split in bars],
        PARTS,
        f"mean latency [{unit}]",
    )


def energy(bars: Sequence[tuple[str, Mapping[str, float]]], *, by: str) -> Chart:
    """Energy of a node, split into what it was spent on.

    Args:
        bars: name and energy (J, by part) of each.
        by: what the bars stand for.
    """
    scale, unit = show.energy_unit(max(math.fsum(split.values()) for _, split in bars))
    own = dict.fromkeys(part for _, split in bars for part in split if part not in _RESERVED)
    chart = _stacks(
        "energy",
        f"Energy that a node spent during the run, by {by} and state",
        [(name, {part: joule / scale for part, joule in split.items()}) for name, split in bars],
        (*_RESERVED, *own),
        f"energy of a node [{unit}]",
    )
    return replace(chart, note=f"Means over the nodes. {chart.note}".strip())


def _stacks(
    name: str,
    title: str,
    bars: Sequence[tuple[str, Mapping[str, float]]],
    parts: Sequence[str],
    of: str,
) -> Chart:
    """Stacked bars, without the parts that could not be seen in any."""
    totals = [math.fsum(split.values()) for _, split in bars]
    least = max(totals) / 500
    lengths = {part: [split.get(part, 0.0) for _, split in bars] for part in parts}
    seen = {part: some for part, some in lengths.items() if max(some) > least}
    hidden = [part for part, some in lengths.items() if part not in seen and any(some)]
    note = f"Too short to be seen: {', '.join(hidden)}." if hidden else ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        names = drawing.fitted([bar for bar, _ in bars], figure.get_figwidth() / 2)
        drawing.stacked(axes, names, seen, totals, parts, of)
        drawing.legend(figure, axes)

    height = drawing.rows(len(bars), drawing.legend_rows(len(seen)))
    return Chart(name, title, draw, height, note)


def confusion_matrix(matrix: Confusion) -> Chart:
    """How often each truth was given each answer."""
    count = len(matrix.labels)
    total, right = int(matrix.counts.sum()), int(np.trace(matrix.counts))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        counts = matrix.counts.astype(float)
        # By row, so that a rare truth is judged like a frequent one.
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.pcolormesh(
            shares, cmap="Greys", vmin=0, vmax=1.25, edgecolors="#999999", linewidth=0.3
        )
        size = drawing.text_size() * min(1.0, 12 / max(count, 1)) * 0.9
        for truth, answer in itertools.product(range(count), repeat=2):
            if number := int(matrix.counts[truth, answer]):
                axes.text(
                    answer + 0.5, truth + 0.5, f"{number}", ha="center", va="center",
                    fontsize=size, color="#ffffff" if shares[truth, answer] > 0.6 else "#000000",
                )  # fmt: skip
        centres = np.arange(count) + 0.5
        names = drawing.fitted(matrix.labels, figure.get_figheight() / 3)
        # Side by side there is room for short ones only.
        upright = max(map(len, names)) * count > _BESIDE
        axes.set_xticks(centres, names, rotation=90 if upright else 0)
        axes.set_yticks(centres, names)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.set_xlabel("answer")
        axes.set_ylabel("truth")

    return Chart(
        "confusion",
        "How often each truth was given each answer",
        draw,
        lambda width: min(0.95 * width, 3.6),
        f"{right:,} of {total:,} answers are right; darker: a larger share of the truth's row.",
    )


def plane(points: Sequence[Point]) -> Chart:
    """Accuracy against latency and against energy, with the Pareto front of each.

    Args:
        points: at most `MOST`; those without an accuracy cannot be shown.
    """
    shown = [point for point in points if point.accuracy is not None]
    with_energy = any(point.energy is not None for point in shown)
    scale, unit = drawing.unit_of(max(point.latency for point in shown))
    energies = [point.energy for point in shown if point.energy is not None]
    small, small_unit = show.energy_unit(max(energies, default=0.0))

    def draw(figure: Figure) -> None:
        panels = 1 + with_energy
        beside = figure.get_figwidth() >= drawing.NARROW
        axes = figure.subplots(
            1 if beside else panels, panels if beside else 1, squeeze=False, sharey=beside
        ).flatten()
        costs = [(p.latency / scale, None if p.reach is None else p.reach / scale) for p in shown]
        _panel(axes[0], shown, costs)
        axes[0].set_xlabel(f"mean latency [{unit}]")
        if with_energy:
            paid = [(None if p.energy is None else p.energy / small, None) for p in shown]
            _panel(axes[1], shown, paid)
            axes[1].set_xlabel(f"energy of a device for each inference [{small_unit}]")
        for panel in axes[: 1 if beside else panels]:
            panel.set_ylabel("accuracy [%]")
        drawing.legend(figure, axes[0])

    def height(width: float) -> float:
        legend = 0.12 * len(shown)
        panels = 1 + (with_energy and width < drawing.NARROW)
        return (3.0 if width >= drawing.NARROW else 2.1 * panels) + legend

    what = "latency and of energy" if with_energy else "latency"
    return Chart(
        "pareto",
        f"Accuracy as a function of {what}",
        draw,
        height,
        "What lies below the Pareto front, or to its right, is beaten by a point on it. "
        + ("Filled: efficient in all three together. " if with_energy else "")
        + "Bars are 95 % intervals.",
    )


def _panel(
    axes: Axes, points: Sequence[Point], costs: Sequence[tuple[float | None, float | None]]
) -> None:
    """Accuracy against one cost; points without it are left out."""
    placed = []
    for place, (point, (cost, reach)) in enumerate(zip(points, costs, strict=True)):
        if cost is None or point.accuracy is None:
            continue
        y = 100 * point.accuracy
        placed.append((cost, y))
        low, high = (100 * bound for bound in point.interval or (point.accuracy,) * 2)
        grey = drawing.GREYS[place // len(drawing.MARKERS) % 2]
        axes.errorbar(
            [cost], [y], yerr=[[y - low], [high - y]], xerr=reach,
            color=grey, linestyle="none", elinewidth=0.6, capsize=1.5, zorder=3, clip_on=False,
        )  # fmt: skip
        axes.plot(
            [cost], [y], marker=drawing.MARKERS[place % len(drawing.MARKERS)], markersize=5,
            color=grey, markerfacecolor=grey if point.efficient else "#ffffff",
            linestyle="none", zorder=4, clip_on=False, label=drawing.entry(point.name),
        )  # fmt: skip
    axes.set_xlim(left=0)
    axes.margins(x=0.08, y=0.12)
    (_, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    front = _front(placed)
    # From the bottom to the right edge: everything on its other side is beaten.
    ends = [(front[0][0], bottom), *front, (right, front[-1][1])]
    axes.plot(
        *zip(*ends, strict=True), drawstyle="steps-post", color="#6a6a6a", linewidth=1.0,
        linestyle="--", zorder=2, label="Pareto front",
    )  # fmt: skip
    axes.set_xlim(0, right)
    axes.set_ylim(bottom, top)
    drawing.grid(axes)


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that have more than all that cost less, by cost."""
    found: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not found or gain > found[-1][1]:
            found.append((cost, gain))
    return found
