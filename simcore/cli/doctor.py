"""`doctor`: what works on this machine, what is missing, and what to install for it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from simcore.cli.console import make_console
from simcore.plugins import Plugins

# Where the name that is imported is not the name that is installed.
_IMPORTS = {"pyyaml": "yaml", "paho-mqtt": "paho.mqtt", "ns3": "ns"}
_TOOLS = frozenset({"dev"})
"""Extras for people who change simcore; of no interest to those who use it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    part: str
    ok: bool
    detail: str
    required: bool = False
    """Whether nothing works without it."""


def _import_name(distribution: str) -> str:
    return _IMPORTS.get(distribution.lower(), distribution.replace("-", "_"))


def _declared() -> Iterator[tuple[str, str | None]]:
    """Names of the distributions simcore asks for, with the extra (None: always)."""
    for text in importlib.metadata.requires("simcore") or ():
        match = re.match(r"[A-Za-z0-9_.-]+", text)
        extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", text)
        if match:
            yield match.group(), extra.group(1) if extra else None


def _core() -> Iterator[Finding]:
    wanted = sys.version_info >= (3, 11)
    python = f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"
    yield Finding("Python", wanted, python if wanted else f"{python}: 3.11 is needed", True)
    try:
        version = importlib.metadata.version("simcore")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("simcore", False, "not installed; install it with: pip install .", True)
        return
    yield Finding("simcore", True, version, True)
    for distribution, extra in _declared():
        if extra is None:
            yield _dependency(distribution)


def _dependency(distribution: str) -> Finding:
    try:
        importlib.import_module(_import_name(distribution))
        version = importlib.metadata.version(distribution)
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return Finding(distribution, False, f"{error}; pip install {distribution}", True)
    return Finding(distribution, True, version, True)


def _libyaml() -> Finding:
    present = (
        importlib.util.find_spec("yaml") is not None
        and importlib.import_module("yaml").__with_libyaml__
    )
    detail = "present" if present else "absent: large scenarios load several times slower"
    return Finding("libyaml", present, detail)


def _installed(distribution: str) -> str | None:
    # Looked up, not imported: importing torch to say that it is there would take seconds.
    try:
        if importlib.util.find_spec(_import_name(distribution)) is None:
            return None
        return importlib.metadata.version(distribution)
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return None


def _extras() -> Iterator[Finding]:
    try:
        declared = list(_declared())
    except importlib.metadata.PackageNotFoundError:
        return
    members: dict[str, list[str]] = {}
    for distribution, extra in declared:
        if extra is not None and extra not in _TOOLS:
            members.setdefault(extra, []).append(distribution)
    for extra, distributions in sorted(members.items()):
        versions = {name: _installed(name) for name in distributions}
        missing = [name for name, version in versions.items() if version is None]
        if missing:
            detail = f"without {', '.join(missing)}; pip install 'simcore[{extra}]'"
        else:
            detail = ", ".join(f"{name} {version}" for name, version in versions.items())
        yield Finding(f"extra {extra}", not missing, detail)


def _plugins() -> Iterator[Finding]:
    plugins = Plugins()
    for kind, label in (
        ("backends", "backend"),
        ("netmodels", "network"),
        ("extensions", "extension"),
    ):
        # A plug-in comes from anywhere; whatever it raises is its finding, not doctor's end.
        try:
            found = getattr(plugins, kind)
        except Exception as error:  # noqa: BLE001
            yield Finding(f"{label}s", False, f"{type(error).__name__}: {error}", True)
            continue
        for name, plugin in found.items():
            try:
                ok, detail = plugin.doctor()
            except Exception as error:  # noqa: BLE001
                ok, detail = False, f"its probe raised {type(error).__name__}: {error}"
            yield Finding(f"{label} {name}", ok, detail)
    services = plugins.service_names()
    yield Finding("services", True, ", ".join(services) or "none")


def _results(directory: Path) -> Finding:
    """Whether a run could be written there; nothing is left behind."""
    existing = directory.absolute()
    while not existing.exists():
        existing = existing.parent
    ok = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    shown = str(directory.absolute())
    detail = shown if ok else f"{shown}: cannot be written; run with --out DIR"
    return Finding("results directory", ok, detail)


def findings(results: Path) -> list[Finding]:
    """Everything `doctor` looks at.

    Args:
        results: the folder that run directories are made in.
    """
    return [*_core(), _libyaml(), *_extras(), *_plugins(), _results(results)]


def _word(finding: Finding) -> str:
    if finding.ok:
        return "ok"
    return "MISSING" if finding.required else "absent"


@click.command("doctor")
def command() -> int:
    """Show what works on this machine and what to install for the rest.

    Exit code 0 if scenarios can be run; optional parts may be absent. Otherwise 3.
    """
    found = findings(Path("runs"))
    table = Table(show_edge=False, pad_edge=False, box=None)
    table.add_column("part", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what", overflow="fold")
    for finding in found:
        style = "green" if finding.ok else ("bold red" if finding.required else "yellow")
        # Text, for what a plug-in or a path says is not to be read as markup.
        table.add_row(Text(finding.part), Text(_word(finding), style), Text(finding.detail))
    console = make_console()
    console.print(table)
    broken = [finding.part for finding in found if finding.required and not finding.ok]
    if broken:
        click.echo(f"\nsimcore cannot run scenarios here: {', '.join(broken)}")
        return 3
    click.echo("\nsimcore can run scenarios here")
    return 0
