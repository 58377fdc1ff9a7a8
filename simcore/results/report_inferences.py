"""The inferences of a run in its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simcore.results import inference_figures as draw
from simcore.results import show
from simcore.results.drawing import Chart
from simcore.results.inferences import PlaceFigures
from simcore.results.judged import Judged
from simcore.results.node_figure import timeline
from simcore.results.node_timeline import Moments
from simcore.results.page import Cells, Section, TableView


def section(run: Judged, moments: Moments) -> Section:
    """Where inferences were answered, how well, how fast and at what cost."""
    return Section("Inferences", [_places(run)], charts(run, moments))


def charts(run: Judged, moments: Moments) -> list[Chart]:
    """The charts of one run; those that have something to show."""
    places = [f for f in run.figures if f.answered and f.place != "all"]
    found = []
    if places:
        lines = [(f.place, run.latencies(f.place), f.n) for f in places]
        if len(places) > 1:
            lines.insert(0, ("all", run.latencies(), run.everything.n))
        deadlines = [] if run.deadline is None else [run.deadline]
        found.append(draw.latency(lines, by="place", deadlines=deadlines))
        bars = [(f.place, f.split) for f in (run.everything, *places)]
        found.append(draw.breakdown(bars[len(places) == 1 :], by="place"))
    if run.energies:
        chart = draw.energy(list(run.energies.items())[: draw.MOST], by="group")
        found.append(replace(chart, note=f"{chart.note} {_gap(run)}".strip()))
    if 0 < len(run.confusion.labels) <= draw.MOST:
        found.append(draw.confusion_matrix(run.confusion))
    return [*found, timeline(moments)]


def _places(run: Judged) -> TableView:
    rows = [_place(figures) for figures in run.figures]
    columns = (
        "place", "N", "share", "accuracy", "95 % interval", "p50", "p95", "p99", "in time",
        "bytes", "energy",
    )  # fmt: skip
    deadline = "no deadline is set" if run.deadline is None else show.time(run.deadline)
    note = (
        "Place: where the answer comes from that the device acts on. Accuracy with its Wilson "
        "score interval (Wilson 1927). p50 to p99: latency from the sample to that answer. "
        f"In time: share of all inferences, deadline: {deadline}. Bytes: of all messages of an "
        "inference, mean. Energy: of the device for one inference, mean."
    )
    note = f"{note} {_gap(run)}".strip()
    return TableView("Inferences", columns, rows, note=note)


def _gap(run: Judged) -> str:
    """What lacks of its energy, as a sentence; nothing if nothing does."""
    return "" if run.energy_gap is None else f"Energy is {run.energy_gap}."


def _place(figures: PlaceFigures) -> Cells:
    times = figures.latency
    return (
        figures.place,
        f"{figures.n:,}",
        show.percent(figures.share),
        *shown_accuracy(figures.accuracy, figures.interval),
        *(show.time(ns) for ns in (times.p50, times.p95, times.p99)),
        show.NOTHING if figures.in_time is None else show.share(figures.in_time, figures.n),
        f"{figures.size:.1f}",
        show.energy(figures.energy),
    )


def shown_accuracy(mean: float | None, interval: Sequence[float] | None) -> tuple[str, str]:
    """An accuracy and its interval."""
    if mean is None:
        return show.NOTHING, show.NOTHING
    shown = show.NOTHING if interval is None else " to ".join(map(show.percent, interval))
    return show.percent(mean), shown
