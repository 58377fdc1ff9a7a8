"""Models for tests of placement: images of which everything is known, so that nothing is left to chance.

Byte 0 of an image is its label; byte 1 says how sure the device is of it, byte 2 the edge; the
cloud is always right.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from simcore.extensions import placement

COUNT = 40


def _image(index: int) -> bytes:
    noise = sha256(str(index).encode()).digest()
    return bytes([noise[0] % 10, noise[1], noise[2]]) + noise * 2


IMAGES = [_image(index)[:64] for index in range(COUNT)]


def classify(image: bytes) -> tuple[int, int]:
    """What the device makes of it: right where it is sure."""
    confidence = image[1] * 1000 // 255
    return (image[0] if confidence >= 600 else (image[0] + 1) % 10), confidence


def truth(index: int) -> int:
    """The right label."""
    return IMAGES[index][0]


def meter(node: Any) -> Any:
    """A device."""
    config = node.config
    if "warm_up" in config:
        yield node.sleep(config["warm_up"])
    yield from placement.device(
        node, IMAGES, classify, cost=config.get("cost", "12ms"), to=config.get("to")
    )


class Model:
    """What computes at the edge, or in the cloud with `sure: true`."""

    def on_message(self, ctx: Any, msg: Any) -> None:
        payload = msg.payload
        image = payload["image"]
        ctx.compute(ctx.config.get("compute", "4ms"))
        confidence = 0.99 if ctx.config.get("sure") else round(image[2] / 255, 4)
        label = image[0] if confidence >= 0.5 else (image[0] + 2) % 10
        kept = {key: payload[key] for key in ("n", "index", "device")}
        ctx.reply(msg, "answer", {**kept, "label": label, "confidence": confidence}, size=16)
