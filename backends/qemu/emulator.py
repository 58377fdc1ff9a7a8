"""One life of a device in QEMU."""

from __future__ import annotations

import re
from typing import Any

from simcore.failure import CONNECTING, READYING, Phase

from ..firmware.emulator import Emulator
from .proof import SelfTest
from .tool import FALLBACK


class QemuEmulator(Emulator):
    """A QEMU that takes part.

    Args:
        self_test: of its QEMU; passed before the first device is ready.
        **options: as for `Emulator`.
    """

    def __init__(self, *args: Any, self_test: SelfTest, **options: Any) -> None:
        super().__init__(*args, **options)
        self._self_test = self_test

    def launch(self) -> None:
        """Start QEMU, and beside the first one the self-test."""
        self._self_test.launch()
        super().launch()

    def ready(self, now: int) -> int | None:
        """Wait until the machine can be let go; it is switched on at `now`."""
        self._self_test.check()
        return super().ready(now)

    def advise(self, phase: Phase, rule: str) -> str | None:
        """What the user may do when it has failed; see `Remote`."""
        if phase in (CONNECTING, READYING):
            return FALLBACK
        if rule in ("participant-error", "process-ended") and self.running is not None:
            dump = "\n".join(self.running.tail(_DUMP))
            if "Lockup: can't escalate" in dump:
                where = re.search("R15=([0-9a-f]+)", dump)
                at = f", at 0x{where[1]}" if where is not None else ""
                return (
                    f"the firmware has faulted while it handled a fault{at}: its processor can do "
                    "no more, and QEMU ends; all registers are in the log"
                )
        return super().advise(phase, rule)


_DUMP = 60
"""Lines in which QEMU tells why it ends, and the registers."""
