"""Loading the models and services that a scenario names: `file.py:name`, beside the YAML.

The file's folder is importable while it loads, so that a model may import its neighbours.
Standard library only: the same code loads a service in a child process.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from simcore.errors import UsageError


def load_object(reference: str, base: Path) -> Any:
    """What `file.py:name` stands for.

    Args:
        reference: a Python file relative to `base`, a colon, and a name in it.
        base: the scenario's folder.

    Raises:
        UsageError: no such file or name, or the file raises when it is imported.
    """
    file, _, name = reference.rpartition(":")
    path, module_name = _place(os.path.abspath(base), file)
    module = _load_module(path, module_name, reference)
    try:
        return getattr(module, name)
    except AttributeError:
        raise UsageError(f"{reference}: {path.name} has no {name!r}") from None


def load_service(reference: str, base: Path) -> Any:
    """A service class, of a file or of a module that can be imported.

    Args:
        reference: `file.py:Class` relative to `base`, or `package.module:Class`.
        base: the scenario's folder.

    Raises:
        UsageError: it is not there, or importing it raises.
    """
    place, _, name = reference.rpartition(":")
    if place.endswith(".py"):
        return load_object(reference, base)
    try:
        return getattr(importlib.import_module(place), name)
    except Exception as error:
        raise UsageError(
            f"{reference}: importing it raised {type(error).__name__}: {error}"
        ) from error


@lru_cache(maxsize=256)  # asked for each of ten thousand nodes, and a look at the disk each time
def _place(folder: str, file: str) -> tuple[Path, str]:
    """Where a file is, and the name of its module, which no installed package has."""
    path = Path(folder, file).resolve()
    return path, f"_simcore_model_{sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"


def _load_module(path: Path, name: str, reference: str) -> ModuleType:
    # One module per file and process.
    module = sys.modules.get(name)
    if module is not None:
        return module
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"{reference}: there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent)
    _forget_neighbours(but_of=folder)
    known = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise UsageError(
            f"{reference}: importing it raised {type(error).__name__}: {error}"
        ) from error
    finally:
        sys.path.remove(folder)
    new = set(sys.modules) - known
    places = installations(path.parent) if new else []
    for found in new:
        file = getattr(sys.modules[found], "__file__", None)
        if file is None or not Path(file).is_relative_to(folder):
            continue
        if not is_installed(Path(file), places):
            _neighbours[found] = folder
    return module


def installations(folder: Path) -> list[Path]:
    """Where Python, its packages and simcore are, but for places that a folder lies in.

    A project's folder often holds them: a virtual environment, or simcore's sources.
    """
    found = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()]
    own = (getattr(sys.modules.get(name), "__file__", None) for name in _OWN)
    found += [os.path.dirname(file) for file in own if file]
    places = {Path(each).resolve() for each in found}
    return sorted(place for place in places if not folder.resolve().is_relative_to(place))


def is_installed(file: Path, places: Sequence[Path]) -> bool:
    """Whether a file is in one of these places, or says what is installed beside them."""
    if any(part.endswith((".dist-info", ".egg-info")) for part in file.parts):
        return True
    return any(file.resolve().is_relative_to(place) for place in places)


_OWN = ("simcore", "simcore_backends", "simcore_netmodels")
"""Packages whose sources may lie beside a scenario."""


_neighbours: dict[str, str] = {}
"""Modules that models imported from beside them, and the folder of each."""


def _forget_neighbours(but_of: str) -> None:
    """Have a model of one folder not find the `helper.py` of another."""
    for name, folder in list(_neighbours.items()):
        if folder != but_of:
            del _neighbours[name]
            sys.modules.pop(name, None)
