"""Batteries: when one is empty, its node stops.

Nothing is an event of its own as long as a battery is far from its end. One entry of the calendar
stands half way to the instant at which it would be empty if nothing happened, and moves only when
what happens would empty it before that; until then, what happens is only taken off what may be
drawn meanwhile. In a run with free-running nodes no end can be known ahead
of their windows: there a battery is looked at at fixed times, so that the windows do not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.payload import freeze
from simcore.results.energy import LIFETIME

if TYPE_CHECKING:
    from simcore.federation import Federation

    from .meter import Meter

NEAR = 10**9
"""Time before the end (ns) from which on the entry stands at the very end."""
CHECK = 10**8
"""How often a battery is looked at in a run with free-running nodes, ns of virtual time."""


class Battery:
    """The battery behind a meter.

    Args:
        meter: of the node.
        capacity: aJ, multiplied by the scale of the meter's profile.
    """

    __slots__ = ("_armed", "_federation", "_grid", "_meter", "_slack", "capacity")

    def __init__(self, meter: Meter, capacity: int) -> None:
        self.capacity = capacity
        self._meter = meter
        self._federation = meter.node.federation
        self._armed = self._federation.end
        self._slack = 0
        self._grid = self._federation.windows is not None

    def left(self, now: int) -> int:
        """What it holds (aJ * scale); below 0 by what was drawn at once at its end."""
        meter = self._meter
        drawn = 0 if meter.born is None else meter.drawn(now)
        return self.capacity - meter.drawn_before - drawn

    def draw(self, now: int, energy: int) -> None:
        """Something was drawn at once (aJ * scale): see whether the end comes sooner for it."""
        self._slack -= energy
        if self._slack <= 0:
            self.look(now)

    def look(self, now: int) -> None:
        """See when it is empty if nothing more is sent, received or computed."""
        if self._grid:
            return
        left = self.left(now)
        end = self._empty_at(now, left)
        if end < self._armed:
            self._armed = armed = end if end - now <= NEAR else now + (end - now) // 2
            self._federation.at(armed, lambda: self._wake(armed))
        self._slack = left - self._drain(now, self._armed)

    def _empty_at(self, now: int, left: int) -> int:
        """When that is (ns), with so much left now."""
        if left <= 0:
            return now
        power, until, after = self._meter.ahead(now)
        if until is not None:
            whole = power * (until - now)
            if whole < left:
                left -= whole
                now, power = until, after
        return now - -left // power if power else self._federation.end

    def _drain(self, now: int, to: int) -> int:
        """What is drawn until then (ns) if nothing is sent, received or computed."""
        power, until, after = self._meter.ahead(now)
        if until is None or until >= to:
            return power * (to - now)
        return power * (until - now) + after * (to - until)

    def _wake(self, time: int) -> None:
        if time != self._armed:
            return  # another entry came before it
        self._armed = self._federation.end
        meter = self._meter
        if meter.born is None:
            return
        if self.left(time) <= 0:
            self._run_out(time)
        else:
            self.look(time)

    def check(self, now: int) -> bool:
        """Look at it at a time (ns) of the grid; whether it is to be looked at again."""
        if self._meter.born is not None and self.left(now) <= 0:
            self._run_out(now)
        return self.left(now) > 0

    def _run_out(self, now: int) -> None:
        node = self._meter.node
        detail = freeze({"joule": self._meter.joule(self.capacity)})
        self._federation.recorder.fault(now, "begin", "battery", node.name, detail)
        node.record(LIFETIME, now)
        node.crash()


def check_all(federation: Federation, batteries: list[Battery]) -> None:
    """Have the batteries of a run with free-running nodes looked at, every `CHECK`."""

    def check() -> None:
        now = federation.calendar.now
        batteries[:] = [battery for battery in batteries if battery.check(now)]
        again()

    def again() -> None:
        after = federation.calendar.now + CHECK
        if batteries and after < federation.end:
            federation.at(after, check)

    if federation.windows is not None:
        again()
