"""What a run prints at its end: what became of the messages, where time went, what to do next.

Most runs are never looked at again, so the few figures that decide whether one is worth more
must fit on a screen. Long lists are cut; `report` and `export` have everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from simcore.expect import Outcome
from simcore.results import inference_summary, next_steps, show
from simcore.results.energy import PARTS, NodeEnergy, energy_gap, node_energies
from simcore.results.faults import bundles
from simcore.results.inferences import deadline_of, summarise
from simcore.results.metrics import Flow, Metrics
from simcore.results.store import Run, duration
from simcore.units import show_si

WIDE = 110
"""Columns from which all figures of a flow fit on one line."""

MOST_FLOWS, MOST_MEASUREMENTS, MOST_LINKS, MOST_FAULTS, MOST_LATE = 15, 20, 10, 10, 3
MOST_ENERGY = 10
MOST_WARNINGS = 3
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
    figures = metrics or Metrics(run.connection, deadline_of(run.manifest))
    _header(run, console)
    _messages(figures, console)
    _inferences(figures, console)
    _flows(figures, console)
    _measurements(figures, console)
    _energy(run, console)
    _links(run, console)
    _faults(run, console)
    _outside(run, figures, console)
    _warnings(run, console)
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
    speed, own = show.speed(manifest), show.own_share(manifest)
    if own:
        fits = len(f"{ending}: {speed}; {own}") <= console.width
        speed += f"; {own}" if fits else f"\n  {own}"
    _line(console, (ending, style), f": {speed}")
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


def _inferences(figures: Metrics, console: Console) -> None:
    places = summarise(figures.inferred, deadline=figures.deadline)
    if not places:
        return
    pending = int(figures.inferred.pending.sum())
    head = inference_summary.head(places, figures.deadline, pending)
    _line(console, ("Inferences", "bold"), f"   {head}")
    console.print()
    for rows in inference_summary.tables(places):
        table = _table(rows.title, *rows.columns)
        for cells in rows.cells:
            _add(table, *cells)
        _show(table, console)


def _measurements(figures: Metrics, console: Console) -> None:
    if not figures.measurements:
        return
    table = _table("Measurements", "name", "N >", "mean >", "std error >", "95 % interval >")
    for m in figures.measurements[:MOST_MEASUREMENTS]:
        _add(table, show.label(m.name), f"{m.n:,}", *show.measured(m))
    _show(table, console, len(figures.measurements) - MOST_MEASUREMENTS, "measurement")


def _energy(run: Run, console: Console) -> None:
    """What the nodes drew, by group; means where a group has several."""
    groups: dict[str, list[NodeEnergy]] = {}
    for node in node_energies(run.connection).values():
        groups.setdefault(node.group, []).append(node)
    gap = energy_gap(run.manifest, run.connection)
    if gap is not None:
        _line(console, ("Energy", "bold"), f"   {gap}\n")
    if not groups:
        return
    stated = any(set(node.parts) - {*PARTS} for nodes in groups.values() for node in nodes)
    columns = ("idle >", "active >", *(["own states >"] if stated else []), "radio >")
    table = _table("Energy", "nodes", "each >", "mean power >", *columns, "battery left >")
    for name, nodes in list(groups.items())[:MOST_ENERGY]:
        total = sum(node.total for node in nodes)
        lived = sum(node.lived for node in nodes)
        known = {part: sum(node.parts.get(part, 0.0) for node in nodes) for part in PARTS}
        shares = [known["idle"], known["active"], known["tx"] + known["rx"]]
        if stated:
            shares.insert(2, max(0.0, total - sum(shares)))
        left = [node.charge for node in nodes if node.charge is not None]
        _add(
            table,
            name if len(nodes) == 1 else f"{name} ({len(nodes)})",
            show.energy(total / len(nodes)),
            show_si(total / lived * 1e9 if lived else 0.0, "W"),
            *(show.share(part, total) for part in shares),
            show.percent(min(left)) if left else show.NOTHING,
        )
    _show(table, console, len(groups) - MOST_ENERGY, "group")


@dataclass(slots=True)
class _Carrier:
    """A link, or all links of one shared medium that are worth a look."""

    name: str
    busy: int
    entered: int
    lost: Counter[str]
    queue_mean: float
    queue_max: int


def _links(run: Run, console: Console) -> None:
    length = duration(run.manifest)
    found = _worth_a_look(run, length)
    if not found:
        return
    table = _table(
        "Links worth a look", "link", "busy >", "entered >", "lost >", "to", "queue mean/max >"
    )
    for each in found[:MOST_LINKS]:
        why = ", ".join(f"{why} {n:,}" for why, n in each.lost.items() if n) or show.NOTHING
        total = show.share(each.lost.total(), each.entered)
        queue = f"{each.queue_mean:.3g}/{each.queue_max}"
        _add(
            table, each.name, show.share(each.busy, length), f"{each.entered:,}", total, why, queue
        )
    _show(table, console, len(found) - MOST_LINKS, "link")


def _worth_a_look(run: Run, length: int) -> list[_Carrier]:
    rows = run.connection.execute(
        "SELECT name, source, destination, busy, entered, loss, queue_full, link_down, "
        "coalesce(queue_mean, 0), coalesce(queue_max, 0) FROM link "
        "WHERE queue_full + link_down > 0 OR busy > ? OR (loss >= ? AND loss > ? * entered) "
        "ORDER BY rowid",
        (BUSY * length, *LOSSY),
    )
    medium_of = _media(run)
    by_medium: dict[object, list[_Carrier]] = {}
    for name, source, destination, busy, entered, *lost, mean, longest in rows:
        reasons = Counter(dict(zip(("loss", "queue_full", "link_down"), lost, strict=True)))
        carrier = _Carrier(name, busy, entered, reasons, mean, longest)
        medium = medium_of(source, destination) if busy else None
        # Each link of a medium has the medium's figures.
        key = name if medium is None else (medium, busy, mean, longest)
        by_medium.setdefault(key, []).append(carrier)
    found = [_as_one(some, key) for key, some in by_medium.items()]
    return sorted(found, key=lambda each: (-each.lost.total(), -each.busy))


def _as_one(links: Sequence[_Carrier], key: object) -> _Carrier:
    first = links[0]
    if len(links) == 1 or not isinstance(key, tuple):
        return first
    for other in links[1:]:
        first.entered += other.entered
        first.lost.update(other.lost)
    first.name = f"{key[0]} ({len(links)} links share it)"
    return first


def _media(run: Run) -> Callable[[str, str], str | None]:
    """Which shared medium a link from one node to another belongs to, as the scenario says."""
    links = ((run.manifest.get("resolved") or {}).get("network") or {}).get("links") or ()
    media: dict[tuple[str, str], str] = {}
    for entry in links:
        if isinstance(entry, dict) and entry.get("shared"):
            ends: Any = entry.get("between") or (entry.get("from"), entry.get("to"))
            name = f"{ends[0]} {'<->' if 'between' in entry else '->'} {ends[1]}"
            media[ends[0], ends[1]] = name
            if "between" in entry:
                media[ends[1], ends[0]] = name
    groups = dict(run.connection.execute("SELECT name, grp FROM node")) if media else {}

    def medium_of(source: str, destination: str) -> str | None:
        # An end of an entry names a node or its group; no two entries name one pair.
        ends = [{name, groups.get(name, name)} for name in (source, destination)]
        found = (media.get(pair) for pair in product(*ends))
        return next(filter(None, found), None)

    return medium_of


def _faults(run: Run, console: Console) -> None:
    found = bundles(run.connection)
    if not found:
        return
    table = _table("Faults", "from >", "to >", "kind", "target")
    for fault in found[:MOST_FAULTS]:
        _add(table, show.time(fault.begin), show.time(fault.end), fault.kind, fault.target)
    _show(table, console, len(found) - MOST_FAULTS, "fault")


def _outside(run: Run, figures: Metrics, console: Console) -> None:
    """What took part from outside simcore, and what its windows cost."""
    participants, windows = show.participants(run.manifest), show.windows(run.manifest)
    late = show.lateness(run.manifest, figures.totals.sent)
    if participants:
        if len(participants) + 15 > console.width:
            participants = participants.replace("; ", "\n  ", 1)
        _line(console, ("Participants", "bold"), f"   {participants}")
    if windows:
        _line(console, ("Windows", "bold"), f"   {windows}")
    if late:
        _line(console, (f"  {late}", "yellow"))
        for link in _latest(run):
            _line(console, f"    {link}")
    if participants or windows:
        console.print()


def _warnings(run: Run, console: Console) -> None:
    """What the log of the run warns of."""
    try:
        log = (run.path / "logs" / "simcore.log").read_text(encoding="utf-8")
    except OSError:
        return
    found = [line.partition(": ")[2] for line in log.splitlines() if line.startswith("WARNING ")]
    if found:
        _line(console, ("Warnings", "bold"), f"   {len(found)}, in {run.path}/logs/simcore.log")
        for text in dict.fromkeys(found[:MOST_WARNINGS]):
            _line(console, (f"  {show.label(text)}", "yellow"))
        console.print()


def _latest(run: Run) -> Iterator[str]:
    """The links where most time was lost to a quantum."""
    rows = run.connection.execute(
        "SELECT source || '->' || destination, count(*), max(late) FROM late_messages "
        "GROUP BY source, destination ORDER BY sum(late) DESC, 1"
    ).fetchall()
    for name, count, worst in rows[:MOST_LATE]:
        yield f"{name}: {count:,}, by {show.time(worst)} at worst"
    if len(rows) > MOST_LATE:
        yield show.more(len(rows) - MOST_LATE, "link")


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
    for line in next_steps.commands(run):
        _line(console, f"  {line}")
