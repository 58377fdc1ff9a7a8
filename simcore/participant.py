"""Participants: what a backend fulfils.

A participant hosts one or more nodes outside SimPy and is advanced in virtual time, in two
steps: `begin` lets it go, `finish` waits for what it did. So several can run at the same time,
and the environment can go on while they do.

| kind | until | inputs | may answer with stamps |
|---|---|---|---|
| reactive | the present instant, inclusive | arrive at that instant | from that instant on |
| free_running | end of a window, exclusive | arrive inside the window | inside the window |
| network | exclusive bound | enter the network before the bound | before the bound |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from simcore.errors import ModelError, SimcoreError, UnitError
from simcore.message import Fate, Message
from simcore.protocol.service import Done

Kind = Literal["reactive", "free_running", "network"]


class Delivery(NamedTuple):
    """What became of a message inside a network."""

    id: str
    at: int
    """When it was delivered or lost, ns."""
    fate: Fate = Fate.DELIVERED


class NetworkDone(NamedTuple):
    """Answer of a network to an advance."""

    now: int
    """Its clock: the instant of the delivery that it stopped at, or else less than `until`."""
    next: int | None
    """When something happens in it next, ns; None: nothing until a message enters."""
    deliveries: Sequence[Delivery]
    """Deliveries, all at `now`, and losses, none later than that."""


class Participant(ABC):
    """Something outside SimPy that is advanced in virtual time.

    Attributes:
        kind: what it is granted.
        grain: its windows begin and end at multiples of it, ns.
    """

    kind: Kind = "reactive"
    grain: int = 1

    def launch(self) -> None:  # noqa: B027 - in-process ones have nothing to start
        """Start it; returns at once, so that all start at the same time."""

    def ready(self, now: int) -> int | None:
        """Wait until it can be advanced.

        Args:
            now: virtual time at which its life begins, ns.

        Returns:
            Reactive: when it wants to be advanced first; network: its first event (ns). None:
            not before something arrives.
        """
        return now

    @abstractmethod
    def begin(self, until: int, inputs: Sequence[Message]) -> None:
        """Let it go.

        Args:
            until: as in the table above, ns.
            inputs: in the order of arrival, which is at `message.at` (`message.entered` for a
                network).
        """

    @abstractmethod
    def finish(self) -> Done | NetworkDone:
        """Wait until it has come as far as it was let go, and take its answer."""

    def give_up(self, id: str) -> None:  # noqa: B027
        """Note that a network is no longer expected to say what becomes of a message."""

    def shut_down(self) -> None:  # noqa: B027 - in-process ones have nothing to end
        """Ask it to end; returns at once, so that all end at the same time."""

    def close(self) -> None:  # noqa: B027
        """Wait until it has ended after `shut_down`.

        Raises:
            ParticipantError: it did not end in order.
        """

    def kill(self) -> None:  # noqa: B027
        """End it at once, whatever it is doing; never raises."""


class Advancing(Protocol):
    """Something in simcore's own process that takes part like a participant."""

    def advance(self, until: int, inputs: Sequence[Message]) -> Done:
        """Go on, and tell what was done."""


class InProcess(Participant):
    """A participant in simcore's own process.

    Args:
        name: in whose name errors are reported.
        make: makes what is advanced, at the first advance.
        kind: what it is granted.

    Attributes:
        born: virtual time at which its life began, ns.
    """

    def __init__(
        self, name: str, make: Callable[[], Advancing], kind: Kind = "reactive", grain: int = 1
    ) -> None:
        self.kind = kind
        self.grain = grain
        self.born = 0
        self._name = name
        self._make = make
        self._inside: Advancing | None = None
        self._until = 0
        self._inputs: Sequence[Message] = ()

    def ready(self, now: int) -> int | None:
        """It wants to be advanced at once."""
        self.born = now
        return now

    def begin(self, until: int, inputs: Sequence[Message]) -> None:
        """Note what is asked for: one's own process does one thing after the other."""
        self._until = until
        self._inputs = inputs

    def finish(self) -> Done:
        """Do it."""
        try:
            if self._inside is None:
                self._inside = self._make()
            inputs, self._inputs = self._inputs, ()
            return self._inside.advance(self._until, inputs)
        except (Exception, SystemExit) as error:  # sys.exit(0) is no success
            if isinstance(error, SimcoreError) and not isinstance(error, UnitError):
                raise
            raise ModelError(
                f"the service of {self._name} raised {type(error).__name__}: {error}",
                node=self._name,
                now=self._until,
            ) from error
