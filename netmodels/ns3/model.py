"""Plug-in `model: ns3`: packets, simulated by ns-3 in a process of its own.

Here is what is checked before anything starts, and what starts it. Whatever is linked with ns-3 is
in `native/`, under ns-3's licence.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.commands import maker, note_inputs
from simcore.plugins import Determinism
from simcore.units import duration

from . import keys, plan, wheel
from .checks import check_fault, check_network
from .dialect import Ns3Answers
from .network import Ns3Network
from .own import OwnNetwork, own_config

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.plugins import Path
    from simcore.scenario.check import Checker
    from simcore.scenario.model import Scenario

NAME = "network"
"""What the participant is called, unless a node is."""


class Ns3:
    """Plug-in `model: ns3`."""

    name = "ns3"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = keys.SCHEMA

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without running anything."""
        check_network(value, path, checker)
        works, why = wheel.doctor()
        if not works:
            checker.problem((*path, "model"), why)

    def check_link(
        self, value: Any, fault: Mapping[str, Any], path: Path, checker: Checker
    ) -> None:
        """Report a fault on a link that is not there, or that does nothing to it."""
        check_fault(value, fault, path, checker)

    def least_delay(self, value: Any, names: Collection[str], base: FilePath) -> int:
        """Least time that a frame takes on a segment of the nodes or groups, ns."""
        if "topology" in value:
            return duration(value.get("least_delay", "0ns"))
        whole = [entry for entry in value["segments"] if keys.is_whole(entry)]
        groups = {name: (name,) for entry in whole for name in _names(entry)}
        return plan.least_delay(plan.segments({"segments": whole}, groups), names)

    def build(self, federation: Federation, scenario: Scenario) -> Ns3Network:
        """Start the process of ns-3."""
        value = scenario.network
        groups, names = Groups(scenario), federation.names
        library = wheel.library(federation.say)
        federation.note_part("ns3", wheel.VERSION)
        folder = _folder(federation)
        found: list[plan.Segment] = []
        if "topology" in value:
            config = own_config(value, scenario, folder, federation.say)
            note_inputs(federation, [value["topology"].rpartition(":")[0]], {})
        else:
            found = plan.segments(value, groups)
            config = plan.config(value, found, groups, names, federation.seed)
        config |= {
            **plan.common(value, groups, names),
            "folder": str(folder),
            "library": str(library),
        }
        dialect = Ns3Answers()
        make = maker(
            federation,
            NAME if NAME not in names else f"{NAME} of {scenario.name}",
            names,
            [sys.executable, "-P", "-m", "simcore_netmodels.ns3.child"],
            # Pipes are quicker than a socket.
            {**value, "transport": "stdio"},
            kind="network",
            config=config,
            dialect=lambda: dialect,
        )
        made = OwnNetwork if "topology" in value else Ns3Network
        return made(
            federation,
            make(1),
            dialect,
            found,
            value,
            groups,
            folder,
        )

    def doctor(self) -> tuple[bool, str]:
        """Whether the wheel is there, and what compiles against it."""
        return wheel.doctor()


class Groups(dict[str, tuple[str, ...]]):
    """Names of nodes by the name of a group or node."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self._scenario = scenario

    def __missing__(self, name: str) -> tuple[str, ...]:
        found = self[name] = tuple(spec.name for spec in self._scenario.select(name))
        return found


def _names(entry: Mapping[str, Any]) -> list[str]:
    hubs = [entry[key] for key in ("access_point", "coordinator") if key in entry]
    return [*entry.get("between", ()), *entry.get("nodes", ()), *hubs]


def _folder(federation: Federation) -> FilePath:
    """Where the process writes; lost with the run if that has no directory."""
    if federation.archive is None:
        return federation.outside.directory.path
    folder = (federation.archive.path / "ns3").absolute()
    folder.mkdir(exist_ok=True)
    return folder
