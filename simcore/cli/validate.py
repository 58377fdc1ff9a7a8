"""`validate`: checks scenarios without importing, building or running what they name."""

from __future__ import annotations

import click

from simcore.errors import ExitCode, ScenarioError
from simcore.plugins import Plugins
from simcore.scenario import Problem, Scenario, load
from simcore.scenario.examples import locate
from simcore.units import show_duration


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _summary(scenario: Scenario) -> str:
    parts = [
        _count(len(scenario.nodes), "node"),
        f"network {scenario.network['model']}",
        show_duration(scenario.duration),
        f"seed {scenario.seed}",
    ]
    for key, value in scenario.extensions.items():
        parts.append(f"{key}: {len(value)}" if isinstance(value, list) else key)
    if scenario.expect:
        parts.append(_count(len(scenario.expect), "expectation"))
    return ", ".join(parts)


@click.command("validate")
@click.argument("scenarios", metavar="SCENARIO...", nargs=-1, required=True)
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a value before checking, as nodes.meter.count=50; may be repeated.",
)
@click.option("--seed", type=int, help="Replace the seed.")
@click.option("--until", metavar="DURATION", help="Replace the duration, as 10s.")
def command(
    scenarios: tuple[str, ...], overrides: tuple[str, ...], seed: int | None, until: str | None
) -> int:
    """Check scenario files and report every problem with its place.

    Nothing that a scenario names is imported, built or run. Exit code 2 if there is a problem.
    """
    plugins = Plugins()
    problems: list[Problem] = []
    for name in scenarios:
        try:
            scenario = load(
                locate(name), overrides=overrides, seed=seed, until=until, plugins=plugins
            )
        except ScenarioError as error:
            problems += error.problems
            for problem in error.problems:
                click.echo(str(problem), err=True)
        else:
            click.echo(f"{name}: ok ({_summary(scenario)})")
    if problems:
        click.echo(_count(len(problems), "problem"), err=True)
        return ExitCode.INVALID
    return ExitCode.OK
