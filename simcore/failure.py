"""The one report of a participant that failed: what happened, and what is known about it.

Who reads it may never have seen the program that failed. So it names the participant, what was
asked of it, what it answered last, what became of its process, what it printed, and who was
waiting for whom.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from simcore.errors import ParticipantError
from simcore.units import show_exact

if TYPE_CHECKING:
    from simcore.message import Message
    from simcore.remote import Remote

_LISTED = 3


class Phase(NamedTuple):
    """What simcore waits for, for reports.

    Attributes:
        to: what the participant is to do, as in "waits for meter to answer".
        before: what it has not come to, as in "exited before it answered".
    """

    to: str
    before: str


CONNECTING = Phase("to connect", "it was ready")
READYING = Phase("to be ready", "it was ready")
READING = Phase("to take the ADVANCE", "it took the ADVANCE")
ANSWERING = Phase("to answer", "it answered")
PARTING = Phase("to say BYE", "it said BYE")
ENDING = Phase("to end", "it ended")


@dataclass(slots=True)
class Exchange:
    """One ADVANCE and its DONE.

    Attributes:
        seq: its number.
        at: virtual time of the run when it began, ns.
        until: how far the participant was let go, ns.
        inputs: what was handed over; emptied when it is answered.
        begun: wall time at which it began (ns of `time.perf_counter_ns`).
        outputs: number of messages in the answer.
    """

    seq: int
    at: int
    until: int
    inputs: Sequence[Message]
    begun: int
    outputs: int = 0


def report(remote: Remote, rule: str, what: str) -> ParticipantError:
    """Tell all that is known about a participant that failed.

    Args:
        remote: the participant.
        rule: what it broke.
        what: what happened; its first line names the participant.
    """
    federation, outside = remote.federation, remote.outside
    now = federation.calendar.now
    pending = None if remote.exchange is None else _pending(remote.exchange)
    last = None if remote.last is None else _answered(remote.last)
    running = remote.running
    process = "was not started" if running is None else running.describe()
    log = [] if running is None else running.tail()
    waiting = _waiting(remote, now)
    first, *more = what.splitlines()
    lines = [
        f"{first} (rule: {rule})",
        *more,
        f"  pending: {pending or 'no ADVANCE'}",
        f"  last DONE: {last or 'none'}",
        f"  process: {process}",
        f"  waiting: {waiting}",
        *(f"  refused: {each}" for each in outside.listener.refused[-_LISTED:]),
    ]
    if log and more and log[-1].strip() == more[-1].strip():  # one and the same traceback
        lines.append(f"  log: ends with the same, {outside.log_of(remote.name)}")
    elif log:
        lines += [f"  last lines of {outside.log_of(remote.name)}:", *(f"    {x}" for x in log)]
    else:
        lines.append("  log: it printed nothing")
    if remote.advice is not None and (advice := remote.advice(remote.phase, rule)) is not None:
        lines.append(f"  advice: {advice}")
    node = remote.nodes[0] if remote.nodes and remote.kind != "network" else None
    return ParticipantError(
        "\n".join(lines), node, now,
        remote.name, rule, pending, last, process, log, waiting,
    )  # fmt: skip


def _pending(exchange: Exchange) -> str:
    count = len(exchange.inputs)
    names = _some([message.id for message in exchange.inputs])
    given = f"{count} input{'s' if count != 1 else ''}{f' ({names})' if names else ''}"
    since = (time.perf_counter_ns() - exchange.begun) / 1e9
    return (
        f"ADVANCE {exchange.seq} until {show_exact(exchange.until)} with {given}, "
        f"sent {since:.3f} s ago"
    )


def _answered(exchange: Exchange) -> str:
    count = exchange.outputs
    return (
        f"DONE {exchange.seq} for {show_exact(exchange.until)} with {count} "
        f"output{'s' if count != 1 else ''}"
    )


def _waiting(remote: Remote, now: int) -> str:
    """Who was waiting for whom."""
    text = f"the run, at {show_exact(now)}, waits for {remote.name} {remote.phase.to}"
    others = [each for each in remote.outside.participants if each is not remote]
    under_way = [each.name for each in others if each.exchange is not None]
    if under_way:
        text += f"; let go as well and not asked yet: {_some(under_way)}"
    idle = len(others) - len(under_way)
    if idle:
        text += f"; {idle} other participant{'s wait' if idle != 1 else ' waits'} for the run"
    return text


def _some(names: Iterable[str]) -> str:
    """A few of many names."""
    found = list(names)
    more = len(found) - _LISTED
    return ", ".join(found[:_LISTED]) + (f" and {more} more" if more > 0 else "")
