"""`new` writes a scenario that is one's own, and nothing over what exists."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from simcore.cli.new import command, write_template
from simcore.errors import ExitCode, ResultsError, UsageError


def test_writes_both_files_and_says_what_to_do_next(tmp_path: Path) -> None:
    target = tmp_path / "my experiment"
    result = CliRunner().invoke(command, [str(target)], standalone_mode=False)
    assert result.exception is None
    assert {path.name for path in target.iterdir()} == {"scenario.yaml", "models.py"}
    assert f"python -m simcore '{target}/scenario.yaml'" in result.output
    scenario = (target / "scenario.yaml").read_text(encoding="utf-8")
    assert "name: my-experiment\n" in scenario and "$" not in scenario


@pytest.mark.parametrize(
    ("folder", "name"), [("a.b", "a.b"), ("3rd", "scenario-3rd"), ("ü", "scenario"), ("-x-", "x")]
)
def test_the_scenario_is_named_after_the_folder(tmp_path: Path, folder: str, name: str) -> None:
    scenario, _ = write_template(tmp_path / folder)
    assert f"name: {name}\n" in scenario.read_text(encoding="utf-8")


@pytest.mark.parametrize("existing", ["scenario.yaml", "models.py"])
def test_never_overwrites(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=existing) as caught:
        write_template(tmp_path)
    assert caught.value.exit_code == ExitCode.INVALID
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text(encoding="utf-8") == "mine"


def test_never_writes_through_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "models.py").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"models\.py"):
        write_template(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_in_the_way_is_an_error_of_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ResultsError, match="cannot write"):
        write_template(tmp_path / "file")
