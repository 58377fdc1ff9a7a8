"""Inferences in reports: of one run by place, of several by what differs between them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest
from by_hand import MS
from click.testing import CliRunner
from inferring import make_inferring, manifest
from reading import Page, svgs, words

from simcore.cli.report import command
from simcore.errors import UsageError
from simcore.results import node_timeline, page, report, report_runs, variants
from simcore.results.faults import FaultSpan
from simcore.results.store import open_run

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def render(directory, **options):
    with open_run(directory) as run:
        return page.render(report.content(run, **options))


def compare(*paths):
    compared = variants.compare(variants.directories(paths))
    return page.render(report_runs.content(compared))


def run_command(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)), standalone_mode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of four policies, two seeds each."""
    path = tmp_path_factory.mktemp("runs")
    for policy in ("device", "edge", "cloud", "confidence"):
        for seed in (1, 2):
            make_inferring(path / f"{policy}-{seed}", policy, seed, images=20)
    return path


# --- one run ---


def test_places(placed_run):
    told = {"resolved": {"name": "by-hand", "placement": {"deadline": "50ms"}}}
    found = Page(render(placed_run(manifest=told)))
    header = ["place", "N", "share", "accuracy", "95 % interval", "p50", "p95", "p99"]
    assert [*header, "in time", "bytes", "energy"] in found.rows
    # 24 and 5 and 12 ms of 4 that were answered, of 5.
    [everything] = [row for row in found.rows if row[:2] == ["all", "5"]]
    assert everything[2:4] == ["100 %", "50 %"] and everything[8] == "60 %"
    [cloud] = [row for row in found.rows if row[0] == "cloud" and row[1] == "1"]
    assert cloud[3:6] == ["0 %", "0 % to 79.3 %", "126 ms"]
    assert ["none", "1", "20 %", "-", "-", "-", "-", "-", "0 %", "72.0", "-"] in found.rows


def test_figures_of_a_run(folder):
    text = render(folder / "confidence-1")
    captions = Page(text).texts["figcaption"][:5]
    assert [caption.split(". ")[1] for caption in captions] == [
        "Cumulative distribution of the latency of inferences, by place",
        "Mean latency of inferences, by place, and what it was spent on",
        "Energy that a node spent during the run, by group and state",
        "How often each truth was given each answer",
        "What meter-0 did for 4 images",
    ]
    digest = Page(text).texts["title"][0].rpartition(" ")[2]
    for caption in captions:
        assert caption.endswith(f"placement, seed 1, digest {digest}.")
    latency, breakdown, energy, confusion, timeline = (words(svg) for svg in svgs(text)[:5])
    assert {"deadline 60 ms", "latency [ms]", "share of inferences answered"} <= latency
    assert any(label.startswith("device (N = ") for label in latency)
    assert {"sampling", "radio", "wan", "queueing", "mean latency [ms]", "cloud"} <= breakdown
    assert {"meter", "idle", "tx", "energy of a node [mJ]"} <= energy
    assert {"truth", "answer", "0", "9"} <= confusion
    assert {"meter-0", "radio", "waits", "edge", "cloud", "answer", "faults"} <= timeline
    assert {"sampling", "computing", "virtual time [s]"} <= timeline


def test_the_same_bytes_and_grey(folder):
    text = render(folder / "confidence-1")
    assert text == render(folder / "confidence-1")
    for svg in svgs(text):
        ElementTree.fromstring(svg)
        for colour in re.findall(r"#([0-9a-f]{6})\b", svg):
            assert colour[:2] == colour[2:4] == colour[4:]
        assert "<image" not in svg  # which the page's policy would keep from being shown


def test_what_is_not_there_is_not_drawn(placed_run):
    found = words("".join(svgs(render(placed_run()))))
    assert not any("energy" in word or "deadline" in word for word in found)
    nothing = render(placed_run("unanswered", inferences=[
        ("meter-1", 2, 110, 112, None, None, None, None, None, 4, None, 2, None),
    ]))  # fmt: skip
    assert "<h2>Inferences</h2>" in nothing and "What meter-1 did for 1 image." in nothing


def test_a_node_and_a_stretch_of_its_time(folder):
    run = folder / "confidence-1"
    text = render(run, node="meter-1", between=(2 * 10**9, 5 * 10**9))
    assert "What meter-1 did for 3 images" in text
    with pytest.raises(UsageError, match="did you mean meter-1"):
        render(run, node="metre-1")
    with pytest.raises(UsageError, match="'cloud' of the run takes samples; 3 do: meter-0"):
        render(run, node="cloud")


def test_a_stretch_in_which_nothing_happened(folder):
    late = (10**12, 2 * 10**12)
    with pytest.raises(UsageError, match="no node took an image between these times"):
        render(folder / "confidence-1", between=late)
    with pytest.raises(UsageError, match="meter-1 took no image between these times"):
        render(folder / "confidence-1", node="meter-1", between=late)


def test_a_node_is_chosen_for_a_stretch(placed_run):
    """The one that has most to show of it."""
    with open_run(placed_run()) as run:
        found = node_timeline.moments(run.connection, between=(20 * MS, 30 * MS))
    assert found.node == "meter-1" and [image.n for image in found.images] == [1]


def test_too_long_a_stretch(folder, monkeypatch):
    monkeypatch.setattr(node_timeline, "MOST_CHOSEN", 2)
    with pytest.raises(UsageError, match="took 3 images between these times, and a figure shows 2"):
        render(folder / "confidence-1", node="meter-1", between=(2 * 10**9, 5 * 10**9))


def test_moments_by_hand(placed_run):
    """Of the chain of meter-0/2, what edge and cloud did, and what the gateway computed."""
    with open_run(placed_run()) as run:
        found = node_timeline.moments(run.connection, node="meter-0")
    assert [(image.n, image.place, image.right) for image in found.images] == [
        (1, "device", True), (2, "cloud", False),
    ]  # fmt: skip
    work = [(w.node, w.begin // MS, w.started // MS, w.end // MS) for w in found.work]
    assert work == [
        ("gateway", 126, 126, 127), ("edge", 128, 133, 136), ("cloud", 181, 181, 190),
    ]  # fmt: skip
    radio = [(t.sent // MS, t.at // MS, t.outgoing) for t in found.transits]
    assert radio == [(15, 20, True), (116, 126, True), (230, 236, False), (236, 244, True)]
    assert found.images[0].computing == 11 * MS and found.faults == []


def test_the_images_that_a_fault_has_touched():
    """As by looking at each fault for each image, but in one pass over both."""
    random = Random(1)
    for _ in range(300):
        faults = [
            FaultSpan(begin, random.choice([None, begin + random.randrange(9)]), "link", "a->b", "")
            for begin in (random.randrange(60) for _ in range(random.randrange(4)))
        ]
        images = []
        for n in range(20):
            sampled = random.randrange(60)
            ended = sampled + random.randrange(6)
            place = random.choice(["device", "edge"])
            images.append(node_timeline.Image(n, sampled, ended, ended, place, True, n, ended))
        first = {}
        for image in images:
            hit = any(
                fault.begin < image.end and (fault.end is None or fault.end >= image.sampled)
                for fault in faults
            )
            first.setdefault((image.place, hit), image.n)
        assert sorted(i.n for i in node_timeline._choose(images, faults)) == sorted(first.values())


def test_a_timeline_takes_inferences(make_run):
    with pytest.raises(UsageError, match="has no inferences"):
        render(make_run(), node="meter-0")


# --- several runs ---


def test_variants_side_by_side(folder, tmp_path):
    out = tmp_path / "page.html"
    assert run_command(folder, "--out", out).exception is None
    text = out.read_text(encoding="utf-8")
    found = Page(text)
    rows = {row[0]: row for row in found.rows if len(row) == 9}
    assert list(rows) == ["variant", "cloud", "confidence", "device", "edge"]
    assert ["variant", "p50", "p95", "p99", "in time"] in [row[:5] for row in found.rows]
    assert rows["device"][1:4] == ["2", "120", "100 / 0 / 0 %"]
    assert "+/-" in rows["cloud"][6] and rows["device"][-1] == "yes"
    assert ["they differ in", "placement.policy"] in found.rows
    captions = found.texts["figcaption"]
    assert len(captions) == 4 and captions[0].startswith("Figure 1. Accuracy")
    for caption in captions:
        assert "placement; 8 runs, seeds 1, 2, SHA-256 of their digests " in caption
    plane, latency = (words(svg) for svg in svgs(text)[:2])
    assert {"accuracy [%]", "mean latency [ms]", "Pareto front", "edge"} <= plane
    assert {"deadline 60 ms", "device (N = 120)"} <= latency
    assert text == compare(folder)


def test_a_single_trial_has_the_interval_of_wilson(folder):
    compared = variants.compare([folder / "edge-1", folder / "cloud-1"])
    edge, _ = compared.variants
    figures = edge.runs[0].everything
    assert edge.accuracy_interval == figures.interval
    assert edge.latency.half_width is None and edge.point.reach is None


def test_an_interval_over_two_trials(folder):
    compared = variants.compare([folder / "edge-1", folder / "edge-2"])
    [edge] = compared.variants
    means = [run.everything.latency.mean for run in edge.runs]
    assert edge.name == "edge" and edge.latency.mean == pytest.approx(sum(means) / 2)
    # Student's t with one degree of freedom: 12.706 standard errors.
    assert edge.latency.half_width == pytest.approx(12.706 * abs(means[0] - means[1]) / 2, rel=1e-4)
    assert len(edge.latencies) == sum(run.everything.answered for run in edge.runs)
    assert edge.confusion.counts.sum() == sum(run.everything.judged for run in edge.runs)


def test_the_matrix_of_several_trials(folder, tmp_path, monkeypatch):
    [edge] = variants.compare([folder / "edge-1", folder / "edge-2"]).variants
    for place, truth in enumerate(edge.confusion.labels):
        for answer in edge.confusion.labels:
            told = [
                run.confusion.counts[run.confusion.labels.index(truth)][
                    run.confusion.labels.index(answer)
                ]
                for run in edge.runs
                if {truth, answer} <= set(run.confusion.labels)
            ]
            column = edge.confusion.labels.index(answer)
            assert edge.confusion.counts[place, column] == sum(told)
    monkeypatch.setattr("simcore.results.confusion.MOST_LABELS", 3)
    some = [make_inferring(tmp_path / f"{n}", "edge", n, images=n) for n in (1, 10)]
    [edge] = variants.compare(some).variants
    assert [bool(run.confusion.labels) for run in edge.runs] == [True, False]
    assert edge.confusion.labels == ()


def test_the_front(folder):
    compared = variants.compare(variants.directories([folder]))
    for variant in compared.variants:
        better = [
            other.name
            for other in compared.variants
            if other.accuracy.mean >= variant.accuracy.mean
            and other.latency.mean < variant.latency.mean
        ]
        assert variant.efficient is (not better), (variant.name, better)


def changed(path, change):
    """A run with other inferences."""
    with closing(sqlite3.connect(path / "run.sqlite")) as connection, connection:
        connection.execute(f"UPDATE inference SET {change}")
    return path


SILENT = "ended = NULL, place = NULL, label = NULL, answer_source = NULL, answer_number = NULL"


def test_one_that_never_answers_is_not_efficient_and_hides_nobody(folder, tmp_path):
    slow = {"resolved": manifest("slow", 1)["resolved"]}
    worse = make_inferring(tmp_path / "worse", "cloud", 1, images=20, told=slow)
    paths = [folder / "device-1", folder / "cloud-1", changed(worse, "ended = ended + 1000000000")]
    without = variants.compare(paths).variants
    silent = changed(make_inferring(tmp_path / "silent", "latency", 1, images=5), SILENT)
    found = variants.compare([silent, *paths]).variants
    assert found[0].name == "latency" and found[0].efficient is False
    assert [v.efficient for v in found[1:]] == [v.efficient for v in without]
    assert [v.efficient for v in without] == [True, True, False]


def test_a_trial_without_answers_does_not_hide_the_split_of_the_others(folder, tmp_path):
    silent = changed(make_inferring(tmp_path / "silent", "edge", 7, images=5), SILENT)
    [edge] = variants.compare([folder / "edge-1", silent]).variants
    assert edge.split == edge.runs[0].everything.split
    assert ">nan<" not in compare(folder / "edge-1", silent)


def test_runs_of_the_same_name_are_told_apart(tmp_path):
    keys = [{key: f"{run}{key}" for key in "pqrst"} for run in (1, 2)]
    some = [
        make_inferring(tmp_path / place / "run", told={"resolved": told}, images=2)
        for place, told in zip("ab", keys, strict=True)
    ]
    names = [variant.name for variant in variants.compare(some).variants]
    assert names == [str(path) for path in some]


def test_what_cannot_be_compared_is_said(folder, tmp_path, make_run):
    other = make_inferring(tmp_path / "other", told={"scenario": {"name": "another"}}, images=3)
    again = make_inferring(tmp_path / "again", "edge", 1, images=20)
    silent = make_run("silent")
    compared = variants.compare([folder / "edge-1", other, again, silent])
    assert [path for path, _ in compared.left_out] == [other, again, silent]
    reasons = [why for _, why in compared.left_out]
    assert reasons[0] == "it is of the scenario another, not of placement"
    assert "repeats" in reasons[1] and reasons[2] == "it has no inferences"
    text = page.render(report_runs.content(compared))
    assert ["not compared", f"{other}: {reasons[0]}"] in Page(text).rows
    with pytest.raises(UsageError, match="no run has inferences"):
        variants.compare([silent, make_run("silent-too")])


def test_names_tell_what_differs(tmp_path):
    def run(name, placement, **more):
        resolved = {"name": "placement", "seed": 1, "placement": placement, **more}
        return make_inferring(tmp_path / name, told={"resolved": resolved}, images=2)

    some = [
        run("a", {"policy": "confidence", "threshold": "70%"}),
        run("b", {"policy": "confidence", "threshold": "90%"}),
        run("c", {"policy": "edge"}),
    ]
    compared = variants.compare(some)
    names = [variant.name for variant in compared.variants]
    assert names == ["confidence, threshold 70%", "confidence, threshold 90%", "edge"]
    many = [{key: f"{run}{key}" for key in "pqrst"} for run in (1, 2)]
    some = [run(f"m{place}", {}, **keys) for place, keys in enumerate(many)]
    assert [variant.name for variant in variants.compare(some).variants] == ["m0", "m1"]


def test_differences_beyond_the_scenario_are_said(tmp_path):
    one = make_inferring(tmp_path / "a", "edge", images=2, told={"inputs": {"m.py": "1"}})
    other = make_inferring(tmp_path / "b", "cloud", images=2, told={"digest": None})
    compared = variants.compare([one, other])
    assert list(compared.warnings) == ["The runs differ in their inputs.", "Not finished: b."]


def test_energy_of_a_run_that_was_killed_is_said_to_lack(tmp_path):
    killed = {"digest": None, "exit": {"reason": "running"}}
    one = make_inferring(tmp_path / "a", "edge", images=2)
    other = make_inferring(tmp_path / "b", "cloud", images=2, told=killed)
    lack = "only of lives of nodes that had ended; what others drew is written when the run ends"
    text = render(other)
    (caption,) = [each for each in Page(text).texts["figcaption"] if "Energy that" in each]
    assert f"Energy is {lack}" in caption
    assert text.count(f"Energy is {lack}") == 2  # and below the table
    assert lack not in render(one)
    first, second = variants.compare([one, other]).warnings
    assert first == "Not finished: b." and second.startswith(f"b: energy {lack}")


def test_many_runs_have_one_digest_together(tmp_path):
    manifests = [{"scenario": {"name": "s"}, "seed": n, "digest": f"{n:064}"} for n in range(9)]
    runs = [("edge", manifest) for manifest in manifests]
    text = variants.identity(runs)
    assert text.startswith("s; 9 runs, seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, SHA-256 of their digests ")
    assert text == variants.identity(runs[::-1])
    assert variants.identity(runs[:2]) == (
        "s; runs edge (seed 0, digest 000000000000), edge (seed 1, digest 000000000000)"
    )


# --- the command ---


def test_the_page_of_several_runs_lies_in_their_folder(tmp_path):
    one, other = (make_inferring(tmp_path / "some" / p, p, images=2) for p in ("edge", "cloud"))
    done = run_command(one, other)
    assert Path(done.output.strip()).resolve() == tmp_path / "some" / "report.html"
    assert run_command(tmp_path / "some").output == f"{tmp_path / 'some' / 'report.html'}\n"


def test_command_with_a_node(folder, tmp_path):
    out = tmp_path / "page.html"
    done = run_command(
        folder / "edge-1", "--out", out, "--node", "meter-2", "--between", "2s", "4s"
    )
    assert done.exception is None and "What meter-2 did for 2 images" in out.read_text()
    for arguments, message in (
        ([folder, "--node", "meter-2"], "a timeline is of one run"),
        ([folder / "edge-1", "--between", "4s", "2s"], "4s is not before 2s"),
        ([folder / "edge-1", "--between", "4", "5"], "has no unit"),
    ):
        assert message in str(run_command(*arguments, "--out", out).exception)
