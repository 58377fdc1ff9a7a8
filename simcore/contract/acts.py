"""How the rules of conduct are examined: each by a start of the program, or a part of one.

An act drives the program in its own way. Whatever goes wrong in it, and did not in the plain
exchange, counts as a breach of the rule that the act is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from simcore.contract.driving import aligned, drive, window_of
from simcore.contract.plan import Arrival, Post, Sample
from simcore.contract.sending import Manner
from simcore.contract.session import Session

HARD: dict[str, Any] = {
    "text": '"type":"ERROR", {{[\\" \x7f\x00 \r\n\t ü € 😀 \u2028 \ufeff } ] \\',
    "numbers": [
        2**53 - 1, -(2**53) + 1, 0, 1.5, 1e300, -1e-300, 5e-324, 0.1, -0.0, 123456789012345680.0,
    ],
    "bytes": bytes(range(256)),
}  # fmt: skip
"""Values that are easily got wrong."""

_DEEP = 50
_LONG = 2**20
_MANY = 1000
_LATE = 4_503 * 10**12
"""Nearly 2^52 ns, and a multiple of every grain that is a round number."""


class NotExamined(Exception):
    """A rule cannot be examined with this program; the text says why."""


class Variation(NamedTuple):
    """The plain exchange once more, in another manner: the answers have to be the same.

    Attributes:
        rule: what it examines.
        manner: how simcore behaves.
        exact: whether the frames have to be equal, or only what they bring about.
    """

    rule: str
    manner: Manner
    exact: bool = True


VARIATIONS = (
    Variation("repeatable", Manner()),
    Variation("pace", Manner(pauses=frozenset((0, 3)))),
    Variation("pieces", Manner(pieces=3)),
    Variation("unknown-field", Manner(extras=True)),
    Variation("split-window", Manner(cut=3), exact=False),
    Variation("keeps-inputs", Manner(batch=True), exact=False),
)


def exchange(session: Session, post: Post) -> None:
    """The plain exchange: what arrives is spread over the duration."""
    begin = session.now
    drive(session, post, session.plan.script(begin), begin + session.plan.duration)
    drain(session, post)


def drain(session: Session, post: Post) -> None:
    """Let a network go on until all is out; one that says `next` is null has lost the rest."""
    if session.kind == "network":
        drive(session, post, [], session.now + 50 * session.plan.duration)
        if session.inside and not session.wrong:
            left = ", ".join(list(session.inside)[:3])
            count = len(session.inside)
            session.note("fate", f"{count} messages never came out, nor were reported lost: {left}")


Item = Callable[[Session, Post], None]


def _hard(value: Any) -> Item:
    """A payload that is hard to read, in a message like the first sample."""

    def item(session: Session, post: Post) -> None:
        kind, payload = session.plan.sample(0)
        if isinstance(payload, dict):
            sample = Sample(kind, {**payload, "contract": value})
        else:
            sample = Sample("contract", {"contract": value})
        _hand(session, post, [sample])

    return item


def _hand(session: Session, post: Post, samples: list[Sample]) -> None:
    """Have messages arrive together, one step from now."""
    at = session.now + session.plan.step
    apart = 0 if session.kind == "reactive" else 1
    arrivals = [Arrival(at + number * apart, each) for number, each in enumerate(samples)]
    drive(session, post, arrivals, at + session.plan.step + len(samples))


def _many(session: Session, post: Post) -> None:
    samples = [session.plan.sample(number) for number in range(_MANY)]
    if session.kind == "network":
        at = session.now + session.plan.step
        messages = [post.message(Arrival(at + n, each)) for n, each in enumerate(samples)]
        session.advance(at + session.plan.step + _MANY, messages)
        drain(session, post)
    else:
        _hand(session, post, samples)
        _hand(session, post, samples[:1])  # it may still think of what is over


def _empty(session: Session, post: Post) -> None:
    """Up to the next instant that it announced, or the end of a window."""
    if session.kind == "free_running":
        session.advance(session.now + window_of(session))
    elif session.next is None:
        raise NotExamined("it announces no `next`, so it is never advanced without inputs")
    else:
        session.advance(session.next)


def _same_instant(session: Session, post: Post) -> None:
    _hand(session, post, [session.plan.sample(0)])
    instant = session.now if session.next is None else min(session.now, session.next)
    for number in (0, 1):
        arrival = Arrival(instant, session.plan.sample(number))
        session.advance(instant, [post.message(arrival)])


def _keeps_next(session: Session, post: Post) -> None:
    following = session.next
    if following is None or following <= session.now + 1:
        raise NotExamined("it announces no `next` ahead of the present instant")
    between = Arrival((session.now + following) // 2, Sample("contract", None))
    session.advance(between.at, [post.message(between)])
    if session.next is None:
        session.note("keeps-next", f"DONE: next is null, and was {following} before the input")


def _edges(session: Session, post: Post) -> None:
    begin, until = session.now, session.now + window_of(session)
    for window in (0, 1):
        length = window * (until - begin)
        edges = [Arrival(at + length, session.plan.sample(0)) for at in (begin, until - 1)]
        session.advance(until + length, [post.message(each) for each in edges])


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


ITEMS: dict[str, Item] = {
    "empty-advance": _empty,
    "same-instant": _same_instant,
    "keeps-next": _keeps_next,
    "window-edges": _edges,
    **{rule: _hard(value) for rule, value in HARD.items()},
    "nesting": _hard(_nested(_DEEP)),
    "long-line": _hard("x" * _LONG),
    "many-inputs": _many,
}
"""Rules that are examined one after the other in one session, as long as none is broken."""

NEEDS = {
    "large-times": "later-life",
    "split-window": "empty-advance",
    "keeps-inputs": "split-window",
}
"""Rules that say nothing about a program that breaks another one."""

NEEDS_INPUTS = frozenset(ITEMS) - {"empty-advance"} | {"keeps-inputs"}
"""Rules that cannot be examined in a program that nothing is sent to."""


def _later(time: int) -> Callable[[Session, Post], None]:
    def act(session: Session, post: Post) -> None:
        session.begin(time, life=2)
        exchange(session, post)

    return act


def _early_shutdown(session: Session, post: Post) -> None:
    session.begin()
    session.shut_down()


def _end_of_connection(session: Session, post: Post) -> None:
    session.begin()
    if session.plan.samples:
        _hand(session, post, [session.plan.sample(0)])
    session.leave()


def acts(grain: int, duration: int) -> dict[str, Callable[[Session, Post], None]]:
    """Rules that are examined by a start of their own.

    Args:
        grain: of the program's windows, ns.
        duration: of an exchange, ns.
    """
    return {
        "later-life": _later(aligned(3 * duration, grain)),
        "large-times": _later(aligned(_LATE, grain)),
        "early-shutdown": _early_shutdown,
        "end-of-connection": _end_of_connection,
    }
