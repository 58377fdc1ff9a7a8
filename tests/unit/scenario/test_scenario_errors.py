"""One small file per mistake: `errors/NAME.yaml` begins with the problems it must be told.

The comment lines at the top are the whole report, in its order, each as
`line:column: path: what is wrong`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from simcore.errors import ExitCode, ScenarioError
from simcore.scenario import load

CASES = sorted((Path(__file__).parent / "errors").glob("*.yaml"))


def expected(path: Path) -> list[str]:
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("# "):
            break
        lines.append(line[2:])
    return lines


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_reports_exactly_the_problems_the_file_names(path):
    with pytest.raises(ScenarioError) as caught:
        load(path)
    reported = [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]
    assert reported == expected(path)
    assert caught.value.exit_code == ExitCode.INVALID


def test_there_are_cases():
    assert len(CASES) >= 90
    assert all(expected(path) for path in CASES)
