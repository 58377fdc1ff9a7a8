"""Plug-in `model: process`: a network that a program of the user's simulates.

The program takes part as `docs/protocol.md` says of networks: messages enter it with their size
and id, and it says when they come out, or that they were lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.commands import (
    COMMAND,
    SURROUNDINGS,
    check_command,
    check_surroundings,
    command_of,
    maker,
)
from simcore.network_participant import ParticipantNetwork
from simcore.plugins import Determinism
from simcore.units import duration

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.plugins import Path
    from simcore.scenario.check import Checker
    from simcore.scenario.model import Scenario

NAME = "network"
"""What the participant is called, unless a node is."""


class Process:
    """Plug-in `model: process`."""

    name = "process"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "A program of yours simulates the network: it is told what enters, and "
        "says when it comes out. Every node reaches every other through it.",
        "additionalProperties": False,
        "required": ["command"],
        "properties": {
            "command": COMMAND,
            "config": {
                "type": "object",
                "description": "Handed to the program as it is. Any keys are allowed.",
                "default": {},
                "examples": [{"rate_kbps": 250}],
            },
            "least_delay": {
                "type": "string",
                "format": "duration",
                "default": "0ns",
                "description": "What every message takes at least. Free-running nodes need it: "
                "their windows are no longer. A delivery that comes sooner ends the run.",
                "examples": ["352us"],
            },
            "give_up": {
                "type": "string",
                "format": "duration",
                "description": "A message that has not come out after this time is taken for "
                "lost. Without it, the program reports every loss.",
                "examples": ["10s"],
            },
            **SURROUNDINGS,
        },
    }

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without running anything."""
        if "command" in value:
            environment = value.get("environment", {})
            check_command(value["command"], environment, (*path, "command"), checker)
        check_surroundings(value, path, checker)
        if "give_up" in value and duration(value["give_up"]) == 0:
            checker.problem((*path, "give_up"), "must be more than 0")

    def least_delay(self, value: Any, names: Collection[str], base: FilePath) -> int:
        """What the scenario promises, ns."""
        return duration(value.get("least_delay", "0ns"))

    def build(self, federation: Federation, scenario: Scenario) -> ParticipantNetwork:
        """Start the program."""
        options = scenario.network
        name = NAME if NAME not in federation.names else f"{NAME} of {scenario.name}"
        make = maker(
            federation,
            name,
            federation.names,
            command_of(federation, options),
            options,
            kind="network",
            config=options.get("config", {}),
        )
        return ParticipantNetwork(
            federation,
            make(1),
            least=duration(options.get("least_delay", "0ns")),
            patience=duration(options["give_up"]) if "give_up" in options else None,
        )

    def doctor(self) -> tuple[bool, str]:
        """Needs nothing but the program."""
        return True, "built in"
