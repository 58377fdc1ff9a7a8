"""Writes what commands and programs print now into the pages, where it differs.

    python tests/docs/write_outputs.py README.md docs/quickstart.md

What varies from run to run becomes `...`. Read the difference before you commit it: a test
that is made to agree with whatever happens tells nothing.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from pages import ROOT, Reader, Step
from test_docs import INSTALLS

_VARIES = (
    (re.compile(r"(completed|expectation failed): (.+ of virtual time) in .*"), r"\1: \2 in ..."),
    (
        re.compile(r"(exchanges?); .* of wall time waited for them"),
        r"\1; ... of wall time waited for them",
    ),
    (re.compile(r"sent [0-9.]+ s ago"), "sent ... s ago"),
    (re.compile(r'File ".*/(\w+\.py)", line \d+'), r'File ".../\1", line ...'),
    (
        re.compile(r"(running \d+ trials, .*\n)?(trial \d+ \(seed \d+\): .*\n)+"),
        "...\n",
    ),  # in the order in which they end
    (re.compile(r"running .+: \d+ runs, \d+ at a time\n(.+: done.*\n)+"), "...\n"),
)


_FIGURES = {"docs/tutorial.md": ("figures/pareto.svg", "docs/images/tutorial-pareto.svg")}
"""Figures that pages show, each as its commands draw it."""

_REWRITTEN = ("prints something else", "not what was printed")


def _plain(lines: list[str], folder: str) -> list[str]:
    text = "".join(f"{line}\n" for line in lines).replace(folder, "...")
    for pattern, stands in _VARIES:
        text = pattern.sub(stands, text)
    return text.splitlines()


def _rewrite(page: Path, steps: list[Step], folder: str) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    for step in sorted(steps, key=lambda step: -step.line):
        if step.problem not in _REWRITTEN:
            continue
        # Of a command: what stands between it and the next one, or the end of its block.
        console = step.block.language == "console"
        first = step.line + step.what.count("\n") if console else step.line - 1
        last = first
        while not lines[last].startswith(("```", "$ ")):
            last += 1
        spaced = lines[last].startswith("$ ") and last > first and not lines[last - 1]
        kept = [""] if console and spaced else []
        lines[first:last] = [*_plain(step.got, folder), *kept]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _keep_figure(drawn: Path, kept: Path) -> None:
    lines = drawn.read_text(encoding="utf-8").splitlines()
    kept.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")


def main() -> None:
    for name in sys.argv[1:]:
        page = Path(name).resolve()
        with tempfile.TemporaryDirectory() as folder:
            steps = Reader(Path(folder), tuple(INSTALLS)).read(page)
            _rewrite(page, steps, folder)
            drawn = _FIGURES.get(page.relative_to(ROOT).as_posix())
            if drawn is not None:
                _keep_figure(Path(folder) / drawn[0], ROOT / drawn[1])
        for step in steps:
            if step.problem not in (None, *_REWRITTEN):
                sys.stdout.write(f"{step}\n\n")


if __name__ == "__main__":
    main()
