"""What a client's node says to its broker's node: commands, in simulations and on a device alike.

Standard library only: deploy mode, which does in earnest what they say, has this in its images.
"""

from __future__ import annotations

from typing import Any

COMMANDS = {
    "mqtt.publish": ("topic", "payload", "qos", "retain"),
    "mqtt.subscribe": ("filter", "qos"),
    "mqtt.unsubscribe": ("filter",),
    "mqtt.connect": (),
    "mqtt.disconnect": (),
}
"""What a node may send to the broker, and the fields of each."""

_DEFAULTS = {"payload": b"", "qos": 0, "retain": False}
_TYPES = {"topic": str, "filter": str, "qos": int, "retain": bool}
_NAMES = {str: "text", int: "number", bool: "truth value (true or false)"}


class BadCommand(ValueError):
    """What a node sends to its broker is no command; the text says why."""


def read(kind: str, payload: Any) -> dict[str, Any]:
    """The fields of a command, all of them.

    Args:
        kind: of the node's message.
        payload: of the message.

    Raises:
        BadCommand: there is no such command, or its fields are others.
    """
    fields = COMMANDS.get(kind)
    if fields is None:
        raise BadCommand(
            "a broker understands MQTT only; its clients send it "
            f"{', '.join(COMMANDS)} (see docs/mqtt.md)"
        )
    given = {} if payload is None else payload
    if not isinstance(given, dict):
        raise BadCommand(f"its payload is to have the fields {', '.join(fields)}")
    if unknown := given.keys() - set(fields):
        has = f"has {', '.join(fields)}" if fields else "has none"
        raise BadCommand(f"it has no field {sorted(unknown)[0]!r}; {kind} {has}")
    found = {}
    for name in fields:
        if name in given:
            value = given[name]
        elif name in _DEFAULTS:
            value = _DEFAULTS[name]
        else:
            raise BadCommand(f"its payload lacks {name!r}")
        wanted = _TYPES.get(name)
        if wanted is not None and type(value) is not wanted:
            raise BadCommand(f"its {name!r} is {value!r}, and that is no {_NAMES[wanted]}")
        found[name] = value
    return found
