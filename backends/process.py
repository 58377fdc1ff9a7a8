"""`implementation: process`: a program of the user's, or a service in a process of its own.

The program takes part by speaking the protocol of `docs/protocol.md`. A service is hosted by a
small program of simcore's own, and has the digest that it has as a `python_model`.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.hosting import host
from simcore.launch import Child, Limits
from simcore.node import Node
from simcore.participant import Kind
from simcore.plugins import Determinism, Path
from simcore.remote import Remote
from simcore.units import duration, size

from . import service_keys

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.participant import Participant
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

START_TIMEOUT = "30s"
TIMEOUT = "60s"
LOG = "16MiB"
_SMALLEST_LOG = 4096

# All that can be imported in simcore's own process can be imported in the service's, too, and in
# the same order; an environment variable would also reach the programs that a service starts.
_HOST = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from simcore.protocol.service_main import main; sys.exit(main())"
)


def _count(description: str) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": description}


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
            "command": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "description": "A word of the command."},
                "description": "The program and its arguments, without a shell. A program with a "
                "slash in its name, or one that lies beside the scenario, is relative to the "
                "scenario; another is looked for in PATH. `python` that is not in PATH is the "
                "Python that runs simcore.",
                "examples": [["python", "thermostat.py"], ["./meter", "--fast"]],
            },
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
            "transport": {
                "enum": ["unix", "tcp", "stdio"],
                "default": "unix",
                "description": "What connects it to simcore: a Unix socket, TCP on this machine, "
                "or its standard input and output.",
            },
            "environment": {
                "type": "object",
                "additionalProperties": {"type": "string", "description": "The value."},
                "propertyNames": {
                    "pattern": "^[^=]+$",
                    "errorMessage": "a variable of the environment has a name without '='",
                },
                "default": {},
                "description": "Variables of its environment, beside those that simcore has "
                "itself. PYTHONHASHSEED is 0 unless it is set.",
                "examples": [{"OMP_NUM_THREADS": "1"}],
            },
            "directory": {
                "type": "string",
                "default": ".",
                "description": "Its working directory, relative to the scenario.",
            },
            "limits": {
                "type": "object",
                "additionalProperties": False,
                "default": {},
                "description": "What each of its processes may use. Without limit by default.",
                "properties": {
                    "memory": {
                        "type": "string",
                        "format": "size",
                        "description": "Address space; allocating more fails.",
                        "examples": ["2GiB"],
                    },
                    "cpu": {
                        "type": "string",
                        "format": "duration",
                        "description": "Processor time, in whole seconds; then it is killed.",
                        "examples": ["60s"],
                    },
                    "files": _count("Open files."),
                    "processes": _count(
                        "Processes and threads of the user who runs simcore, all together; has "
                        "no effect on root."
                    ),
                },
            },
            "log": {
                "type": "string",
                "format": "size",
                "default": LOG,
                "description": "Size that the log of what it prints may have; the middle of a "
                "longer one is left out. At least 4 KiB.",
            },
            "start_timeout": {
                "type": "string",
                "format": "duration",
                "default": START_TIMEOUT,
                "description": "Wall time that it may take until it is ready.",
            },
            "timeout": {
                "type": "string",
                "format": "duration",
                "default": TIMEOUT,
                "description": "Wall time that it may take to answer, and to end.",
            },
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
            _check_command(command, value.get("environment", {}), (*path, "command"), checker)
        service_keys.check_service(value, path, checker)
        if command is None and service is not None:
            _check_keys_of_commands(value, path, checker)
        if value.get("hosts") == "group" and "count" not in value:
            checker.problem((*path, "hosts"), "'hosts: group' has no effect without 'count'")
        _check_surroundings(value, path, checker)

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
        kind = options.get("kind", "reactive")
        make = _maker(federation, spec, name, names, kind)
        return host(federation, spec, make, kind=kind, shared=shared)

    def doctor(self) -> tuple[bool, str]:
        """Needs Unix sockets and process groups."""
        if not hasattr(socket, "AF_UNIX"):
            return False, "needs a system with Unix sockets"
        return True, "built in"


def _maker(
    federation: Federation, spec: NodeSpec, name: str, names: Sequence[str], kind: Any
) -> Callable[[int], Participant]:
    """What makes the participant of a life."""
    options, base = spec.options, federation.scenario.base.absolute()
    directory = base / options.get("directory", ".")
    environment = {"PYTHONHASHSEED": "0", **os.environ, **options.get("environment", {})}
    if "service" in options:
        command, config = _hosting(federation, spec, base)
    else:
        command, config = _command(options["command"], environment, base), dict(spec.config)
    _note_inputs([*options.get("command", ()), options.get("service", "").rpartition(":")[0]],
                 base, directory)  # fmt: skip
    limits = options.get("limits", {})
    program = Program(
        federation,
        name,
        command,
        directory=directory,
        environment=environment,
        limits=Limits(
            memory=size(limits["memory"]) if "memory" in limits else None,
            cpu=duration(limits["cpu"]) // 10**9 if "cpu" in limits else None,
            files=limits.get("files"),
            processes=limits.get("processes"),
        ),
        log_cap=size(options.get("log", LOG)),
    )

    def make(life: int) -> Participant:
        return Remote(
            federation,
            name,
            names,
            program,
            kind=kind,
            config=config,
            life=life,
            transport=options.get("transport", "unix"),
            start_timeout=duration(options.get("start_timeout", START_TIMEOUT)) / 1e9,
            timeout=duration(options.get("timeout", TIMEOUT)) / 1e9,
        )

    return make


@dataclass(frozen=True)
class Program:
    """What a participant starts: one program, anew for each life.

    Attributes:
        federation: the run.
        name: of the participant; its log is called so.
        command: program and arguments.
        directory: working directory.
        environment: the whole environment, but for what simcore adds.
        limits: of its processes.
        log_cap: bytes of its log.
    """

    federation: Federation
    name: str
    command: Sequence[str]
    directory: FilePath
    environment: Mapping[str, str]
    limits: Limits
    log_cap: int

    def launch(self, environment: Mapping[str, str], stdio: socket.socket | None) -> Child:
        """Start it; see `simcore.programs.Launcher`."""
        outside = self.federation.outside
        return Child.launch(
            self.command,
            environment={**self.environment, **environment},
            directory=self.directory,
            log=outside.log_of(self.name),
            guard=outside.guard,
            limits=self.limits,
            stdio_socket=stdio,
            log_cap=self.log_cap,
        )


def _hosting(
    federation: Federation, spec: NodeSpec, base: FilePath
) -> tuple[list[str], dict[str, Any]]:
    """The command that hosts a service, and the config that tells it which."""
    service = spec.options["service"]
    if not service_keys.CALLABLE.fullmatch(service):
        found = federation.plugins.service(service)
        service = f"{found.__module__}:{found.__qualname__}"
    places = [os.path.abspath(place) for place in sys.path]
    config = {
        "service": service,
        "base": str(base),
        "workers": spec.options.get("workers", 1),
        "queue": spec.options.get("queue"),
        "config": dict(spec.config),
    }
    return [sys.executable, "-c", _HOST, *places], config


def _command(words: Sequence[str], environment: Mapping[str, str], base: FilePath) -> list[str]:
    """The words of a command, with the program where it is."""
    program, *arguments = words
    local = _local(program, base)
    if local is not None:
        program = str(local)
    elif program == "python" and shutil.which(program, path=environment.get("PATH")) is None:
        program = sys.executable
    return [program, *arguments]


def _local(program: str, base: FilePath) -> FilePath | None:
    """The file that a program's name stands for; None if it is to be looked for in PATH."""
    file = base / program
    try:
        return file if "/" in program or file.is_file() else None
    except (OSError, ValueError):
        return None


def _note_inputs(names: Sequence[str], base: FilePath, directory: FilePath) -> None:
    """Have the files that a command names be inputs of the run, whose digests are kept."""
    for name in names:
        for file in {base / name, directory / name}:
            with suppress(OSError, ValueError):
                if name and file.is_file():
                    file.open("rb").close()


# -- static checks


def _check_command(
    command: Sequence[str], environment: Mapping[str, str], path: Path, checker: Checker
) -> None:
    program, place = command[0], (*path, 0)
    if any("\0" in word for word in command) or not program:
        checker.problem(place, "a command is made of words without NUL, and its first is a program")
        return
    file = _local(program, checker.base)
    if file is not None:
        if checker.check_file(place, program) and not os.access(file, os.X_OK):
            checker.problem(
                place,
                f"{program!r} is not executable: chmod +x it, or put what runs it in front, "
                "as in [python, program.py]",
            )
        return
    where = environment.get("PATH", os.environ.get("PATH", os.defpath))
    if program != "python" and shutil.which(program, path=where) is None:
        checker.problem(
            place,
            f"there is no program {program!r} in PATH, nor a file of this name beside the "
            "scenario: install it, or give its path",
        )


def _check_keys_of_commands(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report what only the author of a program can choose."""
    for key, why in (
        ("kind", "services are reactive"),
        ("hosts", "each node has a service of its own"),
    ):
        if key in value:
            checker.problem((*path, key), f"{key!r} has no effect without 'command': {why}")


def _check_surroundings(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    if "directory" in value:
        folder = checker.base / value["directory"]
        try:
            there = folder.is_dir()
        except (OSError, ValueError):
            there = False
        if not there:
            checker.problem((*path, "directory"), f"there is no directory {value['directory']!r}")
    for key in ("start_timeout", "timeout"):
        if key in value and duration(value[key]) == 0:
            checker.problem((*path, key), "must be more than 0")
    if "log" in value and size(value["log"]) < _SMALLEST_LOG:
        checker.problem((*path, "log"), "must be at least 4KiB")
    limits = value.get("limits", {})
    if "cpu" in limits:
        cpu = duration(limits["cpu"])
        if cpu == 0 or cpu % 10**9:
            checker.problem(
                (*path, "limits", "cpu"), "is counted in whole seconds, and at least one"
            )
    if "memory" in limits and size(limits["memory"]) < 2**20:
        checker.problem((*path, "limits", "memory"), "must be at least 1MiB")
    for key, text in value.get("environment", {}).items():
        if "\0" in key + text:
            checker.problem((*path, "environment", key), "holds a NUL character")
        elif key.startswith("SIMCORE_"):
            checker.problem((*path, "environment", key), "SIMCORE_ variables are set by simcore")
