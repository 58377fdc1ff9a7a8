"""Reports in a real browser: nothing is refused or loaded, everything is seen, it can be printed."""

from __future__ import annotations

import re

import pytest
from browser import Browser
from inferring import make_inferring

from simcore.results import page, report, report_runs, variants
from simcore.results.store import open_run

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

FIGURES = """
[...document.querySelectorAll("figure")].map(figure => {
    const box = figure.querySelector("svg").getBoundingClientRect();
    const texts = [...figure.querySelectorAll("svg text")];
    return {
        width: box.width, height: box.height,
        smallest: Math.min(...texts.map(text => text.getBoundingClientRect().height)),
        outside: texts.filter(text => {
            const own = text.getBoundingClientRect();
            return own.left < box.left - 1 || own.right > box.right + 1
                || own.top < box.top - 1 || own.bottom > box.bottom + 1;
        }).map(text => text.textContent),
        caption: figure.querySelector("figcaption").getBoundingClientRect().height,
    };
})
"""
HIDDEN = """
[...document.querySelectorAll(".scroll")].filter(box => {
    const own = box.firstElementChild.getBoundingClientRect();
    return own.right > document.documentElement.clientWidth + 1;
}).map(box => box.textContent.slice(0, 60))
"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report of a run with inferences, and one of several."""
    folder = tmp_path_factory.mktemp("pages")
    runs = [
        make_inferring(folder / f"{policy}-{seed}", policy, seed, images=20)
        for policy in ("device", "edge", "cloud", "confidence")
        for seed in (1, 2)
    ]
    with open_run(runs[-1]) as run:
        report.write_report(run, folder / "one.html")
    page.write(report_runs.content(variants.compare(runs)), folder / "several.html")
    return {name: folder / f"{name}.html" for name in ("one", "several")}


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(("name", "count"), [("one", 7), ("several", 4)])
def test_a_page_is_seen_as_it_was_meant(browser, pages, name, count, width):
    browser.open(pages[name], width)
    assert browser.complaints() == []
    assert browser.requests() == [pages[name].resolve().as_uri()]
    assert browser.evaluate(OVERFLOW) == 0
    figures = browser.evaluate(FIGURES)
    assert len(figures) >= count
    for figure in figures:
        assert figure["width"] >= min(width - 40, 500) and figure["height"] >= 50
        assert figure["smallest"] >= 8, "pixels: can be read"
        assert figure["outside"] == [] and figure["caption"] > 0
    assert browser.picture().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["one", "several"])
def test_a_page_is_printed(browser, pages, name):
    browser.open(pages[name], 1280)
    pdf = browser.pdf()
    browser.ask("Emulation.setEmulatedMedia", media="print")
    browser.open(pages[name], 718)  # A4 without its margins
    assert browser.evaluate(HIDDEN) == [], "paper cannot be scrolled"
    browser.ask("Emulation.setEmulatedMedia", media="")
    assert pdf.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
    assert browser.complaints() == []


def test_the_policy_of_the_page_holds(browser, pages, tmp_path):
    """What is not to be loaded or run would not be, even if it got into the page."""
    text = pages["one"].read_text(encoding="utf-8")
    evil = '<script>window.evil = 1</script><img src="http://127.0.0.1:9/x.png" onerror="evil = 2">'
    path = tmp_path / "evil.html"
    path.write_text(text.replace("<h1>", f"{evil}<h1>"), encoding="utf-8")
    browser.open(path, 1280)
    assert browser.evaluate("window.evil") is None
    refused = " ".join(browser.complaints())
    assert "script" in refused and "x.png" in refused
