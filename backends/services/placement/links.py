"""How a dispatcher and its devices talk: by messages of their own, or over MQTT."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...mqtt import api

if TYPE_CHECKING:
    from simcore.protocol.service import Context, Incoming

KINDS = ("boot", "image", "reading", "shown")
"""What devices send."""


class Direct:
    """Messages from and to devices' nodes."""

    def read(self, msg: Incoming) -> tuple[str, str, Any]:
        """Device, kind and payload of what has come."""
        return msg.source, msg.kind, msg.payload

    def send(self, ctx: Context, device: str, kind: str, payload: Any, size: int) -> None:
        """Send to a device."""
        ctx.send(device, kind, payload, size=size)


class OverMqtt(Direct):
    """Topics, one for each device and kind.

    Args:
        ctx: the dispatcher's; it subscribes at once.
        topic: with {device} and {kind}, each once.
    """

    def __init__(self, ctx: Context, topic: str) -> None:
        self._topic = topic
        pattern = re.escape(topic)
        for word in ("device", "kind"):
            pattern = pattern.replace(re.escape(f"{{{word}}}"), f"(?P<{word}>[^/]+)")
        self._pattern = re.compile(pattern)
        for kind in KINDS:
            api.subscribe(ctx, topic.replace("{device}", "+").replace("{kind}", kind))

    def read(self, msg: Incoming) -> tuple[str, str, Any]:
        """Device, kind and payload of what was published."""
        if msg.kind != api.MESSAGE:
            return msg.source, "", None
        payload = msg.payload
        found = self._pattern.fullmatch(payload["topic"])
        if found is None:
            return msg.source, "", None
        return found["device"], found["kind"], payload["payload"]

    def send(self, ctx: Context, device: str, kind: str, payload: Any, size: int) -> None:
        """Publish; what it weighs is what MQTT makes of it."""
        topic = self._topic.replace("{device}", device).replace("{kind}", kind)
        api.publish(ctx, topic, payload)
