"""How containers reach simcore: over a Unix socket of this machine, or by their own streams.

A socket needs an engine whose containers share this machine's files and kernel. One on another
machine, or in a virtual machine as Docker Desktop's and Colima's, does not have them; its
containers are spoken with over their standard input and output.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from . import sweep
from .engine import Refused
from .files import bind

if TYPE_CHECKING:
    from .fleet import Fleet
    from .images import Image

INSIDE = "/run/simcore"
"""Where a container finds the folder with the socket."""


def is_shared(fleet: Fleet, image: Image, folder: Path) -> bool:
    """Whether a container can use a socket of this machine, by one that is made and looked into.

    It is not started, so its image may hold anything.

    Args:
        fleet: of the run.
        image: that of one of its nodes.
        folder: where the socket is; a file is left there.

    Raises:
        EngineError: the engine fails.
    """
    engine = fleet.engine
    if _kernel(fleet) != os.uname().release:
        return False
    nonce = secrets.token_hex(16).encode()
    (folder / "probe").write_bytes(nonce)
    name = fleet.new_name("probe")
    config = {
        "Image": image.id,
        "Cmd": ["probe"],
        "Labels": sweep.labels(fleet.outside.run_id, "probe"),
        "HostConfig": {"NetworkMode": "none", "Mounts": [bind(folder, INSIDE)]},
    }

    def look() -> bytes:
        chunks, _ = engine.api.get_archive(name, f"{INSIDE}/probe")
        return b"".join(chunks)

    fleet.enter(name)  # the guard removes it if simcore cannot
    try:
        engine.create(name, config)
        return nonce in engine.ask(f"look into the container {name}", look)
    except Refused:
        return False  # the engine has no such folder
    finally:
        fleet.discard(name)


def _kernel(fleet: Fleet) -> str:
    found = fleet.engine.ask("say what it runs on", fleet.engine.api.info)
    return str(found.get("KernelVersion"))
