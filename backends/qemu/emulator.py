"""One life of a device in QEMU."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, NoReturn

from simcore.errors import ResultsError
from simcore.failure import ANSWERING, CONNECTING, READING, READYING, Phase
from simcore.remote import Remote

from ..firmware.machine import MachineDialect
from .proof import SelfTest
from .tool import FALLBACK


class Emulator(Remote):
    """A QEMU that takes part.

    Args:
        machine: what is said to it and what it says.
        self_test: of its QEMU; passed before the first device is ready.
        **options: as for `Remote`.
    """

    def __init__(
        self, *args: Any, machine: MachineDialect, self_test: SelfTest, **options: Any
    ) -> None:
        super().__init__(
            *args, kind="free_running", dialect=machine, advice=self._advise, **options
        )
        self._machine = machine
        self._self_test = self_test

    def launch(self) -> None:
        """Start QEMU, and beside the first one the self-test."""
        self._self_test.launch()
        super().launch()

    def ready(self, now: int) -> int | None:
        """Wait until the machine can be let go; it is switched on at `now`."""
        self._self_test.check()
        following = super().ready(now)
        self._machine.begin_life(now)
        return following

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

    def _advise(self, phase: Phase, rule: str) -> str | None:
        """What the user may do."""
        if phase in (CONNECTING, READYING):
            return FALLBACK
        if rule == "deadline" and phase in (READING, ANSWERING):
            return (
                "firmware that never sleeps (WFI) takes about as long as on the real processor; "
                "give it a longer 'timeout', or the scenario a shorter 'window'"
            )
        if rule == "firmware-fault":
            return "if the log has an address, addr2line -f -e FILE.elf ADDRESS names its line"
        if rule in ("participant-error", "process-ended") and self.running is not None:
            dump = "\n".join(self.running.tail(_DUMP))
            if "Lockup: can't escalate" in dump:
                where = re.search("R15=([0-9a-f]+)", dump)
                at = f", at 0x{where[1]}" if where is not None else ""
                return (
                    f"the firmware has faulted while it handled a fault{at}: its processor can do "
                    "no more, and QEMU ends; all registers are in the log"
                )
        return None


_DUMP = 60
"""Lines in which QEMU tells why it ends, and the registers."""
