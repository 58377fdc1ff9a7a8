"""Inferences in the summary of a run: how many, how well, how fast, and at what cost, by place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simcore.results import show
from simcore.results.inferences import PlaceFigures
from simcore.results.split import PARTS


class Rows(NamedTuple):
    """A table: columns that end in ` >` hold figures."""

    title: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]


def head(figures: Sequence[PlaceFigures], deadline: int | None, pending: int) -> str:
    """All inferences in a line.

    Args:
        figures: as `summarise` gives them.
        deadline: what counts as late, ns.
        pending: how many were under way when the run ended, and are not among them.
    """
    everything = figures[0]
    parts = [f"{everything.n:,}, {everything.answered:,} answered"]
    if everything.accuracy is not None:
        parts.append(f"accuracy {accuracy(everything)}")
    if everything.in_time is not None:
        within = show.share(everything.in_time, everything.n)
        parts.append(f"{within} within {show.time(deadline)}")
    if pending:
        parts.append(f"{pending:,} more under way at the end")
    return "; ".join(parts)


def tables(figures: Sequence[PlaceFigures]) -> list[Rows]:
    """The figures by place, and the mean split of the latency."""
    energy = any(each.energy is not None for each in figures)
    columns = ["place", "N >", "share >", "accuracy (95 %) >", "p50 >", "p95 >", "p99 >"]
    columns += ["energy >"] * energy + ["uplink >"]
    rows = []
    for each in figures:
        latency = each.latency
        times = [show.time(ns) for ns in (latency.p50, latency.p95, latency.p99)]
        row = [each.place, f"{each.n:,}", show.percent(each.share), accuracy(each), *times]
        rows.append([*row, *[show.energy(each.energy)] * energy, f"{each.uplink:,.1f} B"])
    answered = [each for each in figures if each.answered]
    split = [
        [each.place, *(show.time(each.split[part] or 0) for part in PARTS)] for each in answered
    ]
    return [
        Rows("Inferences by place of the answer", columns, rows),
        Rows("Mean latency split of inferences", ["place", *(f"{p} >" for p in PARTS)], split),
    ]


def accuracy(figures: PlaceFigures) -> str:
    """Accuracy with its interval, as `95 % (91 to 97.3)`."""
    share, interval = figures.accuracy, figures.interval
    if share is None or interval is None:
        return show.NOTHING
    low, high = (show.percent(bound).removesuffix(" %") for bound in interval)
    return f"{show.percent(share)} ({low} to {high})"
