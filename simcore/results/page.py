"""An HTML page of tables and figures: self-contained, fit to be archived.

The page loads nothing and runs nothing (its content security policy says so), hence it may be
mailed or put beside a paper. Every caption ends with where its figure comes from, so that one
cut out of the page still says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from simcore.errors import MissingDependency
from simcore.expect import Outcome
from simcore.results import drawing
from simcore.results.drawing import Chart
from simcore.results.writing import writing

Cells = Sequence[str]
Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TableView:
    """A table of the page; columns from `figures` on are set to the right."""

    title: str
    columns: Cells
    rows: Sequence[Cells]
    figures: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under one heading: its tables, then its figures."""

    title: str
    tables: Sequence[TableView] = ()
    charts: Sequence[Chart] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a page says.

    Attributes:
        name: its heading.
        identity: where everything in it comes from; ends every caption.
        facts: a table of names and values at its top.
        provenance: one at its end.
        details: texts that are shown when they are asked for, with their names.
    """

    name: str
    identity: str
    facts: Facts
    sections: Sequence[Section]
    provenance: Facts
    description: str = ""
    outcomes: Sequence[Outcome] = ()
    details: Facts = ()


@dataclass(frozen=True, slots=True)
class _FigureView:
    number: int
    chart: Chart
    svg: str


def write(content: Content, path: Path) -> None:
    """Write a page.

    Raises:
        MissingDependency: jinja2 or matplotlib is not installed.
        ResultsError: the file cannot be written.
    """
    page = render(content)
    with writing(path):
        path.write_text(page, encoding="utf-8")


def render(content: Content) -> str:
    """The page as text."""
    try:
        import jinja2
    except ImportError:
        raise MissingDependency("jinja2", extra="report", purpose="reports") from None
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("simcore.results").joinpath("report.html").read_text(encoding="utf-8")
    views, figures, tables = [], 0, 0
    for section in content.sections:
        shown = [table for table in section.tables if table.rows]
        if shown or section.charts:
            charts = [
                _FigureView(number, chart, drawing.inline(chart))
                for number, chart in enumerate(section.charts, figures + 1)
            ]
            views.append((section, list(enumerate(shown, tables + 1)), charts))
            figures, tables = figures + len(charts), tables + len(shown)
    return environment.from_string(source).render(page=content, sections=views) + "\n"
