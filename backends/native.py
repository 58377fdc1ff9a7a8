"""`implementation: native`: firmware built for this machine, a process for each device.

The firmware's port for the host speaks the protocol of `docs/protocol.md` itself, as a reactive
participant: time passes only while the firmware sleeps, so it is exact to the nanosecond, and a
device that sleeps costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.answers import Answers
from simcore.builds import HOST, REMEDY, Recipe, built, lacking, unfit
from simcore.commands import check_surroundings, maker
from simcore.failure import ANSWERING, CONNECTING, READING, Phase
from simcore.hosting import host
from simcore.node import Node
from simcore.participant import Kind
from simcore.plugins import Determinism, Path

from .firmware import keys, lines
from .firmware.elf import program_problem
from .firmware.record import DeviceLog, note_file

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

UARTS = ("usart2", "usart3")
"""Those of the port for the host: the same as those of the port for the STM32F4."""

TOOLS = ("make",)


class Native:
    """Plug-in `implementation: native`."""

    name = "native"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "Firmware built for this machine, in a process of its own. Exact to the "
        "nanosecond; code takes no time.",
        "additionalProperties": False,
        "properties": dict(keys.KEYS),
    }

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without running anything."""
        keys.check_keys(
            value, path, checker, form="native", uarts=UARTS, problem_of=program_problem
        )
        check_surroundings(value, path, checker)

    def kind_of(self, options: Mapping[str, Any]) -> Kind:
        """Firmware for the host is called when it wants to wake, and when a message comes."""
        return "reactive"

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; its process starts with all others, when everything is made."""
        found = keys.firmware_of(spec.options, "native", federation.scenario.base)
        program = found if isinstance(found, FilePath) else _program(found)
        note_file(federation, f"firmware of {spec.group}", program)
        config = {"uart": keys.uarts_of(spec.options)}
        make = maker(
            federation, spec.name, [spec.name], [str(program)], spec.options,
            kind="reactive", config=config, transport="stdio", advice=_advice,
            dialect=lambda: _answers(federation, spec.name),
        )  # fmt: skip
        return host(federation, spec, make)

    def doctor(self) -> tuple[bool, str]:
        """Needs a C compiler and make, or firmware that was prebuilt for this machine."""
        trouble = lacking(TOOLS)
        if trouble is None:
            return True, "builds firmware on first use"
        fitting = [name for name in keys.shipped_names() if unfit(recipe(name)) is None]
        if fitting:
            return True, f"{trouble}; prebuilt: {', '.join(fitting)}"
        return False, f"{trouble}: {REMEDY}"


def _answers(federation: Federation, name: str) -> Answers:
    """The rules for what a device answers in a life that begins now."""
    born, log = federation.calendar.now, DeviceLog(federation.outside.log_of(name))

    def dismiss(id: str, at: int) -> bool:
        log.write([lines.log_entry(at - born, lines.DISMISSED, id.encode())])
        return True

    return Answers("reactive", [name], federation.nodes, federation.hint, dismiss=dismiss)


def _advice(phase: Phase, rule: str) -> str | None:
    if rule == "deadline" and phase is ANSWERING:
        return (
            "the firmware does not come back: it has to sleep (hal_sleep_until) until something is "
            "due, and not to wait in a loop; if it computes that long, give it a longer 'timeout'"
        )
    if phase is CONNECTING and rule != "start":
        return (
            "firmware for the host has to be built with simcore's port: "
            "make -C firmware native APP=NAME APP_SOURCES=..., see firmware/Makefile"
        )
    if rule == "process-ended" and phase in (READING, ANSWERING):
        return (
            "the firmware has crashed or ended: app_main must not return; built with SANITIZE=1, "
            "see firmware/Makefile, it says where it crashes"
        )
    return None


@cache
def _program(name: str) -> FilePath:
    """Firmware that comes with simcore: looked at once, however many devices run it."""
    return built(recipe(name))


def recipe(name: str) -> Recipe:
    """How firmware that comes with simcore is built for this machine."""
    root = keys.shipped()
    parts = ("app", "lib", "native")
    return Recipe(
        what=f"the host build of the firmware {name}",
        folder=root,
        sources=[root / "Makefile", *(f for part in parts for f in (root / part).glob("*.[ch]"))],
        tools=TOOLS,
        # A newer compiler may warn of more: that is for those who change the firmware.
        command=lambda cc, folder: [
            "make", "--silent", "-C", str(root), "native",
            f"APP={name}", f"BUILD={folder}", f"CC={cc}", "WARNINGS=",
        ],
        product=f"native/{name}",
        prebuilt=f"{name}-{HOST}",
    )  # fmt: skip
