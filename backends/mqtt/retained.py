"""Retained messages, found in the order in which Mosquitto finds them.

They lie in a tree, a level of the topic in each level of the tree. Branches come in the order in
which they were made; a branch before what is below it with `#`, but behind that if it is the one
that `#` was put behind (`a` for `a/#`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .session import Message
from .settings import Dialect
from .subscriptions import levels_of


@dataclass(slots=True)
class _Branch:
    below: dict[str, _Branch] = field(default_factory=dict)
    message: Message | None = None


class Retained:
    """The last message of each topic.

    Args:
        dialect: in what versions of Mosquitto differ.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._forgets = dialect.forgets
        self._root = _Branch()

    def keep(self, message: Message) -> None:
        """Keep a message in place of the last one of its topic; an empty one deletes it."""
        levels = levels_of(message.topic)
        way = [self._root]
        for level in levels:
            way.append(way[-1].below.setdefault(level, _Branch()))
        deleted = way[-1].message is not None and not message.payload
        way[-1].message = message if message.payload else None
        if self._forgets == "all" or (deleted and self._forgets == "deleted"):
            while levels and not way[-1].below and way[-1].message is None:
                way.pop()
                del way[-1].below[levels.pop()]

    def matching(self, levels: list[str]) -> Iterator[Message]:
        """The messages of the topics that a filter matches, which is given by its levels."""
        yield from _search(self._root, levels, 0)


def _search(branch: _Branch, levels: list[str], at: int) -> Iterator[Message]:
    name, last = levels[at], at + 1 == len(levels)
    if name == "#" and last:
        for each in branch.below.values():
            if each.message is not None:
                yield each.message
            yield from _search(each, levels, at)
        return
    if name == "+":
        found = list(branch.below.values())
    else:
        found = [branch.below[name]] if name in branch.below else []
    for each in found:
        if not last:
            yield from _search(each, levels, at + 1)
        if each.message is not None and (last or _leads_to(each, levels, at)):
            yield each.message


def _leads_to(branch: _Branch, levels: list[str], at: int) -> bool:
    """Whether `#` below a branch means it, too: below `$...` only if there is something else."""
    return levels[at + 1] == "#" and (at > 0 or bool(branch.below))
