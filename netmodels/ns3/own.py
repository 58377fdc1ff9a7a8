"""A network that the user's own function makes in ns-3: what simcore's side knows of it.

That is nothing before ns-3's process is ready; then it has written down what the function made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.errors import LookaheadError
from simcore.message import Fate
from simcore.network import Disturbance
from simcore.units import duration

from . import wheel
from .network import Ns3Network
from .plan import Segment

if TYPE_CHECKING:
    from simcore.node import Node
    from simcore.participant import Delivery
    from simcore.scenario.model import Scenario


DESCRIBED = "topology.json"
"""The file in which ns-3's process says what it has got."""


def own_config(
    value: Mapping[str, Any], scenario: Scenario, folder: FilePath, say: Callable[[str], None]
) -> dict[str, Any]:
    """What ns-3's process is handed for such a network, beside `plan.common`."""
    headers = wheel.headers(say)
    return {
        "topology": value["topology"],
        "base": str(scenario.base.absolute()),
        "groups": {
            group: [each.name for each in specs] for group, specs in scenario.groups.items()
        },
        "wheel": str(wheel.folder()),
        "headers": None if headers is None else [str(headers), wheel.CLING_ARGUMENTS],
        "described": str(folder / DESCRIBED),
    }


class OwnNetwork(Ns3Network):
    """A network that the user's own function makes.

    Arguments are those of `Ns3Network`.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.least = duration(self._value.get("least_delay", "0ns"))
        self._started = False
        self._joined: list[int] = []
        self._families: list[list[bool]] = []
        self._separable: dict[str, str | None] = {}

    def start(self) -> None:
        """Wait until the process is ready, and read what it has got; at the first call."""
        if self._started:
            return
        self._started = True
        super().start()
        found = json.loads((self._folder / DESCRIBED).read_text(encoding="utf-8"))
        self._names = found["nodes"]
        self._order = {name: number for number, name in enumerate(self._names)}
        self._joined, self._families = found["joined"], found["families"]
        self._segments = [
            Segment(
                each["name"],
                each["kind"],
                [self._names[node] for node in each["nodes"]],
                {"rate": each["rate"], "delay": each["delay"]},
                each["written"],
                each["hub"],
            )
            for each in found["segments"]
        ]
        self._separable = {
            each["name"]: None if each["separable"] else each["class"] for each in found["segments"]
        }

    # -- messages

    def _trouble(self, source: Node, destination: Node) -> str | None:
        if self._joined[source.order] != self._joined[destination.order]:
            return f"no channels lead there from {source.name}"
        ours, theirs = self._families[source.order], self._families[destination.order]
        if not any(a and b for a, b in zip(ours, theirs, strict=True)):
            return f"it has no address of the kind of IP that {source.name} has"
        return None

    def least_delay(self, names: Collection[str]) -> int:
        """What the scenario promises, ns."""
        return self.least

    def _least_on(self, source: int, destination: int) -> int:
        return self.least

    def _is_possible(self, delivery: Delivery, now: int) -> bool:
        message = self._inside.get(delivery.id)
        if message is not None and delivery.fate is Fate.DELIVERED:
            took = delivery.at - message.entered
            if took < self.least:
                raise LookaheadError(
                    f"network.least_delay promises {self.least} ns, and {message.id} took {took} "
                    f"ns from {message.source} to {message.destination}: promise less",
                    now=self.federation.now,
                )
        return super()._is_possible(delivery, now)

    # -- faults

    def lookahead(self) -> Mapping[tuple[str, str], int]:
        """The pairs of neighbours, with what the scenario promises (ns)."""
        self.start()
        return {pair: self.least for segment in self._segments for pair in segment.pairs()}

    def refuses(self, source: str, destination: str, disturbance: Disturbance) -> str | None:
        """Why a fault has no effect on what joins two nodes; see `Network.refuses`."""
        joining = [each for each in self._segments if (source, destination) in each.pairs()]
        for segment in joining:
            if (kind := self._separable[segment.name]) is not None:
                return f"frames of {kind}, on {segment.name}, do not say whom they are from"
        for key in ("delay", "rate"):
            if getattr(disturbance, key) and all(each.kind != "p2p" for each in joining):
                return f"only a p2p segment changes its {key} while it runs"
        return None
