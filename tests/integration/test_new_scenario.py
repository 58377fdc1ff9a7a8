"""What `new` writes is valid and runs at once, as a user would run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcore.cli.new import write_template
from simcore.expect import evaluate, parse
from simcore.federation import Federation
from simcore.results.metrics import Metrics
from simcore.results.store import open_run
from simcore.scenario import load


@pytest.mark.parametrize("seed", [None, 2, 3])
def test_the_template_runs_and_its_expectations_hold(tmp_path: Path, seed: int | None) -> None:
    path, _ = write_template(tmp_path / "mine")
    scenario = load(path, seed=seed)
    Federation(scenario, out=tmp_path / "run").run()
    with open_run(tmp_path / "run") as run:
        metrics = Metrics(run.connection)
        outcomes = [evaluate(parse(text), metrics) for text in scenario.expect]
        assert [outcome.passed for outcome in outcomes] == [True, True], outcomes
        assert metrics.record_names() == ["answered", "celsius"]


def test_the_template_shows_what_a_beginner_needs(tmp_path: Path) -> None:
    path, _ = write_template(tmp_path / "mine")
    scenario = load(path)
    options = [spec.options for spec in scenario.nodes]
    assert any("model" in option for option in options)
    assert any("service" in option for option in options)
    assert scenario.network["model"] == "latency" and scenario.expect
