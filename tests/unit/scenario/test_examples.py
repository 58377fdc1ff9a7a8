"""The shipped examples are found by name, and never in place of a user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcore.scenario.examples import find, locate, names


@pytest.mark.parametrize("name", ["quickstart", "quickstart.yaml", "scenarios/quickstart.yaml"])
def test_found_by_name(name: str) -> None:
    found = find(name)
    assert found is not None and found.name == "quickstart.yaml"
    assert (found.parent / "quickstart_models.py").is_file()
    assert (found.parent / "data" / "digits.bin").is_file()


@pytest.mark.parametrize(
    "name",
    [
        "quickstar",
        "quickstart.yml",
        "other/quickstart.yaml",
        "/quickstart.yaml",
        "../scenarios/quickstart.yaml",
        "scenarios/../quickstart.yaml",
        "data/digits.bin",
        "",
        ".",
    ],
)
def test_anything_else_is_a_file_of_the_users(name: str) -> None:
    assert find(name) is None


def test_all_examples_are_listed() -> None:
    assert {"quickstart", "faults", "routes"} <= set(names())


def test_a_file_of_the_user_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("quickstart.yaml").is_absolute()
    Path("quickstart.yaml").write_text("", encoding="utf-8")
    assert locate("quickstart.yaml") == Path("quickstart.yaml")
    assert locate("missing.yaml") == Path("missing.yaml")
