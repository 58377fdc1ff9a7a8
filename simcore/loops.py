"""Loops that take no time: messages and timers that cause each other without end at one instant.

Counting alone would stop a thousand honest nodes that act at one instant. So what is counted
is how deep a message stands in a chain of causes at its instant, and the chain is kept.
"""

from __future__ import annotations

from simcore.errors import ZeroDelayLoop
from simcore.message import Message

MAX_DEPTH = 1000
"""Messages or timers that may cause each other at one instant before it counts as a loop."""


def loop_error(message: Message) -> ZeroDelayLoop:
    """What is said when messages without delay cause each other without end."""
    chain: list[str] = []
    seen: set[tuple[str, str, str]] = set()
    step: Message | None = message
    while step is not None:
        edge = (step.source, step.kind, step.destination)
        if edge in seen:
            break
        seen.add(edge)
        chain.append(f"{step.source} --{step.kind}--> {step.destination}")
        step = step.parent
    return ZeroDelayLoop(
        f"more than {MAX_DEPTH} messages without delay caused each other at one instant; "
        "give a link of this cycle a delay, or a node a pause:",
        cycle=chain[::-1],
        node=message.source,
        now=message.sent,
    )
