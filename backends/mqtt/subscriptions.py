"""Who has subscribed to what, found in the order in which Mosquitto finds it.

Filters lie in a tree, a level of the topic in each level of the tree. A topic is followed into the
branch of its own name first, then into `+`, then into `#`; below a branch comes before the branch
itself. The order matters because a client that several filters lead to is sent a message once, with
the QoS of the filter that was found first.

Shared subscriptions (`$share/NAME/FILTER`) lie in a tree of their own, which is searched last;
members of a group take turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .session import Session

Granted = dict[Session, int]
"""Subscribers of one filter and the QoS of each, in the order in which they came."""


@dataclass(slots=True)
class _Branch:
    below: dict[str, _Branch] = field(default_factory=dict)
    subscribers: Granted = field(default_factory=dict)
    groups: dict[str, Granted] = field(default_factory=dict)

    @property
    def bare(self) -> bool:
        return not (self.below or self.subscribers or self.groups)


def levels_of(topic: str) -> list[str]:
    """The levels of a topic or filter; those with `$` in front have a root of their own."""
    levels = topic.split("/")
    return levels if topic.startswith("$") else ["", *levels]


def split(text: str) -> tuple[str | None, list[str]]:
    """Of a filter: the name of the group that shares the subscription, if any, and its levels."""
    first, _, rest = text.partition("/")
    if first != "$share":
        return None, levels_of(text)
    group, _, text = rest.partition("/")
    return group, ["", *text.split("/")]


class Subscriptions:
    """All subscriptions of a broker."""

    def __init__(self) -> None:
        self._own, self._shared = _Branch(), _Branch()
        self._filters: dict[Session, dict[str, None]] = {}

    def add(self, session: Session, text: str, qos: int) -> None:
        """Subscribe, or change the QoS of a subscription."""
        group, levels = split(text)
        branch = self._own if group is None else self._shared
        for level in levels:
            branch = branch.below.setdefault(level, _Branch())
        granted = branch.subscribers if group is None else branch.groups.setdefault(group, {})
        granted[session] = qos
        self._filters.setdefault(session, {})[text] = None

    def remove(self, session: Session, text: str) -> None:
        """End a subscription, if there is one."""
        if self._filters.get(session, {}).pop(text, text) is None:
            self._take_out(session, text)

    def forget(self, session: Session) -> None:
        """End all subscriptions of a session."""
        for text in self._filters.pop(session, {}):
            self._take_out(session, text)

    def matching(self, topic: str) -> Iterator[tuple[Session, int]]:
        """Subscribers to a topic, with their QoS; one comes as often as it has subscribed."""
        levels = levels_of(topic)
        for root in (self._own, self._shared):
            yield from _search(root, levels, 0)

    def _take_out(self, session: Session, text: str) -> None:
        group, levels = split(text)
        branch = self._own if group is None else self._shared
        way = [branch]
        for level in levels:
            branch = branch.below[level]
            way.append(branch)
        if group is None:
            del branch.subscribers[session]
        else:
            del branch.groups[group][session]
            if not branch.groups[group]:
                del branch.groups[group]
        while levels and way.pop().bare:
            del way[-1].below[levels.pop()]


def _search(branch: _Branch, levels: list[str], at: int) -> Iterator[tuple[Session, int]]:
    if at < len(levels):
        for name in (levels[at], "+"):
            if (found := branch.below.get(name)) is not None:
                yield from _search(found, levels, at + 1)
                if at + 1 == len(levels):
                    yield from _subscribers(found)
    if (found := branch.below.get("#")) is not None:
        yield from _subscribers(found)


def _subscribers(branch: _Branch) -> Iterator[tuple[Session, int]]:
    for group in branch.groups.values():
        session, qos = next(iter(group.items()))
        del group[session]
        group[session] = qos
        yield session, qos
    yield from list(branch.subscribers.items())
