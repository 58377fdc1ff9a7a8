"""One life of a device in an emulator, whichever it is."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NoReturn

from simcore.errors import ResultsError
from simcore.failure import ANSWERING, READING, Phase
from simcore.participant import NetworkDone
from simcore.protocol.service import Done
from simcore.remote import Remote

from .machine import MachineDialect


class Emulator(Remote):
    """An emulator that takes part.

    Args:
        machine: what is said to it and what it says.
        **options: as for `Remote`.
    """

    def __init__(self, *args: Any, machine: MachineDialect, **options: Any) -> None:
        super().__init__(*args, kind="free_running", dialect=machine, advice=self.advise, **options)
        self._machine = machine

    def ready(self, now: int) -> int | None:
        """Wait until the machine can be let go; it is switched on at `now`."""
        following = super().ready(now)
        self._machine.begin_life(now)
        return following

    def finish(self) -> Done | NetworkDone:
        """Take what the machine did; see `Participant.finish`."""
        done = super().finish()
        self.instructions, self.state = self._machine.executed, self._machine.state or None
        return done

    def shut_down(self) -> None:
        """Switch the machine off."""
        if not self._over:
            self._machine.close(self._since)
        super().shut_down()

    def kill(self) -> None:
        """Cut its power, which nothing prevents; never raises."""
        with suppress(ResultsError):
            self._machine.close(self.federation.calendar.now)
        super().kill()

    def _fail(self, rule: str, what: str) -> NoReturn:
        """Raise the report, whose last lines are the device's last words."""
        with suppress(ResultsError):
            self._machine.last_words()
        super()._fail(rule, what)

    def advise(self, phase: Phase, rule: str) -> str | None:
        """What the user may do when it has failed; see `Remote`."""
        if rule == "deadline" and phase in (READING, ANSWERING):
            return (
                "firmware that never sleeps (WFI) takes about as long as on the real processor; "
                "give it a longer 'timeout', or the scenario a shorter 'window'"
            )
        if rule == "firmware-fault":
            return "if the log has an address, addr2line -f -e FILE.elf ADDRESS names its line"
        return None
