"""`contract`: does a program keep the rules of the protocol?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from simcore.contract.check import check
from simcore.contract.plan import Plan, Sample
from simcore.contract.rules import RULES, rules_table
from simcore.errors import ExitCode, UnitError, UsageError
from simcore.launch import LaunchError
from simcore.payload import PayloadError, freeze
from simcore.units import duration


def _value(text: str, option: str) -> Any:
    """The JSON of an option, or of the file that it names with @."""
    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{option}: {text[:60]!r} is not JSON, nor @file: {error}") from None


def _samples(texts: tuple[str, ...]) -> tuple[Sample, ...]:
    samples = []
    for text in texts:
        kind, separator, payload = text.partition("=")
        if not separator or not kind:
            raise UsageError(f'--input: {text[:60]!r} is not KIND=JSON, as reading={{"value": 1}}')
        value = _value(payload, "--input")
        try:
            freeze(value)
        except PayloadError as error:
            raise UsageError(f"--input: {error}") from None
        samples.append(Sample(kind, value))
    return tuple(samples)


def _time(text: str, option: str) -> int:
    try:
        return duration(text)
    except UnitError as error:
        raise UsageError(f"{option}: {error}") from None


_SAMPLE = 'message={"value":1}'


@click.command("contract")
@click.argument("program", metavar="-- COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--kind",
    type=click.Choice(["reactive", "free_running", "network"]),
    help="What it has to be; without it, what it says.",
)
@click.option(
    "--transport",
    type=click.Choice(["unix", "tcp", "stdio"]),
    default="unix",
    show_default=True,
    help="What connects it to simcore.",
)
@click.option("--name", default="participant", show_default=True, help="Name of the participant.")
@click.option(
    "--node",
    "nodes",
    metavar="NAME",
    multiple=True,
    help="A node that it hosts; repeat for more. Its own name without it.",
)
@click.option(
    "--peer",
    "peers",
    metavar="NAME",
    multiple=True,
    default=("peer",),
    show_default=True,
    help="Another node of the run; repeat for more.",
)
@click.option("--config", metavar="JSON|@FILE", default="{}", help="Its config, an object.")
@click.option(
    "--input",
    "inputs",
    metavar="KIND=JSON|@FILE",
    multiple=True,
    default=(_SAMPLE,),
    show_default=True,
    help="A message to it; repeat for more, which are sent in turn.",
)
@click.option("--no-input", is_flag=True, help="Send it no messages.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the run.")
@click.option(
    "--duration",
    "length",
    metavar="DURATION",
    default="1s",
    show_default=True,
    help="Virtual time of an exchange.",
)
@click.option(
    "--least-delay",
    metavar="DURATION",
    default="0s",
    show_default=True,
    help="What a network promises that every message takes.",
)
@click.option(
    "--start-timeout",
    metavar="DURATION",
    default="20s",
    show_default=True,
    help="Wall time until it must be ready.",
)
@click.option(
    "--timeout",
    metavar="DURATION",
    default="20s",
    show_default=True,
    help="Wall time that it may take to answer, and to end.",
)
@click.option(
    "--pause",
    metavar="DURATION",
    default="100ms",
    show_default=True,
    help="Wall time that simcore takes for itself to examine `pace`.",
)
@click.option("--skip", metavar="RULE", multiple=True, help="A rule that is not examined.")
@click.option("--rules", is_flag=True, help="Print the rules as a Markdown table, and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    program: tuple[str, ...], kind: Any, transport: str, name: str, nodes: tuple[str, ...],
    peers: tuple[str, ...], config: str, inputs: tuple[str, ...], no_input: bool, seed: int,
    length: str, least_delay: str, start_timeout: str, timeout: str, pause: str,
    skip: tuple[str, ...], rules: bool, as_json: bool,
) -> int:  # fmt: skip
    """Start a program, drive it through the rules of the protocol, name those that it breaks.

    The program is started as `implementation: process` does, about ten times. Exit code 1 if a
    rule is broken.
    """
    if rules:
        click.echo(rules_table(), nl=False)
        return ExitCode.OK
    if not program:
        raise click.UsageError("the command is missing: python -m simcore contract -- COMMAND...")
    unknown = sorted(set(skip) - set(RULES))
    if unknown:
        raise UsageError(f"--skip: there is no rule {unknown[0]!r}: see contract --rules")
    given = _value(config, "--config")
    if not isinstance(given, dict):
        raise UsageError("--config: it has to be a JSON object")
    own = nodes or (name,)
    if set(own) & set(peers):
        raise UsageError(f"{sorted(set(own) & set(peers))[0]} cannot be both its node and a peer")
    plan = Plan(
        program,
        os.environ,
        kind=kind,
        transport=transport,
        name=name,
        nodes=own,
        peers=peers,
        config=given,
        seed=seed,
        samples=() if no_input else _samples(inputs),
        duration=_positive(length, "--duration"),
        start_timeout=_positive(start_timeout, "--start-timeout") / 1e9,
        timeout=_positive(timeout, "--timeout") / 1e9,
        pause=_time(pause, "--pause") / 1e9,
        least_delay=_time(least_delay, "--least-delay"),
        skip=frozenset(skip),
    )
    try:
        report = check(plan)
    except LaunchError as error:
        raise UsageError(f"the program cannot be started: {error}") from None
    click.echo(json.dumps(report.fields(), indent=2) if as_json else report.text())
    if "participant-error" in report.broken and inputs == (_SAMPLE,) and not no_input:
        click.echo("hint: say what the program expects with --input KIND=JSON", err=True)
    return ExitCode.DIFFERENT if report.broken else ExitCode.OK


def _positive(text: str, option: str) -> int:
    value = _time(text, option)
    if value == 0:
        raise UsageError(f"{option}: must be more than 0")
    return value
