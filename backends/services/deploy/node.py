"""The deployed node: hands messages to the service and hears what it sends, one at a time.

A simulation's own `ServiceHost` runs the service. It is advanced to the time since the start.
What a message or a timer makes the service raise is logged, and the service goes on with the next
one: a message that was never acknowledged would come again after a restart, and raise again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from simcore.protocol.peer import Message, PayloadError
from simcore.protocol.service import Done, ServiceHost

from .canonical import freeze, thaw
from .topics import Topics

MAX_PAYLOAD = 16 * 2**20
"""Bytes of a payload; the longest that a participant of a simulation can be given."""

log = logging.getLogger("simcore")

Publish = Callable[[str, str], None]
"""Sends a text to a topic, sooner or later."""


class Host(ServiceHost):
    """Hosts a service for which computing takes as long as it takes."""

    def book(self, at: int, cost: Any, goes_on: bool) -> tuple[int, int]:
        """Draw the declared cost, so that no other number changes, and do not wait for it."""
        self.span(cost)
        return at, at


class Node:
    """A service and its topics.

    Args:
        host: what runs the service.
        topics: of the node.
        publish: sends a text to a topic.
        clock: nanoseconds since some moment.
    """

    def __init__(
        self, host: Host, topics: Topics, publish: Publish, clock: Callable[[], int]
    ) -> None:
        self._host = host
        self._topics = topics
        self._publish = publish
        self._clock = clock
        self._began = clock()
        self._next: int | None = None
        self._counts: Counter[str] = Counter()

    @property
    def due(self) -> float | None:
        """Seconds until the next timer; None without one."""
        if self._next is None:
            return None
        return max(0, self._next - self._now()) / 1e9

    def start(self) -> None:
        """Start the service; what it raises is the caller's."""
        self._began = self._clock()
        self._send(self._host.advance(0, []))

    def tick(self) -> None:
        """Handle the timers that are due."""
        if self._next is not None and self._next <= self._now():
            self._advance([], "a timer")

    def receive(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """Handle what came on a topic; what is no message is logged."""
        try:
            address = self._topics.incoming(topic)
            if address is None:
                return
            if retained:
                # A message is handled once; a retained one would come again at each connection.
                raise ValueError("it is a retained message, whose time is not known")
            if len(payload) > MAX_PAYLOAD:
                raise ValueError(
                    f"its payload has {len(payload)} bytes, and may have {MAX_PAYLOAD}"
                )
            value = thaw(payload)
        except ValueError as error:
            log.warning("%s refused: %s", topic, error)
            return
        now = self._now()
        self._counts[address.source] += 1
        message = Message(
            {
                "at": now,
                "id": f"{address.source}/{self._counts[address.source]}",
                "src": address.source,
                "dst": self._host.name,
                "kind": address.kind,
                "payload": value,
                "size": len(payload),
                "sent": now,
            }
        )
        self._advance([message], f"{address.kind!r} of {address.source}")

    def _now(self) -> int:
        return self._clock() - self._began

    def _advance(self, inputs: Sequence[Message], what: str) -> None:
        host = self._host
        try:
            done = host.advance(self._now(), inputs)
        except Exception:
            log.exception("the service raised at %s; what it was to send then is dropped", what)
            host.outputs, host.measures = [], []
            timers = host.timers
            self._next = min(timers.values())[0] if timers else None
            return
        self._send(done)

    def _send(self, done: Done) -> None:
        self._next = done.next
        for output in done.outputs:
            try:
                topic = self._topics.outgoing(output.destination, output.kind)
            except ValueError as error:
                log.error("the service cannot send: %s", error)
                continue
            self._publish(topic, output.payload)
        for measure in done.measures:
            try:
                text = freeze({"at": measure.at, "name": measure.name, "value": measure.value})
            except PayloadError as error:
                log.error("the service cannot record %r: %s", measure.name, error)
                continue
            self._publish(self._topics.measures, text)


def make_host(service: Any, name: str, seed: int, life: int, config: Any, base: Any) -> Host:
    """The host of a service class; arguments as for `ServiceHost`."""
    return Host(service(), name=name, seed=seed, life=life, config=config, base=base, freeze=freeze)
