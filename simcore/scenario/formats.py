"""The formats that a scenario's schema uses and JSON Schema does not know.

`duration`, `size`, `rate`, `ratio`, `power` and `energy` are read by `simcore.units`,
`expectation` by `simcore.expect`, and their own words reach the user. `node` is the name of a node
or group: a fragment that marks its references so has them checked even where the value around them
is wrong and no plug-in is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import FormatChecker
from jsonschema.exceptions import FormatError

from simcore import units
from simcore.errors import SimcoreError, UsageError
from simcore.scenario.names import Names

DESCRIBED: Mapping[str, str] = {
    "duration": "a duration such as 10ms",
    "size": "a size such as 64kB",
    "rate": "a rate such as 250kbit/s",
    "ratio": "a share such as 1%",
    "power": "a power such as 5.5mW",
    "energy": "an energy such as 2uJ",
    "expectation": "an expectation such as 'delivered / sent >= 0.98'",
    "node": "the name of a node or group",
}
"""What each format looks like, for messages and the reference."""


class UnknownNode(SimcoreError):
    """A reference to a node that does not exist.

    Args:
        message: which, and what there is.
        suggestion: the name that was probably meant.
    """

    def __init__(self, message: str, suggestion: str | None) -> None:
        self.suggestion = suggestion
        super().__init__(message)


def _expectation(text: Any) -> None:
    from simcore import expect  # it is only needed by scenarios that expect something

    why = expect.told_beforehand(expect.parse(text))
    if why is not None:
        raise UsageError(why)


class Formats(FormatChecker):
    """Checks the formats of one scenario.

    Args:
        names: the scenario's nodes, for references.
    """

    def __init__(self, names: Names) -> None:
        super().__init__(formats=())
        self._names = names
        self._known: dict[str, Callable[[Any], object]] = {
            "duration": units.duration,
            "size": units.size,
            "rate": units.rate,
            "ratio": units.ratio,
            "power": units.power,
            "energy": units.energy,
            "expectation": _expectation,
            "node": self._node,
        }

    def _node(self, name: str) -> None:
        if not self._names.exists(name):
            raise UnknownNode(*self._names.explain(name))

    def check(self, instance: object, format: str) -> None:
        """Raise `FormatError`, with the unit's or parser's own error as its cause."""
        known = self._known.get(format)
        readable = isinstance(instance, str) or (format == "ratio" and is_number(instance))
        if known is None or not readable:
            return  # another type is reported as such
        try:
            known(instance)
        except SimcoreError as error:
            raise FormatError(str(error), cause=error) from None


def is_number(value: object) -> bool:
    """Whether a value is a number in the sense of YAML, where `true` is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def refusal(format: str, number: float) -> str | None:
    """What the units say to a bare number, or None if it is not theirs to refuse."""
    if format not in ("duration", "size", "rate", "power", "energy"):
        return None
    try:
        # Models may give durations as integers; in YAML a bare number is an error.
        getattr(units, format)(str(number))
    except SimcoreError as error:
        return str(error).replace(repr(str(number)), str(number), 1)
    return None
