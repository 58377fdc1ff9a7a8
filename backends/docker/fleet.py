"""All containers of one run, the engine that they are on, and that none of them stays."""

from __future__ import annotations

import logging
import re
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from . import sweep
from .door import is_shared
from .engine import Engine, failures, text_of

if TYPE_CHECKING:
    from simcore.federation import Federation

    from .container import Container
    from .images import Image

_WORKERS = 6
"""Containers that are started at the same time; more of them only wait for each other."""

_log = logging.getLogger("simcore.docker")


class Fleet:
    """The containers of one run; `federation.outside.one(Fleet)` is the one of a run.

    Args:
        federation: the run.

    Attributes:
        engine: where they are.
        pool: starts and removes them, in the order in which that is asked for.

    Raises:
        MissingDependency: docker-py is not installed.
        EngineError: no engine can be reached.
    """

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self.engine = Engine()
        self.pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="simcore-docker")
        self.outside = federation.outside
        self._mark = secrets.token_hex(4)
        self._count = 0
        self._left: set[Container] = set()
        self._lock = threading.Lock()
        self._guarding = sweep.command(self.outside.run_id)
        self.outside.finally_(self._close)
        self._version = self.engine.version()
        self._images: dict[str, Image] = {}
        self._transport: str | None = None
        federation.note_part("docker", self._version)
        self.pool.submit(self._reap)

    def new_name(self, node: str) -> str:
        """A name for a container, which no other one has."""
        self._count += 1
        readable = re.sub(r"[^A-Za-z0-9_.-]", "_", node)[:40]
        return f"simcore-{self._mark}-{self._count}-{readable}"

    def image_of(self, group: str, make: Callable[[], Image]) -> Image:
        """The image of a group's containers; found once for all of them."""
        if group not in self._images:
            self._images[group] = make()
        return self._images[group]

    def transport(self, wanted: str, image: Image) -> str:
        """What connects containers: "shared" (see `Listener.address`) or "stdio".

        Args:
            wanted: auto, unix or stdio.
            image: of one of them, to try it with.
        """
        if wanted != "auto":
            return "stdio" if wanted == "stdio" else "shared"
        if self._transport is None:
            address = self.outside.listener.address("shared").partition(":")[2]
            shared = is_shared(self, image, Path(address).parent)
            self._transport = "shared" if shared else "stdio"
            how = (
                "a Unix socket"
                if shared
                else "their standard input and output, for the engine "
                "does not share this machine's files with them"
            )
            self.federation.say(
                f"docker: engine {self._version} at {self.engine.address}; "
                f"containers connect over {how}"
            )
        return self._transport

    def enter(self, container: Container) -> None:
        """A container is about to be created."""
        with self._lock:
            if not self._left:
                self.outside.guard.start()
                self.outside.guard.command(self._guarding)
            self._left.add(container)

    def leave(self, container: Container) -> None:
        """A container is gone, or was never created."""
        with self._lock:
            self._left.discard(container)
            if not self._left:
                self.outside.guard.forget_command(self._guarding)

    def _reap(self) -> None:
        """Remove what runs left that no guard could look after."""
        try:
            for each in sweep.stale(self.engine.api):
                sweep.remove(self.engine.api, each["Id"])
                _log.info("removed the container %s of a run that is over", sweep.name_of(each))
        except failures() as error:
            _log.info("containers of earlier runs were not looked for: %s", text_of(error))

    def _close(self) -> None:
        for container in list(self._left):
            container.kill()
        self.pool.shutdown()
        self.engine.close()
