"""`implementation: renode`: firmware for a microcontroller, in an unpatched Renode.

Renode is free-running. An agent that it loads runs it in exact windows, puts each byte and level
in at its nanosecond, and stamps what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.commands import check_surroundings, note_inputs, program_of, timeouts
from simcore.errors import UsageError
from simcore.hosting import host
from simcore.node import Node
from simcore.participant import Kind, Participant
from simcore.plugins import Determinism, Path
from simcore.streams import stream_seed

from ..firmware import keys, pins
from ..firmware.elf import elf_problem, firmware_problem
from ..firmware.machine import MachineDialect
from ..firmware.record import DeviceLog, note_file
from . import tool
from .emulator import RenodeEmulator, command

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

PLATFORM = "stm32f405"
"""The platform that comes with simcore."""

MIPS = (1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1000)
"""Those in which an instruction takes a whole number of nanoseconds."""


class Renode:
    """Plug-in `implementation: renode`."""

    name = "renode"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "Firmware in Renode, a process of its own. Code takes the time of its "
        "instructions; windows end at whole microseconds.",
        "additionalProperties": False,
        "properties": {
            **keys.KEYS,
            "gpio": pins.SCHEMA,
            "platform": {
                "type": "string",
                "default": PLATFORM,
                "description": f"`{PLATFORM}`, which comes with simcore, or a file of yours "
                "relative to the scenario: a platform description (.repl), or a script (.resc) "
                "that makes one machine and does not start it. UARTs and pins are then those of "
                "that machine.",
                "examples": ["boards/mine.repl"],
            },
            "mips": {
                "enum": list(MIPS),
                "default": 125,
                "description": "Millions of instructions that the processor executes in a second.",
            },
            "renode": {
                "type": "string",
                "minLength": 1,
                "description": "The program, relative to the scenario if there is a slash in it. "
                "Without it: what RENODE in the environment names, or `renode` in PATH.",
            },
        },
    }

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without running anything."""
        platform = value.get("platform", PLATFORM)
        own = platform != PLATFORM
        keys.check_keys(
            value, path, checker, form="elf",
            uarts=None if own else keys.UARTS,
            problem_of=elf_problem if own else firmware_problem,
            needed=not platform.endswith(".resc"),
        )  # fmt: skip
        pins.check_pins(value.get("gpio", {}), (*path, "gpio"), checker, only_stm32=not own)
        check_surroundings(value, path, checker)
        if own and not platform.endswith((".repl", ".resc")):
            checker.problem(
                (*path, "platform"),
                f"{platform!r} is no platform: there is {PLATFORM}; a file of yours ends in .repl "
                "or .resc",
                platform,
                [PLATFORM],
            )
        elif own:
            checker.check_file((*path, "platform"), platform)
        found = tool.RENODE.find(value.get("renode"), checker.base)
        if not isinstance(found, FilePath):
            checker.problem((*path, "renode" if "renode" in value else "implementation"), found)

    def kind_of(self, options: Mapping[str, Any]) -> Kind:
        """An emulator may speak at any moment."""
        return "free_running"

    def instruction_time(self, options: Mapping[str, Any]) -> int:
        """Virtual time that an instruction takes, ns."""
        return 1000 // int(options.get("mips", 125))

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; its Renode starts with all others, when everything is made."""
        options = spec.options
        renode = tool.RENODE.find(options.get("renode"), federation.scenario.base)
        if not isinstance(renode, FilePath):
            raise UsageError(renode)
        federation.note_part("renode", tool.version(renode))
        config = _machine(federation, spec)
        uarts, gpio = keys.uarts_of(options), options.get("gpio", {})
        program = program_of(federation, spec.name, command(renode), options)

        def make(life: int) -> Participant:
            log = DeviceLog(federation.outside.log_of(spec.name))
            dialect = MachineDialect(federation, spec.name, uarts, log, 0, gpio)
            return RenodeEmulator(
                federation, spec.name, program, life=life, machine=dialect, config=config,
                **timeouts(options),
            )  # fmt: skip

        return host(federation, spec, make, kind="free_running")

    def doctor(self) -> tuple[bool, str]:
        """Needs Renode."""
        renode = tool.RENODE.find(None, FilePath())
        if not isinstance(renode, FilePath):
            return False, renode
        try:
            return True, f"{renode}, {tool.version(renode)}"
        except UsageError as error:
            return False, str(error)


def _machine(federation: Federation, spec: NodeSpec) -> dict[str, Any]:
    """What the agent is told of the machine that it is to make."""
    options, base = spec.options, federation.scenario.base
    platform = options.get("platform", PLATFORM)
    text = script = elf = None
    if platform == PLATFORM:
        text = (FilePath(__file__).parent / f"{PLATFORM}.repl").read_text(encoding="utf-8")
    else:
        note_inputs(federation, [platform], options)
        script = str(base.absolute() / platform)
    if "firmware" in options:
        file = keys.elf_of(options, base)
        note_file(federation, f"firmware of {spec.group}", file)
        elf = str(file)
    return {
        "platform": text,
        "script": script,
        "elf": elf,
        "mips": options.get("mips", 125),
        "seed": stream_seed(federation.seed, spec.name, "renode") % 2**31,
        "uarts": [f"sysbus.{name}" for name in keys.uarts_of(options)],
        "pins": [
            [*pins.place_of(name), pin["direction"]]
            for name, pin in options.get("gpio", {}).items()
        ],
    }
