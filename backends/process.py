"""`implementation: process`: a program of the user's, or a service in a process of its own.

The program takes part by speaking the protocol of `docs/protocol.md`. A service is hosted by a
small program of simcore's own, and has the digest that it has as a `python_model`.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.commands import (
    COMMAND,
    SURROUNDINGS,
    check_command,
    check_surroundings,
    command_of,
    maker,
    note_inputs,
)
from simcore.hosting import host
from simcore.node import Node
from simcore.participant import Kind
from simcore.plugins import Determinism, Path

from . import service_keys

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

# All that can be imported in simcore's own process can be imported in the service's, too, and in
# the same order; an environment variable would also reach the programs that a service starts.
_HOST = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from simcore.protocol.service_main import main; sys.exit(main())"
)


class Process:
    """Plug-in `implementation: process`."""

    name = "process"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "A program in a process of its own that speaks simcore's protocol, or a "
        "service hosted in one.",
        "additionalProperties": False,
        "properties": {
            "command": COMMAND,
            **service_keys.SCHEMA,
            "kind": {
                "enum": ["reactive", "free_running"],
                "default": "reactive",
                "description": "How the program is advanced: at single instants, or for windows "
                "of time. It has to say the same when it is ready.",
            },
            "hosts": {
                "enum": ["node", "group"],
                "default": "node",
                "description": "One process for each node, or one for the whole group.",
            },
            **SURROUNDINGS,
        },
    }

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without running anything."""
        command, service = value.get("command"), value.get("service")
        if command is not None and service is not None:
            checker.problem((*path, "service"), "a node has a command or a service, not both")
        elif command is None and service is None:
            checker.problem(path, "a process needs a 'command' or a 'service'", at_key=True)
        if command is not None:
            check_command(command, value.get("environment", {}), (*path, "command"), checker)
        service_keys.check_service(value, path, checker)
        if command is None and service is not None:
            _check_keys_of_commands(value, path, checker)
        if value.get("hosts") == "group" and "count" not in value:
            checker.problem((*path, "hosts"), "'hosts: group' has no effect without 'count'")
        check_surroundings(value, path, checker)

    def kind_of(self, options: Mapping[str, Any]) -> Kind:
        """What a node's program is granted."""
        kind: Kind = options.get("kind", "reactive")
        return kind

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; its process starts with all others, when everything is made."""
        options = spec.options
        shared = options.get("hosts") == "group"
        names = [spec.name]
        if shared:
            names = [each.name for each in federation.scenario.select(spec.group)]
        name = spec.name if len(names) == 1 else spec.group
        kind = self.kind_of(options)
        if "service" in options:
            command = [sys.executable, "-c", _HOST, *map(os.path.abspath, sys.path)]
            base = str(federation.scenario.base.absolute())
            config = service_keys.hosted_config(federation, spec, base)
            note_inputs(federation, [options["service"].rpartition(":")[0]], options)
        else:
            command, config = command_of(federation, options), dict(spec.config)
        make = maker(federation, name, names, command, options, kind=kind, config=config)
        return host(federation, spec, make, kind=kind, shared=shared)

    def doctor(self) -> tuple[bool, str]:
        """Needs Unix sockets and process groups."""
        if not hasattr(socket, "AF_UNIX"):
            return False, "needs a system with Unix sockets"
        return True, "built in"


def _check_keys_of_commands(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report what only the author of a program can choose."""
    for key, why in (
        ("kind", "services are reactive"),
        ("hosts", "each node has a service of its own"),
    ):
        if key in value:
            checker.problem((*path, key), f"{key!r} has no effect without 'command': {why}")
