"""What the links of a latency network are: schema, and the typed form of one entry.

One entry of `links` may stand for many links: one per pair of nodes and direction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from simcore.distributions import SCHEMA as DELAY
from simcore.distributions import Distribution
from simcore.distributions import parse as parse_delay
from simcore.units import rate, ratio

_NAME = {"type": "string", "format": "node"}
_SHARE: dict[str, Any] = {"type": ["string", "number"], "format": "ratio"}
_END = {**_NAME, "description": "A node, or a group of nodes."}

LINK: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["delay"],
    "oneOf": [{"required": ["between"]}, {"required": ["from", "to"]}],
    "properties": {
        "between": {
            "type": "array",
            "items": _END,
            "minItems": 2,
            "maxItems": 2,
            "description": "Two nodes or groups: one link per pair, in both directions.",
            "examples": [["meter", "gateway"]],
        },
        "from": {**_END, "description": "Node or group that sends, for a link in one direction."},
        "to": {**_END, "description": "Node or group that receives, for a link in one direction."},
        "delay": {
            **DELAY,
            "description": "Propagation delay: constant, or a minimum plus a random part.",
        },
        "loss": {
            "description": "Messages lost by chance: a share, or bursts by the Gilbert-Elliott "
            "model.",
            "default": "0%",
            "examples": ["1%", {"good_to_bad": "1%", "bad_to_good": "20%", "loss_bad": "50%"}],
            "anyOf": [
                _SHARE,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["good_to_bad", "bad_to_good"],
                    "properties": {
                        "good_to_bad": {
                            **_SHARE,
                            "description": "Probability, per message, to turn bad.",
                        },
                        "bad_to_good": {
                            **_SHARE,
                            "description": "Probability, per message, to turn good.",
                        },
                        "loss_good": {
                            **_SHARE,
                            "description": "Loss in the good state.",
                            "default": "0%",
                        },
                        "loss_bad": {
                            **_SHARE,
                            "description": "Loss in the bad state.",
                            "default": "100%",
                        },
                    },
                },
            ],
        },
        "rate": {
            "type": "string",
            "format": "rate",
            "description": "Transmission rate; messages follow each other in a FIFO queue. "
            "Without it a message takes no time to transmit.",
            "examples": ["250kbit/s"],
        },
        "queue": {
            "type": "integer",
            "minimum": 0,
            "description": "Messages that may wait for transmission, the one being transmitted "
            "not counted; a further one is lost (queue_full). Unbounded without it.",
        },
        "shared": {
            "type": "boolean",
            "default": False,
            "description": "All pairs and directions of this entry share one transmitter and "
            "queue.",
        },
        "ordered": {
            "type": "boolean",
            "default": False,
            "description": "Messages of a link arrive in the order they entered it, however their "
            "delays vary: one that would overtake arrives with the one before it.",
        },
    },
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Links with delay, loss, rate and queue; messages take the route of fewest "
    "links.",
    "additionalProperties": False,
    "required": ["links"],
    "properties": {
        "links": {"type": "array", "minItems": 1, "items": LINK, "description": "The links."},
        "routes": {
            "type": "array",
            "description": "Routes other than the one of fewest links.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["from", "to", "via"],
                "properties": {
                    "from": {**_END, "description": "Node or group that sends."},
                    "to": {**_END, "description": "Node or group that receives."},
                    "via": {
                        "type": "array",
                        "items": {**_NAME, "description": "A node."},
                        "minItems": 1,
                        "description": "The nodes between them, in order.",
                    },
                },
            },
        },
    },
}

Lose = Callable[[], bool]


@dataclass(frozen=True)
class GilbertElliott:
    """Loss in bursts: a two-state Markov chain that steps once per message.

    Source: E. N. Gilbert, Capacity of a burst-noise channel, Bell Syst. Tech. J. 39 (1960);
    E. O. Elliott, Estimates of error rates for codes on burst-noise channels, ibid. 42 (1963).

    Attributes:
        good_to_bad: probability to turn bad before a message, p.
        bad_to_good: probability to turn good before a message, r.
        loss_good: loss in the good state.
        loss_bad: loss in the bad state.
    """

    good_to_bad: float
    bad_to_good: float
    loss_good: float = 0.0
    loss_bad: float = 1.0

    def sampler(self, rng: Random) -> Lose:
        """A function that tells, message by message, whether it is lost; starts in good."""
        draw, bad = rng.random, False

        def lose() -> bool:
            nonlocal bad
            bad = draw() >= self.bad_to_good if bad else draw() < self.good_to_bad
            return draw() < (self.loss_bad if bad else self.loss_good)

        return lose


Loss = float | GilbertElliott


@dataclass(frozen=True)
class LinkSpec:
    """One entry of `links`.

    Attributes:
        ends: names of two nodes or groups.
        both: in both directions, or from the first to the second.
        delay: propagation delay.
        loss: probability, or a loss model.
        rate: bits per second; None: transmission takes no time.
        queue: messages that may wait; None: any number.
        shared: one transmitter for all pairs and directions.
        ordered: no overtaking.
    """

    ends: tuple[str, str]
    both: bool
    delay: Distribution
    loss: Loss = 0.0
    rate: int | None = None
    queue: int | None = None
    shared: bool = False
    ordered: bool = False

    @property
    def waits(self) -> bool:
        """Whether who enters first at one instant makes a difference."""
        return self.rate is not None or self.ordered or self.delay.infimum == 0


def read_link(entry: Mapping[str, Any], base: Path | None = None) -> LinkSpec:
    """The typed form of an entry of `links`.

    Raises:
        UnitError: a value that the schema lets through and that cannot be read.
    """
    ends: Sequence[str] = entry.get("between") or (entry["from"], entry["to"])
    return LinkSpec(
        ends=(ends[0], ends[1]),
        both="between" in entry,
        delay=parse_delay(entry["delay"], base),
        loss=_read_loss(entry.get("loss", 0.0)),
        rate=rate(entry["rate"]) if "rate" in entry else None,
        queue=entry.get("queue"),
        shared=entry.get("shared", False),
        ordered=entry.get("ordered", False),
    )


def _read_loss(value: Any) -> Loss:
    if not isinstance(value, Mapping):
        return ratio(value)
    return GilbertElliott(**{key: ratio(item) for key, item in value.items()})
