"""Figures as files for a paper: exact widths, embedded fonts, captions, the same bytes."""

from __future__ import annotations

import io
import itertools
import os
import re
import sqlite3
import subprocess
import sys
import warnings
import zlib
from contextlib import closing

import pytest
from click.testing import CliRunner
from inferring import make_inferring, manifest
from reading import words

from simcore.cli.figures import command
from simcore.errors import MissingDependency, ResultsError
from simcore.results import drawing, paper
from simcore.results.drawing import Chart
from simcore.results.store import open_run

pytest.importorskip("matplotlib")

ONE_RUN = ("latency", "breakdown", "energy", "confusion", "timeline", "messages-latency")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    for policy, seed in (("edge", 1), ("edge", 2), ("confidence", 1)):
        make_inferring(path / f"{policy}-{seed}", policy, seed, images=20)
    return path


def run_command(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)), standalone_mode=False)


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    """Files of one run."""
    out = tmp_path_factory.mktemp("figures")
    done = run_command(folder / "confidence-1", "--out", out)
    assert done.exception is None
    assert done.output.splitlines() == [str(out / name) for name in _names(done.output)]
    return out


def _names(output):
    return [line.rpartition("/")[2] for line in output.splitlines()]


def words_of(path):
    """The texts in a figure."""
    text = path.read_text(encoding="utf-8")
    return words(text[text.index("<svg") :])


def streams(pdf):
    """What is compressed in a PDF file."""
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            yield zlib.decompress(found[1])
        except zlib.error:
            yield found[1]


def named(path, policy, seed):
    """A run of a policy of one's own."""
    told = {"resolved": manifest(policy, seed)["resolved"]}
    return make_inferring(path, "edge", seed, images=3, told=told)


def test_each_variant_has_a_matrix_and_a_line(tmp_path):
    policies = ["_mine.py:Edge", "mine.py:edge", "mine.py:Edge", "\u00e9", f"{'x' * 300}.py:P"]
    runs = [named(tmp_path / str(n), policy, 1) for n, policy in enumerate(policies)]
    done = run_command(*runs, "--out", tmp_path / "out", "--format", "svg")
    assert done.exception is None, done.exception
    found = [name for name in _names(done.output) if name.startswith("confusion")]
    assert found == [
        "confusion-mine.py-Edge.svg",
        "confusion-mine.py-edge-2.svg",
        "confusion-mine.py-Edge-3.svg",
        "confusion.svg",
        f"confusion-{'x' * 60}.svg",
    ]
    plane = words_of(tmp_path / "out" / "pareto.svg")
    assert {" _mine.py:Edge", "mine.py:edge", "\u00e9"} <= plane


def test_long_names_leave_room_for_what_they_name(tmp_path):
    path = make_inferring(tmp_path / "run", images=5)
    with closing(sqlite3.connect(path / "run.sqlite")) as database, database:
        database.execute("UPDATE node SET name = name || ?, grp = ?", ("y" * 90, "z" * 90))
        database.execute("UPDATE kind SET name = name || ?", ("k" * 90,))
        database.execute(
            "UPDATE inference SET label = ? || label, truth = ? || truth", ["l" * 200] * 2
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for width in ("88mm", "181mm"):
            done = run_command(path, "--out", tmp_path / "out", "--format", "svg", "--width", width)
            assert done.exception is None, done.exception
    matrix = words_of(tmp_path / "out" / "confusion.svg")
    assert any(re.fullmatch(r"l+\.\.\.l+7", name) for name in matrix)


def test_names_keep_both_ends():
    assert drawing.shortened("abcdefghij", 10) == "abcdefghij"
    assert drawing.shortened("abcdefghij", 9.5) == "abc...hij"
    assert drawing.shortened("abcdefghij", 1) == "a...j"


def test_files_of_a_run(written):
    names = {path.name for path in written.iterdir()}
    assert {f"{name}.{form}" for name in ONE_RUN for form in ("pdf", "svg")} <= names
    assert {"captions.txt", "captions.tex"} <= names


def test_pdf_has_the_width_of_the_column_and_its_fonts(written):
    for path in written.glob("*.pdf"):
        pdf = path.read_bytes()
        [width] = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+)", pdf)
        assert float(width) == pytest.approx(88 / 25.4 * 72, abs=0.01)
        assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"Type 42" not in pdf
        assert b"/CreationDate" not in pdf and b"/Producer" not in pdf
        assert b"/Subtype /Image" not in pdf


def test_svg_is_text_and_says_where_it_comes_from(written):
    for path in written.glob("*.svg"):
        svg = path.read_text(encoding="utf-8")
        assert re.search(r'<svg [^>]*width="249\.4\d*pt"', svg)
        assert "placement, seed 1, digest " in svg and "<dc:date>" not in svg
        for colour in re.findall(r"#([0-9a-f]{6})\b", svg):
            assert colour[:2] == colour[2:4] == colour[4:]
    svg = (written / "latency.svg").read_text(encoding="utf-8")
    assert {"latency [ms]", "deadline 60 ms"} <= words(svg[svg.index("<svg") :])


def test_captions(written, folder):
    with open_run(folder / "confidence-1") as run:
        digest = run.manifest["digest"][:12]
    captions = (written / "captions.txt").read_text(encoding="utf-8")
    for block in captions.split("\n\n"):
        name, caption = block.strip().split("\n")
        assert (written / f"{name}.pdf").is_file()
        assert caption.endswith(f"Scenario placement, seed 1, digest {digest}; N = 60 inferences.")
    latex = (written / "captions.tex").read_text(encoding="utf-8")
    assert latex.count(r"\begin{figure}") == captions.count("\n\n") + 1
    assert r"\includegraphics{messages-latency}" in latex


def test_latex_keeps_special_letters():
    chart = Chart("a", "50 % of a_b & $x^2 {c} \\ ~ #1 <->", lambda figure: None, drawing.plane)
    [line] = [line for line in paper._block(chart, chart.title, 7).splitlines() if "capt" in line]
    assert line.strip() == (
        r"\caption{50 \% of a\_b \& \$x\textasciicircum{}2 \{c\} \textbackslash{} "
        r"\textasciitilde{} \#1 \textless{}-\textgreater{}}"
    )
    assert paper._block(chart, "", 7).startswith(r"\begin{figure*}")
    assert paper._block(chart, "", 3).startswith(r"\begin{figure}")


def test_the_same_bytes_in_another_process(written, folder, tmp_path):
    arguments = ["figures", folder / "confidence-1", "--out", tmp_path]
    environment = {**os.environ, "PYTHONHASHSEED": "77", "SOURCE_DATE_EPOCH": "1"}
    subprocess.run(
        [sys.executable, "-m", "simcore", *arguments], check=True, env=environment,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    first, second = ({p.name: p.read_bytes() for p in d.iterdir()} for d in (written, tmp_path))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_several_runs(folder, tmp_path):
    done = run_command(folder, "--out", tmp_path, "--format", "svg", "--width", "181mm")
    assert done.exception is None
    assert _names(done.output) == [
        "pareto.svg", "latency.svg", "breakdown.svg", "energy.svg", "confusion-confidence.svg",
        "confusion-edge.svg", "captions.txt", "captions.tex",
    ]  # fmt: skip
    svg = (tmp_path / "pareto.svg").read_text(encoding="utf-8")
    assert re.search(r'<svg [^>]*width="513\.\d+pt"', svg)
    captions = (tmp_path / "captions.txt").read_text(encoding="utf-8")
    assert captions.count("Scenario placement; runs confidence (seed 1, digest ") == 4
    assert captions.count("Scenario placement; runs edge (seed 1, digest ") == 1
    assert r"\begin{figure*}" in (tmp_path / "captions.tex").read_text(encoding="utf-8")


def test_a_run_without_inferences(make_run, tmp_path):
    done = run_command(make_run(), "--out", tmp_path / "new" / "folder", "--format", "pdf")
    assert done.exception is None
    assert _names(done.output)[:3] == [
        "messages-latency.pdf", "messages-breakdown.pdf", "messages-lost.pdf",
    ]  # fmt: skip
    assert "N = " not in (tmp_path / "new" / "folder" / "captions.txt").read_text()


def test_what_is_refused(make_run, folder, tmp_path, monkeypatch):
    run, file = folder / "edge-1", tmp_path / "file"
    file.touch()
    for arguments, message in (
        (["--format", "png"], "'png' is none of pdf, svg"),
        (["--width", "88"], "'88' is no width"),
        (["--width", "3mm"], "out of range"),
        (["--node", "nobody"], "takes samples"),
    ):
        assert message in str(run_command(run, "--out", tmp_path / "x", *arguments).exception)
    found = run_command(folder, "--out", tmp_path / "x", "--node", "meter-0").exception
    assert "a timeline is of one run" in str(found)
    empty = make_run("empty", messages=[])
    assert "nothing to draw" in str(run_command(empty, "--out", tmp_path / "x").exception)
    with open_run(run) as opened:
        charts = paper.of_run(opened)
    with pytest.raises(ResultsError, match="--out"):
        paper.write(charts, file / "folder", ["pdf"], 3.5)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"simcore\[report\]"):
        paper.write(charts, tmp_path / "y", ["pdf"], 3.5)


# --- black and white ---


def grey(draw):
    """A small picture of what is drawn, as rows of greys from 0 to 1."""
    import numpy as np
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    with rc_context({"hatch.linewidth": 0.5}):
        figure = Figure(figsize=(1, 1), dpi=100)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        draw(axes)
        target = io.BytesIO()
        figure.savefig(target, format="png")
    target.seek(0)
    pixels = np.asarray(imread(target))[:, :, :3]
    return pixels @ (0.2126, 0.7152, 0.0722)


def test_areas_differ_in_grey():
    looks = []
    for colour, hatch in drawing.AREAS:
        pixels = grey(
            lambda axes, c=colour, h=hatch: axes.bar(
                [0.5], [1], width=1, color=c, hatch=h, edgecolor="#000000", linewidth=0
            )
        )
        # A hatching is told from a fill by its contrast, and from others by its texture.
        down, across = (abs(pixels - pixels.T).mean(), abs(pixels - pixels[::-1]).mean())
        looks.append((pixels.mean(), pixels.std(), down, across))
    for one, other in itertools.combinations(looks, 2):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 0.03, (one, other)


def test_lines_differ_in_grey():
    styles = [drawing.line_style(place) for place in range(8)]
    looks = [
        grey(lambda axes, look=look: axes.plot([0.1, 0.5, 0.9], [0.5] * 3, **look))
        for look in styles
    ]
    for one, other in itertools.combinations(looks, 2):
        assert abs(one - other).sum() > 10, "pixels that differ"
    assert len({(s["linestyle"], s["color"]) for s in styles}) == 8
    assert len({s["marker"] for s in styles}) == 8
