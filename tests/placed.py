"""The models of the scenario `placement`, as tests use them."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

from support import ROOT


def _module() -> ModuleType:
    path = ROOT / "scenarios" / "placement_models.py"
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


models: Any = _module()


def unseen() -> tuple[list[bytes], list[int]]:
    """Images and labels that no model has seen."""
    images, labels = models.test_half()
    return [image.tobytes() for image in images], labels.tolist()
