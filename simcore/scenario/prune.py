"""What is left of a scenario once all that is invalid has been taken out of it.

Plug-ins check references and combinations, and may rely on the shape their schema asks for.
So that one wrong unit does not hide a misspelt node elsewhere, the wrong parts are removed at
the smallest level that leaves a valid rest, and only then the plug-ins are asked. Removing an
item shifts the later ones of its list; `original` leads back to the places in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from simcore.plugins import Path as KeyPath


class Pruned:
    """The valid part of a scenario.

    Args:
        data: the whole scenario.
        invalid: paths of what is known to be wrong.
        wrong: paths, in the data it is given, of what a schema does not allow there.
    """

    def __init__(
        self, data: Any, invalid: Iterable[KeyPath], wrong: Callable[[Any], Iterable[KeyPath]]
    ) -> None:
        self._whole = data
        self._removed: set[KeyPath] = {path for path in invalid if path}
        self._kept: dict[KeyPath, list[int]] = {}
        self._rebuild()
        # A key that was removed may leave its mapping incomplete, which then goes as well.
        # Each pass removes something, and nothing is deeper than the reader allows.
        while more := {self.original(path) for path in wrong(self.data) if path} - self._removed:
            self._removed |= more
            self._rebuild()
        self._incomplete = {path[:end] for path in self._removed for end in range(len(path) + 1)}

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
            inside = kept is not None and isinstance(part, int) and 0 <= part < len(kept)
            found.append(
                kept[part] if kept is not None and inside and isinstance(part, int) else part
            )
        return tuple(found)

    def incomplete(self, path: KeyPath) -> bool:
        """Whether something at or under a path (of the rest) was removed."""
        return self.original(path) in self._incomplete
