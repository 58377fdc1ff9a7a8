"""Energy: what nodes draw, and batteries that end them.

Extension `energy:` of a scenario. Models that take part in it call `enter` and `left` from here;
in a scenario without `energy:` both do nothing, so that a model need not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.units import duration

from .extension import Energy, meter_of

if TYPE_CHECKING:
    from simcore.node import Node

__all__ = ["Energy", "enter", "left"]


def enter(node: Node, state: str, time: str | int | None = None) -> None:
    """Have a node be in a power state from now on.

    Args:
        node: the model's own; nothing happens if the scenario says nothing of its energy.
        state: one of `states` of the node's entry, or `idle` or `active`.
        time: for how long, as "80ms" or an int of ns; then it is again in the state that was last
            entered without a time, `idle` at first. None: until another is entered.

    Raises:
        ModelError: the node's entry has no such state.
        UnitError: not a duration.
    """
    meter = meter_of(node)
    if meter is not None and not node.down:
        meter.enter(state, node.now, None if time is None else duration(time))


def left(node: Node) -> float | None:
    """What a node's battery still holds now, J; None for a node without one.

    In a run with free-running nodes instructions count up to the window that was last collected.
    """
    meter = meter_of(node)
    if meter is None or meter.battery is None:
        return None
    return meter.joule(max(0, meter.battery.left(node.now)))
