"""The report of several runs of a scenario: what each variant achieves, side by side."""

from __future__ import annotations

from simcore.experiments.statistics import Estimate
from simcore.results import inference_figures as draw
from simcore.results import show
from simcore.results.drawing import Chart
from simcore.results.inferences import PLACES
from simcore.results.page import Cells, Content, Section, TableView
from simcore.results.report_inferences import shown_accuracy
from simcore.results.variants import Compared, Variant


def content(compared: Compared) -> Content:
    """What the page of several runs says."""
    runs = compared.runs
    differ = ", ".join(compared.varied) or "nothing but the seed"
    return Content(
        name=f"{compared.scenario}: {len(compared.variants)} variants",
        description=(runs[0].manifest.get("scenario") or {}).get("description") or "",
        identity=compared.identity,
        facts=[
            ("runs", f"{len(runs)}"),
            ("inferences", f"{sum(run.everything.n for run in runs):,}"),
            ("they differ in", show.label(differ)),
            *(("not compared", f"{path}: {why}") for path, why in compared.left_out),
            *(("attention", text) for text in compared.warnings),
        ],
        sections=[
            Section("Comparison", [_comparison(compared), _costs(compared)], charts(compared)),
            Section("Runs", [_runs(compared)]),
        ],
        provenance=[
            ("version of simcore", str(runs[0].manifest.get("simcore"))),
            *((str(run.path.name), f"digest {show.digest(run.manifest, 64)}") for run in runs),
        ],
    )


def charts(compared: Compared) -> list[Chart]:
    """The charts of several runs; those that have something to show."""
    variants = compared.variants[: draw.MOST]
    points = [point for variant in variants if (point := variant.point) is not None]
    found = []
    if any(point.accuracy is not None for point in points):
        found.append(draw.plane(points))
    answered = [(v, latencies) for v in variants if len(latencies := v.latencies)]
    if answered:
        lines = [(v.name, latencies, v.count) for v, latencies in answered]
        found.append(draw.latency(lines, by="variant", deadlines=compared.deadlines))
        bars = [(v.name, v.split) for v, _ in answered]
        found.append(draw.breakdown(bars, by="variant"))
    spent = [(v.name, energies) for v in variants if (energies := v.energies)]
    if spent:
        found.append(draw.energy(spent, by="variant"))
    return found


def _comparison(compared: Compared) -> TableView:
    columns = (
        "variant", "trials", "N", "device / edge / cloud", "accuracy", "95 % interval",
        "mean latency", "energy", "efficient",
    )  # fmt: skip
    note = (
        "Means over the trials, which differ in their seed; +/-: 95 % interval of Student's t. "
        "That of the accuracy is at least as wide as Wilson's for one trial, for trials may show "
        "the same images. Device, edge, cloud: "
        "where the answers come from. Latency: from the sample to the answer. Energy: of the "
        "device for one inference. Efficient: no other variant is better in accuracy, mean "
        "latency or energy and worse in none."
    )
    return TableView("Comparison", columns, [_variant(v) for v in compared.variants], note=note)


def _variant(variant: Variant) -> Cells:
    accuracy, energy = variant.accuracy, variant.energy
    shares = [
        sum(f.n for run in variant.runs for f in run.figures if f.place == place)
        for place in PLACES
    ]
    count = variant.count
    return (
        variant.name,
        f"{len(variant.runs)}",
        f"{count:,}",
        " / ".join(f"{100 * n / count:.0f}" for n in shares) + " %",
        *shown_accuracy(None if accuracy is None else accuracy.mean, variant.accuracy_interval),
        _time(variant.latency),
        show.energy(None if energy is None else energy.mean),
        "yes" if variant.efficient else "no",
    )


def _costs(compared: Compared) -> TableView:
    columns = ("variant", "p50", "p95", "p99", "in time", "bytes", "of them sent by the device")
    deadlines = ", ".join(map(show.time, compared.deadlines)) or "none is set"
    note = (
        "p50 to p99: latency, means of the trials' percentiles. In time: share of all inferences, "
        f"deadline: {deadlines}. Bytes: of the messages of one inference, mean."
    )
    rows = [_cost(variant) for variant in compared.variants]
    return TableView("Latency and traffic", columns, rows, note=note)


def _cost(variant: Variant) -> Cells:
    late = [run.everything.in_time for run in variant.runs]
    in_time = None if None in late else sum(filter(None, late))
    percentiles = (
        variant.estimate(lambda f: f.latency.p50),
        variant.estimate(lambda f: f.latency.p95),
        variant.estimate(lambda f: f.latency.p99),
    )
    sizes = variant.estimate(lambda f: f.size), variant.estimate(lambda f: f.uplink)
    return (
        variant.name,
        *(show.time(None if each is None else each.mean) for each in percentiles),
        show.NOTHING if in_time is None else show.share(in_time, variant.count),
        *(show.NOTHING if size is None else f"{size.mean:.1f}" for size in sizes),
    )


def _time(found: Estimate | None) -> str:
    if found is None:
        return show.NOTHING
    reach = "" if found.half_width is None else f" +/- {show.time(found.half_width)}"
    return show.time(found.mean) + reach


def _runs(compared: Compared) -> TableView:
    rows = [
        (
            variant.name,
            run.path.name,
            show.ending(run.manifest),
            str(run.manifest.get("seed")),
            f"{run.everything.n:,}",
            show.digest(run.manifest),
        )
        for variant in compared.variants
        for run in variant.runs
    ]
    columns = ("variant", "run", "ended", "seed", "N", "digest")
    return TableView("Runs", columns, rows, figures=3)
