"""Removing containers by their labels: those of one run, and those of all runs that are over.

`python -m simcore_backends.docker.sweep RUN` is what the guard runs when simcore has died. What
simcore asked the engine for just before may become a container only a moment later, so it looks
again until nothing has come for a while.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from simcore.private import is_over, owner_of

from .engine import Engine, EngineError, failures, is_status

if TYPE_CHECKING:
    from docker import APIClient

RUN = "simcore.run"
OWNER = "simcore.owner"
_QUIET = 1.0
"""Seconds without a new container of a dead run before it is taken to have no more."""
_PAUSE = 0.05
_LONGEST = 30.0

# All that simcore's Python can import can be imported here, and from the same places.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from simcore_backends.docker.sweep import main; main(sys.argv[1])"
)


def labels(run: str, node: str) -> dict[str, str]:
    """What a container carries.

    Args:
        run: id of the run.
        node: the participant's name.
    """
    return {RUN: run, OWNER: json.dumps(owner_of(run)), "simcore.node": node}


def command(run: str) -> list[str]:
    """What removes all containers of a run, for the guard."""
    return [sys.executable, "-c", _PROGRAM, run, *sys.path]


def remove(api: APIClient, container: str) -> None:
    """Remove a container, whatever it does; one that is gone is no error.

    Raises:
        DockerException: the engine did not.
    """
    try:
        api.remove_container(container, v=True, force=True)
    except failures() as error:
        # 409: somebody else is removing it at this moment.
        if not is_status(error, 404) and not is_status(error, 409):
            raise


def of_run(api: APIClient, run: str) -> list[Mapping[str, Any]]:
    """The containers of a run, in whatever state."""
    found: list[Mapping[str, Any]] = api.containers(all=True, filters={"label": [f"{RUN}={run}"]})
    return found


def stale(api: APIClient) -> Iterator[Mapping[str, Any]]:
    """Containers whose run is over."""
    for each in api.containers(all=True, filters={"label": [OWNER]}):
        with suppress(ValueError, LookupError, TypeError):
            if is_over(json.loads(each["Labels"][OWNER])):
                yield each


def name_of(container: Mapping[str, Any]) -> str:
    """What a container that was listed is called."""
    names = container.get("Names") or [container["Id"][:12]]
    return str(names[0]).lstrip("/")


def sweep(api: APIClient, run: str) -> None:
    """Remove all containers of a run whose simcore has died."""
    began = quiet = time.monotonic()
    while time.monotonic() - quiet < _QUIET and time.monotonic() - began < _LONGEST:
        try:
            for each in of_run(api, run):
                quiet = time.monotonic()
                remove(api, each["Id"])
        except failures():
            quiet = time.monotonic()  # a busy engine may still do it
        time.sleep(_PAUSE)


def main(run: str) -> None:
    """Remove the containers of a dead run."""
    try:
        engine = Engine()
    except EngineError as error:
        sys.exit(str(error))
    sweep(engine.api, run)


if __name__ == "__main__":
    main(sys.argv[1])
