"""What a run read: the digest of every file beside the scenario that was opened for it.

Models load data and neighbours in their own ways, so the list is not declared but observed,
through Python's audit events.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

from simcore.protocol.loading import installations, is_installed

_watching: list[set[str]] = []
_hooked = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watching:
        path, flags = arguments[0], arguments[2]  # flags tell of files opened by os.open too
        if isinstance(path, (str, os.PathLike)) and not flags & (os.O_WRONLY | os.O_RDWR):
            for seen in _watching:
                seen.add(os.fspath(path))


@contextmanager
def watch() -> Iterator[set[str]]:
    """Collect the names of files that are opened for reading while the context lasts."""
    global _hooked  # noqa: PLW0603
    if not _hooked:  # an audit hook cannot be removed, so there is one, and only when needed
        sys.addaudithook(_audit)
        _hooked = True
    seen: set[str] = set()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)


def digests(seen: set[str], base: Path, but: Path) -> dict[str, str]:
    """SHA-256 of the files in or below `base`, by their path relative to it.

    What is installed there, as in a virtual environment, is no input: versions tell of it.

    Args:
        seen: names from `watch`.
        base: the scenario's folder.
        but: the run directory, whose files are no inputs.
    """
    base, but = base.resolve(), but.resolve()
    places = installations(base)
    found: dict[str, str] = {}
    for name in sorted(seen):  # hashing opens files, which adds to `seen`
        path = Path(os.fsdecode(name)).resolve()
        if path.suffix == ".pyc":
            path = Path(source_from_cache(str(path))) if "__pycache__" in path.parts else path
        if not path.is_relative_to(base) or path.is_relative_to(but):
            continue
        if path.is_file() and not is_installed(path, places):
            found[str(path.relative_to(base))] = _digest(path)
    return dict(sorted(found.items()))


def file_names(value: Any) -> Iterator[str]:
    """Texts in a value of a scenario that may name files, as `model.onnx` and `net.py:Net` do."""
    if isinstance(value, str):
        file, _, name = value.rpartition(":")
        yield from (text for text in (value, file if name.isidentifier() else "") if text)
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from file_names(item)


def _digest(path: Path) -> str:
    """SHA-256 of a file; a word in its place where the run could read it and we cannot."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
