"""The top-level key `energy`: which nodes have a meter, and how it learns what they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.message import Fate

from .battery import Battery, check_all
from .keys import SCHEMA, check_entry
from .meter import Meter, MeteredPath
from .profile import read_profile

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.message import Message
    from simcore.network import Path
    from simcore.node import Node
    from simcore.plugins import Determinism, Plugins
    from simcore.plugins import Path as Place
    from simcore.scenario.check import Checker


def meter_of(node: Node) -> Meter | None:
    """The meter of a node, if it has one."""
    meters: list[Meter | None] | None = node.federation.kept.get(Energy.name)
    return None if meters is None else meters[node.order]


def _instruction_time(plugins: Plugins, implementation: str, options: Mapping[str, Any]) -> Any:
    """Virtual time (ns) of an instruction of a node; None if it counts none."""
    told = getattr(plugins.backends.get(implementation), "instruction_time", None)
    return None if told is None else told(options)


class Energy:
    """Plug-in `energy:`."""

    name = "energy"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = SCHEMA

    def check(self, value: Any, path: Place, checker: Checker) -> None:
        """Report unknown nodes, nodes named twice, and keys that do not go together."""
        seen: dict[str, str] = {}
        nodes = checker.data.get("nodes", {})
        for name, entry in value.items():
            place = (*path, name)
            if not checker.check_node_reference(place, name):
                continue
            for member in checker.members(name):
                if seen.setdefault(member, name) != name:
                    checker.problem(place, f"{member} has an entry already, as {seen[member]}")
                    break
            group = name if name in checker.groups else name.rpartition("-")[0]
            node = nodes.get(group)
            if isinstance(node, Mapping) and not checker.incomplete(("nodes", group)):
                kind = node.get("implementation", "python_model")
                check_entry(entry, _instruction_time(checker.plugins, kind, node), place, checker)

    def attach(self, federation: Federation, value: Any) -> None:
        """Put a meter beside each node that is named."""
        scenario = federation.scenario
        batteries: list[Battery] = []
        meters: list[Meter | None] = [None] * len(scenario.nodes)
        for name, entry in value.items():
            members = scenario.select(name)
            first = members[0]
            profile = read_profile(
                entry,
                instruction_time=_instruction_time(
                    federation.plugins, first.implementation, first.options
                ),
                workers=first.options.get("workers", 1),
            )
            for spec in members:
                meter = meters[spec.order] = Meter(federation.nodes[spec.name], profile)
                if profile.battery is not None:
                    meter.battery = Battery(meter, profile.battery)
                    batteries.append(meter.battery)
        check_all(federation, batteries)
        federation.kept[self.name] = meters
        costs = {order: meter.costs() for order, meter in enumerate(meters) if meter is not None}
        federation.recorder.meters(costs)
        _follow(federation, meters)

    def doctor(self) -> tuple[bool, str]:
        """Always works."""
        return True, "built in"


def _follow(federation: Federation, meters: list[Meter | None]) -> None:
    """Have the meters learn what their nodes do."""

    def gate(source: Node, path: Path) -> Path:
        meter = meters[source.order]
        return path if meter is None else MeteredPath(meter, path)

    def fate(message: Message) -> None:
        if not message.fate:
            meter = meters[message.destination_order]
            if meter is not None:
                meter.receive(message)
        elif message.fate == Fate.QUEUE_FULL and not message.hop:
            meter = meters[message.source_order]
            if meter is not None:
                meter.not_transmitted(message)  # its own queue refused it

    def life(node: Node) -> None:
        meter = meters[node.order]
        if meter is None:
            return
        now = federation.calendar.now
        if node.down:
            federation.recorder.energy(meter.end(now))
        else:
            meter.begin(now)

    def end(now: int) -> None:
        federation.kept.pop(Energy.name, None)
        if now < federation.end:
            _take_back(federation, meters, now)
        for meter in meters:
            if meter is not None:
                federation.recorder.energy(meter.end(now))

    federation.gates.append(gate)
    federation.observe(fate)
    federation.observe_lives(life)
    federation.observe_end(end)


def _take_back(federation: Federation, meters: list[Meter | None], end: int) -> None:
    """What was done at the very end of a run that is cut short does not count."""
    known = federation.recorder.messages
    for message in (*known, *federation.in_flight()):
        meter = meters[message.source_order]
        if message.sent >= end and meter is not None:
            meter.not_transmitted(message)
    for message in known:
        meter = meters[message.destination_order]
        if message.at >= end and not message.fate and meter is not None:
            meter.not_received(message)
    for meter in meters:
        if meter is not None:
            meter.not_computed(end)
