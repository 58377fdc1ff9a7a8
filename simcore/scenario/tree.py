"""A scenario's values together with the places where they are written.

Checks work on plain data; only a problem needs its place. Keeping both in one tree, rather
than in a table by path, keeps memory proportional to the file even where aliases use the
same part many times, and lets an option such as `--set` replace a value and its place at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from simcore.plugins import Path as KeyPath


class Place(NamedTuple):
    """Where something is written; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None


class Entry(NamedTuple):
    """One key of a mapping."""

    key: Place
    value: Tree


@dataclass(slots=True)
class Tree:
    """A value and its place.

    Args:
        value: a scalar, a `dict` of `Entry`, or a `list` of `Tree`.
        place: where the value starts.
        invalid: the reader has reported it; nothing more is to be said about it.
        size: values in it, itself included, with aliases expanded.
        depth: levels of nesting, 1 for a scalar.
    """

    value: Any
    place: Place
    invalid: bool = False
    size: int = 1
    depth: int = 1


def child(tree: Tree, part: str | int) -> Entry | None:
    """The part of a mapping or list under a key or index, or None."""
    if isinstance(tree.value, dict) and isinstance(part, str):
        found: Entry | None = tree.value.get(part)
        return found
    if isinstance(tree.value, list) and isinstance(part, int) and 0 <= part < len(tree.value):
        item = tree.value[part]
        return Entry(item.place, item)
    return None


def place_of(tree: Tree, path: KeyPath, *, at_key: bool = False) -> Place:
    """The place of what `path` leads to, or of the nearest existing thing around it.

    A scalar's place is the scalar; that of a mapping or list under a key is its key, which is
    what one looks for in the file (a block mapping begins only on the line below).
    """
    entry = Entry(tree.place, tree)
    for part in path:
        found = child(entry.value, part)
        if found is None:
            return entry.key
        entry = found
    if at_key or isinstance(entry.value.value, (dict, list)):
        return entry.key
    return entry.value.place


def keys_along(tree: Tree, path: KeyPath) -> list[Place]:
    """The places of the keys that lead to `path`, as far as they exist."""
    places = []
    for part in path:
        found = child(tree, part)
        if found is None:
            break
        places.append(found.key)
        tree = found.value
    return places


def plain(tree: Tree) -> tuple[Any, set[KeyPath]]:
    """The data without places, and the paths of values that the reader refused (None there)."""
    invalid: set[KeyPath] = set()
    path: list[str | int] = []

    def build(part: Tree) -> Any:
        if part.invalid:
            invalid.add(tuple(path))
            return None
        if isinstance(part.value, dict):
            mapping = {}
            for key, entry in part.value.items():
                path.append(key)
                mapping[key] = build(entry.value)
                path.pop()
            return mapping
        if isinstance(part.value, list):
            items = []
            for index, item in enumerate(part.value):
                path.append(index)
                items.append(build(item))
                path.pop()
            return items
        return part.value

    return build(tree), invalid


def from_plain(value: Any, place: Place) -> Tree:
    """A tree of plain data that all stands in one place, as a value given by an option."""
    if isinstance(value, dict):
        entries = {key: Entry(place, from_plain(item, place)) for key, item in value.items()}
        return Tree(entries, place)
    if isinstance(value, (list, tuple)):
        return Tree([from_plain(item, place) for item in value], place)
    return Tree(value, place)
