"""An emulator as a program of this machine: where it is, and what it says of its version."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from simcore.errors import UsageError

_PATIENCE = 60
"""Seconds of wall time to tell a version; Renode on Mono takes one or two."""


@dataclass(frozen=True)
class Tool:
    """An emulator.

    Attributes:
        name: as in "does not look like QEMU".
        key: of a scenario that names the program.
        variable: of the environment that names it.
        program: what it is called in PATH.
        get: how one gets it, as part of a sentence.
        other: what to do if another program is named.
        fallback: what works without it.
    """

    name: str
    key: str
    variable: str
    program: str
    get: str
    other: str
    fallback: str

    def find(self, given: str | None, base: Path) -> Path | str:
        """The program, or what is wrong, in one line.

        Args:
            given: the key of the scenario.
            base: folder that a name with a slash starts from.
        """
        name, said = given, f"'{self.key}'"
        if name is None:
            name, said = os.environ.get(self.variable) or self.program, self.variable
        if "/" in name:
            file = base.absolute() / name
            if file.is_file() and os.access(file, os.X_OK):
                return file
            problem = "does not exist"
            if file.exists():
                problem = "is not executable" if file.is_file() else "is a directory"
            return f"{file}, which {said} names, {problem}: {self.other}; {self.fallback}"
        found = shutil.which(name)
        if found is not None:
            return Path(found)
        return (
            f"there is no {name} in PATH: {self.get}, or say with {self.variable} where it is; "
            f"{self.fallback}"
        )

    def ask(self, program: Path) -> str:
        """What a program says when it is asked for its version."""
        try:
            done = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=False,
                timeout=_PATIENCE, stdin=subprocess.DEVNULL, errors="replace",
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return done.stdout

    def stranger(self, program: Path, said: str) -> UsageError:
        """The error for a program that is something else, from what it said."""
        first = said.strip().splitlines()[:1] or ["nothing"]
        return UsageError(
            f"{program} does not look like {self.name}: asked for its version, it says "
            f"{first[0]!r}; {self.other}; {self.fallback}"
        )
