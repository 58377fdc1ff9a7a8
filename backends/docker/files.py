"""The files of this machine that a container sees: mounted where that is possible, or copied.

An engine on another machine has no such files, and what only its owner may read is closed to the
user that a container runs as; then they are copied into a volume, which goes with the container.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from simcore.errors import UsageError

_LARGEST = 256 << 20
_LEFT_OUT = frozenset({"__pycache__", "runs", "node_modules", "venv"})
"""Folders, beside hidden ones, that are not copied."""


class Place(NamedTuple):
    """A file or folder, and where a container has it.

    Attributes:
        source: on this machine.
        target: absolute path in the container.
    """

    source: Path
    target: str

    @property
    def open(self) -> bool:
        """Whether any user may read it."""
        wanted = 0o005 if self.source.is_dir() else 0o004
        return self.source.stat().st_mode & wanted == wanted


def mounts(places: Sequence[Place]) -> list[dict[str, Any]]:
    """What the engine is told of places that it can see, for `HostConfig.Mounts`."""
    return [
        {"Type": "bind", "Source": str(each.source), "Target": each.target, "ReadOnly": True}
        for each in places
    ]


def volumes(copies: Sequence[Place]) -> list[dict[str, Any]]:
    """As `mounts`, of places that are copied once the container is made."""
    return [{"Type": "volume", "Target": folder} for folder in _by_folder(copies)]


def _by_folder(copies: Sequence[Place]) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for each in copies:
        found.setdefault(each.target if each.source.is_dir() else _parent(each), []).append(each)
    return found


def _parent(place: Place) -> str:
    return str(PurePosixPath(place.target).parent)


def packed(copies: Sequence[Place]) -> dict[str, bytes]:
    """The files of places as tar archives, by the folder that each is unpacked in.

    Raises:
        UsageError: they are too large to copy.
    """
    return {folder: _packed(folder, each) for folder, each in _by_folder(copies).items()}


def _packed(folder: str, places: Sequence[Place]) -> bytes:
    archive = io.BytesIO()
    total = 0
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for place in places:
            for file, name in _files(place):
                total += file.stat().st_size
                if total > _LARGEST:
                    raise UsageError(
                        f"{place.source} is larger than {_LARGEST >> 20} MiB, and has to be "
                        "copied into the container: name the files it needs with 'files'"
                    )
                entry = tarfile.TarInfo(str(PurePosixPath(name).relative_to(folder)))
                data = file.read_bytes()
                entry.size, entry.mode = len(data), 0o755 if os.access(file, os.X_OK) else 0o644
                tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def _files(place: Place) -> Iterator[tuple[Path, str]]:
    """The files of a place with their names in the container."""
    if place.source.is_file():
        yield place.source, place.target
        return
    for folder, folders, names in os.walk(place.source):
        folders[:] = sorted(
            name for name in folders if name not in _LEFT_OUT and not name.startswith(".")
        )
        below = Path(folder).relative_to(place.source)
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file():  # and no socket or pipe
                yield file, str(PurePosixPath(place.target) / below / name)


def of_keys(files: Sequence[str], base: Path, target: str) -> list[Place]:
    """The places that the key `files` names, below `target` as they are below `base`."""
    return [Place(base / name, str(PurePosixPath(target) / name)) for name in files]
