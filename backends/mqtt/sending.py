"""What a client has to send: a window of messages under way, others behind it, and their numbers.

A message with QoS 1 or 2 stays until its last answer has come, across connections. If the broker
still has the session, what is unanswered is sent again with DUP, in the order in which it was sent
first (4.4, 4.6). If it has not, it has forgotten what it had not passed on:

- a message that was not answered at all is sent as a new one: with QoS 1 it may come twice;
- one with QoS 2 that waits for its PUBCOMP may have been passed on or not, and must not come twice,
  so that it is given up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from .errors import Malformed
from .packets import Publish, Pubrel, Subscribe, Unsubscribe

Request = Subscribe | Unsubscribe
Numbered = Publish | Request

_MOST = 60_000
"""Messages under way at a time, so that numbers are left for requests."""


@dataclass(slots=True)
class _Pending:
    """A packet that waits for an answer."""

    packet: Numbered
    token: int
    released: bool = False
    """Whether its PUBREC has come, and it now waits for its PUBCOMP."""


class Sending:
    """What a client has to send with a packet identifier.

    Args:
        window: how many messages may wait for their answers at a time.
    """

    def __init__(self, window: int) -> None:
        self._window = min(window, _MOST)
        self._behind: deque[tuple[Publish, int]] = deque()
        self._requests: deque[tuple[Request, int]] = deque()
        self._pending: dict[int, _Pending] = {}
        self._messages = 0
        self._last = 0

    @property
    def asked(self) -> set[str]:
        """The filters of the requests that have not been sent."""
        found: set[str] = set()
        for packet, _ in self._requests:
            if isinstance(packet, Unsubscribe):
                found.update(packet.filters)
            else:
                found.update(text for text, _ in packet.filters)
        return found

    def put(self, message: Publish, token: int) -> None:
        """Take a message; `messages` says when it is to be sent."""
        self._behind.append((message, token))

    def ask(self, packet: Request, token: int) -> None:
        """Take a SUBSCRIBE or an UNSUBSCRIBE; `requests` says when it is to be sent."""
        self._requests.append((packet, token))

    def messages(self) -> list[tuple[Publish, int]]:
        """The messages that are to be sent now, with their tokens."""
        found = []
        while self._behind:
            message, token = self._behind[0]
            if message.qos:
                if self._messages >= self._window:
                    break
                message = replace(message, identifier=self._number())
                self._pending[message.identifier] = _Pending(message, token)
                self._messages += 1
            self._behind.popleft()
            found.append((message, token))
        return found

    def requests(self) -> list[Request]:
        """The requests that are to be sent now."""
        found = []
        while self._requests:
            packet, token = self._requests.popleft()
            packet = replace(packet, identifier=self._number())
            self._pending[packet.identifier] = _Pending(packet, token)
            found.append(packet)
        return found

    def answered(self, identifier: int, kind: type[Numbered], qos: int = 0) -> int | None:
        """The last answer to a packet has come.

        Args:
            identifier: of the packet.
            kind: what the answer is for.
            qos: for messages, which one it is for.

        Returns:
            The token of the packet, or None: an answer that came before.

        Raises:
            Malformed: an answer to something else.
        """
        pending = self._pending.get(identifier)
        if pending is None:
            return None
        packet = pending.packet
        if not isinstance(packet, kind) or (isinstance(packet, Publish) and packet.qos != qos):
            raise Malformed("MQTT-4.3", f"an answer that does not fit packet {identifier}")
        if qos == 2 and not pending.released:
            raise Malformed("MQTT-4.3.3-1", f"a PUBCOMP for packet {identifier} before its PUBREC")
        self._strike_off(identifier)
        return pending.token

    def received(self, identifier: int) -> Pubrel:
        """A PUBREC has come; what is to be sent."""
        pending = self._pending.get(identifier)
        if pending is not None:
            if not isinstance(pending.packet, Publish) or pending.packet.qos != 2:
                raise Malformed("MQTT-4.3", f"a PUBREC that does not fit packet {identifier}")
            pending.released = True
        return Pubrel(identifier)

    def resume(self) -> list[Numbered | Pubrel]:
        """What is to be sent again to a broker that still has the session."""
        again: list[Numbered | Pubrel] = []
        for identifier, pending in self._pending.items():
            if pending.released:
                again.append(Pubrel(identifier))
            elif isinstance(pending.packet, Publish):
                again.append(replace(pending.packet, dup=True))
            else:
                again.append(pending.packet)
        return again

    def restart(self) -> list[int]:
        """The broker has no session. Returns the tokens of the messages that are given up."""
        given_up = []
        pending, self._pending, self._messages = list(self._pending.values()), {}, 0
        for each in reversed(pending):
            if each.released:
                given_up.append(each.token)
            elif isinstance(each.packet, Publish):
                self._behind.appendleft((each.packet, each.token))
            else:
                self._requests.appendleft((each.packet, each.token))
        return given_up[::-1]

    def _strike_off(self, identifier: int) -> None:
        if isinstance(self._pending.pop(identifier).packet, Publish):
            self._messages -= 1

    def _number(self) -> int:
        """A packet identifier that is not in use (MQTT-2.3.1-2)."""
        for _ in range(65_535):
            self._last = self._last % 65_535 + 1
            if self._last not in self._pending:
                return self._last
        raise Malformed("MQTT-2.3.1-2", "no packet identifier is free")
