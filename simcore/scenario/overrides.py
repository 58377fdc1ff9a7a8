"""Options that change a scenario before it is checked: `--set`, `--seed`, `--until`.

An override puts its value, with the option as its place, into the tree that was read; from
there on it is checked like anything in the file, and a problem it causes names the option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simcore.errors import ScenarioError
from simcore.plugins import Path as KeyPath
from simcore.scenario.problems import Report, shorten
from simcore.scenario.reader import parse
from simcore.scenario.tree import Entry, Place, Tree, child, from_plain

SET = "--set"


def apply(
    tree: Tree, report: Report, overrides: Sequence[str], seed: int | None, until: str | None
) -> Tree:
    """The tree with all overrides in it, in the order given; `tree` itself stays as it is."""
    if not isinstance(tree.value, dict):
        return tree
    for text in overrides:
        tree = _set(tree, report, text)
    if seed is not None:
        tree = _put(tree, ("seed",), from_plain(seed, Place("--seed")))
    if until is not None:
        tree = _put(tree, ("duration",), from_plain(until, Place("--until")))
    return tree


def _set(tree: Tree, report: Report, text: str) -> Tree:
    name, equals, written = text.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        shown = repr(shorten(text, 60))
        report.add((), f"{shown} is no override: write KEY.KEY=VALUE", place=Place(SET))
        return tree
    try:
        document = parse(written, SET, option=True)
    except ScenarioError as error:
        report.add_all(replace(found, path=(*parts, *found.path)) for found in error.problems)
        return tree
    report.add_all(replace(found, path=(*parts, *found.path)) for found in document.problems)
    path = _resolve(tree, report, parts)
    return tree if path is None else _put(tree, path, document.tree)


def _resolve(tree: Tree, report: Report, parts: Sequence[str]) -> KeyPath | None:
    """The path with list indices as numbers; None, and a problem, if it leads nowhere."""
    path: list[str | int] = []
    here = tree
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        key: str | int = part
        if isinstance(here.value, list) and part.isascii() and part.isdigit() and len(part) < 7:
            key = int(part)
        found = child(here, key)
        if found is None and not (last and isinstance(here.value, dict)):
            _report_missing(report, here, tuple(path), parts[position:])
            return None
        path.append(key)
        if found is not None:
            here = found.value
    return tuple(path)


def _report_missing(report: Report, here: Tree, path: KeyPath, rest: Sequence[str]) -> None:
    part = rest[0]
    candidates: list[str] = []
    if isinstance(here.value, dict):
        candidates = list(here.value)
        spelt = ".".join(rest) + "."
        if any("." in key and spelt.startswith(key + ".") for key in candidates):
            message = "keys that contain a dot cannot be addressed; change the file"
        else:
            message = f"there is no {shorten(part, 60)!r} to set something in; set it as a whole"
    elif isinstance(here.value, list):
        count = len(here.value)
        indices = f"0 to {count - 1}" if count else "none, it is empty"
        message = f"{shorten(part, 60)!r} is no index of this list: {indices}"
    else:
        message = f"{shorten(part, 60)!r} cannot be set in a value that is no mapping or list"
    report.add((*path, part), message, place=Place(SET), word=part, candidates=candidates)


def _put(tree: Tree, path: KeyPath, value: Tree) -> Tree:
    """A copy of `tree` with `value` under `path`, sharing all the rest (aliases share, too)."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    found = child(tree, part)
    below = _put(found.value if found else tree, rest, value)
    if isinstance(tree.value, list) and isinstance(part, int):
        items = list(tree.value)
        items[part] = below
        return replace(tree, value=items)
    key = found.key if found and rest else value.place
    return replace(tree, value={**tree.value, part: Entry(key, below)})
