"""Pins of a device that lead to other nodes: a change of level is a message, and the reverse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from simcore.message import Message
from simcore.payload import thaw
from simcore.plugins import Path
from simcore.protocol.frames import Output

from .frames import Change

if TYPE_CHECKING:
    from simcore.scenario.check import Checker

KIND = "gpio"
"""Kind of the messages that tell levels."""

SIZE = 1
"""Bytes of such a message: a wire has no overhead."""

_PIN = re.compile(r"P([A-I])(1[0-5]|[0-9])|([A-Za-z]\w*)\.([0-9]{1,3})")

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "Pins that lead to nodes, by name. A message of kind `gpio` with the payload "
    "`{pin: PD12, level: true}` tells the level of one.",
    "propertyNames": {
        "pattern": f"^({_PIN.pattern})$",
        "errorMessage": "a pin is called PA0 to PI15, or as gpio0.13 on other platforms",
    },
    "default": {},
    "examples": [{"PD12": {"direction": "out", "peer": "panel"}}],
    "additionalProperties": {
        "type": "object",
        "description": "One pin.",
        "additionalProperties": False,
        "required": ["direction", "peer"],
        "properties": {
            "direction": {
                "enum": ["in", "out"],
                "description": "Whether the device reads it, or drives it.",
            },
            "peer": {
                "type": "string",
                "description": "The node that is told of each change, or that tells the level.",
            },
        },
    },
}
"""Schema of the key `gpio`."""


def check_pins(given: Mapping[str, Any], path: Path, checker: Checker, *, only_stm32: bool) -> None:
    """Report pins that are not there or twice, and peers that are no nodes.

    Args:
        only_stm32: whether the ports are those of an STM32; else nobody knows which there are.
    """
    names: dict[tuple[str, int], str] = {}
    for name, pin in given.items():
        where = place_of(name)
        if only_stm32 and f"P{where[0][-1]}{where[1]}" != name:
            checker.problem((*path, name), "this platform has PA0 to PI15", at_key=True)
        elif where in names:
            checker.problem((*path, name), f"is {names[where]}, by another name", at_key=True)
        names[where] = name
        place, peer = (*path, name, "peer"), pin["peer"]
        if checker.check_node_reference(place, peer) and peer not in checker.node_names:
            checker.problem(place, f"{peer!r} is a group: name one of its nodes")


def place_of(name: str) -> tuple[str, int]:
    """Port and number of a pin: sysbus.gpioPortA and 0 for PA0."""
    found = _PIN.fullmatch(name)
    assert found is not None
    letter, number, port, index = found.groups()
    return (f"sysbus.{port}", int(index)) if port else (f"sysbus.gpioPort{letter}", int(number))


class Pins:
    """The pins of one device, by number: their places in the scenario.

    Args:
        options: key `gpio`, checked.
        start: when the device was switched on, ns of the run.
    """

    def __init__(self, options: Mapping[str, Mapping[str, str]], start: int = 0) -> None:
        self.names = tuple(options)
        self._start = start
        self._peers = [pin["peer"] for pin in options.values()]
        self._inputs = {
            (name, pin["peer"]): number
            for number, (name, pin) in enumerate(options.items())
            if pin["direction"] == "in"
        }
        self._held: list[Change] = []

    @property
    def busy(self) -> bool:
        """Whether a change is to be told in the next window."""
        return bool(self._held)

    def take(self, message: Message) -> tuple[int, int, int] | str:
        """A message that tells a level.

        Returns:
            Number of the pin, when it takes the level (ns since power-on), and the level, 0 or 1;
            or why there is none.
        """
        told = thaw(message.text)
        if not isinstance(told, dict) or set(told) != {"pin", "level"}:
            return f"{message.id} tells no level: its payload is not {{pin: ..., level: ...}}"
        name, level = told["pin"], told["level"]
        number = self._inputs.get((name, message.sender.name)) if isinstance(name, str) else None
        if number is None:
            return f"{message.id} is dropped: {message.sender.name} has no way to a pin {name!r}"
        if not isinstance(level, bool):
            return f"{message.id} is dropped: the level of {name} is true or false"
        return number, message.at - self._start, int(level)

    def say(self, changes: Iterable[Change], end: int) -> list[Output]:
        """What changes of levels tell.

        Args:
            changes: those of a window, in order.
            end: of the window, ns since power-on. What the last instruction does may bear that
                time, which belongs to the next window already; it is held back until then.
        """
        known = [*self._held, *changes]
        self._held = [change for change in known if change.at >= end]
        return [
            Output(
                change.at + self._start,
                self._peers[change.pin],
                KIND,
                Raw(_LEVELS[change.level] % self.names[change.pin].encode()),
                None,
                SIZE,
            )
            for change in known
            if change.at < end
        ]


_LEVELS = (b'{"level":false,"pin":"%b"}', b'{"level":true,"pin":"%b"}')
