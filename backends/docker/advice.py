"""What the user may do when a container does not get as far as its first word."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from simcore.failure import CONNECTING, Phase

_RIGHTS = (
    "it runs as nobody, with a file system that it cannot write to, without network and "
    "capabilities; 'allow' gives it more"
)
_SERVICE = "a service needs Python 3.11 or newer as python3 in its image"
_PROGRAM = (
    "its program has to speak simcore's protocol (docs/participants.md); what knows nothing of "
    "simcore takes part with timing: wallclock (docs/wallclock.md)"
)
_HEALTH = "start_timeout is the time that READY and health have together"
_SOCKET = "if its engine does not let containers use a socket of this machine, say transport: stdio"


def advice_for(
    options: Mapping[str, Any], base: Path, transport: str
) -> Callable[[Phase, str], str | None]:
    """What advises on the container of a node; see `simcore.remote.Remote`.

    Args:
        options: the node's keys.
        base: the scenario's folder.
        transport: what connects the container.
    """
    is_program = "service" not in options

    def advise(phase: Phase, rule: str) -> str | None:
        if rule == "health":
            return _HEALTH
        if phase is not CONNECTING:
            return None
        if rule == "process-ended":
            if missing := unseen(options, base):
                return (
                    f"{missing} of the scenario's folder is not in the container: with "
                    f"files: [{missing}] it is, in /scenario"
                )
            return f"{_PROGRAM}; {_RIGHTS}" if is_program else f"{_RIGHTS}; {_SERVICE}"
        if rule == "deadline":
            told = [_PROGRAM] if is_program else []
            told += [_SOCKET] if transport == "shared" else []
            return "; ".join(told) or None
        return None

    return advise


def unseen(options: Mapping[str, Any], base: Path) -> str | None:
    """The first file of the scenario's that a program's command names and its container lacks.

    It is no mistake by itself, for the image may have one of this name as well.
    """
    if "service" in options:
        return None
    for word in options.get("command", ()):
        name = PurePosixPath(word)
        if (
            name.is_absolute()
            or ".." in name.parts
            or any(name.is_relative_to(each) for each in options.get("files", ()))
        ):
            continue
        try:
            found = (base / name).is_file()
        except (OSError, ValueError):  # a name that none can have
            continue
        if found:
            return os.fspath(name)
    return None
