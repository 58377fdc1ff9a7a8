"""Which of the files that a run opened are its inputs."""

from __future__ import annotations

import sys
from pathlib import Path

import simcore
from simcore import inputs

PACKAGE = Path(simcore.__file__).parent


def test_what_is_installed_beside_the_scenario_is_no_input(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    names = [
        "models.py",
        "data/table.csv",
        "run/run.sqlite",
        ".venv/lib/package/code.py",
        "mine.egg-info/entry_points.txt",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    seen = {str(tmp_path / name) for name in names}
    assert list(inputs.digests(seen, tmp_path, tmp_path / "run")) == ["data/table.csv", "models.py"]
    # simcore's own sources, for a scenario in the folder of the project.
    seen = {str(PACKAGE / "node.py"), str(PACKAGE.parent / "setup.cfg")}
    assert "simcore/node.py" not in inputs.digests(seen, PACKAGE.parent, tmp_path)


def test_a_scenario_that_is_installed_has_inputs(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    folder = tmp_path / "lib" / "simcore_scenarios"
    folder.mkdir(parents=True)
    (folder / "models.py").touch()
    assert list(inputs.digests({str(folder / "models.py")}, folder, tmp_path / "run")) == [
        "models.py"
    ]
