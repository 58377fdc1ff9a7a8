"""The keys `timing` and `talk`, and what they exclude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.plugins import Path

if TYPE_CHECKING:
    from simcore.scenario.check import Checker

KIND = "answer"
"""Of the messages that what a container says becomes."""

_TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_OURS = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers that say how a request is sent."""

SCHEMA: Mapping[str, Any] = {
    "timing": {
        "enum": ["virtual", "wallclock"],
        "default": "virtual",
        "description": "Whether the program takes part in virtual time, by speaking simcore's "
        "protocol, or knows nothing of simcore and runs in real time, frozen between two windows. "
        "What the latter does differs from run to run; the run is labelled `statistical`.",
    },
    "talk": {
        "type": "object",
        "additionalProperties": False,
        "default": {"stdio": "lines"},
        "description": "How a program in real time (`timing: wallclock`) is spoken with: by lines "
        "on its standard input and output, or by HTTP.",
        "examples": [{"http": {"port": 8080, "path": "/predict"}}],
        "properties": {
            "stdio": {
                "enum": ["lines"],
                "description": "The payload of each message is a line of JSON, and each line that "
                "the program prints is a message: JSON if it is that, else text.",
            },
            "to": {
                "type": "string",
                "minLength": 1,
                "description": "The node that its lines go to. Without it, each line answers the "
                "oldest message that has no answer yet.",
            },
            "http": {
                "type": "object",
                "additionalProperties": False,
                "required": ["port"],
                "description": "Each message is a request, and the response goes back to who sent "
                "it. The container is in the engine's bridge network, as with `allow: [network]`.",
                "properties": {
                    "port": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 65535,
                        "description": "The port at which the program listens.",
                        "examples": [8080],
                    },
                    "path": {
                        "type": "string",
                        "pattern": r"^/[!-~]*$",
                        "errorMessage": "begins with a slash and has no spaces, as in /predict",
                        "default": "/",
                        "description": "What is asked for.",
                    },
                    "method": {
                        "enum": ["GET", "POST", "PUT", "PATCH", "DELETE"],
                        "default": "POST",
                        "description": "The method. GET sends no body.",
                    },
                    "headers": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "string",
                            "pattern": r"^[\t -~]*$",
                            "errorMessage": "is printable ASCII",
                            "description": "The value.",
                        },
                        "propertyNames": {
                            "pattern": _TOKEN,
                            "errorMessage": "is no name of a header, such as X-Api-Key",
                        },
                        "default": {},
                        "description": "Further headers, or others in place of simcore's own.",
                        "examples": [{"X-Api-Key": "secret"}],
                    },
                },
            },
            "kind": {
                "type": "string",
                "minLength": 1,
                "default": KIND,
                "description": "Kind of the messages that its lines or good responses become; "
                "other responses are of the kind `error`.",
            },
        },
    },
}
"""Schema of both keys."""

_NO_EFFECT = {
    "service": "a service runs in virtual time: leave out 'timing'",
    "config": "nobody hands it to an unmodified program: use 'environment', 'files' or 'command'",
    "kind": "in real time every program is free-running",
    "hosts": "each node has a container of its own",
    "transport": "an unmodified program does not connect to simcore",
}


def is_paced(options: Mapping[str, Any]) -> bool:
    """Whether the keys of a node ask for a container in real time."""
    return options.get("timing") == "wallclock"


def check_keys(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report what is missing or impossible."""
    if not is_paced(value):
        if "talk" in value and not checker.incomplete((*path, "timing")):
            checker.problem((*path, "talk"), "'talk' has no effect without 'timing: wallclock'")
        return
    for key, why in _NO_EFFECT.items():
        if key in value:
            checker.problem((*path, key), f"{key!r} has no effect with 'timing: wallclock': {why}")
    _check_talk(value.get("talk", {}), (*path, "talk"), checker)


def _check_talk(talk: Mapping[str, Any], path: Path, checker: Checker) -> None:
    http, to = talk.get("http"), talk.get("to")
    if http is not None:
        for key, why in (
            ("stdio", "a program is spoken with by lines or by HTTP, not both"),
            ("to", "'to' has no effect with 'http': a response goes back to who sent the message"),
        ):
            if key in talk:
                checker.problem((*path, key), why)
        for name in http.get("headers", {}):
            if name.lower() in _OURS:
                checker.problem(
                    (*path, "http", "headers", name),
                    f"{name} says how a request is sent, which simcore does",
                    at_key=True,
                )
    elif to is not None and checker.check_node_reference((*path, "to"), to):
        members = checker.members(to)
        if len(members) > 1:
            checker.problem(
                (*path, "to"),
                f"{to!r} is a group of {len(members)} nodes: name one of them, as {members[0]}",
            )
