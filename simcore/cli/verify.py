"""`verify`: is a run what its scenario and seed say it is?

Of a scenario: it is run twice, in processes of their own with different hash seeds, so that
nothing that Python leaves to chance can hide. Of a run: it is repeated from its manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from simcore.errors import ExitCode, RunFailed, UsageError
from simcore.results.difference import first_difference
from simcore.results.store import open_run
from simcore.scenario import load
from simcore.scenario.examples import locate


@click.command("verify")
@click.argument("target", metavar="SCENARIO|RUN")
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As for run; of a scenario."
)
@click.option("--seed", type=int, help="As for run; of a scenario.")
@click.option("--until", metavar="DURATION", help="As for run; of a scenario.")
@click.option(
    "--base", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Folder of the models and data of a published RUN; where it was run, without it.",
)  # fmt: skip
def command(
    target: str, overrides: tuple[str, ...], seed: int | None, until: str | None, base: Path | None
) -> int:
    """Run a SCENARIO twice, or a published RUN again, and compare the digests.

    Names the first record that differs; exit code 1 if there is one.
    """
    with tempfile.TemporaryDirectory(prefix="simcore-verify-") as name:
        temporary = Path(name)
        if Path(target).is_dir():
            if overrides or seed is not None or until is not None:
                raise UsageError(
                    "a run is repeated as it was: --set, --seed and --until are for a scenario"
                )
            return _verify_run(Path(target), base, temporary)
        path = locate(target)
        load(
            path, overrides=overrides, seed=seed, until=until
        )  # all problems at once, before any run
        options = [f"--set={each}" for each in overrides]
        options += [] if seed is None else [f"--seed={seed}"]
        options += [] if until is None else [f"--until={until}"]
        first = _run([str(path), *options], temporary / "1", hash_seed=1)
        second = _run([str(path), *options], temporary / "2", hash_seed=2)
        return _compare(first, second)


def _verify_run(path: Path, base: Path | None, temporary: Path) -> int:
    with open_run(path) as run:
        manifest = run.manifest
    if manifest["digest"] is None:
        reason = manifest["exit"]["reason"]
        raise UsageError(
            f"{path} did not complete (exit reason: {reason}): there is no digest to compare with"
        )
    if manifest["determinism"] == "calibration":
        raise UsageError(
            f"{path} is a calibration run: it measured this machine, and cannot be repeated exactly"
        )
    if base is None:
        source = manifest["scenario"]["path"]
        base = Path(source).parent if source else None
        if base is None or not base.is_dir():
            raise UsageError(
                f"the folder that {path} was run from is not here: name it with --base"
            )
    for line in _changes(manifest, base):
        click.echo(line)
    resolved = temporary / "scenario.json"
    resolved.write_text(json.dumps(manifest["resolved"]), encoding="utf-8")
    return _compare(path, _run([str(resolved), f"--base={base}"], temporary / "again", hash_seed=1))


def _changes(manifest: dict[str, Any], base: Path) -> Iterator[str]:
    """What is not as it was when the run was made."""
    for name, digest in manifest["inputs"].items():
        file = base / name
        if not file.is_file():
            yield f"input missing: {name}"
        elif hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            yield f"input changed: {name}"
    for package, before in manifest["versions"].items():
        now = ".".join(map(str, sys.version_info[:3])) if package == "python" else _version(package)
        if now != before:
            yield f"version changed: {package} {before} -> {now}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _run(arguments: list[str], out: Path, *, hash_seed: int) -> Path:
    command = [sys.executable, "-m", "simcore", "run", *arguments, "--out", str(out), "--quiet"]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            # Killed and waited for: it must not write on while its directory is removed.
            process.kill()
            process.wait()
            raise
    # A failed expectation is no obstacle: the run is complete.
    if process.returncode not in (ExitCode.OK, ExitCode.DIFFERENT):
        raise RunFailed(f"the run failed with exit code {process.returncode}:\n{said.rstrip()}")
    return out


def _compare(first: Path, second: Path) -> int:
    with open_run(first) as one, open_run(second) as other:
        digests = one.manifest["digest"], other.manifest["digest"]
        if digests[0] == digests[1]:
            counts = one.manifest["counts"]
            click.echo(f"identical: digest {digests[0]}")
            click.echo(
                f"{counts['messages']:,} messages, {counts['measurements']:,} measurements, "
                f"{counts['faults']:,} fault records"
            )
            return ExitCode.OK
        before, now = ((each.manifest.get("parts") or {}) for each in (one, other))
        for name in sorted(before | now):
            if before.get(name) != now.get(name):
                click.echo(f"part changed: {name} {before.get(name)} -> {now.get(name)}")
        click.echo(f"different: digest {digests[0]}")
        click.echo(f"     and then digest {digests[1]}")
        click.echo(str(first_difference(one.connection, other.connection) or "no record differs"))
        if one.manifest["determinism"] == "statistical":
            click.echo(
                "that is to be expected: the run is labelled statistical. Its means and their "
                "intervals are what can be repeated: python -m simcore trials"
            )
        return ExitCode.DIFFERENT
