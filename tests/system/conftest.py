"""A project of a user's, in which much can go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Project
from trouble import MODELS, SCENARIO


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    temporary = tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    made = Project(folder, {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"})
    made.write("models.py", MODELS)
    made.write("scenario.yaml", SCENARIO)
    return made
