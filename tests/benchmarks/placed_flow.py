"""Placement at scale: the flow that is measured, as simcore's users write it.

Each device takes an image every 5.4 s, keeps its own answer if it is sure, and asks the edge
otherwise, which asks the cloud if it is not sure either. What a place says of an image is computed
once: an inference costs the simulator its messages, not the models.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any

from simpy.events import Event

from simcore import Context, Node
from simcore.extensions import placement

PERIOD = 5_400_000_000
IMAGES = 899
"""As many as there are in the test half of the digits."""
THRESHOLDS = (0.8, 0.9)
"""Of device and edge."""


def _images() -> list[bytes]:
    random = Random("images")
    return [bytes(random.randrange(17) for _ in range(64)) for _ in range(IMAGES)]


def _answers(place: str, unsure: frozenset[int], threshold: float) -> list[tuple[int, float]]:
    """What a place says of each image: less sure than its threshold of some in each 20."""
    random = Random(place)
    found = []
    for index in range(IMAGES):
        low, high = (0.3, threshold - 0.001) if index % 20 in unsure else (threshold, 1.0)
        found.append((index % 10, round(random.uniform(low, high), 3)))
    return found


ASKED = frozenset({0, 1, 3, 6, 7, 9, 11, 12, 14, 16, 19})
"""What goes to the edge: 55 % of the images."""
DOUBTFUL = frozenset({1, 6, 9, 14, 16})
"""What goes on to the cloud: 25 %."""
PICTURES = _images()
DEVICE = _answers("device", ASKED, THRESHOLDS[0])
EDGE = _answers("edge", DOUBTFUL, THRESHOLDS[1])
CLOUD = _answers("cloud", frozenset(), THRESHOLDS[1])
_OWN = {
    image: (label, round(1000 * confidence))
    for image, (label, confidence) in zip(PICTURES, DEVICE, strict=True)
}


def meter(node: Node) -> Generator[Event, Any, None]:
    """A device."""
    yield from placement.device(node, PICTURES, _OWN.__getitem__, cost="5ms")


class Known:
    """A model at the edge or in the cloud."""

    def start(self, ctx: Context) -> None:
        self.answers = {"edge": EDGE, "cloud": CLOUD}[ctx.name]
        self.cost = ctx.config["compute"]

    def on_message(self, ctx: Context, msg: Any) -> None:
        asked = msg.payload
        label, confidence = self.answers[asked["index"]]
        ctx.compute(self.cost)
        answer = {
            "n": asked["n"], "index": asked["index"], "device": asked["device"],
            "label": label, "confidence": confidence,
        }  # fmt: skip
        ctx.reply(msg, "answer", answer, size=16)
