"""The keys with which a scenario names firmware and its UARTs, the same for every engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

from simcore.builds import changed
from simcore.commands import SURROUNDINGS
from simcore.plugins import Path

from .uart import BAUD, DEFAULT

if TYPE_CHECKING:
    from simcore.scenario.check import Checker

log = logging.getLogger("simcore")

Form = Literal["native", "elf"]
"""What an engine runs: a program for this machine, or an ELF file for the microcontroller."""

UARTS = ("usart1", "usart2", "usart3", "uart4", "uart5", "usart6")
"""Names of the UARTs of an STM32F405."""

_FORMS: Mapping[Form, str] = {
    "native": "a program for this machine, for `implementation: native`",
    "elf": "an ELF file for the microcontroller, for emulators",
}

KEYS: Mapping[str, Any] = {
    "firmware": {
        "description": "What the device runs: firmware that comes with simcore (`meter`), a file "
        "relative to the scenario, or a file for each kind of engine.",
        "anyOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    form: {"type": "string", "minLength": 1, "description": f"File: {text}."}
                    for form, text in _FORMS.items()
                },
            },
        ],
        "examples": ["meter", "build/app.elf", {"native": "build/app", "elf": "build/app.elf"}],
    },
    "uart": {
        "type": "object",
        "description": "The UARTs that lead somewhere, by name. Bytes take the time that they need "
        "at the baud rate, 10 bits each.",
        "minProperties": 1,
        "propertyNames": {
            "pattern": r"^[A-Za-z]\w*$",
            "errorMessage": "a UART has a name as usart2",
        },
        "default": {"usart2": {}},
        "examples": [{"usart2": {"baud": 115200}, "usart3": {"mode": "raw", "peer": "modem"}}],
        "additionalProperties": {
            "type": "object",
            "description": "One UART.",
            "additionalProperties": False,
            "properties": {
                "baud": {
                    "type": "integer",
                    "minimum": 300,
                    "maximum": 10_000_000,
                    "default": BAUD,
                    "description": "Bits per second.",
                },
                "mode": {
                    "enum": ["addressed", "raw", "log"],
                    "default": "addressed",
                    "description": "What its lines are: messages that say where they go, with all "
                    "else for the log; or each a message to `peer`; or all for the log.",
                },
                "peer": {
                    "type": "string",
                    "description": "With `mode: raw`: the node that its lines go to, and whose "
                    "messages come in.",
                },
            },
        },
    },
    **{key: value for key, value in SURROUNDINGS.items() if key not in ("transport", "directory")},
}
"""Schema of the keys of every engine."""


def shipped() -> FilePath:
    """The folder of the firmware that comes with simcore."""
    return FilePath(str(files("simcore_firmware")))


def shipped_names() -> list[str]:
    """Names of the firmware that comes with simcore."""
    known = (file.stem for file in (shipped() / "prebuilt").glob("*-stm32f4.elf"))
    return sorted(name.removesuffix("-stm32f4") for name in known)


def firmware_of(options: Mapping[str, Any], form: Form, base: FilePath) -> str | FilePath:
    """What a node runs: the name of shipped firmware, or a file.

    Args:
        options: the keys, as written and checked.
        form: what the engine runs.
        base: folder that relative names start from.
    """
    given = options["firmware"]
    name = given if isinstance(given, str) else given[form]
    return name if _is_shipped(given, base) else base.absolute() / name


def elf_of(options: Mapping[str, Any], base: FilePath) -> FilePath:
    """The ELF file that a node runs; of firmware that comes with simcore, the prebuilt one.

    Args:
        options: the keys, as written and checked.
        base: folder that relative names start from.
    """
    found = firmware_of(options, "elf", base)
    return found if isinstance(found, FilePath) else _shipped_elf(found)


@cache
def _shipped_elf(name: str) -> FilePath:
    """Looked at once, however many devices run it."""
    root = shipped()
    for source in changed(root)[:1]:
        log.warning(
            "the ELF file of the firmware %s is not made of this %s: "
            "'make -C firmware prebuilt' renews it",
            name,
            source.name,
        )
    return root / "prebuilt" / f"{name}-stm32f4.elf"


def uarts_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The key `uart`, or its default, in the order of `UARTS`: ties go by it, on every engine."""
    given = options.get("uart", DEFAULT)
    known = [name for name in UARTS if name in given]
    return {name: given[name] for name in (*known, *(x for x in given if x not in UARTS))}


def _is_shipped(given: Any, base: FilePath) -> bool:
    """Whether a name stands for shipped firmware, and no file of that name is in the way."""
    return isinstance(given, str) and given in shipped_names() and not (base / given).is_file()


def check_keys(
    value: Mapping[str, Any],
    path: Path,
    checker: Checker,
    *,
    form: Form,
    uarts: Collection[str] | None,
    problem_of: Callable[[FilePath], str | None],
    needed: bool = True,
) -> None:
    """Report what is missing or impossible among the keys of every engine.

    Args:
        form: what the engine runs.
        uarts: those that it has; None: nobody knows.
        problem_of: what is wrong with a file that is to be run, or None.
        needed: whether there must be firmware.
    """
    if "firmware" not in value and not needed:
        pass
    elif "firmware" not in value:
        checker.problem(path, "a device needs 'firmware': what it runs", at_key=True)
    else:
        _check_firmware(value["firmware"], (*path, "firmware"), checker, form, problem_of)
    if value.get("config"):
        checker.problem((*path, "config"), "has no effect: firmware takes no config")
    _check_uarts(value.get("uart", DEFAULT), (*path, "uart"), checker, uarts)


def _check_firmware(
    given: Any,
    path: Path,
    checker: Checker,
    form: Form,
    problem_of: Callable[[FilePath], str | None],
) -> None:
    if isinstance(given, Mapping):
        if form not in given:
            checker.problem(path, f"'{form}' is missing: {_FORMS[form]}")
            return
        given, path = given[form], (*path, form)
    elif _is_shipped(given, checker.base):
        return
    elif "/" not in given and "." not in given and not (checker.base / given).exists():
        known = shipped_names()
        *others, last = known
        checker.problem(
            path,
            f"there is no firmware {given!r}: {', '.join(others)} and {last} come with simcore, "
            "any other is named by its file",
            given,
            known,
        )
        return
    if checker.check_file(path, given):
        problem = problem_of(checker.base / given)
        if problem is not None:
            checker.problem(path, problem)


def _check_uarts(
    given: Mapping[str, Any], path: Path, checker: Checker, uarts: Collection[str] | None
) -> None:
    addressed: list[str] = []
    peers: dict[str, str] = {}
    for name, uart in given.items():
        place = (*path, name)
        mode, peer = uart.get("mode", "addressed"), uart.get("peer")
        if uarts is not None and name not in uarts:
            known = ", ".join(each for each in UARTS if each in uarts)
            checker.problem(place, f"this engine has {known}", at_key=True)
        if mode == "addressed":
            addressed.append(name)
            if len(addressed) > 1:
                checker.problem(
                    place,
                    f"{addressed[0]} is addressed as well, and a message could go to both: "
                    "give one of them 'mode: raw' and a peer, or 'mode: log'",
                )
        if mode != "raw":
            if peer is not None:
                checker.problem((*place, "peer"), f"has no effect with 'mode: {mode}'")
        elif peer is None:
            checker.problem(place, "'mode: raw' needs a 'peer': the node that its lines go to")
        elif peer in checker.members(str(path[1])):
            checker.problem((*place, "peer"), f"{peer!r} would talk to itself: name another node")
        elif checker.check_node_reference((*place, "peer"), peer):
            if peer not in checker.node_names:
                checker.problem((*place, "peer"), f"{peer!r} is a group: name one of its nodes")
            elif peer in peers:
                checker.problem((*place, "peer"), f"is the peer of {peers[peer]} already")
            peers[peer] = name
