"""A directory of a run's own: for its sockets, and for nobody else.

It is removed with the run. What is left of a run whose machine lost power, or whose guard was
killed too, says itself whose it was, so that `clean` can remove it.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcore.ending import PREFIX, remove
from simcore.errors import SimcoreError
from simcore.guard import Guard, Owner

_OWNER = "owner.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNOWNED = 60.0
"""Seconds after which a directory that says nothing of its owner is taken for left behind."""


class PrivateDirectory:
    """A directory that only this user may enter (0700), removed with the run.

    Its path is short enough for Unix sockets in it (their names have room for 100 characters or
    so) unless the folder for temporary files is not.

    Args:
        guard: removes it when simcore cannot.

    Attributes:
        path: the directory.

    Raises:
        SimcoreError: no directory can be made.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        parent = places()[0]
        # The name is known to the guard before the directory is there: simcore may be killed
        # between any two steps.
        self.path = parent / f"{PREFIX}{secrets.token_hex(6)}"
        guard.directory(self.path)
        try:
            self.path.mkdir(0o700)
            text = json.dumps(owner_of(guard.run))
            (self.path / _OWNER).write_text(text, encoding="utf-8")
        except OSError as error:
            raise SimcoreError(
                f"no private directory for sockets can be made in {parent}: {error.strerror}; "
                "set TMPDIR to a folder that can be written"
            ) from error

    def remove(self) -> None:
        """Remove it with all that is in it."""
        if remove(str(self.path)):
            self._guard.forget_directory(self.path)


@dataclass(frozen=True, slots=True)
class Stale:
    """A private directory whose run is over.

    Attributes:
        path: the directory.
        run: the id of its run; None if it does not say.
    """

    path: Path
    run: str | None


def places() -> list[Path]:
    """Where private directories are made: the first is used, the others may hold older ones."""
    # Not `tempfile.gettempdir`, which makes a file to see whether it can: there is no guard yet
    # to remove it.
    runtime = _first(os.environ.get("XDG_RUNTIME_DIR"))
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    temporary = _first(*named, "/tmp", "/var/tmp") or Path("/tmp")
    return [runtime, temporary] if runtime not in (None, temporary) else [temporary]


def _first(*names: str | None) -> Path | None:
    """The first folder that can be written to."""
    for name in names:
        if name and os.path.isabs(name) and os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    return None


def stale() -> Iterator[Stale]:
    """Private directories of this user's whose run is over.

    Not those of which this cannot be known: of another machine, or of another container.
    """
    for place in places():
        for path in sorted(place.glob(f"{PREFIX}*")):
            try:
                status = path.lstat()
                owner = _read(path)
            except OSError:
                continue  # it was just removed, or is not ours
            if status.st_uid != os.geteuid() or path.is_symlink():
                continue
            if owner is None:
                # simcore was killed as it made it, or is just making it
                if time.time() - status.st_mtime > _UNOWNED:
                    yield Stale(path, None)
            elif is_over(owner):
                yield Stale(path, owner["run"])


def owner_of(run: str) -> dict[str, Any]:
    """What tells, wherever it is left behind, whose it was and whether that run is over."""
    owner = Owner(run)
    return {
        "pid": owner.process,
        "start_time": owner.start,
        "boot_id": _boot(),
        "machine": os.uname().nodename,
        "run": run,
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        owner: dict[str, Any] = json.loads((path / _OWNER).read_text(encoding="utf-8"))
        Owner(str(owner["run"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError):
        return None
    return owner


def is_over(owner: Mapping[str, Any]) -> bool:
    """Whether the run is over that `owner_of` was asked for; False where this cannot be known."""
    if owner.get("boot_id") != _boot():
        return owner.get("machine") == os.uname().nodename
    return Owner(owner["run"]).dead


def _boot() -> str:
    return _BOOT.read_text(encoding="ascii").strip()
