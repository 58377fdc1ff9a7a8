"""The keys of `implementation: docker`, and what they must not be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from simcore.commands import LOG, SURROUNDINGS, check_surroundings, check_words
from simcore.plugins import Path
from simcore.units import duration, size

from .. import service_keys
from .hardening import ALLOWED, LIMITS
from .wallclock.keys import SCHEMA as TIMING
from .wallclock.keys import check_keys as check_timing

if TYPE_CHECKING:
    from simcore.scenario.check import Checker

_SMALLEST_MEMORY = 6 << 20
"""Bytes; the engine refuses less."""

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "A service or a program in a container of its own.",
    "additionalProperties": False,
    "properties": {
        "image": {
            "type": "string",
            "minLength": 1,
            "pattern": r"^\S+$",
            "errorMessage": "is the name of an image, as in python:3.11-slim",
            "description": "The image; it is pulled if the engine does not have it. An installed "
            "service has one of its own.",
            "examples": ["python:3.11-slim"],
        },
        "build": {
            "description": "What to build the image from: a folder with a Dockerfile, relative to "
            "the scenario.",
            "examples": ["./gateway", {"context": ".", "dockerfile": "gateway.dockerfile"}],
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["context"],
                    "properties": {
                        "context": {
                            "type": "string",
                            "minLength": 1,
                            "description": "The folder, relative to the scenario.",
                        },
                        "dockerfile": {
                            "type": "string",
                            "minLength": 1,
                            "default": "Dockerfile",
                            "description": "The recipe, relative to the folder.",
                        },
                        "args": {
                            "type": "object",
                            "additionalProperties": {
                                "type": "string",
                                "description": "The value.",
                            },
                            "default": {},
                            "description": "Arguments of the build.",
                        },
                        "target": {
                            "type": "string",
                            "minLength": 1,
                            "description": "The stage that is built; the last one without it.",
                        },
                    },
                },
            ],
        },
        "command": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "description": "A word of the command."},
            "description": "The program in the container and its arguments, without a shell, in "
            "place of what the image starts. It speaks simcore's protocol, unless it runs in real "
            "time.",
            "examples": [["python3", "/app/thermostat.py"]],
        },
        **service_keys.SCHEMA,
        **TIMING,
        "kind": {
            "enum": ["reactive", "free_running"],
            "default": "reactive",
            "description": "How the program is advanced: at single instants, or for windows of "
            "time. It has to say the same when it is ready.",
        },
        "hosts": {
            "enum": ["node", "group"],
            "default": "node",
            "description": "One container for each node, or one for the whole group.",
        },
        "files": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "description": "A file or folder."},
            "uniqueItems": True,
            "description": "What it sees of the scenario's folder, read-only in /scenario, which "
            "becomes its working directory. A service sees all of the folder without this.",
            "examples": [["thermostat.py", "data"]],
        },
        "environment": {
            **SURROUNDINGS["environment"],
            "description": "Variables of its environment, beside those of the image. "
            "PYTHONHASHSEED is simcore's own or 0, PYTHONUNBUFFERED 1, unless they are set.",
        },
        "limits": LIMITS,
        "allow": {
            "type": "array",
            "items": {"enum": list(ALLOWED), "description": "What is allowed."},
            "uniqueItems": True,
            "default": [],
            "description": "What it may do beyond what a service needs: "
            + "; ".join(f"{word}: {meaning}" for word, meaning in ALLOWED.items())
            + ".",
            "examples": [["write"]],
        },
        "health": {
            "type": "object",
            "additionalProperties": False,
            "required": ["command"],
            "description": "A command in the container that has to succeed before the run begins, "
            "beside READY.",
            "properties": {
                "command": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string", "description": "A word of the command."},
                    "description": "The program and its arguments, without a shell.",
                    "examples": [["curl", "--fail", "http://localhost:8080/ready"]],
                },
                "interval": {
                    "type": "string",
                    "format": "duration",
                    "default": "200ms",
                    "description": "Wall time between two tries.",
                },
            },
        },
        "transport": {
            "enum": ["auto", "unix", "stdio"],
            "default": "auto",
            "description": "What connects it to simcore: a Unix socket of this machine, its "
            "standard input and output, or whichever works.",
        },
        **{key: SURROUNDINGS[key] for key in ("log", "start_timeout", "timeout")},
    },
}


def check_keys(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report what is missing or impossible, without asking the engine."""
    _check_what(value, path, checker)
    _check_files(value, path, checker)
    service_keys.check_service(value, path, checker)
    check_timing(value, path, checker)
    if value.get("hosts") == "group" and "count" not in value:
        checker.problem((*path, "hosts"), "'hosts: group' has no effect without 'count'")
    surroundings = {key: item for key, item in value.items() if key != "limits"}
    check_surroundings(surroundings, path, checker)
    limits = value.get("limits", {})
    if "memory" in limits and size(limits["memory"]) < _SMALLEST_MEMORY:
        checker.problem((*path, "limits", "memory"), "must be at least 6MiB")
    health = value.get("health", {})
    if "interval" in health and duration(health["interval"]) == 0:
        checker.problem((*path, "health", "interval"), "must be more than 0")
    check_words(value.get("command", ()), (*path, "command"), checker)
    check_words(health.get("command", ()), (*path, "health", "command"), checker)


def _check_what(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report keys that exclude or need each other."""
    service = value.get("service")
    if "image" in value and "build" in value:
        checker.problem((*path, "build"), "a node has an image or builds one, not both")
    if service is None:
        if "image" not in value and "build" not in value:
            checker.problem(
                path, "a container needs a 'service', an 'image' or a 'build'", at_key=True
            )
        return
    for key, why in (
        ("command", "a node has a command or a service, not both"),
        ("kind", "'kind' has no effect with a service: services are reactive"),
        ("hosts", "'hosts' has no effect with a service: each node has one of its own"),
    ):
        if key in value:
            checker.problem((*path, key), why)


def _check_files(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report files and folders that are not there, lie outside, or are missing in the list."""
    files = value.get("files")
    for index, name in enumerate(files or ()):
        place = (*path, "files", index)
        if _is_outside(PurePosixPath(name)):
            checker.problem(place, f"{name!r} is not below the scenario's folder")
        elif not _is_folder(checker.base / name):
            checker.check_file(place, name)
    service = value.get("service", "")
    if service_keys.CALLABLE.fullmatch(service):
        file = PurePosixPath(service.rpartition(":")[0])
        if _is_outside(file):
            checker.problem((*path, "service"), f"{str(file)!r} is not below the scenario's folder")
        elif files is not None and not any(file.is_relative_to(name) for name in files):
            checker.problem((*path, "files"), f"the service's {str(file)!r} is not among them")
    build = value.get("build")
    if build is None:
        return
    written = isinstance(build, str)
    context = build if written else build["context"]
    place = (*path, "build") if written else (*path, "build", "context")
    folder = checker.base / context
    if not _is_folder(folder):
        checker.problem(place, f"there is no folder {context!r}")
        return
    recipe = "Dockerfile"
    if not written and "dockerfile" in build:
        recipe, place = build["dockerfile"], (*path, "build", "dockerfile")
    if not _is_file(folder / recipe):
        checker.problem(place, f"there is no {recipe} in {context}")


def _is_outside(name: PurePosixPath) -> bool:
    return name.is_absolute() or ".." in name.parts


def _is_folder(path: FilePath) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that none can have
        return False


def _is_file(path: FilePath) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def log_cap(options: Mapping[str, Any]) -> int:
    """Bytes that the log of a container may have."""
    return size(options.get("log", LOG))
