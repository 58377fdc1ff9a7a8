"""What a run prints at its end: what became of the messages, where time went, what to do next.

Most runs are never looked at again, so the few figures that decide whether one is worth more
must fit on a screen. Long lists are cut; `report` and `export` have everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from rich.console import Console
from rich.table import Table
from rich.text import Text

from simcore.expect import Outcome
from simcore.results import show
from simcore.results.faults import bundles
from simcore.results.metrics import Flow, Metrics
from simcore.results.store import Run, duration

WIDE = 110
"""Columns from which all figures of a flow fit on one line."""

MOST_FLOWS, MOST_MEASUREMENTS, MOST_LINKS, MOST_FAULTS = 15, 20, 10, 10
BUSY = 0.5
"""Utilisation above which a link is worth a look."""
LOSSY = (3, 0.05)
"""Messages lost by chance, and their share, from which a link is worth a look."""


def print_summary(
    run: Run,
    console: Console,
    outcomes: Sequence[Outcome] = (),
    *,
    metrics: Metrics | None = None,
) -> None:
    """Print the summary of a run.

    Args:
        run: the run, as opened by `open_run`.
        console: where to; its width decides the layout.
        outcomes: what became of the scenario's expectations, in its order.
        metrics: the figures, if they were computed already.
    """
    figures = metrics or Metrics(run.connection)
    _header(run, console)
    _messages(figures, console)
    _flows(figures, console)
    _measurements(figures, console)
    _links(run, console)
    _faults(run, console)
    _expectations(outcomes, console)
    _next(run, console)


def _line(console: Console, *parts: str | tuple[str, str]) -> None:
    """One line, never wrapped: paths and commands must survive copying."""
    console.print(Text.assemble(*parts), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    """Columns that end in ` >` hold figures and are set to the right."""
    table = Table(
        box=None,
        title=Text(title, style="bold"),
        title_justify="left",
        header_style="dim",
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for column in columns:
        name = column.removesuffix(" >")
        if name != column:
            table.add_column(name, justify="right", no_wrap=True)
        else:
            table.add_column(name, overflow="fold")
    return table


def _add(table: Table, *cells: str | Text) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))


def _show(table: Table, console: Console, left_out: int = 0, what: str = "") -> None:
    console.print(table)
    if left_out > 0:
        _line(console, (show.more(left_out, what), "dim"))
    console.print()


def _header(run: Run, console: Console) -> None:
    manifest = run.manifest
    seed = manifest.get("seed")
    head = f"   seed {seed}   digest {show.digest(manifest)}   {manifest.get('determinism')}"
    _line(console, (show.scenario_name(manifest), "bold"), head)
    ending = show.ending(manifest)
    style = (
        "green" if ending == "completed" else "yellow" if ending.startswith("running") else "red"
    )
    console.print(Text.assemble((ending, style), f": {show.speed(manifest)}"))
    message = (manifest.get("exit") or {}).get("message")
    if message:
        _line(console, f"  {message}")
    console.print()


def _messages(figures: Metrics, console: Console) -> None:
    totals = figures.totals
    done, lost = totals.delivered, totals.lost_total
    _line(
        console,
        ("Messages", "bold"),
        f"   {totals.sent:,} sent, {done:,} delivered ({show.share(done, totals.sent)}), "
        f"{lost:,} lost ({show.share(lost, totals.sent)}), {totals.in_flight:,} in flight",
    )
    if lost:
        _line(console, f"  lost to {show.lost(totals)}")
    console.print()


def _flows(figures: Metrics, console: Console) -> None:
    flows = figures.flows
    if not flows:
        return
    # The busiest ones, in the order of the scenario.
    busiest = sorted(flows, key=lambda flow: -flow.counts.sent)[:MOST_FLOWS]
    shown = [flow for flow in flows if flow in busiest]
    latency = ("p50 >", "p95 >", "p99 >")
    split = ("network >", "queueing >", "computing >", "end-to-end p95 >")
    what, left_out = ("Flow", "kind", "delivered/sent >"), len(flows) - len(shown)
    if console.width >= WIDE:
        table = _table("Latency, its mean split, and end-to-end time", *what, *latency, *split)
        for flow in shown:
            _add(table, *_who(flow), _counts(flow), *_percentiles(flow), *_split(flow))
        return _show(table, console, left_out, "flow")
    table = _table("Latency", *what, *latency)
    for flow in shown:
        _add(table, *_who(flow), _counts(flow), *_percentiles(flow))
    _show(table, console, left_out, "flow")
    table = _table("Mean latency split, and end-to-end time", *what[:2], *split)
    for flow in shown:
        _add(table, *_who(flow), *_split(flow))
    _show(table, console, left_out, "flow")


def _who(flow: Flow) -> tuple[str, str]:
    return flow.name, show.label(flow.kind)


def _counts(flow: Flow) -> str:
    return f"{flow.counts.delivered:,}/{flow.counts.sent:,}"


def _percentiles(flow: Flow) -> tuple[str, ...]:
    return tuple(show.time(ns) for ns in (flow.latency.p50, flow.latency.p95, flow.latency.p99))


def _split(flow: Flow) -> tuple[str, ...]:
    means = (flow.network.mean, flow.queueing.mean, flow.computing.mean)
    return tuple(show.time(ns) for ns in (*means, flow.end_to_end.p95))


def _measurements(figures: Metrics, console: Console) -> None:
    if not figures.measurements:
        return
    table = _table("Measurements", "name", "N >", "mean >", "std error >", "95 % interval >")
    for m in figures.measurements[:MOST_MEASUREMENTS]:
        _add(table, show.label(m.name), f"{m.n:,}", *show.measured(m))
    _show(table, console, len(figures.measurements) - MOST_MEASUREMENTS, "measurement")


def _links(run: Run, console: Console) -> None:
    length = duration(run.manifest)
    rows = run.connection.execute(
        "SELECT name, busy, entered, loss, queue_full, link_down, queue_mean, queue_max FROM link "
        "WHERE queue_full + link_down > 0 OR busy > ? OR (loss >= ? AND loss > ? * entered) "
        "ORDER BY loss + queue_full + link_down DESC, busy DESC, rowid",
        (BUSY * length, *LOSSY),
    ).fetchall()
    if not rows:
        return
    table = _table(
        "Links worth a look", "link", "busy >", "entered >", "lost >", "to", "queue mean/max >"
    )
    for name, busy, entered, loss, full, down, mean, longest in rows[:MOST_LINKS]:
        lost = {"loss": loss, "queue_full": full, "link_down": down}
        why = ", ".join(f"{reason} {n:,}" for reason, n in lost.items() if n) or show.NOTHING
        total, queue = show.share(sum(lost.values()), entered), f"{mean or 0:.3g}/{longest or 0}"
        _add(table, name, show.share(busy, length), f"{entered:,}", total, why, queue)
    _show(table, console, len(rows) - MOST_LINKS, "link")


def _faults(run: Run, console: Console) -> None:
    found = bundles(run.connection)
    if not found:
        return
    table = _table("Faults", "from >", "to >", "kind", "target")
    for fault in found[:MOST_FAULTS]:
        _add(table, show.time(fault.begin), show.time(fault.end), fault.kind, fault.target)
    _show(table, console, len(found) - MOST_FAULTS, "fault")


def _expectations(outcomes: Sequence[Outcome], console: Console) -> None:
    if not outcomes:
        return
    failed = sum(not outcome.passed for outcome in outcomes)
    verdict = f"{failed} of {len(outcomes)} failed" if failed else f"{len(outcomes)} held"
    _line(console, ("Expectations", "bold"), f"   {verdict}")
    for outcome in outcomes:
        mark = ("  pass  ", "green") if outcome.passed else ("  FAIL  ", "bold red")
        _line(console, mark, show.label(outcome.explanation if outcome.passed else outcome.text))
        if not outcome.passed:
            _line(console, f"        {show.label(outcome.explanation)}")
    console.print()


def _next(run: Run, console: Console) -> None:
    _line(console, ("Results", "bold"), f"   {run.path}")
    commands = [show.command("report", run.path)]
    first = _worth_tracing(run)
    if first:
        commands.append(show.command("trace", run.path, first))
    commands.append(show.command("export", run.path))
    for line in commands:
        _line(console, f"  {line}")


def _worth_tracing(run: Run) -> str | None:
    """A message to try `trace` on: the first one that another one led to, if there is any."""
    queries = (
        "SELECT n.name, t.number FROM trail t JOIN node n ON n.id = t.source "
        "WHERE t.cause_number IS NOT NULL LIMIT 1",
        "SELECT n.name, m.number FROM message m JOIN node n ON n.id = m.source LIMIT 1",
    )
    rows = (run.connection.execute(query).fetchone() for query in queries)
    return next((f"{name}/{number}" for name, number in islice(filter(None, rows), 1)), None)
