"""What is built on first use and kept: host builds of firmware, modules for QEMU and ns-3.

A build lies in the user's cache, under a digest of its sources, its command and its compiler, so
a change of any of them makes a new one. Where there is no compiler, a prebuilt file serves, if it
was made for this kind of machine from the sources that are here; or where none is shipped, what a
compiler that is gone made from them, by the same command.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from simcore.errors import UsageError

log = logging.getLogger("simcore")

HOST = f"{platform.machine().lower().replace('amd64', 'x86_64')}-{platform.system().lower()}"
"""What prebuilt files for this kind of machine are called after: x86_64-linux."""

REMEDY = "install a C compiler and make (Debian: apt-get install gcc libc6-dev make)"
REMEDY_CXX = "install a C++ compiler (Debian: apt-get install g++)"

Language = Literal["C", "C++"]

SOURCE = "source"
"""The file beside a build that says what it was made from, whatever the compiler was."""

_PATIENCE = 300
_SHOWN = 8


@dataclass(frozen=True)
class Recipe:
    """How something is built.

    Attributes:
        what: is built, for messages: "the host build of the firmware meter".
        folder: of the sources. `prebuilt/` in it holds what was built before, and in `SHA256SUMS`
            what that was made of.
        sources: all files that it depends on.
        tools: what must be in PATH beside the compiler.
        command: makes the command that builds into a folder, from the compiler and that folder.
        product: the file in that folder.
        prebuilt: name of the file that was built before, for `HOST`; None: there is never one.
        language: C or C++.
        depends: what else the build depends on, in words: versions.
        environment: variables of the build, beside those that there are.
    """

    what: str
    folder: Path
    sources: Sequence[Path]
    tools: Sequence[str]
    command: Callable[[str, Path], list[str]]
    product: str
    prebuilt: str | None = None
    language: Language = "C"
    depends: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def ready_made(self) -> Path:
        """The prebuilt file, whether there is one or not."""
        return self.folder / "prebuilt" / (self.prebuilt or "none")

    @property
    def is_kept(self) -> bool:
        """Whether it is built already."""
        return _kept(self) is not None

    @property
    def remedy(self) -> str:
        """What to install to build it."""
        return REMEDY if self.language == "C" else REMEDY_CXX


def compiler(language: Language = "C") -> str:
    """The compiler that is used: `CC` (`CXX`) of the environment, or `cc` (`c++`)."""
    variable, usual = ("CC", "cc") if language == "C" else ("CXX", "c++")
    return os.environ.get(variable) or usual


def lacking(tools: Sequence[str], language: Language = "C") -> str | None:
    """What of a compiler and some tools is not in PATH, as the end of a sentence."""
    missing = [tool for tool in (compiler(language), *tools) if shutil.which(tool) is None]
    return f"there is no {' and no '.join(missing)} in PATH" if missing else None


def built(recipe: Recipe, begin: Callable[[], None] = lambda: None) -> Path:
    """The file that a recipe stands for; built if there is none of these sources yet.

    Args:
        begin: called when it has to be built, which may take its time.

    Raises:
        UsageError: it cannot be built, and no prebuilt file fits.
    """
    kept = _kept(recipe)
    if kept is not None:
        return kept
    trouble, remedy = lacking(recipe.tools, recipe.language), recipe.remedy
    if trouble is None:
        begin()
        try:
            return _make(recipe)
        except _BuildError as error:
            trouble, remedy = str(error), error.remedy
    if recipe.prebuilt is None:
        raise UsageError(f"{recipe.what} cannot be built: {trouble}\n  {remedy}")
    reason = unfit(recipe)
    if reason is None:
        shown = " ".join(line.strip() for line in trouble.splitlines()[:2])
        log.warning("%s: %s; the prebuilt one is used", recipe.what, shown)
        return recipe.ready_made
    raise UsageError(
        f"{recipe.what} cannot be built: {trouble}\n  and the prebuilt one does not serve: "
        f"{reason}\n  {remedy}"
    )


class _BuildError(Exception):
    """A build failed.

    Args:
        why: what happened; more lines may follow the first.
        remedy: what the user may do.
    """

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


def _kept(recipe: Recipe) -> Path | None:
    """What was built before: with this compiler, or if there is none any more, with the last."""
    kept = _cache() / _key(recipe) / recipe.product
    if _is_whole(kept):
        return kept
    if recipe.prebuilt is not None or shutil.which(compiler(recipe.language)) is not None:
        return None
    source = _source(recipe)
    for record in sorted(_cache().glob(f"{kept.stem}-*/{SOURCE}"), key=_age):
        with suppress(OSError, ValueError):
            found = record.with_name(recipe.product)
            if record.read_text(encoding="ascii") == source and _is_whole(found):
                return found
    return None


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except OSError:
        return 0.0


def _make(recipe: Recipe) -> Path:
    folder = _cache() / _key(recipe)
    kept = folder / recipe.product
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".build-", dir=folder.parent))
    except OSError as error:
        raise _BuildError(
            f"{folder.parent} cannot be written: {error.strerror}",
            "make that folder writable, or name another cache with XDG_CACHE_HOME",
        ) from error
    try:
        _run(recipe, work)
        product = work / recipe.product
        if not product.is_file():
            raise _BuildError("the build left no " + recipe.product, _look_at_compiler(recipe))
        _record_of(product).write_text(digest(product), encoding="ascii")
        (work / SOURCE).write_text(_source(recipe), encoding="ascii")
        # Several runs may build at the same time: the first that is done wins, whole.
        with suppress(OSError):
            work.rename(folder)
        if not _is_whole(kept):  # the one that was there is damaged
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                work.rename(folder)
        if not _is_whole(kept):
            raise _BuildError(f"{folder} is damaged", "remove that folder")
        return kept
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _record_of(product: Path) -> Path:
    return product.with_name(product.name + ".sha256")


def _is_whole(product: Path) -> bool:
    """Whether a file of the cache is what was built: a disk may have been full, or worse."""
    try:
        return _record_of(product).read_text(encoding="ascii") == digest(product)
    except (OSError, ValueError):
        return False


def _look_at_compiler(recipe: Recipe) -> str:
    """What to do about a compiler that does not build what others do."""
    used, variable = compiler(recipe.language), "CC" if recipe.language == "C" else "CXX"
    if variable in os.environ:
        return (
            f"{variable} in the environment is {used!r}: name a {recipe.language} compiler, "
            "or remove it"
        )
    return f"does {used} build other programs? {recipe.remedy}"


def _run(recipe: Recipe, work: Path) -> None:
    command = recipe.command(compiler(recipe.language), work)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE,
            stdin=subprocess.DEVNULL, errors="replace", env={**os.environ, **recipe.environment},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _BuildError(f"{' '.join(command)}: {error}", _look_at_compiler(recipe)) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
        shown = "".join(f"\n    {line}" for line in said[:_SHOWN])
        raise _BuildError(
            f"{' '.join(command)} failed with code {done.returncode}:{shown}",
            _look_at_compiler(recipe),
        )


def _key(recipe: Recipe) -> str:
    """A folder's name that is another one whenever the build could be."""
    used = compiler(recipe.language)
    known = _version(shutil.which(used) or used)
    return f"{Path(recipe.product).stem}-{_source(recipe, used, known)[:24]}"


def _source(recipe: Recipe, used: str = "", known: str = "") -> str:
    """A digest of all that a build depends on: a compiler and its version, or none, and more."""
    text = hashlib.sha256()
    words = (*recipe.command(used, Path("/")), recipe.product, HOST, known, *recipe.depends)
    for word in words:
        text.update(word.encode() + b"\0")
    for source in sorted(recipe.sources):
        text.update(digest(source).encode())
    return text.hexdigest()


@cache
def _version(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=30,
            stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return program
    return done.stdout


def _cache() -> Path:
    place = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(place) if os.path.isabs(place) else Path.home() / ".cache"
    return folder / "simcore" / "builds"


def unfit(recipe: Recipe) -> str | None:
    """Why the prebuilt file does not serve here; None if it does."""
    if HOST not in (recipe.prebuilt or "") or not recipe.ready_made.is_file():
        return f"there is none for {HOST}"
    try:
        recorded = _recorded(recipe.folder)
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"
    for file in (*recipe.sources, recipe.ready_made):
        if recorded.get(file.resolve()) != digest(file):
            return f"{file} is not what it was made of"
    return None


def changed(folder: Path) -> list[Path]:
    """Sources that are not those any more that `prebuilt/` of a folder was made of."""
    try:
        recorded = _recorded(folder)
    except OSError:
        return []
    prebuilt = (folder / "prebuilt").resolve()
    return [
        file
        for file, known in recorded.items()
        if not file.is_relative_to(prebuilt) and (not file.is_file() or digest(file) != known)
    ]


def _recorded(folder: Path) -> dict[Path, str]:
    """The digests of what is prebuilt in a folder, and of its sources."""
    recorded = {}
    for line in (folder / "prebuilt" / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            known, _, name = line.partition("  ")
            recorded[(folder / name).resolve()] = known
    return recorded


def digest(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
