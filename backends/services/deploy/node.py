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

from ...mqtt.api import CONNECTED, LOST, MESSAGE
from .canonical import freeze, thaw
from .mqtt import Connection, Mqtt
from .topics import Topics

MAX_PAYLOAD = 16 * 2**20
"""Bytes of a payload; the longest that a participant of a simulation can be given."""

log = logging.getLogger("simcore")


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
        connection: to the broker.
        mqtt: what the service has to do with its scenario's broker.
        clock: nanoseconds since some moment.
    """

    def __init__(
        self,
        host: Host,
        topics: Topics,
        connection: Connection,
        mqtt: Mqtt,
        clock: Callable[[], int],
    ) -> None:
        self._host = host
        self._topics = topics
        self._connection = connection
        self._mqtt = mqtt
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

    def receive(self, topic: str, payload: bytes, retained: bool = False, qos: int = 0) -> None:
        """Handle what came on a topic; what is no message is logged."""
        if self._topics.of_others(topic):
            return  # a filter such as # has brought it
        try:
            if len(payload) > MAX_PAYLOAD:
                raise ValueError(
                    f"its payload has {len(payload)} bytes, and may have {MAX_PAYLOAD}"
                )
            if not self._topics.below_prefix(topic):
                value = self._mqtt.incoming(topic, payload, qos, retained)
                source, kind, what = self._mqtt.broker, MESSAGE, topic
            else:
                address = self._topics.incoming(topic)
                if address is None:
                    return
                if retained:
                    # A message is handled once; a retained one would come again at each connection.
                    raise ValueError("it is a retained message, whose time is not known")
                value = thaw(payload)
                source, kind = address
                what = f"{kind!r} of {source}"
        except ValueError as error:
            log.warning("%s refused: %s", topic, error)
            return
        self._hand(source, kind, value, len(payload), what)

    def connected(self, session_present: bool) -> None:
        """The broker has the node again; tell the service, if it wants to know."""
        self._tell(CONNECTED, {"session_present": session_present})

    def lost(self, why: str) -> None:
        """The connection has ended; tell the service, if it wants to know."""
        self._tell(LOST, {"final": False, "why": why})

    def _tell(self, kind: str, value: Any) -> None:
        if self._mqtt.events:
            self._hand(self._mqtt.broker, kind, value, len(freeze(value)), kind)

    def _hand(self, source: str, kind: str, value: Any, size: int, what: str) -> None:
        """Have the service handle a message."""
        now = self._now()
        self._counts[source] += 1
        message = Message(
            {
                "at": now,
                "id": f"{source}/{self._counts[source]}",
                "src": source,
                "dst": self._host.name,
                "kind": kind,
                "payload": value,
                "size": size,
                "sent": now,
            }
        )
        self._advance([message], what)

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
            kind, text = output.kind, output.payload
            try:
                if self._mqtt.takes(kind):
                    self._mqtt.command(kind, text)
                else:
                    topic = self._topics.outgoing(output.destination, kind)
                    self._connection.publish(topic, text.encode())
            except ValueError as error:
                log.error("the service cannot send: %s", error)
        for measure in done.measures:
            try:
                text = freeze({"at": measure.at, "name": measure.name, "value": measure.value})
            except PayloadError as error:
                log.error("the service cannot record %r: %s", measure.name, error)
                continue
            self._connection.publish(self._topics.measures, text.encode())


def make_host(service: Any, name: str, seed: int, life: int, config: Any, base: Any) -> Host:
    """The host of a service class; arguments as for `ServiceHost`."""
    return Host(service(), name=name, seed=seed, life=life, config=config, base=base, freeze=freeze)
