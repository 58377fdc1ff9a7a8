"""Drives a session through virtual time as a run would, each kind in its own way."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from simcore.contract.plan import Arrival, Post
from simcore.contract.session import Session
from simcore.errors import UsageError

_MOST = 10_000
"""Exchanges of a session, at most: a program with short periods needs a short duration."""

WINDOWS = 5
"""Into which the duration is cut."""


def drive(session: Session, post: Post, arrivals: Sequence[Arrival], end: int) -> None:
    """Let the program act up to a virtual time.

    Args:
        session: one that has begun.
        post: makes the messages.
        arrivals: what arrives on the way, in order.
        end: how far to go, ns; does not belong to it.
    """
    go = {"reactive": _react, "free_running": _run_free, "network": _carry}[session.kind]
    go(session, post, deque(arrivals), end)


def _react(session: Session, post: Post, arrivals: deque[Arrival], end: int) -> None:
    """At each instant at which something arrives, or that the program has announced."""
    while True:
        times = [] if session.next is None else [session.next]
        times += [arrivals[0].at] if arrivals else []
        instant = min(times, default=end)
        if instant >= end:
            break
        due = _due(arrivals, instant + 1)
        plan = session.plan
        if not due and plan.samples and instant != session.now:
            due = [_filling(session, instant)]
        session.advance(instant, [post.message(each) for each in due])
        _check_number(session)
    session.now = end


def _run_free(session: Session, post: Post, arrivals: deque[Arrival], end: int) -> None:
    """One window after the other, whose bounds are multiples of the grain."""
    window = window_of(session)
    while session.now < end:
        until = min(session.now + window, aligned(end, session.grain))
        due = _due(arrivals, until)
        if not due and session.plan.samples and session.manner.cut == 1:
            due = [_filling(session, (session.now + until) // 2)]
        session.advance(until, [post.message(each) for each in due])
        _check_number(session)


def _filling(session: Session, at: int) -> Arrival:
    """An input where there would be none: whether it can do without is a rule of its own."""
    return Arrival(at, session.plan.sample(len(session.exchanges)))


def window_of(session: Session) -> int:
    """Length of the windows of a session, ns."""
    length = session.plan.duration // WINDOWS // session.manner.cut
    return aligned(max(length, 1), session.grain)


def _carry(session: Session, post: Post, arrivals: deque[Arrival], end: int) -> None:
    """Up to the next message that enters, or the first delivery."""
    manner = session.manner
    while arrivals or (session.next is not None and session.next < end):
        first = arrivals[0].at if arrivals else end
        due: list[Arrival] = []
        until = end
        if manner.batch:
            due = _due(arrivals, end)
        elif session.next is not None and session.next < first:
            until = session.next + 1 if manner.cut > 1 else first
        else:
            due = _due(arrivals, first + 1)
            following = arrivals[0].at if arrivals else end
            until = first + 1 if manner.cut > 1 else following
        session.advance(max(until, session.now + 1), [post.message(each) for each in due])
        _check_number(session)
    session.now = max(session.now, end)


def _due(arrivals: deque[Arrival], until: int) -> list[Arrival]:
    due = []
    while arrivals and arrivals[0].at < until:
        due.append(arrivals.popleft())
    return due


def aligned(time: int, grain: int) -> int:
    """The first multiple of the grain that is not earlier, ns."""
    return -(-time // grain) * grain


def _check_number(session: Session) -> None:
    if len(session.exchanges) >= _MOST:
        raise UsageError(
            f"the program asks for more than {_MOST} exchanges within {session.plan.duration} ns: "
            "give a shorter --duration"
        )
