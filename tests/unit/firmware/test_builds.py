"""What is built on first use is kept, is whole, and is made anew when anything about it changes."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from simcore import builds as build
from simcore.builds import HOST, Recipe, built, changed, digest, lacking, unfit
from simcore.errors import UsageError

COMPILER = """#!{python}
import os, pathlib, sys
if sys.argv[1:] == ["--version"]:
    print("a compiler, version 1")
    sys.exit()
source, product, count = map(pathlib.Path, sys.argv[1:])
with count.open("a") as file:
    file.write("x")
text = source.read_text()
if "error" in text:
    print(f"{{source}}:1: there is an error in it", file=sys.stderr)
    sys.exit(5)
if "nothing" not in text:
    product.write_text("built from " + text)
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """How `source` becomes `product`, by a compiler that counts how often it is run."""
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER.format(python=sys.executable))
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "sources"
    (folder / "prebuilt").mkdir(parents=True)
    source, count = folder / "source", tmp_path / "count"
    source.write_text("one")
    return Recipe(
        what="the thing",
        folder=folder,
        sources=[source],
        tools=(),
        command=lambda cc, target: [cc, str(source), str(target / "product"), str(count)],
        product="product",
        prebuilt=f"thing-{HOST}",
    )


def count(recipe: Recipe) -> int:
    """How often the compiler was run."""
    file = recipe.folder.parent / "count"
    return len(file.read_text()) if file.exists() else 0


def prebuild(recipe: Recipe) -> None:
    """Have a prebuilt file of these sources."""
    recipe.ready_made.write_text("prebuilt")
    lines = ["# compiler: none"]
    for file in (*recipe.sources, recipe.ready_made):
        lines.append(f"{digest(file)}  {file.relative_to(recipe.folder)}")
    (recipe.folder / "prebuilt" / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def builds(recipe: Recipe) -> Path:
    return recipe.folder.parent / "cache" / "simcore" / "builds"


def test_a_compiler_that_is_gone_has_left_what_it_built(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is shipped that could serve instead, and from these sources only."""
    recipe = replace(
        recipe,
        prebuilt=None,
        command=lambda cc, target: [
            cc,
            *map(str, (recipe.sources[0], target / "product", target / "n")),
        ],
    )
    first = built(recipe)
    monkeypatch.setenv("CC", "no-such-compiler")
    assert recipe.is_kept
    assert built(recipe) == first
    recipe.sources[0].write_text("another")
    assert not recipe.is_kept
    with pytest.raises(UsageError, match="there is no no-such-compiler in PATH"):
        built(recipe)


def test_who_waits_for_a_build_is_told(recipe: Recipe) -> None:
    told: list[str] = []
    for _ in range(2):
        built(recipe, lambda: told.append("it is built"))
    assert told == ["it is built"]


def test_it_is_built_once(recipe: Recipe) -> None:
    first = built(recipe)
    assert first.read_text() == "built from one"
    assert built(recipe) == first and count(recipe) == 1
    assert first.parent.parent == builds(recipe)
    assert list(builds(recipe).iterdir()) == [first.parent], "no half of a build is left"


CHANGES: dict[str, Callable[[Recipe, pytest.MonkeyPatch], Recipe]] = {}


def change(how: Callable[[Recipe, pytest.MonkeyPatch], Recipe]) -> None:
    CHANGES[how.__name__] = how


@change
def a_source(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    recipe.sources[0].write_text("two")
    return recipe


@change
def the_command(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    command = recipe.command
    return replace(recipe, command=lambda cc, target: [*command(cc, target)[:3], "/dev/null"])


@change
def the_compiler(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    other = recipe.folder.parent / "other"
    text = (recipe.folder.parent / "compiler").read_text()
    other.write_text(text.replace("version 1", "version 2"))
    other.chmod(0o755)
    monkeypatch.setenv("CC", str(other))
    return recipe


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_builds_anew(recipe: Recipe, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = built(recipe)
    after = built(CHANGES[what](recipe, monkeypatch))
    assert after != before
    assert before.is_file(), "another version of simcore may still use it"


@pytest.mark.parametrize("damage", ["cut", "another", "gone", "no record"])
def test_a_damaged_build_is_made_anew(recipe: Recipe, damage: str) -> None:
    file = built(recipe)
    if damage == "cut":
        file.write_text("bui")
    elif damage == "another":
        file.write_text("built from you")
    elif damage == "gone":
        file.unlink()
    else:
        file.with_name("product.sha256").unlink()
    assert built(recipe) == file and file.read_text() == "built from one"
    assert count(recipe) == 2


def test_many_at_the_same_time(recipe: Recipe) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(built(recipe))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    assert found[0].read_text() == "built from one"
    assert list(builds(recipe).iterdir()) == [found[0].parent]


def refused(recipe: Recipe) -> str:
    with pytest.raises(UsageError) as error:
        built(recipe)
    return str(error.value)


def test_a_build_that_fails(recipe: Recipe) -> None:
    recipe.sources[0].write_text("error")
    compiler = os.environ["CC"]
    first, said, prebuilt, remedy = refused(recipe).splitlines()
    assert first.startswith(f"the thing cannot be built: {compiler} ")
    assert first.endswith(" failed with code 5:")
    assert said == f"    {recipe.sources[0]}:1: there is an error in it"
    assert prebuilt == f"  and the prebuilt one does not serve: there is none for {HOST}"
    assert remedy == f"  CC in the environment is {compiler!r}: name a C compiler, or remove it"
    assert list(builds(recipe).iterdir()) == []


def test_a_build_that_leaves_nothing(recipe: Recipe) -> None:
    recipe.sources[0].write_text("nothing")
    assert refused(recipe).startswith("the thing cannot be built: the build left no product\n")


def test_what_was_prebuilt_serves(recipe: Recipe, caplog: pytest.LogCaptureFixture) -> None:
    recipe.sources[0].write_text("error")
    prebuild(recipe)
    with caplog.at_level(logging.WARNING, "simcore"):
        assert built(recipe) == recipe.ready_made
    [told] = caplog.messages
    assert told.startswith("the thing: ")
    assert "failed with code 5: " in told and "there is an error in it" in told
    assert told.endswith("; the prebuilt one is used")


@pytest.mark.parametrize("name", ["source", f"prebuilt/thing-{HOST}"])
def test_what_was_prebuilt_of_something_else(recipe: Recipe, name: str) -> None:
    prebuild(recipe)
    assert unfit(recipe) is None and changed(recipe.folder) == []
    file = recipe.folder / name
    file.write_text("error, and changed")
    assert unfit(recipe) == f"{file} is not what it was made of"
    if name == "source":
        assert "is not what it was made of" in refused(recipe)
        assert changed(recipe.folder) == [file.resolve()]
        file.unlink()
        assert changed(recipe.folder) == [file.resolve()]


def test_what_was_prebuilt_without_a_record(recipe: Recipe) -> None:
    recipe.ready_made.write_text("prebuilt")
    told = unfit(recipe)
    assert told is not None and told.endswith(
        "SHA256SUMS cannot be read: No such file or directory"
    )
    assert changed(recipe.folder) == []


def test_what_was_prebuilt_for_another_machine(recipe: Recipe) -> None:
    other = replace(recipe, prebuilt="thing-vax-vms")
    prebuild(other)
    assert unfit(other) == f"there is none for {HOST}"


def test_tools_that_are_missing(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert lacking(["sh"]) == "there is no no-such-compiler in PATH"
    assert lacking(["no-make"]) == "there is no no-such-compiler and no no-make in PATH"
    assert refused(recipe) == (
        "the thing cannot be built: there is no no-such-compiler in PATH\n"
        f"  and the prebuilt one does not serve: there is none for {HOST}\n"
        "  install a C compiler and make (Debian: apt-get install gcc libc6-dev make)"
    )
    prebuild(recipe)
    assert built(recipe) == recipe.ready_made
    assert caplog.messages == [
        "the thing: there is no no-such-compiler in PATH; the prebuilt one is used"
    ]


def test_a_cache_that_cannot_be_written(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    file = recipe.folder.parent / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    told = refused(recipe)
    assert f"{file}/simcore/builds cannot be written: Not a directory\n" in told
    assert told.endswith("\n  make that folder writable, or name another cache with XDG_CACHE_HOME")
    prebuild(recipe)
    assert built(recipe) == recipe.ready_made


def test_a_relative_cache_is_none(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG Base Directory Specification: relative paths are to be ignored."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(recipe.folder.parent / "home"))
    assert built(recipe).is_relative_to(recipe.folder.parent / "home" / ".cache" / "simcore")


def test_a_build_without_an_end(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_PATIENCE", 0.1)
    sleep = replace(recipe, command=lambda cc, target: ["sleep", "1000"])
    assert "sleep 1000: " in refused(sleep) and "timed out after 0.1 seconds" in refused(sleep)
