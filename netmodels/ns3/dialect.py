"""What simcore wants of ns-3 beside messages: it goes along with the next ADVANCE.

An action stands among the inputs, at its time and before the messages of that time, and has a
content, which a message for a network never has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simcore.answers import NetworkAnswers
from simcore.message import Message
from simcore.protocol import frames


class _Action(frames.NetworkInput, frozen=True, gc=False):
    """An input with a content."""

    payload: Any = None


class Ns3Answers(NetworkAnswers):
    """How ns-3 is told to advance.

    Attributes:
        actions: what is to be told next: when (virtual ns), and what.
    """

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[tuple[int, dict[str, Any]]] = []

    def advance(self, seq: int, until: int, messages: Sequence[Message]) -> bytes:
        """The line of an ADVANCE; see `NetworkAnswers`."""
        if not self.actions:
            return super().advance(seq, until, messages)
        actions, self.actions = self.actions, []
        inputs: list[frames.NetworkInput] = [
            _Action(at, f"!{number}", "", "", 0, at, action)
            for number, (at, action) in enumerate(actions)
        ]
        inputs += self.enter(messages)
        inputs.sort(key=lambda each: each.at)
        return frames.encode(frames.NetworkAdvance(seq, until, inputs))
