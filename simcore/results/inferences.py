"""What became of each inference: where it was answered and why, what it took and what it cost.

An *inference* is one image of one device. Its latency runs from the instant at which the picture
was taken to the one at which the device had its final answer, and is split into `PARTS`, which add
up to it exactly; `simcore.results.split` says what each is.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.results.chains import Ints, Messages
from simcore.results.inference_energy import spent
from simcore.results.metrics import Spread, spread
from simcore.results.split import COSTS, PARTS, Split, split
from simcore.results.statistics import wilson_interval
from simcore.results.store import snapshot
from simcore.results.tables import UNDER_WAY, has_rows
from simcore.units import duration

PLACES = ("device", "edge", "cloud")
NONE = -1
"""Of a time or a truth value: there is none."""

_ROW = np.dtype(
    [
        ("node", "i4"),
        ("n", "i8"),
        ("sampled", "i8"),
        ("sent", "i8"),
        ("ended", "i8"),
        ("place", "i1"),
        ("right", "i1"),
        ("own_right", "i1"),
        ("computed", "i1"),
        ("pending", "?"),
        ("confidence", "f8"),
        ("request", "i8"),
        ("answer_source", "i8"),
        ("answer_number", "i8"),
    ]
)
# The order of writing, so that every reader has the same rows at the same places.
_SELECT = f"""
    SELECT node, n, sampled, sent, coalesce(ended, {NONE}),
           CASE place WHEN 'device' THEN 0 WHEN 'edge' THEN 1 WHEN 'cloud' THEN 2 ELSE {NONE} END,
           coalesce(label = truth, {NONE}), coalesce(own = truth, {NONE}),
           own IS NOT NULL, coalesce(reason = '{UNDER_WAY}' AND ended IS NULL, 0),
           coalesce(confidence, 'nan'), coalesce(request, {NONE}),
           coalesce(answer_source, {NONE}), coalesce(answer_number, {NONE})
    FROM inference i {{}} ORDER BY i.rowid
"""
_CHOSEN = "JOIN temp.chosen c ON c.source = i.node AND c.number = i.request"


@dataclass(frozen=True, slots=True)
class Inferences:
    """Every inference of a run, as columns of equal length; times in ns, sizes in bytes.

    Attributes:
        nodes: names of the run's nodes by their ids.
        node: id of the device.
        n: which image of the device, from 1.
        sampled: when the picture was taken.
        sent: when the device sent its message, with its own answer or the picture.
        ended: when the device had its final answer; `NONE` if it never had one.
        place: where the final answer comes from, as a place in `PLACES`; `NONE` without one.
        right: 1 if the final answer is the truth, 0 if not, `NONE` if there is no answer or truth.
        own_right: the same for the device's own answer.
        confidence: of the final answer, from 0 to 1; NaN where there is none.
        pending: whether it was under way when the run ended; no figure counts it.
        parts: each of `PARTS`; they add up to `latency`. 0 without an answer.
        messages: how many there were from the request to the answer, and its acknowledgement.
        size: bytes of these messages.
        uplink: bytes of those that the device sent.
        downlink: bytes of those that the device received.
        energy: what the device drew for it beyond being idle, in J; NaN where the device's is not
            counted, None if no device's is.
        drawn: all that the device drew in the run, shared evenly among its inferences, in J;
            likewise.
    """

    nodes: tuple[str, ...]
    node: NDArray[np.int32]
    n: Ints
    sampled: Ints
    sent: Ints
    ended: Ints
    place: NDArray[np.int8]
    right: NDArray[np.int8]
    own_right: NDArray[np.int8]
    confidence: NDArray[np.float64]
    pending: NDArray[np.bool_]
    parts: Mapping[str, Ints]
    messages: Ints
    size: Ints
    uplink: Ints
    downlink: Ints
    energy: NDArray[np.float64] | None = None
    drawn: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.node)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which of them have a final answer."""
        return np.not_equal(self.ended, NONE)

    @property
    def latency(self) -> Ints:
        """From the picture to the final answer; `NONE` without one."""
        return np.where(self.answered, self.ended - self.sampled, NONE)


def load(connection: sqlite3.Connection, *, chosen: bool = False) -> Inferences:
    """Every inference of a run, in the order in which they were written; none of most runs.

    Args:
        connection: the run's database, as `Run.connection`. A run that is being written is read
            once, in one consistent state.
        chosen: whether only those are wanted whose messages the temporary table `chosen` names.
    """
    with snapshot(connection):
        names = [name for (name,) in connection.execute("SELECT name FROM node ORDER BY id")]
        there = has_rows(connection, "inference")
        costs = None
        query = _SELECT.format(_CHOSEN if chosen else "")
        rows = np.fromiter(connection.execute(query) if there else (), dtype=_ROW)
        if there:
            found = split(rows, Messages(connection, chosen=chosen), connection)
            if not chosen:  # of some alone nobody knows their share
                costs = spent(connection, rows["node"], rows["computed"] > 0, found)
        else:
            nothing = np.zeros(0, dtype=np.int64)
            parts, numbers = dict.fromkeys(PARTS, nothing), dict.fromkeys(COSTS, nothing)
            found = Split(parts, numbers, nothing, nothing)
    return Inferences(
        nodes=tuple(names),
        **{column: rows[column].copy() for column in _KEPT},
        parts=found.parts,
        messages=found.costs["messages"],
        size=found.costs["size"],
        uplink=found.costs["uplink"],
        downlink=found.costs["downlink"],
        energy=None if costs is None else costs.energy,
        drawn=None if costs is None else costs.drawn,
    )


def rows(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """What the table `inferences` has beyond the database: parts and costs, None without them."""
    found = load(connection)
    nothing = np.ma.array(np.zeros(len(found)), mask=True)
    columns: list[NDArray[Any]] = [
        *(np.ma.array(found.parts[part], mask=~found.answered) for part in PARTS),
        *(getattr(found, cost) for cost in COSTS),
        *(
            nothing if energy is None else np.ma.masked_invalid(energy)
            for energy in (found.energy, found.drawn)
        ),
    ]
    for begin in range(0, len(found), _CHUNK):
        some = slice(begin, begin + _CHUNK)
        yield from zip(*(column[some].tolist() for column in columns), strict=True)


_CHUNK = 50_000
_KEPT = (
    "node",
    "n",
    "sampled",
    "sent",
    "ended",
    "place",
    "right",
    "own_right",
    "confidence",
    "pending",
)


# --- in a handful of numbers ---


def deadline_of(manifest: Mapping[str, Any]) -> int | None:
    """What counts as late in a run (ns), as its scenario says; None if it says nothing."""
    placement = (manifest.get("resolved") or {}).get("placement") or {}
    return duration(placement["deadline"]) if "deadline" in placement else None


@dataclass(frozen=True, slots=True)
class PlaceFigures:
    """The inferences that were answered at one place, or all of them.

    Attributes:
        place: one of `PLACES`; "none" of those without an answer; "all".
        n: how many.
        share: of all inferences, from 0 to 1.
        answered: how many have a final answer.
        judged: how many have a final answer and a truth to hold it against.
        right: how many of those are right.
        latency: of those with an answer, ns.
        split: mean of each of `PARTS` over those with an answer, ns.
        in_time: how many had their answer within the deadline; None without a deadline.
        messages, size, uplink, downlink: means over all of them: messages, bytes.
        energy: mean of what the device drew for one beyond being idle, over those of devices
            whose energy is counted, J; None if there are none.
        drawn: mean of all that devices drew, shared among their inferences, J; None likewise.
    """

    place: str
    n: int
    share: float
    answered: int
    judged: int
    right: int
    latency: Spread
    split: Mapping[str, float]
    in_time: int | None
    messages: float
    size: float
    uplink: float
    downlink: float
    energy: float | None
    drawn: float | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of right answers among those that could be judged; None if none could."""
        return self.right / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval of the accuracy."""
        return wilson_interval(self.right, self.judged) if self.judged else None


def summarise(inferences: Inferences, *, deadline: int | None = None) -> tuple[PlaceFigures, ...]:
    """Figures of all inferences that are over, then of each place where some were answered.

    Args:
        inferences: of one run.
        deadline: what counts as late, ns.

    Returns:
        `all` first, then those of `PLACES` and `none` that occur; empty without inferences.
    """
    over = ~inferences.pending
    if not over.any():
        return ()
    found = [_figures("all", over, inferences, deadline)]
    for place, name in (*enumerate(PLACES), (NONE, "none")):
        chosen = over & (inferences.place == place)
        if chosen.any():
            found.append(_figures(name, chosen, inferences, deadline))
    return tuple(found)


def _figures(
    place: str, chosen: NDArray[np.bool_], inferences: Inferences, deadline: int | None
) -> PlaceFigures:
    n = int(np.count_nonzero(chosen))
    answered = chosen & inferences.answered
    latency = inferences.latency[answered]
    judged = inferences.right[answered]
    means = {cost: float(getattr(inferences, cost)[chosen].mean()) for cost in COSTS}
    return PlaceFigures(
        place=place,
        n=n,
        share=n / int(np.count_nonzero(~inferences.pending)),
        answered=len(latency),
        judged=int(np.count_nonzero(judged != NONE)),
        right=int(np.count_nonzero(judged == 1)),
        latency=spread(latency),
        split={
            part: float(values[answered].mean()) if len(latency) else float("nan")
            for part, values in inferences.parts.items()
        },
        in_time=None if deadline is None else int(np.count_nonzero(latency <= deadline)),
        energy=_mean(inferences.energy, chosen),
        drawn=_mean(inferences.drawn, chosen),
        **means,
    )


def _mean(values: NDArray[np.float64] | None, chosen: NDArray[np.bool_]) -> float | None:
    """Mean of those that are known; None if none is."""
    if values is None:
        return None
    known = _known(values[chosen])
    return float(known.mean()) if len(known) else None


def _known(values: NDArray[Any]) -> NDArray[Any]:
    """Those that are a number."""
    known: NDArray[Any] = values[~np.isnan(values)]
    return known


def measured(
    inferences: Inferences, measure: str, *, place: str | None = None, deadline: int | None = None
) -> NDArray[Any] | None:
    """A measure of those inferences that have an answer, of one place or of all.

    Args:
        inferences: of one run.
        measure: `latency`, one of `PARTS` (ns), `size`, `uplink`, `downlink` (bytes), `energy` (J),
            `confidence`, the last two of those where it is known; `right` of those that can be
            judged; of all of them, answered or not,
            `placed` (at the place) and, of the place, `in_time`.
        place: one of `PLACES`; None for all.
        deadline: what counts as late, ns.

    Returns:
        None if nothing is known of it: no truth, no deadline, no energy.
    """
    over = ~inferences.pending
    of_place = over & (inferences.place == PLACES.index(place)) if place else over
    answered = inferences.answered & of_place
    if measure == "placed":
        return of_place[over]
    if measure == "in_time":
        if deadline is None:
            return None
        return (inferences.answered & (inferences.latency <= deadline))[of_place]
    if measure == "right":
        known = (inferences.right != NONE) & answered
        return inferences.right[known] if known.any() else None
    if measure in PARTS:
        return inferences.parts[measure][answered]
    values: NDArray[Any] | None = getattr(inferences, measure)
    return None if values is None else _known(values[answered])


def pareto(points: Sequence[Sequence[float | None]]) -> list[bool]:
    """Which points are not beaten: none of the others is better in one cost and worse in none.

    Args:
        points: the costs of each, of which less is better: an accuracy goes in with its sign
            changed. A cost that any point lacks (None or NaN) says nothing about any of them.
    """
    columns = [
        column
        for column in zip(*points, strict=True)
        if all(cost is not None and not math.isnan(cost) for cost in column)
    ]
    rows = list(zip(*columns, strict=True)) or [()] * len(points)

    def beats(one: Sequence[Any], other: Sequence[Any]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    return [not any(beats(other, row) for other in rows) for row in rows]
