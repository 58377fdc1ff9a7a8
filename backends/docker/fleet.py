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
from .engine import Engine, EngineError, failures, text_of

if TYPE_CHECKING:
    from simcore.federation import Federation

    from .container import Container
    from .files import Share
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
        self._left: dict[str, Container | None] = {}
        self._lock = threading.Lock()
        self._guarding = sweep.command(self.outside.run_id)
        self.outside.finally_(self._close)
        self._version = self.engine.version()
        self._images: dict[str, Image] = {}
        self._transport: str | None = None
        self._obstacles: dict[Share, str | None] = {}
        self._archives: dict[Share, bytes] = {}
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

    def obstacle(self, share: Share, transport: str) -> str | None:
        """Why files have to be copied; None if containers can have them mounted.

        Args:
            share: the files.
            transport: see `transport`.
        """
        if transport != "shared":
            return "an engine that is spoken with over streams may not have this machine's files"
        if share not in self._obstacles:
            self._obstacles[share] = share.obstacle()
        return self._obstacles[share]

    def archive(self, share: Share, why: str) -> bytes:
        """Files that are copied; packed once for all containers. See `Share.packed`."""
        if share not in self._archives:
            _log.info("%s is copied into containers: %s", share.base, why)
            self._archives[share] = share.packed(why)
        return self._archives[share]

    def enter(self, name: str, container: Container | None = None) -> None:
        """A container is about to be created.

        Args:
            name: of the container.
            container: is removed at the end of the run, unless it has left before.
        """
        with self._lock:
            if not self._left:
                self.outside.guard.start()
                self.outside.guard.command(self._guarding)
            self._left[name] = container

    def leave(self, name: str) -> None:
        """A container is gone, or was never created."""
        with self._lock:
            self._left.pop(name, None)
            if not self._left:
                self.outside.guard.forget_command(self._guarding)

    def discard(self, name: str) -> None:
        """Remove a container; one that the engine fails to remove is left to the guard."""
        api = self.engine.api
        try:
            self.engine.ask(f"remove the container {name}", lambda: sweep.remove(api, name))
        except EngineError as error:
            _log.warning("%s is left: %s; docker rm -f %s removes it", name, error, name)
        else:
            self.leave(name)

    def _reap(self) -> None:
        """Remove what runs left that no guard could look after."""
        try:
            for each in sweep.stale(self.engine.api):
                each.remove(self.engine.api)
                _log.info("removed the %s %s of a run that is over", each.kind, each.name)
        except failures() as error:
            _log.info("what earlier runs left was not removed: %s", text_of(error))

    def _close(self) -> None:
        for container in filter(None, list(self._left.values())):
            container.kill()
        self.pool.shutdown()
        self.engine.close()
