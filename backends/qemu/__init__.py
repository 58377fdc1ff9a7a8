"""`implementation: qemu`: firmware for a microcontroller, in an unmodified QEMU.

QEMU is free-running. A plug-in of QEMU's holds it at the end of each window, puts each byte into
the receivers at its nanosecond, and stamps what comes out of the transmitters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.builds import REMEDY, lacking, unfit
from simcore.commands import check_surroundings, program_of, timeouts
from simcore.errors import UsageError
from simcore.hosting import host
from simcore.node import Node
from simcore.participant import Kind, Participant
from simcore.plugins import Determinism, Path

from ..firmware import keys
from ..firmware.elf import firmware_problem
from ..firmware.machine import MachineDialect
from ..firmware.record import DeviceLog, note_file
from . import board, tool
from .emulator import QemuEmulator
from .proof import self_test

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec


class Qemu:
    """Plug-in `implementation: qemu`."""

    name = "qemu"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "Firmware for an STM32F405 in QEMU, a process of its own. Exact to the "
        "nanosecond; code takes the time of its instructions.",
        "additionalProperties": False,
        "properties": {
            **keys.KEYS,
            "machine": {
                "enum": list(board.MACHINES),
                "default": board.MACHINES[0],
                "description": "The board, as QEMU calls it; all have an STM32F405.",
            },
            "mips": {
                "enum": list(board.SHIFTS),
                "default": board.MIPS,
                "description": "Millions of instructions that the processor executes in a second.",
            },
            "qemu": {
                "type": "string",
                "minLength": 1,
                "description": "The program, relative to the scenario if there is a slash in it. "
                "Without it: what SIMCORE_QEMU in the environment names, or `qemu-system-arm` in "
                "PATH.",
            },
        },
    }

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without running anything."""
        keys.check_keys(
            value, path, checker, form="elf", uarts=keys.UARTS, problem_of=firmware_problem
        )
        check_surroundings(value, path, checker)
        found = tool.QEMU.find(value.get("qemu"), checker.base)
        if not isinstance(found, FilePath):
            place = (*path, "qemu" if "qemu" in value else "implementation")
            checker.problem(place, found)

    def kind_of(self, options: Mapping[str, Any]) -> Kind:
        """An emulator may speak at any moment."""
        return "free_running"

    def instruction_time(self, options: Mapping[str, Any]) -> int:
        """Virtual time that an instruction takes, ns."""
        return 1 << board.SHIFTS[options.get("mips", board.MIPS)]

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; its QEMU starts with all others, when everything is made."""
        options, base = spec.options, federation.scenario.base
        qemu = tool.QEMU.find(options.get("qemu"), base)
        if not isinstance(qemu, FilePath):
            raise UsageError(qemu)
        module = tool.plugin()
        elf = keys.elf_of(options, base)
        federation.note_part("qemu", tool.version(qemu))
        note_file(federation, f"firmware of {spec.group}", elf)
        uarts = keys.uarts_of(options)
        machine = options.get("machine", board.MACHINES[0])
        shift = board.SHIFTS[options.get("mips", board.MIPS)]
        command = board.command(qemu, module, machine, shift, elf, list(uarts))
        program = program_of(federation, spec.name, command, options)
        test = self_test(federation, qemu, module, machine)

        def make(life: int) -> Participant:
            log = DeviceLog(federation.outside.log_of(spec.name))
            tolerance = (1 << shift) - 1
            dialect = MachineDialect(federation, spec.name, uarts, log, tolerance)
            return QemuEmulator(
                federation, spec.name, [spec.name], program, life=life, transport="stdio",
                self_test=test, machine=dialect, **timeouts(options),
            )  # fmt: skip

        return host(federation, spec, make, kind="free_running")

    def doctor(self) -> tuple[bool, str]:
        """Needs QEMU, and a C compiler or a plug-in that was prebuilt for this machine."""
        qemu = tool.QEMU.find(None, FilePath())
        if not isinstance(qemu, FilePath):
            return False, qemu
        try:
            known = f"{qemu}, {tool.version(qemu)}"
        except UsageError as error:
            return False, str(error)
        trouble = lacking(())
        if trouble is None:
            return True, known
        if unfit(tool.recipe()) is not None:
            return False, f"{known}; {trouble}: {REMEDY}"
        return True, f"{known}; {trouble}; the plug-in is prebuilt"
