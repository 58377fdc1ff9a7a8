"""Tree to verdict: an expectation held against the figures of a run.

What the run lacks never raises: it fails the expectation and says why, for the run itself
is complete and its results stay worth reading.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from simcore import units
from simcore.expect.tree import (
    COMPARISONS,
    ENERGY,
    PLAIN,
    RATE,
    RATIOS,
    SIZE,
    TIME,
    Count,
    Dimension,
    Expectation,
    Inferred,
    Literal,
    Negative,
    Node,
    Operation,
    Term,
    Value,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Figures(Protocol):
    """What an expectation asks of a run; `simcore.results.metrics.Metrics` answers."""

    def kinds(self) -> Sequence[str]:
        """Kinds of the messages that were sent, sorted."""

    def record_names(self) -> Sequence[str]:
        """Names of the measurements that were recorded, sorted."""

    def count(self, what: str, *, reason: str | None = None, kind: str | None = None) -> int:
        """How many messages were sent, delivered, lost or are in flight."""

    def series(self, name: str, *, kind: str | None = None) -> NDArray[np.int64]:
        """A part of the latency (ns) of each delivered message."""

    def record(self, name: str) -> NDArray[np.float64] | None:
        """Every value recorded under a name; None if some are texts."""

    def record_count(self, name: str) -> int:
        """How many values were recorded under a name, texts included."""

    def inferences(self, measure: str, *, place: str | None = None) -> NDArray[Any] | None:
        """A measure of inferences, or a truth value of `RATIOS`; None if the run has none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an expectation.

    `left` and `right` are the values of both sides (ns, bytes, bit/s or plain), None where
    they could not be computed; `explanation` is one line for people.
    """

    text: str
    passed: bool
    left: float | None
    right: float | None
    explanation: str


class _Undefined(Exception):
    """A value that the run does not have; the message says why."""


def evaluate(expectation: Expectation, figures: Figures) -> Outcome:
    """Hold an expectation against a run; never raises for what the run lacks.

    A kind or a measurement that never occurred, a division by zero and the percentile of
    nothing fail the expectation, with an explanation.
    """
    text = expectation.text.strip()
    left: float | None = None
    try:
        values = {term: _term(term, figures) for term in expectation.terms()}
        left = _number(expectation.left, values)
        right = _number(expectation.right, values)
    except _Undefined as reason:
        return Outcome(text, False, left, None, str(reason))
    passed = COMPARISONS[expectation.comparison](left, right)
    explanation = _explain(expectation, left, right, values, passed)
    return Outcome(text, passed, left, right, explanation)


def _explain(
    expectation: Expectation,
    left: float,
    right: float,
    values: dict[Term, float],
    passed: bool,
) -> str:
    def shown(node: Node, value: float) -> str:
        if isinstance(node, Literal):
            return str(node)
        return f"{node} = {show(value, expectation.dimension)}"

    sign = expectation.comparison if passed else f"is not {expectation.comparison}"
    sides = f"{shown(expectation.left, left)} {sign} {shown(expectation.right, right)}"
    inner = [
        f"{term} = {show(value, _term_dimension(term))}"
        for term, value in values.items()
        if term not in (expectation.left, expectation.right)
    ]
    return f"{sides} ({', '.join(inner)})" if inner else sides


def _term_dimension(term: Term) -> Dimension:
    if isinstance(term, Inferred):
        return term.dimension
    if isinstance(term, Count) or term.function == "count":
        return PLAIN
    return None if term.series == "record" else TIME


def show(value: float, dimension: Dimension) -> str:
    """A value for people, in the unit of its dimension."""
    if dimension == TIME:
        return units.show_duration(value, digits=6)
    if dimension == ENERGY:
        return units.show_si(value, "J", digits=6)
    unit = {SIZE: " B", RATE: " bit/s"}.get(dimension, "")
    return (
        f"{value:d}" if isinstance(value, int) and abs(value) < 10**18 else f"{value:.6g}"
    ) + unit


def _number(node: Node, values: dict[Term, float]) -> float:
    try:
        value = _compute(node, values)
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise _Undefined(f"{node} is too large to be computed")
    return value


def _compute(node: Node, values: dict[Term, float]) -> float:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Negative):
        return -_compute(node.operand, values)
    if not isinstance(node, Operation):
        return values[node]
    left, right = _compute(node.left, values), _compute(node.right, values)
    if node.operator == "+":
        return left + right
    if node.operator == "-":
        return left - right
    if node.operator == "*":
        return left * right
    if right == 0:
        raise _Undefined(f"division by zero: {node.right} is 0 in {node}")
    return left / right


def _term(term: Term, figures: Figures) -> float:
    if isinstance(term, Inferred):
        return _inferred(term, figures)
    if isinstance(term, Count):
        _check_seen(term.kind, figures.kinds(), "message of kind")
        return figures.count(term.what, reason=term.reason, kind=term.kind)
    if term.series == "record":
        _check_seen(term.name, figures.record_names(), "measurement")
        if term.function == "count":
            return figures.record_count(str(term.name))
        recorded = figures.record(str(term.name))
        if recorded is None:
            raise _Undefined(f"{term}: the values recorded as {term.name!r} are texts, not numbers")
        return _statistic(term, recorded)
    _check_seen(term.name, figures.kinds(), "message of kind")
    return _statistic(term, figures.series(term.series, kind=term.name))


_LACKS = {
    "right": "no answer can be judged: the scenario's placement has no 'truth', or nothing came",
    "in_time": "the scenario's placement has no 'deadline'",
    "energy": "the run counts no energy",
}


def _inferred(term: Inferred, figures: Figures) -> float:
    everything = figures.inferences("placed")
    if everything is None or len(everything) == 0:
        raise _Undefined(f"{term}: no inference occurred")
    values = figures.inferences(term.measure, place=term.place)
    if values is None:
        raise _Undefined(f"{term}: {_LACKS[term.measure]}")
    if len(values) == 0 and term.function != "count":
        where = f" at the {term.place}" if term.place else ""
        raise _Undefined(f"{term}: no inference was answered{where}")
    function = "mean" if term.function in RATIOS else term.function
    return _of(function, values)


def _check_seen(name: str | None, seen: Sequence[str], what: str) -> None:
    if name is None or name in seen:
        return
    near = difflib.get_close_matches(name, seen, n=1)
    listed = ", ".join(seen[:20]) + (f" and {len(seen) - 20} more" if len(seen) > 20 else "")
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise _Undefined(f"no {what} {name!r} occurred{hint}; seen: {listed or 'none'}")


def _statistic(term: Value, series: NDArray[Any]) -> float:
    if len(series) == 0 and term.function != "count":
        of_kind = f" of kind {term.name!r}" if term.name else ""
        raise _Undefined(f"{term}: no message{of_kind} was delivered")
    return _of(term.function, series)


def _of(function: str, series: NDArray[Any]) -> float:
    import numpy as np  # kept out of `validate`, which only parses

    if function == "count":
        return len(series)
    if function.startswith("p"):
        return float(np.percentile(series, int(function[1:])))
    value = getattr(np, function)(series).item()
    return float(value) if isinstance(value, float) else int(value)
