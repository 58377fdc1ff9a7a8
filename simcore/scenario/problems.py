"""What is wrong with a scenario, and where: one `Problem` for each thing to correct.

A person corrects a file fastest with all problems at once, each with its place and, for a
misspelt word, the word that was probably meant. Every check of the package reports in
terms of key paths; `Report` turns them into places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from simcore.plugins import Path as KeyPath
from simcore.scenario.tree import Place, Tree, keys_along, place_of

MAX_CANDIDATES = 1000
"""Words compared with a misspelt one; more would make a large broken file slow to refuse."""
MAX_SUGGESTIONS = 100
"""Problems of one file that get a suggestion, for the same reason."""
MAX_MESSAGE = 400
"""Characters of a message; longer ones are cut in the middle (a value may be 1 MiB long)."""

_PLAIN = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        path: keys and indices that lead to it, as `("network", "links", 0, "delay")`.
        message: what is wrong, in plain words.
        line: line in the file, counted from 1; None where there is no file.
        column: column in characters, counted from 1.
        file: the file, or the option (`--set`) that brought it in.
        suggestion: the word that was probably meant.
    """

    path: KeyPath
    message: str
    line: int | None = None
    column: int | None = None
    file: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        parts = [str(part) for part in (self.file, self.line, self.column) if part is not None]
        place = ":".join(parts)
        hint = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        text = ": ".join(part for part in (place, dotted(self.path), self.message) if part)
        return text + hint


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `network.links[0].delay`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            short = shorten(part, 100)
            # A key may hold anything, terminal escapes included.
            shown = short if _PLAIN.fullmatch(short) else json.dumps(short)
            text += f".{shown}" if text else shown
    return text


def shorten(text: str, limit: int = MAX_MESSAGE) -> str:
    """`text`, cut in the middle if it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` probably stands for, if one is close enough."""
    known = list(candidates)
    if len(known) > MAX_CANDIDATES:
        known = [name for name in known if name[:1] == word[:1] and abs(len(name) - len(word)) < 3]
    known = known[:MAX_CANDIDATES]
    folded = word.lower()
    for name in known:
        if name.lower() == folded and name != word:
            return name
    if len(word) > 100:
        return None
    close = get_close_matches(word, [name for name in known if name != word], n=1, cutoff=0.6)
    return close[0] if close else None


@dataclass(frozen=True, slots=True)
class _Found:
    problem: Problem
    word: str | None
    candidates: Sequence[str]


class Report:
    """Collects the problems of one scenario and gives each its place.

    Args:
        tree: the scenario with places, for problems told by their path.
        file: named where a path has no place of its own.
    """

    def __init__(self, tree: Tree | None, file: str) -> None:
        self._tree = tree
        self._file = file
        self._found: dict[tuple[KeyPath, str], _Found] = {}

    def add(
        self,
        path: KeyPath,
        message: str,
        *,
        place: Place | None = None,
        word: str | None = None,
        candidates: Sequence[str] = (),
        suggestion: str | None = None,
        at_key: bool = False,
        present: Sequence[str] = (),
    ) -> None:
        """Report one problem; a second one of the same path and message changes nothing.

        Args:
            path: where it is.
            message: what is wrong.
            place: line and column, if `path` does not say it.
            word: the word that is not known, to find what was meant among `candidates`.
            candidates: what could have been meant.
            suggestion: what was meant, where that is already known.
            at_key: the key itself is wrong, not its value.
            present: keys beside it, which an option may have meant to replace.
        """
        if place is None:
            place = place_of(self._tree, path, at_key=at_key) if self._tree else Place(self._file)
        if self._tree is not None and place.line is None:  # brought in by an option
            beside = [
                (key, place_of(self._tree, (*path[:-1], key), at_key=True)) for key in present
            ]
            candidates = [*candidates, *(key for key, where in beside if where != place)]
        problem = Problem(path, shorten(message), place.line, place.column, place.file, suggestion)
        self._found.setdefault((path, problem.message), _Found(problem, word, tuple(candidates)))

    def add_all(self, problems: Iterable[Problem]) -> None:
        """Take over problems that have their place already."""
        for problem in problems:
            self._found.setdefault((problem.path, problem.message), _Found(problem, None, ()))

    def problems(self) -> list[Problem]:
        """All problems: first those of the file from top to bottom, then those of options.

        What an alias or merge key repeats is one thing to correct, and named once.
        """
        ordered: dict[object, _Found] = {}
        for found in sorted(self._found.values(), key=self._order):
            problem = found.problem
            place = (problem.file, problem.line, problem.column)
            where = problem.path if problem.line is None else place
            ordered.setdefault((where, problem.message), found)
        return [
            _with_suggestion(found) if index < MAX_SUGGESTIONS else found.problem
            for index, found in enumerate(ordered.values())
        ]

    def _order(self, found: _Found) -> tuple[object, ...]:
        problem = found.problem
        keys = keys_along(self._tree, problem.path) if self._tree else ()
        return (
            problem.file != self._file,
            problem.file or "",
            problem.line or 0,
            problem.column or 0,
            [(key.line or 0, key.column or 0) for key in keys],
            problem.message,
        )


def _with_suggestion(found: _Found) -> Problem:
    if found.word is None or found.problem.suggestion is not None:
        return found.problem
    return replace(found.problem, suggestion=did_you_mean(found.word, found.candidates))
