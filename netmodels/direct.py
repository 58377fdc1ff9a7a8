"""The direct network: every node reaches every other without delay or loss.

For testing what nodes do apart from what a network does to them. Messages are handed over
at the end of the instant at which they were sent, in the order (source, counter).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.network import Network, Path
from simcore.plugins import Determinism

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.message import Message
    from simcore.node import Node
    from simcore.plugins import Path as Place
    from simcore.scenario.check import Checker
    from simcore.scenario.model import Scenario


class _DirectPath(Path):
    def __init__(self, federation: Federation, receiver: Node) -> None:
        self.receiver = receiver
        self._federation = federation
        self._stage = federation.stage
        self._deliver = federation.deliver

    def enter(self, message: Message) -> None:
        message.entered = message.sent
        self._stage(message)

    def release(self, message: Message) -> None:
        windows = self._federation.windows
        if windows is None:
            self._deliver(message)
        else:
            self._federation.announce(message, message.sent)


class DirectNetwork(Network):
    """The network of one run without delays."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation

    def path(self, source: Node, destination: Node) -> Path:
        """Every node has a path to every node, itself included."""
        return _DirectPath(self._federation, destination)

    def least_delay(self, names: Collection[str]) -> int:
        """There is no delay."""
        return 0


class Direct:
    """Plug-in `model: direct`."""

    name = "direct"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "Every node reaches every other at once: no delay, no loss, no links.",
        "properties": {},
        "additionalProperties": False,
    }

    def check(self, value: Any, path: Place, checker: Checker) -> None:
        """Nothing can be wrong beyond the schema."""

    def least_delay(self, value: Any, names: Collection[str], base: FilePath) -> int:
        """There is no delay."""
        return 0

    def build(self, federation: Federation, scenario: Scenario) -> DirectNetwork:
        """Make the network of one run."""
        return DirectNetwork(federation)

    def doctor(self) -> tuple[bool, str]:
        """Always works."""
        return True, "built in"
