"""Files that people ask for: what keeps one from being written is told in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simcore.errors import ResultsError


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Write a file, or files in a directory, that `--out` names.

    Raises:
        ResultsError: something in it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"{error.filename or place} cannot be written ({error.strerror or error}); "
            "choose another place with --out"
        ) from error
