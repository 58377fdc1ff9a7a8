"""The shipped examples, found by name from any directory.

Who installed simcore as a wheel has no checkout, and should still be able to type the first
command of the README. So an argument that is no file, but names a shipped example, means it.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path, PurePosixPath

_PACKAGE = "simcore_scenarios"


def _folder() -> Path | None:
    try:
        folder = resources.files(_PACKAGE)
    except ModuleNotFoundError:  # simcore is used from a checkout, not installed
        return None
    return folder if isinstance(folder, Path) else None


def find(name: str) -> Path | None:
    """The shipped example that `name` means, or None.

    Args:
        name: what the user typed: `quickstart`, `quickstart.yaml` or
            `scenarios/quickstart.yaml`. Any other folder means a file of the user's.
    """
    asked = PurePosixPath(name)
    if asked.parent not in (PurePosixPath("."), PurePosixPath("scenarios")) or asked.is_absolute():
        return None
    if asked.stem not in names() or asked.suffix not in ("", ".yaml"):
        return None
    folder = _folder()
    return folder / f"{asked.stem}.yaml" if folder is not None else None


def names() -> list[str]:
    """Names of the shipped examples, sorted; empty where simcore is not installed."""
    folder = _folder()
    return sorted(path.stem for path in folder.glob("*.yaml")) if folder is not None else []


def locate(name: str) -> Path:
    """The file that a command was given: one of the user's, or else a shipped example.

    Returns `name` itself where it is neither, for the reader to say so.
    """
    path = Path(name)
    return path if path.exists() else find(name) or path
