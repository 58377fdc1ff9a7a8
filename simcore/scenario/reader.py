"""YAML text to values with places, safe for any input.

PyYAML's loaders lose places, let a second key win over the first in silence, turn `2024-01-01`
into a date, and expand aliases without bound. This reader takes only PyYAML's event stream and
composes the values itself, without recursion and within fixed limits, so that a hostile or
broken file costs bounded time and memory and ends in problems, never in a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never

import yaml
from yaml import events

from simcore.errors import ScenarioError
from simcore.scenario.problems import Problem, did_you_mean, shorten
from simcore.scenario.scalars import resolve
from simcore.scenario.tree import Entry, Place, Tree

MAX_BYTES = 2**20
"""Size of a scenario file; more is a data file that the scenario should name instead."""
MAX_VALUES = 200_000
"""Values in a scenario once aliases and merge keys are expanded."""
MAX_DEPTH = 50
"""Levels of nesting, aliases expanded."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Document:
    """What was read: the values with their places, and what is wrong so far."""

    tree: Tree
    problems: list[Problem] = field(default_factory=list)


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, message: str, place: Place, suggestion: str | None = None) -> None:
        self.problem = Problem((), message, place.line, place.column, place.file, suggestion)
        super().__init__(message)


def read_file(path: Path) -> str:
    """The text of a scenario file; never reads more than the limit, whatever the file is.

    Raises:
        ScenarioError: it cannot be read, is too large, or is not UTF-8.
    """
    file = str(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        _fail(file, "there is no such file")
    except IsADirectoryError:
        _fail(file, "is a directory; name the scenario file in it")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        _fail(file, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(data) > MAX_BYTES:
        _fail(file, f"is larger than {MAX_BYTES // 2**20} MiB, the limit for a scenario")
    return decode(data, file)


def _fail(file: str, message: str, line: int | None = None, column: int | None = None) -> Never:
    raise ScenarioError([Problem((), message, line, column, file)])


def decode(data: bytes, file: str) -> str:
    """Bytes to text: UTF-8 with or without a byte order mark.

    Raises:
        ScenarioError: another encoding, with the place of the first wrong byte.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        _fail(file, "is UTF-16; save it as UTF-8", 1, 1)
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(data[: error.start].decode())
        wrong = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        _fail(file, wrong, line, column)


def _line_and_column(before: str) -> tuple[int, int]:
    lines = (before.removeprefix("\ufeff") + "x").splitlines()
    return len(lines), len(lines[-1])


def parse(text: str, file: str, *, option: bool = False) -> Document:
    """Read one YAML document.

    Args:
        text: the YAML text.
        file: named in problems.
        option: the text is the value of a command-line option: it has no lines to speak of,
            and may be empty.

    Raises:
        ScenarioError: nothing can be made of the text. What is wrong but leaves the rest
            readable (a duplicate key, a tag, ...) is in the document's `problems`.
    """
    composer = _Composer(file, option)
    try:
        tree = composer.compose(text)
    except _Refused as refused:
        raise ScenarioError([*composer.problems, refused.problem]) from None
    return Document(tree, composer.problems)


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come.

    `key_place` is None while a mapping waits for a key; a key that was refused leaves `key`
    None, and its value is read and forgotten.
    """

    tree: Tree
    anchor: str | None
    key: str | None = None
    key_place: Place | None = None
    merging: bool = False
    merges: list[Tree] = field(default_factory=list)
    merge_place: Place | None = None


class _Composer:
    """Composes one document from events."""

    def __init__(self, file: str, option: bool) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._option = option
        self._anchors: dict[str, Tree] = {}
        self._open_anchors: set[str] = set()
        self._stack: list[_Open] = []
        self._values = 0
        self._merged = 0
        self._root: Tree | None = None

    def compose(self, text: str) -> Tree:
        control = _CONTROL.search(text)
        if control is not None:
            line, column = _line_and_column(text[: control.start()])
            place = Place(self._file) if self._option else Place(self._file, line, column)
            code = ord(control.group())
            raise _Refused(f"the character U+{code:04X} cannot stand in YAML text", place)
        documents = 0
        for event in self._events(text):
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(
                        "a second document starts here; a scenario is one document",
                        self._place(event),
                    )
            else:
                self._take(event)
        if self._root is None and self._option:
            return Tree(None, Place(self._file))
        if self._root is None:
            raise _Refused("the file is empty", Place(self._file, 1, 1))
        return self._root

    def _events(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(self._file)
            if mark is not None and not self._option:
                place = Place(self._file, mark.line + 1, mark.column + 1)
            raise _Refused(_syntax(error, text), place) from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise _Refused(f"is not YAML: {error}", Place(self._file, 1, 1)) from None

    def _place(self, event: Any) -> Place:
        if self._option:
            return Place(self._file)
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _problem(self, message: str, place: Place) -> None:
        self.problems.append(Problem(self._path(), message, place.line, place.column, place.file))

    def _path(self) -> tuple[str | int, ...]:
        path: list[str | int] = []
        for frame in self._stack:
            if isinstance(frame.tree.value, list):
                path.append(len(frame.tree.value))
            elif frame.key is not None:
                path.append(frame.key)
        return tuple(path)

    def _take(self, event: Any) -> None:
        if isinstance(event, events.ScalarEvent):
            self._count(event)
            tree = self._anchored(self._scalar(event), event.anchor)
            self._attach(tree, merge=_is_merge(event))
        elif isinstance(event, events.AliasEvent):
            self._attach(self._alias(event))
        elif isinstance(event, (events.MappingStartEvent, events.SequenceStartEvent)):
            self._count(event)
            self._start(event)
        elif isinstance(event, (events.MappingEndEvent, events.SequenceEndEvent)):
            self._end()

    def _count(self, event: Any) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _Refused(f"holds more than {MAX_VALUES:,} values", self._place(event))

    def _anchored(self, tree: Tree, anchor: str | None) -> Tree:
        if anchor is not None:
            self._anchors[anchor] = tree
        return tree

    def _alias(self, event: Any) -> Tree:
        name, place = event.anchor, self._place(event)
        if name in self._open_anchors:
            raise _Refused(f"the alias *{name} stands inside what it names", place)
        if name not in self._anchors:
            hint = did_you_mean(name, self._anchors)
            raise _Refused(f"no anchor &{shorten(name, 60)} comes before this alias", place, hint)
        return self._anchors[name]

    def _start(self, event: Any) -> None:
        place = self._place(event)
        if len(self._stack) >= MAX_DEPTH:
            raise _Refused(f"is nested more than {MAX_DEPTH} levels deep", place)
        self._refuse_tag(event, place)
        mapping = isinstance(event, events.MappingStartEvent)
        tree = Tree({} if mapping else [], place, invalid=event.tag is not None)
        if event.anchor is not None:
            self._open_anchors.add(event.anchor)
        self._stack.append(_Open(tree, event.anchor))

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            tag = shorten(str(event.tag).replace("tag:yaml.org,2002:", "!!"), 60)
            self._problem(f"the tag {tag} is not allowed: a scenario holds plain values", place)

    def _end(self) -> None:
        frame = self._stack.pop()
        tree = frame.tree
        if isinstance(tree.value, dict):
            if frame.merges:
                self._merge(frame)
            parts = [entry.value for entry in tree.value.values()]
        else:
            parts = tree.value
        tree.size = 1 + sum(part.size for part in parts)
        tree.depth = 1 + max((part.depth for part in parts), default=0)
        if tree.size > MAX_VALUES:
            raise _Refused(
                f"holds more than {MAX_VALUES:,} values once its aliases are expanded", tree.place
            )
        if tree.depth + len(self._stack) > MAX_DEPTH + 1:
            raise _Refused(f"is nested more than {MAX_DEPTH} levels deep", tree.place)
        if frame.anchor is not None:
            self._open_anchors.discard(frame.anchor)
        self._attach(self._anchored(tree, frame.anchor))

    def _merge(self, frame: _Open) -> None:
        """Keys of merged mappings come first and give way: to one's own, and to earlier ones."""
        merged: dict[str, Entry] = {}
        for source in reversed(frame.merges):
            self._merged += len(source.value)
            if self._merged > MAX_VALUES:
                raise _Refused(
                    f"merge keys bring in more than {MAX_VALUES:,} values", frame.tree.place
                )
            merged.update(source.value)
        merged.update(frame.tree.value)
        frame.tree.value = merged

    def _attach(self, tree: Tree, merge: bool = False) -> None:
        if not self._stack:
            self._root = tree
            return
        frame = self._stack[-1]
        if isinstance(frame.tree.value, list):
            frame.tree.value.append(tree)
        elif frame.key_place is None:
            self._take_key(frame, tree, merge)
        else:
            self._take_value(frame, tree)

    def _take_key(self, frame: _Open, tree: Tree, merge: bool) -> None:
        key, place = tree.value, tree.place
        frame.key_place = place
        if tree.invalid:
            return
        if not isinstance(key, str):
            self._problem(f"a key must be text, got {_kind(tree)}", place)
            return
        first = frame.merge_place if merge else None
        if not merge and key in frame.tree.value:
            first = frame.tree.value[key].key
        if first is not None:
            where = (
                "" if first.line is None else f", first at line {first.line}, column {first.column}"
            )
            self._problem(f"the key {shorten(key, 60)!r} is given twice{where}", place)
            return
        frame.key, frame.merging = key, merge
        if merge:
            frame.merge_place = place

    def _take_value(self, frame: _Open, tree: Tree) -> None:
        if frame.key is not None and frame.key_place is not None:
            if frame.merging:
                self._take_merge(frame, tree)
            else:
                frame.tree.value[frame.key] = Entry(frame.key_place, tree)
        frame.key = frame.key_place = None
        frame.merging = False

    def _take_merge(self, frame: _Open, tree: Tree) -> None:
        sources = tree.value if isinstance(tree.value, list) else [tree]
        for source in sources:
            if isinstance(source.value, dict):
                frame.merges.append(source)
            elif not source.invalid:
                self._problem(
                    f"<< takes a mapping or a list of mappings, got {_kind(source)}", tree.place
                )

    def _scalar(self, event: Any) -> Tree:
        place = self._place(event)
        text = event.value
        self._refuse_tag(event, place)
        if event.tag is not None:
            return Tree(None, place, invalid=True)
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            self._problem("holds half of a surrogate pair, which is no character", place)
            return Tree(None, place, invalid=True)
        if not _is_unquoted(event):
            return Tree(text, place)
        try:
            return Tree(resolve(text), place)
        except ValueError as error:
            self._problem(str(error), place)
            return Tree(None, place, invalid=True)


def _is_merge(event: Any) -> bool:
    return event.value == "<<" and event.tag is None and _is_unquoted(event)


def _is_unquoted(event: Any) -> bool:
    return not event.style  # None from PyYAML's own parser, "" from libyaml


def _kind(tree: Tree) -> str:
    if isinstance(tree.value, dict):
        return "a mapping"
    if isinstance(tree.value, list):
        return "a list"
    if tree.value is None:
        return "nothing"
    if isinstance(tree.value, bool):
        return f"{str(tree.value).lower()}; quote it to make it text"
    return f"{shorten(repr(tree.value), 60)}; quote it to make it text"


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = str(error.problem or error.context or "cannot be read")
    if "cannot start any token" in problem and error.problem_mark is not None:
        line = text.splitlines()[error.problem_mark.line]
        first = line[error.problem_mark.column : error.problem_mark.column + 1]
        hint = (
            "indent with spaces, not tabs"
            if first == "\t"
            else f"quote text that begins with {first}"
        )
        return f"YAML syntax: {hint}"
    if "mapping values are not allowed" in problem:
        return "YAML syntax: a ':' where none can stand; quote text that holds ': '"
    if not (error.problem and error.context):
        return f"YAML syntax: {problem}"
    mark = error.context_mark
    since = f" that starts at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"YAML syntax: {problem} {error.context}{since}"
