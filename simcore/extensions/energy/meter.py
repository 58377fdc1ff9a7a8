"""What one node draws: counters while the run goes on, energy when somebody asks.

Source of the sum: A. Dunkels, F. Osterlind, N. Tsiftes, Z. He, "Software-based on-line energy
estimation for sensor nodes", EmNets 2007. The processor is in one state at a time; a radio
transmits and receives beside it. Counters are whole bytes, nanoseconds and instructions, so what a
node draws is a function of what it did, and not of when anybody looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from simcore.errors import ModelError
from simcore.network import Path
from simcore.results.energy import Costs, EnergyRow

from .profile import Profile

if TYPE_CHECKING:
    from simcore.message import Message
    from simcore.node import Node

    from .battery import Battery

_REMEMBERED = 256
"""Computations of a node whose later outputs are known to be of them."""


class Meter:
    """Counts what a node does in its present life.

    Attributes:
        node: whose it is.
        profile: what that costs.
        battery: what ends the node; None: it is on the mains.
        drawn_before: by its former lives, aJ * scale.
    """

    __slots__ = (
        "_begun",
        "_calm",
        "_computed",
        "_last",
        "_rx",
        "_rx_count",
        "_since",
        "_start",
        "_state",
        "_states",
        "_tx",
        "_tx_count",
        "_until",
        "battery",
        "born",
        "drawn_before",
        "node",
        "profile",
    )

    def __init__(self, node: Node, profile: Profile) -> None:
        self.node = node
        self.profile = profile
        self.battery: Battery | None = None
        self.drawn_before = 0
        self.born: int | None = None
        self._clear(0)

    def _clear(self, now: int) -> None:
        self._tx = self._tx_count = self._rx = self._rx_count = 0
        self._computed = 0
        self._begun: dict[tuple[int, int], int] = {}
        self._start = -1
        self._last = (-1, 0)
        self._states = dict.fromkeys(self.profile.powers, 0)
        self._state = self._calm = "idle"
        self._since = now
        self._until: int | None = None

    # -- life

    def begin(self, now: int) -> None:
        """The node has started, at a virtual time (ns)."""
        self.born = now
        self._clear(now)
        if self.battery is not None:
            self.battery.look(now)

    def end(self, now: int) -> list[EnergyRow]:
        """The node has stopped; what it drew in this life."""
        if self.born is None:
            return []
        self._settle(now)
        rows = list(self._rows(now))
        self.drawn_before += self.drawn(now)
        self.born = None
        return rows

    # -- what it does

    def transmit(self, message: Message) -> None:
        """A message leaves the node."""
        self._tx += message.size
        self._tx_count += 1
        trail = message.trail
        if trail is not None and trail.computed:
            self._compute(message.sent, trail.computed, trail.cause_source, trail.cause_number)
        elif message.kind in self.profile.computing:
            time, key = self.profile.computing[message.kind]
            if key is None or _has(message.payload, key):
                self._add(message.sent, time)
        if self.battery is not None and self.profile.radio is not None:
            self.battery.draw(message.sent, self.profile.radio.transmitting(message.size))

    def receive(self, message: Message) -> None:
        """A message has arrived at the node."""
        self._rx += message.size
        self._rx_count += 1
        if self.battery is not None and self.profile.radio is not None:
            self.battery.draw(message.at, self.profile.radio.receiving(message.size))

    def not_transmitted(self, message: Message) -> None:
        """A message did not leave the node after all."""
        self._tx -= message.size
        self._tx_count -= 1

    def not_received(self, message: Message) -> None:
        """A message had not arrived by the end of the run."""
        self._rx -= message.size
        self._rx_count -= 1

    def not_computed(self, end: int) -> None:
        """Forget computing that was told of at the end of the run (ns), or later."""
        at, time = self._last
        if at >= end:
            self._computed -= time

    def _compute(self, at: int, time: int, source: int | None, number: int | None) -> None:
        """Count computing that ended at a time (ns), once for all that came of it."""
        if self.profile.instruction_time is not None:
            return  # counted by its instructions
        key = (-1, at - time) if source is None else (source, number or 0)
        known = self._begun.get(key)
        if known is None and self.profile.workers == 1 and self._start == at - time:
            known = next(reversed(self._begun.values()))
        if known is None or known < time:
            self._add(at, time - (known or 0))
        self._start = at - time
        self._begun[key] = max(known or 0, time)
        if len(self._begun) > _REMEMBERED:
            del self._begun[next(iter(self._begun))]

    def _add(self, at: int, time: int) -> None:
        before, so_far = self._last
        self._last = (at, so_far + time if before == at else time)
        self._computed += time
        if self.battery is not None:
            powers = self.profile.powers
            self.battery.draw(at, time * (powers["active"] - powers["idle"]))

    # -- states

    def enter(self, state: str, now: int, time: int | None) -> None:
        """See `simcore.extensions.energy.enter`."""
        if state not in self._states:
            known = ", ".join(sorted(self._states))
            raise ModelError(
                f"{self.node.name} cannot enter {state!r}: its entry under 'energy' has {known}",
                node=self.node.name,
                now=now,
            )
        self._settle(now)
        self._state = state
        if time is None:
            self._calm, self._until = state, None
        else:
            self._until = now + time
        if self.battery is not None:
            self.battery.look(now)

    def _settle(self, now: int) -> None:
        """Count the states that it was in until now."""
        until = self._until
        if until is not None and until <= now:
            self._states[self._state] += until - self._since
            self._state, self._since, self._until = self._calm, until, None
        self._states[self._state] += now - self._since
        self._since = now

    def ahead(self, now: int) -> tuple[int, int | None, int]:
        """Its power from now on, until when (ns; None: from now on), and that afterwards."""
        self._settle(now)
        powers = self.profile.powers
        return powers[self._state], self._until, powers[self._calm]

    # -- energy

    def instructions(self) -> int:
        """Executed in this life, as far as is known."""
        host = getattr(self.node, "host", None)
        return getattr(getattr(host, "participant", None), "instructions", None) or 0

    def drawn(self, now: int) -> int:
        """In this life, aJ * scale."""
        return sum(part[1] for part in self._parts(now))

    def _parts(self, now: int) -> Iterator[tuple[str, int, int, int, int]]:
        """Part, energy (aJ * scale), time (ns), bytes and instructions."""
        self._settle(now)
        profile = self.profile
        powers, states = profile.powers, self._states
        instructions, computed = 0, self._computed
        if profile.instruction_time is not None:
            instructions = self.instructions()
            computed = instructions * profile.instruction_time
        if profile.instruction is None:
            active = (computed + states["active"]) * powers["active"]
        else:
            active = instructions * profile.instruction + states["active"] * powers["active"]
        # Several workers may compute more than there is time: each adds what it draws over idle.
        idle = states["idle"] - computed
        excess = max(0, -idle)
        idle += excess
        yield "idle", idle * powers["idle"], idle, 0, 0
        active -= excess * powers["idle"]
        yield "active", active, computed + states["active"], 0, instructions
        for name, time in states.items():
            if name not in ("idle", "active"):
                yield name, time * powers[name], time, 0, 0
        radio = profile.radio
        if radio is not None:
            for name, cost, size, count in (
                ("tx", radio.tx, self._tx, self._tx_count),
                ("rx", radio.rx, self._rx, self._rx_count),
            ):
                total = size + count * radio.overhead
                yield name, total * cost, radio.time(total), total, 0

    def _rows(self, now: int) -> Iterator[EnergyRow]:
        node = self.node
        for name, energy, time, size, instructions in self._parts(now):
            joule = self.joule(energy)
            yield EnergyRow(node.order, node.lives, name, joule, time, size, instructions)

    def costs(self) -> Costs:
        """What its energy is made of."""
        profile = self.profile
        powers, radio, instruction = profile.powers, profile.radio, profile.instruction
        if instruction is None and profile.instruction_time is not None:
            instruction = powers["active"] * profile.instruction_time
        return Costs(
            self.joule(powers["idle"] * 10**9),
            self.joule(powers["active"] * 10**9),
            None if instruction is None else self.joule(instruction),
            0.0 if radio is None else self.joule(radio.tx),
            0.0 if radio is None else self.joule(radio.rx),
            0 if radio is None else radio.overhead,
            None if profile.battery is None else self.joule(profile.battery),
        )

    def joule(self, energy: int) -> float:
        """Joule of an energy as it is counted here."""
        return energy / (self.profile.scale * 10**18)


def _has(payload: Any, key: str) -> bool:
    return isinstance(payload, dict) and key in payload


class MeteredPath(Path):
    """The way of a node's messages, past its meter."""

    __slots__ = ("_meter", "_path", "receiver")

    def __init__(self, meter: Meter, path: Path) -> None:
        self.receiver = path.receiver
        self._meter = meter
        self._path = path

    def enter(self, message: Message) -> None:
        """Count a message, and pass it on."""
        self._meter.transmit(message)
        path = message.path = self._path
        path.enter(message)
