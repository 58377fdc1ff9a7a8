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
from typing import TYPE_CHECKING, NamedTuple

from simcore.private import is_over, owner_of

from .engine import Engine, EngineError, failures, is_status

if TYPE_CHECKING:
    from docker import APIClient

RUN = "simcore.run"
OWNER = "simcore.owner"
_QUIET = 1.5
"""Seconds without a new container of a dead run before it is taken to have no more."""
_BUSY = 50
"""And so many times what the engine takes to be asked: a busy one makes containers slowly."""
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
    """What removes all that there is of a run, for the guard."""
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


class Left(NamedTuple):
    """A container, or a volume that was made for one.

    Attributes:
        kind: "container" or "volume".
        id: by which the engine knows it.
        name: for people.
        run: id of its run.
        owner: whose it is, as `simcore.private.owner_of` says.
    """

    kind: str
    id: str
    name: str
    run: str
    owner: str

    def remove(self, api: APIClient) -> None:
        """Remove it; what is gone is no error.

        Raises:
            DockerException: the engine did not.
        """
        if self.kind == "container":
            remove(api, self.id)
            return
        try:
            api.remove_volume(self.id)
        except failures() as error:
            if not is_status(error, 404) and not is_status(error, 409):  # 409: in use
                raise


def of_run(api: APIClient, run: str) -> Iterator[Left]:
    """What is there of a run."""
    yield from _labelled(api, f"{RUN}={run}")


def stale(api: APIClient) -> Iterator[Left]:
    """What is left of runs that are over."""
    for each in _labelled(api, OWNER):
        with suppress(ValueError, LookupError, TypeError):
            if is_over(json.loads(each.owner)):
                yield each


def _labelled(api: APIClient, label: str) -> Iterator[Left]:
    """Containers first: their volumes go with them, or can be removed then."""
    filters = {"label": [label]}
    for each in api.containers(all=True, filters=filters):
        name = (each.get("Names") or [each["Id"][:12]])[0].lstrip("/")
        yield _left("container", each["Id"], name, each["Labels"])
    for each in api.volumes(filters=filters)["Volumes"] or ():
        yield _left("volume", each["Name"], each["Name"][:12], each["Labels"])


def _left(kind: str, identity: str, name: str, labels: Mapping[str, str]) -> Left:
    return Left(kind, identity, name, labels.get(RUN, ""), labels.get(OWNER, ""))


def sweep(api: APIClient, run: str) -> None:
    """Remove all of a run whose simcore has died."""
    began = quiet = now = time.monotonic()
    patience = _QUIET
    while now - quiet < patience and now - began < _LONGEST:
        try:
            found = list(of_run(api, run))
            patience = max(patience, _BUSY * (time.monotonic() - now))
            for each in found:
                each.remove(api)
                quiet = time.monotonic()
        except failures():
            quiet = time.monotonic()  # a busy engine may still do it
        time.sleep(_PAUSE)
        now = time.monotonic()


def main(run: str) -> None:
    """Remove what is left of a dead run."""
    try:
        engine = Engine()
    except EngineError as error:
        sys.exit(str(error))
    sweep(engine.api, run)


if __name__ == "__main__":
    main(sys.argv[1])
