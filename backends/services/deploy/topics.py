"""Names of topics: `<prefix>/D/S/K` carries a message of kind K from node S to node D.

What a node says about itself has one level less, so that no message can be taken for it:
`<prefix>/D/status` and `<prefix>/D/measures`.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from simcore.errors import UsageError

_NODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")  # as in a scenario
_SPECIAL = re.compile(r"[%/+#\x00-\x1f\x7f]")
_LONGEST = 65535
"""Bytes of a topic (MQTT 3.1.1, section 1.5.3)."""


class Address(NamedTuple):
    """Who sent a message, and what it is."""

    source: str
    kind: str


class Topics:
    """The topics of one node.

    Args:
        prefix: first levels of all topics of a deployment.
        name: of the node.

    Raises:
        UsageError: it can be no part of a topic.
    """

    def __init__(self, prefix: str, name: str) -> None:
        if not all(prefix.split("/")) or re.search(r"[+#\x00-\x1f\x7f]|^\$", prefix):
            raise UsageError(
                f"the prefix {prefix!r} is no beginning of a topic: "
                "write words, with / between them, as in plant-7/simcore"
            )
        if not _NODE.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a node: letters, digits, and . _ - in them")
        self.prefix = prefix
        self._mine = f"{prefix}/{name}/"
        self._name = name
        self.subscription = f"{self._mine}#"
        self.status = f"{self._mine}status"
        self.measures = f"{self._mine}measures"

    def below_prefix(self, topic: str) -> bool:
        """Whether a topic or filter begins as those of all nodes do."""
        return topic == self.prefix or topic.startswith(f"{self.prefix}/")

    def of_others(self, topic: str) -> bool:
        """Whether a topic is one of another node."""
        return self.below_prefix(topic) and not f"{topic}/".startswith(self._mine)

    def outgoing(self, destination: str, kind: str) -> str:
        """The topic of a message of this node's.

        Raises:
            ValueError: they make no topic.
        """
        if type(kind) is not str or not kind:
            raise ValueError(f"the kind is {kind!r}, not a name such as 'reading'")
        if type(destination) is not str or not _NODE.fullmatch(destination):
            raise ValueError(f"{destination!r} is no name of a node")
        level = _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", kind)
        topic = f"{self.prefix}/{destination}/{self._name}/{level}"
        if len(topic.encode()) > _LONGEST:
            raise ValueError(f"the kind {kind[:20]!r}... makes a topic of more than 65,535 bytes")
        return topic

    def incoming(self, topic: str) -> Address | None:
        """Who sent what came on a topic; None for what this node says about itself.

        Raises:
            ValueError: it is no topic of a message to this node.
        """
        if topic in (self.status, self.measures):
            return None
        levels = topic.removeprefix(self._mine).split("/")
        if not topic.startswith(self._mine) or len(levels) != 2 or not levels[1]:
            raise ValueError(f"a message to this node has the topic {self._mine}SOURCE/KIND")
        source, kind = levels
        if not _NODE.fullmatch(source):
            raise ValueError(f"{source!r} is no name of a node")
        return Address(source, unquote(kind, errors="strict"))
