"""`compare`: whether two runs are the same, and if not, where they part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simcore.cli.console import make_console
from simcore.errors import ExitCode
from simcore.results import show
from simcore.results.compare import Comparison, Pair
from simcore.results.compare import compare as compare_runs
from simcore.results.store import open_run

MOST, LONGEST = 25, 40
"""Rows of a list, and characters of a value, that are printed; `--json` has all."""


@click.command()
@click.argument("first", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("second", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Write the comparison as JSON; times in ns.")
def command(first: Path, second: Path, as_json: bool) -> int:
    """Compare two runs: digest, inputs, counts, latencies, and the first record that differs.

    Exits with 1 if their digests differ.
    """
    with open_run(first) as a, open_run(second) as b:
        found = compare_runs(a, b)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
    else:
        _print(found, make_console())
    return ExitCode.OK if found.same else ExitCode.DIFFERENT


def _print(found: Comparison, console: Console) -> None:
    _verdict(found, console)
    sections = {
        "Scenario": found.scenario,
        "Inputs": {name: _short(pair) for name, pair in found.inputs.items()},
        "Versions": found.versions,
        "Run": found.other,
        "Counts": found.counts,
    }
    for title, pairs in sections.items():
        _pairs(console, title, pairs)
    if found.same:  # equal figures side by side tell nothing
        return
    _inferences(console, found.inferences)
    _flows(console, found.flows)
    means = dict(found.measurements)
    for name in found.durations:
        first, second = means[name]
        means[name] = show.recorded_time(first), show.recorded_time(second)
    _pairs(console, "Means of measurements", means)


def _verdict(found: Comparison, console: Console) -> None:
    first, second = found.digests
    if found.same:
        _line(console, "same", "green", f": both have the digest {first}")
        return
    if first is None or second is None:
        which = "the first" if first is not None else "the second"
        which = "neither run" if first is None and second is None else f"only {which} run"
        _line(console, "unknown", "yellow", f": {which} was finished and has a digest")
    else:
        _line(console, "different", "bold red", f": digests {first[:12]} and {second[:12]}")
    if found.difference is not None:
        _line(console, "first difference", "bold", f" {show.label(found.difference)}")
    else:
        _line(console, "", "", "no recorded message, measurement or fault differs")


def _line(console: Console, word: str, style: str, rest: str) -> None:
    console.print(Text.assemble((word, style), rest), soft_wrap=True)


def _table(console: Console, title: str, *columns: str) -> Table:
    console.print()
    _line(console, title, "bold", "")
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _pairs(console: Console, title: str, pairs: Mapping[str, Pair]) -> None:
    if not pairs:
        return
    table = _table(console, title, "", "first", "second")
    for name, pair in list(pairs.items())[:MOST]:
        table.add_row(Text(f"  {show.label(name)}"), *(Text(_value(value)) for value in pair))
    console.print(table)
    if len(pairs) > MOST:
        _line(console, "", "", f"  ... and {len(pairs) - MOST:,} more")


def _inferences(console: Console, places: Mapping[str, Mapping[str, Pair]]) -> None:
    if not places:
        return
    table = _table(console, "Inferences", "", "N", "accuracy", "p50", "p95", "energy")
    for name, columns in places.items():
        for place, run in enumerate(("first", "second")):
            n, share, *times, joule = (pair[place] for pair in columns.values())
            accuracy = show.NOTHING if share is None else show.percent(share)
            cells = [_value(n), accuracy, *(show.time(ns) for ns in times), show.energy(joule)]
            table.add_row(Text(f"  {name}, {run}"), *map(Text, cells))
    console.print(table)


def _flows(console: Console, flows: Mapping[str, Mapping[str, Pair]]) -> None:
    if not flows:
        return
    table = _table(console, "Latency", "", "delivered", "p50", "p95", "p99")
    for name, columns in list(flows.items())[:MOST]:
        for place, run in enumerate(("first", "second")):
            delivered, *times = (pair[place] for pair in columns.values())
            cells = [_value(delivered), *(show.time(ns) for ns in times)]
            table.add_row(Text(f"  {show.label(name)}, {run}"), *map(Text, cells))
    console.print(table)
    if len(flows) > MOST:
        _line(console, "", "", f"  ... and {len(flows) - MOST:,} more")


def _short(pair: Pair) -> Pair:
    return tuple(value and str(value)[:12] for value in pair)  # type: ignore[return-value]


def _value(value: Any) -> str:
    if value is None:
        return show.NOTHING
    if isinstance(value, float):
        return show.number(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = show.label(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
