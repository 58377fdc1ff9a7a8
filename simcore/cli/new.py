"""`new`: a first scenario of one's own, commented, that runs as it is."""

from __future__ import annotations

import re
import shlex
from importlib import resources
from pathlib import Path
from string import Template

import click

from simcore.errors import ResultsError, UsageError

FILES = ("scenario.yaml", "models.py")


def _scenario_name(directory: Path) -> str:
    """The folder's name as a scenario may be called."""
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "-", directory.resolve().name).strip("-.")
    return cleaned if re.match(r"[A-Za-z]", cleaned) else f"scenario-{cleaned}".rstrip("-")


def write_template(directory: Path) -> list[Path]:
    """Write the template's files.

    Args:
        directory: made if it does not exist.

    Returns:
        The files, in the order of `FILES`.

    Raises:
        UsageError: one of the files exists; nothing was written.
        ResultsError: the directory cannot be written.
    """
    targets = [directory / name for name in FILES]
    for target in targets:
        if target.exists() or target.is_symlink():
            raise UsageError(f"{target} exists and is left as it is; choose another directory")
    templates = resources.files("simcore.cli") / "templates"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target in targets:
            text = (templates / f"{target.name}.in").read_text(encoding="utf-8")
            with target.open("x", encoding="utf-8") as file:
                file.write(Template(text).safe_substitute(name=_scenario_name(directory)))
    except OSError as error:
        raise ResultsError(f"cannot write to {directory}: {error.strerror}") from error
    return targets


@click.command("new")
@click.argument("directory", type=click.Path(file_okay=True, path_type=Path))
def command(directory: Path) -> int:
    """Write a commented scenario and its models to DIRECTORY, ready to run.

    Files that exist are never overwritten.
    """
    scenario, models = write_template(directory)
    shown = shlex.quote(str(scenario))
    click.echo(f"wrote {scenario}\nwrote {models}\n")
    click.echo(f"check it:  python -m simcore validate {shown}")
    click.echo(f"run it:    python -m simcore {shown}")
    return 0
