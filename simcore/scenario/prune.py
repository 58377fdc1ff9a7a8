"""What is left of a scenario once all that is invalid has been taken out of it.

Plug-ins check references and combinations. So that one wrong unit does not hide a misspelt
node beside it, the wrong values are removed at the smallest level, and only then the plug-ins
are asked: what they get is of the shape that the schema asks for, except that keys may be
absent. Removing an item shifts the later ones of its list; `original` leads back to the places
in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from simcore.plugins import Path as KeyPath
from simcore.scenario.words import Finding


class Pruned:
    """The valid part of a scenario.

    Args:
        data: the whole scenario.
        invalid: paths of what is known to be wrong.
        wrong: what a schema does not allow in the data it is given.
    """

    def __init__(
        self, data: Any, invalid: Iterable[KeyPath], wrong: Callable[[Any], Sequence[Finding]]
    ) -> None:
        self._whole = data
        self._removed: set[KeyPath] = {path for path in invalid if path}
        self._kept: dict[KeyPath, list[int]] = {}
        self._rebuild()
        # What was removed may leave a list too short or an alternative unmet, which then go
        # as well. Each pass removes something, and nothing is deeper than the reader allows.
        while True:
            found = wrong(self.data)
            more = {self.original(item.path) for item in found if item.path and not item.missing}
            if more <= self._removed:
                break
            self._removed |= more
            self._rebuild()
        absent = {(*self.original(item.path), key) for item in found for key in item.missing}
        self._gone = self._removed | absent
        self._incomplete = {path[:end] for path in self._gone for end in range(len(path) + 1)}

    def _rebuild(self) -> None:
        self._kept = {}
        self.data: Any = self._copy(self._whole, (), ()) if self._removed else self._whole

    def _copy(self, value: Any, path: KeyPath, new: KeyPath) -> Any:
        if isinstance(value, dict):
            return {
                key: self._copy(item, (*path, key), (*new, key))
                for key, item in value.items()
                if (*path, key) not in self._removed
            }
        if isinstance(value, list):
            kept = [index for index in range(len(value)) if (*path, index) not in self._removed]
            if len(kept) < len(value):
                self._kept[new] = kept
            return [
                self._copy(value[index], (*path, index), (*new, position))
                for position, index in enumerate(kept)
            ]
        return value

    def original(self, path: KeyPath) -> KeyPath:
        """The path in the whole scenario of what `path` leads to in the rest."""
        if not self._kept:
            return path
        found: list[str | int] = []
        for position, part in enumerate(path):
            kept = self._kept.get(path[:position])
            if kept is not None and isinstance(part, int) and 0 <= part < len(kept):
                found.append(kept[part])
            else:
                found.append(part)
        return tuple(found)

    def incomplete(self, path: KeyPath) -> bool:
        """Whether something at, around or under a path (of the rest) was removed or is missing."""
        path = self.original(path)
        around = any(path[:end] in self._gone for end in range(1, len(path)))
        return around or path in self._incomplete
