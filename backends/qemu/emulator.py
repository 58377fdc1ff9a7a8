"""One life of a device in QEMU."""

from __future__ import annotations

from typing import Any

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
        super().__init__(*args, kind="free_running", dialect=machine, advice=_advice, **options)
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


def _advice(phase: Phase, rule: str) -> str | None:
    if phase in (CONNECTING, READYING):
        return FALLBACK
    if rule == "deadline" and phase in (READING, ANSWERING):
        return (
            "firmware that never sleeps (WFI) takes about as long as on the real processor; give "
            "it a longer 'timeout', or the scenario a shorter 'window'"
        )
    return None
