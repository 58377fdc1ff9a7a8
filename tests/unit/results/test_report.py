"""The HTML page of a run: complete, self-contained, and the same every time."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest
from by_hand import MANIFEST, OUTSIDE
from click.testing import CliRunner
from reading import Page

from simcore.cli.report import command
from simcore.errors import MissingDependency, ResultsError
from simcore.results import page, report
from simcore.results.store import open_run

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

EXPECT = {**MANIFEST["resolved"], "expect": ["sent == 8", "lost == 0"]}


def render(directory):
    with open_run(directory) as run:
        return page.render(report.content(run))


def test_everything_is_there(make_run):
    page = Page(render(make_run(manifest={"resolved": EXPECT})))
    assert page.texts["title"] == ["by-hand, seed 7, digest 0123456789ab"]
    for row in (
        ["sent", "8"],
        ["lost", "2: loss 1 (12.5 %), queue_full 1 (12.5 %)"],
        ["held", "sent == 8", "sent = 8 == 8"],
        ["FAILED", "lost == 0", "lost = 2 is not == 0"],
        [
            "meter -> gateway",
            "reading",
            "4",
            "3",
            "25 %",
            "350",
            "20 ms",
            "38 ms",
            "39.6 ms",
            "40 ms",
        ],
        ["gateway -> cloud", "my kind", "40 ms", "7 ms", "3 ms", "50 ms", "60 ms", "60 ms"],
        ["correct", "4", "75 %", "21.7 %", "30.1 % to 95.4 %", "-", "-"],
        ["temperature", "3", "23", "2.0817", "18.92 to 27.08", "20", "27"],
        ["link_down", "gateway->cloud", "", "0.15s", "0.2s"],
        ["version of simpy", "4.1.1"],
        ["SHA-256 of models.py", "ab" * 32],
    ):
        assert row in page.rows
    assert len(page.texts["figcaption"]) == 3
    for caption in page.texts["figcaption"]:
        assert caption.endswith("by-hand, seed 7, digest 0123456789ab.")


def test_the_same_run_gives_the_same_bytes(make_run):
    assert render(make_run("a")) == render(make_run("elsewhere"))


def test_nothing_is_loaded(make_run):
    text = render(make_run())
    page = Page(text)
    assert page.references == [] and "<script" not in text and "@import" not in text
    assert set(re.findall(r"https?://[^\"' <]+", text)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    used = re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', text)
    for reference in {one or other for one, other in used}:
        assert f'id="{reference}"' in text


def test_figures_are_well_formed_and_grey(make_run):
    figures = re.findall(r"<svg.*?</svg>", render(make_run()), flags=re.DOTALL)
    assert len(figures) == 3
    for figure in figures:
        ElementTree.fromstring(figure)
        for colour in re.findall(r"#([0-9a-f]{6})\b", figure):
            assert colour[:2] == colour[2:4] == colour[4:]


@pytest.mark.parametrize("slowest", [20, 200_000])
def test_axes_are_labelled_in_plain_numbers(make_run, slowest):
    rows = [
        (f"meter-0/{n}", "gateway", "reading", 9, 1, 1 + took, "delivered", None, 1, 0, 0, 0)
        for n, took in ((1, 2), (2, slowest))
    ]
    text = render(make_run(messages=rows))
    assert "mathdefault" not in text and "$" not in text
    assert ("log" if slowest > 200 else "linear") == _scale_of_first_figure(text)


def _scale_of_first_figure(text):
    """By the numbers at its axis, which are those of both axes together."""
    first = ElementTree.fromstring(re.search(r"<svg.*?</svg>", text, flags=re.DOTALL)[0])
    labels = {"".join(e.itertext()) for e in first.iter("{http://www.w3.org/2000/svg}text")}
    return "log" if {"0.01", "0.1", "1", "10", "100"} <= labels else "linear"


def test_names_from_models_cannot_break_the_page(make_run):
    evil = "<script>alert(1)</script> $x_{$ & \x1b"
    row = ("meter-0/1", "cloud", evil, 1, 1, 2, "delivered", None, 1, 0, 0, 0)
    text = render(make_run(messages=[row], measurements=[(1, "cloud", 1, evil, "int", 3)]))
    assert "<script" not in text and "&lt;script&gt;" in text


def test_an_empty_unfinished_run(make_run):
    manifest = {"digest": None, "exit": {"reason": "running"}, "times": {}}
    text = render(make_run(messages=[], measurements=[], faults=[], manifest=manifest))
    assert "running, or killed" in text and "<figure>" not in text


def test_many_nodes_become_groups_and_the_worst(make_run, monkeypatch):
    monkeypatch.setattr(report, "MOST_NODES", 3)
    monkeypatch.setattr(report, "WORST_NODES", 2)
    page = Page(render(make_run()))
    assert ["meter", "device", "2", "4", "25 %", "1", "40 ms"] in page.rows
    # A third of what they sent was lost: gateway, the slower one, and meter-0.
    worst = [row[0] for row in page.rows if row[2:3] == ["python_model"]]
    assert worst == ["gateway", "meter-0"]


def test_command(make_run, tmp_path):
    directory = make_run()
    done = CliRunner().invoke(command, [str(directory)], standalone_mode=False)
    assert done.exception is None and done.output == f"{directory / 'report.html'}\n"
    elsewhere = tmp_path / "page.html"
    CliRunner().invoke(command, [str(directory), "--out", str(elsewhere)], standalone_mode=False)
    assert elsewhere.read_bytes() == (directory / "report.html").read_bytes()


def test_unwritable_and_missing_packages(make_run, tmp_path, monkeypatch):
    with open_run(make_run()) as run:
        with pytest.raises(ResultsError, match="--out"):
            report.write_report(run, tmp_path / "absent" / "report.html")
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(MissingDependency, match=r"simcore\[report\]"):
            page.render(report.content(run))


def test_participants_and_windows_are_among_the_facts(make_run):
    page = render(make_run(manifest=OUTSIDE, outside={}))
    assert "1 reactive, 1 free-running, 1 network; 6 exchanges" in page
    assert "6 of at most 50 ms, quantum 50 ms" in page
    assert "5 messages handed over late (62.5 %), by 4 ms at worst" in page
