"""The keys of an entry under `energy`, and what is wrong with them beyond the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore import units
from simcore.errors import UnitError

from .devices import PROCESSORS, RADIOS
from .profile import RESERVED, completed

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.scenario.check import Checker

_POWER: dict[str, Any] = {"type": "string", "format": "power"}
_TIME: dict[str, Any] = {"type": "string", "format": "duration"}
_TEXT = {"type": "string"}

RADIO: dict[str, Any] = {
    "description": "What messages cost: a known radio, or its keys. With `rate`, `tx` and `rx` are "
    "powers; without it they are energies of a byte.",
    "examples": [
        "at86rf233",
        {"tx": "62mW", "rx": "59mW", "rate": "250kbit/s", "overhead": "17B"},
        {"tx": "2uJ", "rx": "1.9uJ"},
    ],
    "anyOf": [
        {"enum": sorted(RADIOS)},
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "device": {
                    "enum": sorted(RADIOS),
                    "description": "A known radio; keys beside it replace its own.",
                },
                "tx": {
                    **_TEXT,
                    "description": "While it transmits, beside the processor; or for each byte.",
                },
                "rx": {
                    **_TEXT,
                    "description": "While it receives what is for the node; or for each byte.",
                },
                "rate": {
                    "type": "string",
                    "format": "rate",
                    "description": "Bits that are on the air in a second.",
                },
                "overhead": {
                    "type": "string",
                    "format": "size",
                    "default": "0B",
                    "description": "What a message has beyond its own size: preamble, headers, "
                    "checksum.",
                },
            },
        },
    ],
}

ENTRY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        "device": {
            "enum": sorted(PROCESSORS),
            "description": "A known processor: stands for `idle` and `active`. Keys beside it "
            "replace its own.",
        },
        "idle": {
            **_POWER,
            "default": "0W",
            "description": "All the time in which the node neither computes nor is in a state of "
            "its own.",
            "examples": ["5.5mW", "12mA at 3.3V"],
        },
        "active": {
            **_POWER,
            "description": "While it computes. Without it, as `idle`.",
            "examples": ["60mW"],
        },
        "instruction": {
            "type": "string",
            "format": "energy",
            "description": "For each executed instruction, instead of `active`; for nodes whose "
            "participant counts them (qemu, renode).",
            "examples": ["0.5nJ"],
        },
        "computing": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "anyOf": [
                    _TIME,
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["time", "if"],
                        "properties": {
                            "time": {**_TIME, "description": "How long it computes."},
                            "if": {
                                "type": "string",
                                "description": "Only for messages whose payload has this key.",
                            },
                        },
                    },
                ]
            },
            "description": "How long it computes for each message that it sends, by kind, where "
            "neither the message nor counted instructions (qemu, renode) tell.",
            "examples": [{"reading": "37ms", "image": {"time": "37ms", "if": "label"}}],
        },
        "states": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": _POWER,
            "propertyNames": {
                "pattern": "^[A-Za-z][A-Za-z0-9_.-]*$",
                "not": {"enum": list(RESERVED)},
                "errorMessage": "a state's name starts with a letter and is none of "
                + ", ".join(RESERVED),
            },
            "description": "Power states that the node's model enters with energy.enter; they "
            "take the place of idle.",
            "examples": [{"sleep": "6uW", "camera": "250mW"}],
        },
        "radio": RADIO,
        "battery": {
            "type": "string",
            "format": "energy",
            "description": "What its battery holds; the node stops for good when it is empty. "
            "Without it: on the mains.",
            "examples": ["2400mAh at 3V", "5J"],
        },
    },
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What nodes draw, by node or group.",
    "minProperties": 1,
    "additionalProperties": ENTRY,
    "examples": [{"meter": {"idle": "5.5mW", "active": "60mW", "radio": "at86rf233"}}],
}


def check_entry(
    entry: Mapping[str, Any], counts: int | None, place: Path, checker: Checker
) -> None:
    """Report keys that cannot be read together, or have no effect.

    Args:
        counts: virtual time (ns) of an instruction; None: the node counts none.
    """
    if checker.incomplete(place):
        return
    _check_radio(entry.get("radio"), (*place, "radio"), checker)
    if "instruction" in entry and counts is None:
        checker.problem(
            (*place, "instruction"),
            "has no effect: what stands behind the node counts no instructions",
            at_key=True,
        )
    if "instruction" in entry and "active" in entry:
        checker.problem((*place, "active"), "has no effect beside 'instruction'", at_key=True)
    whole = completed(entry)
    if "computing" in entry and "active" not in whole:
        checker.problem((*place, "computing"), "has no effect without 'active'", at_key=True)
    idle = units.power(whole.get("idle", "0W"))
    if "active" in whole and units.power(whole["active"]) < idle:
        key = "active" if "active" in entry else "idle"
        checker.problem((*place, key), "a node that computes draws less than an idle one")
    if "instruction" in entry:
        energy = units.energy(entry["instruction"])
        if energy == 0:
            checker.problem((*place, "instruction"), "must be more than 0")
        elif counts is not None and energy < idle * counts:
            checker.problem(
                (*place, "instruction"), "a node that executes one draws less than an idle one"
            )
    if "states" in entry and counts is not None:
        checker.problem((*place, "states"), "has no effect: only models enter states", at_key=True)
    if "battery" in entry:
        _check_battery(whole, (*place, "battery"), checker)


def _check_battery(whole: Mapping[str, Any], place: Path, checker: Checker) -> None:
    if units.energy(whole["battery"]) == 0:
        checker.problem(place, "must be more than 0")
    powers = [whole.get("idle", "0W"), whole.get("active", "0W"), *whole.get("states", {}).values()]
    if not ({"radio", "instruction"} & set(whole) or any(units.power(each) for each in powers)):
        checker.problem(place, "never ends: the entry names nothing that draws", at_key=True)


def _check_radio(radio: Any, place: Path, checker: Checker) -> None:
    if not isinstance(radio, Mapping):
        return
    whole = completed({"radio": radio})["radio"]
    for key in ("tx", "rx"):
        if key not in whole:
            checker.problem(place, f"missing key {key!r}")
            return
    read = units.power if "rate" in whole else units.energy
    for key in ("tx", "rx"):
        try:
            if read(whole[key]) == 0:
                checker.problem((*place, key), "must be more than 0")
        except UnitError as error:
            where = (*place, key) if key in radio else place
            checker.problem(where, f"{error} ({_meant(whole)})")


def _meant(radio: Mapping[str, Any]) -> str:
    if "rate" in radio:
        return "beside 'rate' it is a power"
    return "without 'rate' it is the energy of a byte"
