"""The files of this machine that a container sees: mounted where that is possible, or copied.

An engine on another machine has no such files, and what only its owner may read is closed to the
user that a container runs as; then they are copied into a volume, which goes with the container.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from simcore.errors import UsageError

_LARGEST = 256 << 20
_LOOKED_AT = 20_000
"""Files of a place; whoever has more of them in a scenario's folder is not to wait for each."""
_LEFT_OUT = frozenset({"__pycache__", "runs", "node_modules", "venv"})
"""Folders, beside hidden ones, that are not copied."""


Mount = Mapping[str, Any]
"""An entry of the engine's `HostConfig.Mounts`."""


def bind(source: Path, target: str) -> Mount:
    """What the engine is told of a file or folder that it can see."""
    return {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": True}


class Share(NamedTuple):
    """Files that a container has below one of its folders, all mounted or all copied.

    Attributes:
        root: absolute path of the folder in the container.
        base: folder on this machine that it stands for.
        names: files and folders of it, relative to both; "." is all of it.
    """

    root: str
    base: Path
    names: tuple[str, ...] = (".",)

    def _places(self) -> dict[PurePosixPath, Path]:
        """Where each is, by its name below the root."""
        return {
            PurePosixPath(os.path.normpath(name)): Path(os.path.normpath(self.base / name))
            for name in self.names
        }

    def mounts(self) -> list[Mount]:
        """What the engine is told if it can see them."""
        root = PurePosixPath(self.root)
        return [bind(source, str(root / name)) for name, source in self._places().items()]

    def volume(self, labels: Mapping[str, str]) -> Mount:
        """What the engine is told if they are copied, once the container is made."""
        return {
            "Type": "volume",
            "Target": self.root,
            "VolumeOptions": {"Labels": dict(labels)},
        }

    def obstacle(self) -> str | None:
        """Why a container could not read all of it where it lies; None if it can."""
        for place in self._places().values():
            inside = place.resolve()
            for file, _, status in islice(_below(place, PurePosixPath()), _LOOKED_AT):
                wanted = 0o005 if stat.S_ISDIR(status.st_mode) else 0o004
                if status.st_mode & wanted != wanted:
                    return f"{file} may not be read by everybody"
                if file != place and file.is_symlink() and _leads_out(file, inside):
                    return f"the link {file} leads out of its folder"
        return None

    def packed(self, why: str) -> bytes:
        """All of it as a tar archive, to be unpacked at the root.

        Args:
            why: it has to be copied.

        Raises:
            UsageError: it is too large for that.
        """
        archive = io.BytesIO()
        total = 0
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, place in self._places().items():
                for file, below, status in _below(place, name):
                    entry = tarfile.TarInfo(str(below))
                    if stat.S_ISDIR(status.st_mode):
                        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                        tar.addfile(entry)
                        continue
                    total += status.st_size
                    if total > _LARGEST:
                        raise UsageError(
                            f"{self.base} has to be copied into a container, for {why}, and is "
                            f"larger than {_LARGEST >> 20} MiB: name what is needed with 'files'"
                        )
                    data = file.read_bytes()
                    entry.size = len(data)
                    entry.mode = 0o755 if status.st_mode & 0o111 else 0o644
                    tar.addfile(entry, io.BytesIO(data))
        return archive.getvalue()


def _below(
    path: Path, name: PurePosixPath, above: frozenset[Path] = frozenset()
) -> Iterator[tuple[Path, PurePosixPath, os.stat_result]]:
    """A file, or a folder and all that is in it; what we may not read ourselves is passed over."""
    try:
        status = path.stat()
    except OSError:
        return  # it was just removed, or is a link to nothing
    if not os.access(path, os.R_OK):
        return
    if stat.S_ISREG(status.st_mode):
        yield path, name, status
    elif stat.S_ISDIR(status.st_mode) and (real := path.resolve()) not in above:
        yield path, name, status
        for each in sorted(path.iterdir()):
            unwanted = each.name in _LEFT_OUT or each.name.startswith(".")
            if not (unwanted and each.is_dir()):
                yield from _below(each, name / each.name, above | {real})


def _leads_out(link: Path, inside: Path) -> bool:
    """Whether a container that sees a folder cannot follow a link in it."""
    return os.path.isabs(os.readlink(link)) or not link.resolve().is_relative_to(inside)
