"""One life of a device in Renode: a process with folders of its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.commands import Program
from simcore.failure import CONNECTING, READYING, Phase

from ..firmware.emulator import Emulator
from .tool import FALLBACK, KNOWN

if TYPE_CHECKING:
    from simcore.federation import Federation

AGENT = Path(__file__).parent / "agent.py"
"""What runs inside Renode."""


def command(renode: Path) -> list[str]:
    """The command that starts Renode with the agent.

    Without `--port -2`, it would listen on a port of all of this machine's addresses.
    """
    agent = str(AGENT).replace(" ", "\\ ")  # as its Monitor reads paths
    return [
        str(renode), "--plain", "--disable-xwt", "--port", "-2", "-e", f"include @{agent}",
    ]  # fmt: skip


class RenodeEmulator(Emulator):
    """A Renode that takes part.

    Args:
        federation: the run.
        name: of its node.
        program: starts it, but for its folders.
        **options: as for `Emulator`.
    """

    def __init__(
        self, federation: Federation, name: str, program: Program, *, life: int, **options: Any
    ) -> None:
        # At its start Renode removes from the folder for temporary files what looks like that of
        # a process that is no more: nobody else's may be there.
        self._folder = federation.outside.directory.path / f"{name}.{life}"
        places = {"TMPDIR": "tmp", "HOME": "home", "XDG_CONFIG_HOME": "home"}
        own = {key: str(self._folder / place) for key, place in places.items()}
        program = replace(program, environment={**program.environment, **own})
        super().__init__(
            federation, name, [name], program, life=life, transport="tcp", **options
        )  # fmt: skip

    def launch(self) -> None:
        """Start it."""
        for place in ("tmp", "home"):
            (self._folder / place).mkdir(parents=True)
        super().launch()

    def kill(self) -> None:
        """End it, and remove what it has left; never raises."""
        super().kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def advise(self, phase: Phase, rule: str) -> str | None:
        """What the user may do when it has failed; see `Remote`."""
        if phase is CONNECTING and rule == "deadline":
            return (
                "Renode takes some seconds to start, and longer where many start at once: give it "
                "a longer 'start_timeout'; a Renode that still does not connect cannot load what "
                f"simcore has it load: {KNOWN}; {FALLBACK}"
            )
        if phase is CONNECTING:
            return FALLBACK
        if phase is READYING and rule == "participant-error":
            return None  # Renode has said what it does not like
        if rule in ("now", "output-time"):
            return f"{KNOWN}; {FALLBACK}"
        return super().advise(phase, rule) or (FALLBACK if phase is READYING else None)
