"""Programs that a scenario names: the keys they have in common, and how they are started.

Shared by what runs a program of the user's as a participant: the backend `process`, the network
model `process`, and others that need no more than a command.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypedDict

from simcore.launch import Child, Limits
from simcore.protocol.pipes import Pipes
from simcore.remote import Remote
from simcore.units import duration, size

if TYPE_CHECKING:
    from simcore.answers import Dialect
    from simcore.failure import Phase
    from simcore.federation import Federation
    from simcore.participant import Kind
    from simcore.plugins import Path
    from simcore.scenario.check import Checker

START_TIMEOUT = "120s"
"""Much: on a busy machine, a library of models takes half a minute to load from a cold disk."""
TIMEOUT = "60s"
LOG = "16MiB"
_SMALLEST_LOG = 4096


def _count(description: str) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": description}


COMMAND: Mapping[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "description": "A word of the command."},
    "description": "The program and its arguments, without a shell. A program with a "
    "slash in its name, or one that lies beside the scenario, is relative to the "
    "scenario; another is looked for in PATH. `python` is the Python that runs simcore, so "
    "that its program can import what simcore can.",
    "examples": [["python", "thermostat.py"], ["./meter", "--fast"]],
}
"""Schema of the key `command`."""

SURROUNDINGS: Mapping[str, Any] = {
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
        "itself. PYTHONHASHSEED is 0 and PYTHONUNBUFFERED 1 unless they are set.",
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
}
"""Schema of the keys that say how a program is run."""


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

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Child:
        """Start it; see `simcore.programs.Launcher`."""
        outside = self.federation.outside
        return Child.launch(
            self.command,
            environment={**self.environment, **environment},
            directory=self.directory,
            log=outside.log_of(self.name),
            guard=outside.guard,
            limits=self.limits,
            stdio=stdio,
            log_cap=self.log_cap,
        )


def maker(
    federation: Federation,
    name: str,
    nodes: Sequence[str],
    command: Sequence[str],
    options: Mapping[str, Any],
    *,
    kind: Kind,
    config: Mapping[str, Any],
    transport: str = "unix",
    advice: Callable[[Phase, str], str | None] | None = None,
    dialect: Callable[[], Dialect] | None = None,
) -> Callable[[int], Remote]:
    """What makes the participant of a life, from the keys of `SURROUNDINGS`.

    Args:
        federation: the run.
        name: of the participant.
        nodes: names of its nodes.
        command: program and arguments.
        options: the keys, as written.
        kind: what it is granted.
        config: what it is handed.
        transport: unless there is the key.
        advice: what its user may do when it fails; see `Remote`.
        dialect: makes the dialect of a life; see `Remote`.
    """
    program = program_of(federation, name, command, options)

    def make(life: int) -> Remote:
        return Remote(
            federation,
            name,
            nodes,
            program,
            kind=kind,
            config=config,
            life=life,
            transport=options.get("transport", transport),
            dialect=None if dialect is None else dialect(),
            advice=advice,
            **timeouts(options),
        )

    return make


class Timeouts(TypedDict):
    """What `Remote` is patient with, in seconds."""

    start_timeout: float
    timeout: float


def timeouts(options: Mapping[str, Any]) -> Timeouts:
    """The keys `start_timeout` and `timeout`."""
    return {
        "start_timeout": duration(options.get("start_timeout", START_TIMEOUT)) / 1e9,
        "timeout": duration(options.get("timeout", TIMEOUT)) / 1e9,
    }


def program_of(
    federation: Federation, name: str, command: Sequence[str], options: Mapping[str, Any]
) -> Program:
    """What starts a program, from the keys of `SURROUNDINGS`; arguments as for `maker`."""
    limits = options.get("limits", {})
    return Program(
        federation,
        name,
        command,
        directory=_directory(federation, options),
        environment=_environment(options),
        limits=Limits(
            memory=size(limits["memory"]) if "memory" in limits else None,
            cpu=duration(limits["cpu"]) // 10**9 if "cpu" in limits else None,
            files=limits.get("files"),
            processes=limits.get("processes"),
        ),
        log_cap=size(options.get("log", LOG)),
    )


def command_of(federation: Federation, options: Mapping[str, Any]) -> list[str]:
    """The words of the key `command`, with the program where it is; its files become inputs."""
    note_inputs(federation, options["command"], options)
    base = federation.scenario.base.absolute()
    program, *arguments = options["command"]
    local = _local(program, base)
    if local is not None:
        program = str(local)
    elif program == "python":
        program = sys.executable
    return [program, *arguments]


def _local(program: str, base: FilePath) -> FilePath | None:
    """The file that a program's name stands for; None if it is to be looked for in PATH."""
    file = base / program
    try:
        return file if "/" in program or file.is_file() else None
    except (OSError, ValueError):
        return None


def note_inputs(federation: Federation, names: Sequence[str], options: Mapping[str, Any]) -> None:
    """Have the files that a command names be inputs of the run, whose digests are kept."""
    places = {federation.scenario.base.absolute(), _directory(federation, options)}
    for name in names:
        for file in [place / name for place in places]:
            with suppress(OSError, ValueError):
                if name and file.is_file():
                    file.open("rb").close()


def _directory(federation: Federation, options: Mapping[str, Any]) -> FilePath:
    directory: FilePath = federation.scenario.base.absolute() / options.get("directory", ".")
    return directory


def _environment(options: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a program, but for what simcore adds."""
    defaults = {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    return {**defaults, **os.environ, **options.get("environment", {})}


# -- static checks


def check_command(
    command: Sequence[str], environment: Mapping[str, str], path: Path, checker: Checker
) -> None:
    """Report a command whose program is not there or cannot be executed.

    Args:
        environment: the key `environment`.
        path: where the command stands.
    """
    if not check_words(command, path, checker):
        return
    program, place = command[0], (*path, 0)
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


def check_words(command: Sequence[str], path: Path, checker: Checker) -> bool:
    """Report the first word that no command can have; whether there is none. As `check_command`."""
    for index, word in enumerate(command):
        if "\0" in word or (index == 0 and not word):
            checker.problem(
                (*path, index),
                "a command is made of words without NUL, and its first is a program",
            )
            return False
    return True


def check_surroundings(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report what is impossible among the keys of `SURROUNDINGS`."""
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
