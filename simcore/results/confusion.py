"""How often each truth got each answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simcore.results.chains import Ints
from simcore.results.tables import has_rows

Labels = tuple[int | float | str, ...]

MOST_LABELS = 1000
"""Labels of a confusion matrix. Where answers are quantities, each is a label of its own."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each truth got each answer; nothing if there are more than `MOST_LABELS` of them.

    Attributes:
        labels: truths and answers that occur, sorted; numbers before names.
        counts: [truth][answer], in the order of `labels`.
    """

    labels: Labels = ()
    counts: Ints = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))

    @classmethod
    def counted(cls, counts: Iterable[tuple[Any, Any, int]]) -> Confusion:
        """The matrix of truths, answers, and how often each two of them came together."""
        counts = list(counts)
        found = {label for truth, answer, _ in counts for label in (truth, answer)}
        if len(found) > MOST_LABELS:
            return cls()
        labels = tuple(sorted(found, key=lambda label: (isinstance(label, str), label)))
        place = {label: place for place, label in enumerate(labels)}
        matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
        for truth, answer, count in counts:
            matrix[place[truth], place[answer]] += count
        return cls(labels, matrix)


def confusion(connection: sqlite3.Connection, place: str | None = None) -> Confusion:
    """The confusion matrix of the final answers, of all places or of one.

    Args:
        connection: the run's database.
        place: one of `PLACES`.
    """
    if not has_rows(connection, "inference"):
        return Confusion()
    rows = connection.execute(
        "SELECT truth, label, count(*) FROM inference WHERE truth IS NOT NULL "
        "AND label IS NOT NULL AND ended IS NOT NULL AND (? IS NULL OR place = ?) "
        "GROUP BY truth, label",
        (place, place),
    )
    return Confusion.counted(rows)
