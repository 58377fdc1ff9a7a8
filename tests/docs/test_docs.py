"""README and docs do what they say: every command, program, scenario and output in them.

`pages.py` says how a block tells what it is for. After a change of what simcore prints,
`python tests/docs/write_outputs.py PAGE...` writes the new outputs into the pages; read them
before you commit them.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT, PageError, Reader, blocks, matches, pages
from support import unavailable

pytestmark = pytest.mark.docs

_VENV = "python3 -m venv .venv && .venv/bin/pip install "
_CI = "tests/docs/test_docs.py::test_ci_runs_the_test_command"
_WHEEL = "tests/system/test_wheel.py::test_quickstart"
INSTALLS: dict[str, str] = {
    f"{_VENV}'.[report]' && .venv/bin/python -m simcore scenarios/quickstart.yaml": _WHEEL,
    f"{_VENV}'.[report]'": _WHEEL,
    f"{_VENV}'.[dev,report]' && .venv/bin/tox -qq": _CI,
}
"""Commands that install, which are not run here, and the test that runs them."""

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}


NEEDS = {"docs/guides.md": ("onnx", "onnxruntime"), "docs/services.md": ("onnxruntime",)}
"""Libraries that pages use and that are no requirement of simcore."""


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path) -> None:
    for library in NEEDS.get(page, ()):
        if find_spec(library) is None:
            unavailable(f"{library} is not installed")
    steps = Reader(tmp_path, tuple(INSTALLS)).read(PAGES[page])
    problems = [str(step) for step in steps if step.problem is not None]
    if problems:
        pytest.fail("\n\n".join([f"{len(problems)} problems", *problems]), pytrace=False)


def test_every_block_is_of_a_known_kind() -> None:
    found = [block for page in PAGES.values() for block in blocks(page)]
    fences = sum(
        line.lstrip().startswith(("```", "~~~"))
        for page in PAGES.values()
        for line in page.read_text(encoding="utf-8").splitlines()
    )
    assert fences == 2 * len(found)


@pytest.mark.parametrize(
    "text",
    [
        "```\nno language\n```",
        "```bash\n$ an unknown language\n```",
        "```text\nno purpose\n```",
        "```console title=x\n$ more than a language\n```",
        "```console\n$ no end",
    ],
)
def test_a_block_that_nobody_would_run_is_refused(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(PageError):
        blocks(page)


@pytest.mark.parametrize(
    ("expected", "got", "equal"),
    [
        (["a 1 b"], ["a 1 b"], True),
        (["a ... b"], ["a 17 ms b"], True),
        (["a ... b"], ["a", "b"], False),
        (["a", "...", "d"], ["a", "b", "c", "d"], True),
        (["a", "...", "d"], ["a", "d"], True),
        (["a", "..."], ["b"], False),
        (["a"], ["a", "b"], False),
    ],
)
def test_ellipsis(expected: list[str], got: list[str], equal: bool) -> None:
    assert matches(expected, got) is equal


def test_each_installation_is_run_by_another_test() -> None:
    shown = {
        command.text
        for page in PAGES.values()
        for block in blocks(page)
        if block.language == "console"
        for command in block.commands()
    }
    assert set(INSTALLS) <= shown
    for command, test in INSTALLS.items():
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), command


def test_ci_runs_the_test_command() -> None:
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [command for command in INSTALLS if command in commands and "tox" in command]


def test_no_page_shows_where_it_was_written() -> None:
    """A path that belongs to somebody's computer gets into an output by `write_outputs.py`."""
    for name, page in PAGES.items():
        assert not re.search(r"/(home|tmp|root|work|Users)/", page.read_text(encoding="utf-8")), (
            name
        )


def test_the_figure_of_the_tutorial_is_the_one_that_its_commands_draw() -> None:
    """A figure says in its metadata what it shows, with digests; the page shows its caption.

    `write_outputs.py docs/tutorial.md` renews both.
    """
    svg = (ROOT / "docs" / "images" / "tutorial-pareto.svg").read_text(encoding="utf-8")
    (caption,) = re.findall(r"<dc:description>(.*)</dc:description>", svg)
    assert f"\npareto\n{caption}\n" in PAGES["docs/tutorial.md"].read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    broken = []
    for page in [*PAGES.values(), ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            path = (page.parent / file) if file else page
            if not path.exists():
                broken.append(f"{page.name}: {target}")
            elif anchor and anchor not in _anchors(path):
                broken.append(f"{page.name}: {target} (no such heading)")
    assert not broken


def _anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
