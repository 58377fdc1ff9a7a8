"""A project of a user's, in which much can go wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Project
from trouble import MODELS, SCENARIO


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    # Sockets lie in it, and the name of a test makes its folder's path too long for them.
    with tempfile.TemporaryDirectory() as temporary:
        made = Project(folder, {"TMPDIR": temporary, "PYTHONDONTWRITEBYTECODE": "1"})
        made.write("models.py", MODELS)
        made.write("scenario.yaml", SCENARIO)
        yield made
