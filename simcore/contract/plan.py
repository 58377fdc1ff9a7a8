"""What a program is to be examined with: how it is started, and what arrives at it when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from simcore.message import Message
from simcore.participant import Kind
from simcore.payload import freeze, size_of

ARRIVALS = 7
"""Inputs of the exchange that all others are compared with, at least."""


_UNDER_WAY = 1_000_000
"""How long messages were under way when they arrive, ns."""


class Sample(NamedTuple):
    """What a message to the participant may be like."""

    kind: str
    payload: Any


class Arrival(NamedTuple):
    """A message that is to arrive, or to enter the network, at a virtual time (ns)."""

    at: int
    sample: Sample


@dataclass(frozen=True)
class Plan:
    """How to examine a program.

    Attributes:
        command: program and arguments.
        directory: its working directory.
        environment: its whole environment, but for what simcore adds.
        kind: what it has to be; None: what it says.
        transport: unix, tcp or stdio.
        name: of the participant.
        nodes: the nodes that it hosts.
        peers: the other nodes of the run; messages come from them.
        config: handed to it as it is.
        seed: of the run.
        samples: what the messages to it are like; without any, nothing is sent to it.
        duration: virtual time of an exchange, ns.
        start_timeout: seconds of wall time until it must be ready.
        timeout: seconds of wall time that it may take to answer, and to end.
        pause: seconds of wall time that simcore takes for itself to examine `pace`.
        least_delay: what a network promises, ns.
        skip: rules that are not examined.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path = field(default_factory=Path.cwd)
    kind: Kind | None = None
    transport: str = "unix"
    name: str = "participant"
    nodes: tuple[str, ...] = ("participant",)
    peers: tuple[str, ...] = ("peer",)
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1
    samples: tuple[Sample, ...] = (Sample("message", {"value": 1}),)
    duration: int = 1_000_000_000
    start_timeout: float = 20.0
    timeout: float = 20.0
    pause: float = 0.1
    least_delay: int = 0
    skip: frozenset[str] = frozenset()

    @property
    def step(self) -> int:
        """Virtual time between two inputs, ns."""
        return max(self.duration // (self.arrivals + 1), 1)

    @property
    def arrivals(self) -> int:
        """Inputs of an exchange."""
        return max(ARRIVALS, len(self.samples))

    def sample(self, index: int) -> Sample:
        """Samples are sent in turn."""
        return self.samples[index % len(self.samples)]

    def script(self, begin: int) -> list[Arrival]:
        """What arrives in an exchange that begins at a virtual time (ns).

        Every other input is a little late, so that not all stand on round numbers.
        """
        if not self.samples:
            return []
        return [
            Arrival(begin + self.step * (index + 1) + index % 2 * 7, self.sample(index))
            for index in range(self.arrivals)
        ]


class Place:
    """A node, as far as messages and answers know nodes."""

    def __init__(self, name: str) -> None:
        self.name = name


class Post:
    """Makes messages as a run would, from the peers in turn to the nodes in turn.

    Args:
        plan: who there is.
    """

    def __init__(self, plan: Plan) -> None:
        self._peers = [Place(name) for name in plan.peers]
        self._nodes = [Place(name) for name in plan.nodes]
        self._sent = [0] * len(self._peers)
        self._count = 0

    def message(self, arrival: Arrival) -> Message:
        """The message of an arrival; a network gets it when it is sent."""
        number, self._count = self._count, self._count + 1
        order = number % len(self._peers)
        self._sent[order] += 1
        text = freeze(arrival.sample.payload)
        return Message(
            arrival.at,
            order,
            self._sent[order],
            len(self._peers),
            0,
            size_of(text),
            text,
            max(arrival.at - _UNDER_WAY, 0),
            0,
            arrival.sample.kind,
            cast(Any, self._peers[order]),
            cast(Any, self._nodes[number % len(self._nodes)]),
            cast(Any, None),
            entered=arrival.at,
        )
