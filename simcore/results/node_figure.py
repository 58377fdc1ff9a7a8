"""The figure of one node's timeline: lanes for what it did, and for what it waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simcore.results import drawing, show
from simcore.results.drawing import Chart
from simcore.results.node_timeline import Image, Moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = {"device": "o", "edge": "s", "cloud": "^"}
_LOOKS = {
    "sampling": ("#ffffff", "////"),
    "sent": ("#000000", ""),
    "received": ("#b0b0b0", ""),
    "waiting": ("#ffffff", ""),
    "in a queue": ("#ffffff", "......"),
    "computing": ("#555555", ""),
    "fault": ("#ffffff", "xxxx"),
}
_Spans = Sequence[tuple[float, float]]


def timeline(found: Moments) -> Chart:
    """What one node did, lane by lane; where time is left out, the axis is cut."""
    scale, unit = drawing.unit_of(found.windows[-1][1])
    lanes = _lanes(found, scale)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(
            1, len(found.windows), sharey=True, squeeze=False,
            width_ratios=[end - begin for begin, end in found.windows],
        )[0]  # fmt: skip
        for axes, (begin, end) in zip(panels, found.windows, strict=True):
            for place, (_, fill) in enumerate(lanes):
                fill(axes, place)
            axes.set_xlim(begin / scale, end / scale)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="y", linewidth=0.3, color="#cccccc")
            axes.set_axisbelow(True)
            axes.ticklabel_format(axis="x", useOffset=False, style="plain")
            axes.locator_params(axis="x", nbins=max(2, 7 // len(panels)))
            axes.spines["left"].set_visible(axes is panels[0])
        names = drawing.fitted([name for name, _ in lanes], figure.get_figwidth() / 3)
        panels[0].set_yticks(range(len(lanes)), names)
        panels[0].set_ylim(len(lanes) - 0.5, -0.5)
        figure.supxlabel(f"virtual time [{unit}]", fontsize=drawing.text_size())
        drawing.legend(figure, *panels)

    count = len(found.images)
    title = f"What {show.label(found.node)} did for {count} image{'s' if count != 1 else ''}"
    cut = " The axis is cut between images." if len(found.windows) > 1 else ""
    note = (
        "Answers: circle from the device itself, square from the edge, triangle from the cloud; "
        "hollow if wrong; a cross where none came before the run ended. A cross on the radio: "
        f"lost.{cut}"
    )
    if found.faults:
        kinds = dict.fromkeys(f"{fault.kind} of {fault.target}" for fault in found.faults)
        note += f" Faults: {show.label(', '.join(kinds))}."
    return Chart("timeline", title, draw, drawing.rows(len(lanes), 3), note)


def _lanes(found: Moments, scale: float) -> list[tuple[str, Callable[[Axes, int], None]]]:
    """Name of each lane, and what puts it into the axes."""
    images = found.images
    waiting = [
        (i.sent, i.ended) for i in images if i.ended is not None and i.place not in (None, "device")
    ]
    lanes: list[tuple[str, Callable[[Axes, int], None]]] = [
        (found.node, lambda axes, y: _device(axes, y, images, scale)),
        ("radio", lambda axes, y: _radio(axes, y, found, scale)),
    ]
    if waiting:
        name = "waiting"
        lanes.append(("waits", lambda axes, y: _bars(axes, y, waiting, name, scale)))
    for node in dict.fromkeys(
        work.node for work in sorted(found.work, key=lambda w: w.tier != "edge")
    ):
        lanes.append((node, _worker(found, node, scale)))
    lanes.append(("answer", lambda axes, y: _answers(axes, y, found, scale)))
    if found.faults:
        lanes.append(("faults", lambda axes, y: _faults(axes, y, found, scale)))
    return lanes


def _bars(axes: Axes, y: int, times: Sequence[tuple[int, int]], name: str, scale: float) -> None:
    colour, hatch = _LOOKS[name]
    spans: _Spans = [(begin / scale, (end - begin) / scale) for begin, end in times]
    if spans:
        known = axes.get_legend_handles_labels()[1]
        axes.broken_barh(
            spans, (y - 0.3, 0.6), facecolor=colour, hatch=hatch, edgecolor="#000000",
            linewidth=0.5, label="_" if name in known else name,
        )  # fmt: skip


def _device(axes: Axes, y: int, images: Sequence[Image], scale: float) -> None:
    sampling = [(i.sampled, i.computing) for i in images]
    _bars(axes, y, sampling, "sampling", scale)
    computing = [(i.computing, i.sent) for i in images if i.computing < i.sent]
    _bars(axes, y, computing, "computing", scale)


def _radio(axes: Axes, y: int, found: Moments, scale: float) -> None:
    for outgoing, name in ((True, "sent"), (False, "received")):
        times = [(t.sent, t.at) for t in found.transits if t.outgoing is outgoing]
        _bars(axes, y, times, name, scale)
    lost = [t.at / scale for t in found.transits if not t.delivered]
    _marks(axes, y, lost, marker="x", markersize=6)


def _worker(found: Moments, node: str, scale: float) -> Callable[[Axes, int], None]:
    own = [work for work in found.work if work.node == node]

    def fill(axes: Axes, y: int) -> None:
        queued = [(w.begin, w.started) for w in own if w.started > w.begin]
        _bars(axes, y, queued, "in a queue", scale)
        _bars(axes, y, [(w.started, w.end) for w in own], "computing", scale)

    return fill


def _answers(axes: Axes, y: int, found: Moments, scale: float) -> None:
    for image in found.images:
        if image.ended is None or image.place is None:
            _marks(axes, y, [image.sent / scale], marker="x", markersize=5)
        else:
            _marks(
                axes, y, [image.ended / scale], marker=_MARKERS.get(image.place, "D"),
                markerfacecolor="#ffffff" if image.right is False else "#000000", markersize=5,
            )  # fmt: skip


def _faults(axes: Axes, y: int, found: Moments, scale: float) -> None:
    times = [(f.begin, found.windows[-1][1] if f.end is None else f.end) for f in found.faults]
    _bars(axes, y, times, "fault", scale)


def _marks(axes: Axes, y: int, at: Sequence[float], **look: Any) -> None:
    axes.plot(at, [y] * len(at), linestyle="none", color="#000000", zorder=3, **look)
