"""The report of a run: what it was, what came of it, and what became of its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from simcore.errors import UsageError
from simcore.expect import ExpectationError, Outcome, evaluate, parse
from simcore.results import page, report_inferences, show
from simcore.results.energy import energy_gap
from simcore.results.faults import spans
from simcore.results.figures import of_messages
from simcore.results.inferences import deadline_of
from simcore.results.judged import Judged, judge
from simcore.results.metrics import Metrics, NodeFigures, Spread
from simcore.results.node_timeline import moments
from simcore.results.page import Cells, Content, Section, TableView
from simcore.results.store import Run, duration
from simcore.units import show_exact

MOST_NODES, WORST_NODES = 200, 50
MOST_LINKS, MOST_FLOWS, MOST_FAULTS = 100, 200, 200


def write_report(
    run: Run, path: Path, *, node: str | None = None, between: tuple[int, int] | None = None
) -> None:
    """Write the report of a run; arguments as for `content`.

    Raises:
        MissingDependency: jinja2 or matplotlib is not installed.
        ResultsError: the file cannot be written.
        UsageError: the node takes no samples.
    """
    page.write(content(run, node=node, between=between), path)


def content(
    run: Run, *, node: str | None = None, between: tuple[int, int] | None = None
) -> Content:
    """What the page of a run says.

    Args:
        run: the run.
        node: whose timeline is shown if the run has inferences; None: one that is chosen.
        between: from when to when, ns; None: a stretch that is chosen.
    """
    manifest, judged = run.manifest, judge(run)
    figures = Metrics(run.connection, deadline_of(manifest))
    scenario = yaml.safe_dump(manifest.get("resolved") or {}, sort_keys=False, allow_unicode=True)
    return Content(
        name=show.scenario_name(manifest),
        description=(manifest.get("scenario") or {}).get("description") or "",
        identity=show.identity(manifest),
        facts=[*_facts(run, figures.totals.sent), *_totals(figures)],
        outcomes=_outcomes(manifest, figures),
        sections=[
            *_inferences(run, judged, node, between),
            Section("Messages" if judged is not None else "Figures", charts=of_messages(figures)),
            *(Section(table.title, [table]) for table in _tables(run, figures)),
        ],
        provenance=_provenance(manifest),
        details=[("The scenario as it was run", scenario)],
    )


def _inferences(
    run: Run, judged: Judged | None, node: str | None, between: tuple[int, int] | None
) -> list[Section]:
    if judged is None:
        if node is not None or between is not None:
            raise UsageError(f"{run.path} has no inferences, and so no timeline of a node")
        return []
    some = moments(run.connection, node=node, between=between)
    return [report_inferences.section(judged, some)]


def _facts(run: Run, sent: int) -> list[tuple[str, str]]:
    manifest = run.manifest
    message = (manifest.get("exit") or {}).get("message")
    ended = show.ending(manifest) + (f": {message}" if message else "")
    return [
        ("seed", str(manifest.get("seed"))),
        ("digest", show.digest(manifest, 64)),
        ("determinism", str(manifest.get("determinism"))),
        ("ended", ended),
        ("time", "; ".join(filter(None, (show.speed(manifest), show.own_share(manifest))))),
        *(
            (name, text)
            for name, text in (
                ("participants", show.participants(manifest)),
                ("windows", show.windows(manifest)),
                ("late", show.lateness(manifest, sent)),
                ("energy", energy_gap(manifest, run.connection)),
            )
            if text
        ),
        ("started", str((manifest.get("times") or {}).get("started"))),
    ]


def _totals(figures: Metrics) -> list[tuple[str, str]]:
    totals = figures.totals
    lost = show.lost(totals)
    return [
        ("sent", f"{totals.sent:,}"),
        ("delivered", f"{totals.delivered:,} ({show.share(totals.delivered, totals.sent)})"),
        ("lost", f"{totals.lost_total:,}" + (f": {lost}" if lost else "")),
        ("in flight at the end", f"{totals.in_flight:,}"),
    ]


def _outcomes(manifest: Mapping[str, Any], figures: Metrics) -> list[Outcome]:
    """The scenario's expectations, evaluated again: a report needs nothing but the run."""
    outcomes = []
    for text in (manifest.get("resolved") or {}).get("expect") or ():
        try:
            outcomes.append(evaluate(parse(text), figures))
        except ExpectationError as error:  # written by a version with another grammar
            outcomes.append(Outcome(text, False, None, None, str(error)))
    return outcomes


def _tables(run: Run, figures: Metrics) -> list[TableView]:
    return [
        _flow_table(figures),
        _split_table(figures),
        *_node_tables(figures),
        _measurement_table(figures),
        _link_table(run),
        _fault_table(run),
    ]


def _flow_table(figures: Metrics) -> TableView:
    rows = [
        (
            flow.name,
            flow.kind,
            f"{flow.counts.sent:,}",
            f"{flow.counts.delivered:,}",
            show.share(flow.counts.lost_total, flow.counts.sent),
            f"{flow.size:,}",
            *_spread(flow.latency),
        )
        for flow in figures.flows[:MOST_FLOWS]
    ]
    columns = ("flow", "kind", "sent", "delivered", "lost", "bytes", "p50", "p95", "p99", "max")
    note = (
        "p50 to max: latency of delivered messages, percentiles interpolated linearly "
        "(Hyndman and Fan 1996, definition 7)."
    )
    note += _cut(len(figures.flows), MOST_FLOWS)
    return TableView("Flows", columns, rows, figures=2, note=note)


def _split_table(figures: Metrics) -> TableView:
    rows = [
        (
            flow.name,
            flow.kind,
            *(show.time(part.mean) for part in (flow.network, flow.queueing, flow.computing)),
            show.time(flow.latency.mean),
            *(show.time(ns) for ns in (flow.end_to_end.p50, flow.end_to_end.p95)),
        )
        for flow in figures.flows[:MOST_FLOWS]
        if flow.counts.delivered
    ]
    columns = ("flow", "kind", "network", "queueing", "computing", "latency")
    note = (
        "Means; network, queueing and computing add up to the latency. End to end: from the "
        "first message of the chain of causes to delivery, percentiles."
    )
    ends = ("end to end p50", "end to end p95")
    return TableView("Where the time went", (*columns, *ends), rows, figures=2, note=note)


def _spread(spread: Spread) -> tuple[str, ...]:
    return tuple(show.time(ns) for ns in (spread.p50, spread.p95, spread.p99, spread.max))


def _cut(count: int, most: int) -> str:
    return f" The first {most:,} of {count:,}; `export` has all." if count > most else ""


def _node_tables(figures: Metrics) -> list[TableView]:
    times = ("p50", "p95", "p99", "max")
    columns = ("node", "tier", "implementation", "sent", "lost", "received", *times)
    note = "p50 to max: latency of the delivered messages that the node sent."
    nodes = figures.nodes
    if len(nodes) <= MOST_NODES:
        return [TableView("Nodes", columns, [_node(n) for n in nodes], figures=3, note=note)]
    groups: dict[str, list[NodeFigures]] = {}
    for node in nodes:
        groups.setdefault(node.group, []).append(node)
    totals = [_group(name, members) for name, members in groups.items()]
    group_columns = ("group", "tier", "nodes", "sent", "lost", "received", "worst p95")
    worst = sorted(nodes, key=_badness)[:WORST_NODES]
    title = f"The {WORST_NODES} nodes that fared worst, of {len(nodes):,}"
    note += " Worst first: share of messages lost, then 95th percentile of latency."
    return [
        TableView("Groups of nodes", group_columns, totals, figures=2),
        TableView(title, columns, [_node(n) for n in worst], figures=3, note=note),
    ]


def _node(node: NodeFigures) -> Cells:
    counts = (f"{node.sent:,}", show.share(node.lost, node.sent), f"{node.received:,}")
    return (node.name, node.tier, node.implementation, *counts, *_spread(node.latency))


def _group(name: str, members: Sequence[NodeFigures]) -> Cells:
    sent, lost = sum(n.sent for n in members), sum(n.lost for n in members)
    slowest = max((n.latency.p95 for n in members if n.latency.n), default=None)
    counts = (f"{len(members):,}", f"{sent:,}", show.share(lost, sent))
    received = f"{sum(n.received for n in members):,}"
    return (name, members[0].tier, *counts, received, show.time(slowest))


def _badness(node: NodeFigures) -> tuple[float, float]:
    lost = node.lost / node.sent if node.sent else 0.0
    return -lost, -node.latency.p95 if node.latency.n else 0.0


def _measurement_table(figures: Metrics) -> TableView:
    rows = [
        (
            m.name,
            f"{m.n:,}",
            *show.measured(m),
            *(
                (show.NOTHING,) * 2
                if m.boolean
                else (show.recorded(m, m.minimum), show.recorded(m, m.maximum))
            ),
        )
        for m in figures.measurements
    ]
    columns = ("name", "N", "mean", "standard error", "95 % interval", "least", "greatest")
    note = (
        "Truth values: share of true ones with its Wilson score interval (Wilson 1927). Numbers: "
        "normal approximation. Both take the values as independent."
    )
    return TableView("Measurements", columns, rows, note=note)


def _link_table(run: Run) -> TableView:
    length = duration(run.manifest)
    rows = run.connection.execute(
        "SELECT name, entered, delivered, loss, queue_full, link_down, bytes, busy, queue_mean, "
        "queue_max FROM link WHERE entered > 0 "
        "ORDER BY loss + queue_full + link_down DESC, busy DESC, rowid"
    ).fetchall()
    shown = [
        (
            name,
            *(f"{n:,}" for n in counts),
            show.share(busy, length),
            f"{mean or 0:.3g}",
            f"{most or 0}",
        )
        for name, *counts, busy, mean, most in rows[:MOST_LINKS]
    ]
    columns = ("link", "entered", "delivered", "loss", "queue full", "link down", "bytes")
    load = ("busy", "queue, mean", "queue, max")
    note = "Links that carried anything; those that lost most come first, then the busiest."
    return TableView("Links", (*columns, *load), shown, note=note + _cut(len(rows), MOST_LINKS))


def _fault_table(run: Run) -> TableView:
    found = spans(run.connection)
    rows = [
        (
            fault.kind,
            fault.target,
            "" if fault.detail == "{}" else fault.detail,
            show_exact(fault.begin),
            "end of the run" if fault.end is None else show_exact(fault.end),
        )
        for fault in found[:MOST_FAULTS]
    ]
    columns = ("fault", "target", "detail", "from", "to")
    return TableView("Faults", columns, rows, figures=3, note=_cut(len(found), MOST_FAULTS))


def _provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    versions = {"simcore": manifest.get("simcore"), **(manifest.get("versions") or {})}
    inputs = manifest.get("inputs") or {}
    return [
        *((f"version of {name}", str(version)) for name, version in versions.items()),
        ("platform", str(manifest.get("platform"))),
        *((name, str(version)) for name, version in (manifest.get("parts") or {}).items()),
        *((f"SHA-256 of {name}", str(digest)) for name, digest in inputs.items()),
    ]
