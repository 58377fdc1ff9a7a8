"""Policies: who decides where an inference is made, and by what.

A policy runs at the dispatcher. It sets the rules that devices keep to, and is asked about each
image that a device does not keep, and again about each answer. Standard library only: it is hosted
where the dispatcher is, which may be a container.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from simcore.errors import ModelError, UsageError
from simcore.protocol.loading import load_object
from simcore.units import duration, ratio

DEVICE, EDGE, CLOUD = ("device", "edge", "cloud")
LEFT_ALONE = "left_alone"
"""What a dispatcher measures where nobody is to answer: JSON with `device`, `n` and `why`."""
STALE = 10_000_000_000
"""Age (ns) at which an observed round trip of a place tells nothing about the next any more."""


class Answer(NamedTuple):
    """What a place says of an image.

    Attributes:
        label: the class that it took it for.
        confidence: from 0 to 1.
    """

    label: Any
    confidence: float


class Ask(NamedTuple):
    """What a policy is asked about.

    Attributes:
        device: name of the device's node.
        n: which of its images, from 1.
        now: virtual time, ns.
        elapsed: time since the image was taken, ns.
        place: where the best answer so far comes from: the highest place that has answered; None
            if none has.
        label, confidence: that answer; None without.
        answers: all answers so far, by place.
        asked: edge and cloud, as far as they were asked, with an answer or without.
        round_trip: smoothed times (ns), None while unknown: of `edge` and `cloud` from the
            dispatcher and back, of `device` from sending a result to its acknowledgement.
        waiting: images that `edge` and `cloud`, as far as there are any, were asked about and
            that have no answer yet.

    The mappings change when the call is over.
    """

    device: str
    n: int
    now: int
    elapsed: int
    place: str | None
    label: Any
    confidence: float | None
    answers: Mapping[str, Answer]
    asked: tuple[str, ...]
    round_trip: Mapping[str, int | None]
    waiting: Mapping[str, int]


class Decision(NamedTuple):
    """What a policy decides.

    Attributes:
        place: one that has answered: its answer is accepted; another: it is asked; None: nobody,
            the device is left with the answer that it has, if any.
        reason: why, with the numbers, as `confidence 0.61 < 0.8`.
    """

    place: str | None
    reason: str


class Seen(NamedTuple):
    """A round trip that the dispatcher observed.

    Attributes:
        device: whose image it was about.
        place: edge or cloud: from asking to the answer; device: from the result to `shown`.
        time: how long it took, ns.
        now: virtual time, ns.
    """

    device: str
    place: str
    time: int
    now: int


class Policy(ABC):
    """What a policy of one's own derives from; it needs `rule` and `decide`.

    Args:
        config: what stands under `config` in the scenario's `placement`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def rule(self, device: str) -> str:
        """The rule of a device, asked for when it starts and after each of its results."""

    @abstractmethod
    def decide(self, ask: Ask) -> Decision:
        """Where to go on with an image: asked when it comes, and when an answer to it comes."""

    def learn(self, seen: Seen) -> None:  # noqa: B027 - may be left out
        """Take note of a round trip."""


class OnDevice(Policy):
    """`policy: device`: every answer is the device's own."""

    def rule(self, device: str) -> str:
        """It keeps what it computes."""
        return "local"

    def decide(self, ask: Ask) -> Decision:
        """Nobody else is asked."""
        return Decision(ask.place, "device only")


class AtEdge(Policy):
    """`policy: edge`: every answer is the edge's."""

    place = EDGE

    def rule(self, device: str) -> str:
        """It computes nothing."""
        return "remote"

    def decide(self, ask: Ask) -> Decision:
        """Ask there and accept what comes."""
        place = self.place
        if place in ask.answers or place not in ask.asked:
            return Decision(place, f"{place} only")
        return Decision(ask.place, f"no answer of {place}")


class InCloud(AtEdge):
    """`policy: cloud`: every answer is the cloud's."""

    place = CLOUD


class Confidence(Policy):
    """`policy: confidence`: go up, place by place, until an answer is sure enough."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        given = config["threshold"]
        shares = given if isinstance(given, Mapping) else {DEVICE: given, EDGE: given}
        self._limits = {place: ratio(share) for place, share in shares.items()}
        # Devices compare per mille: what reaches 79.95 % is at least 800.
        self._rule = f"confidence {ceil(round(self._limits[DEVICE] * 1000, 6))}"
        self._shown = {place: f"{limit:.4g}" for place, limit in self._limits.items()}

    def rule(self, device: str) -> str:
        """It keeps what it is sure of."""
        return self._rule

    def decide(self, ask: Ask) -> Decision:
        """Accept what is sure enough, or ask the next place up."""
        place, confidence = ask.place, ask.confidence
        if place is None or confidence is None:
            reason = f"no answer of {ask.asked[-1]}" if ask.asked else "no answer yet"
        elif place == CLOUD:
            return Decision(place, f"{confidence:.4g}, the last place")
        elif confidence >= self._limits[place]:
            return Decision(place, f"sure {confidence:.4g} >= {self._shown[place]}")
        else:
            reason = f"confidence {confidence:.4g} < {self._shown[place]}"
        above = _above(ask)
        if above is None and place is not None:
            return Decision(place, f"{reason}, the last place")
        return Decision(above, reason)


class Latency(Policy):
    """`policy: latency`: the highest place whose answer is expected to reach the device in time."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self._deadline = duration(config["deadline"])
        self._rule = f"latency {self._deadline // 1_000_000}"
        self._looked = {EDGE: 0, CLOUD: 0}

    def rule(self, device: str) -> str:
        """It asks while that is in time."""
        return self._rule

    def learn(self, seen: Seen) -> None:
        """Note when a place was heard of last."""
        self._looked[seen.place] = seen.now

    def decide(self, ask: Ask) -> Decision:
        """Ask the highest place in time, or accept the best answer there is."""
        back = (ask.round_trip[DEVICE] or 0) // 2
        left = self._deadline - ask.elapsed - back
        for place in (CLOUD, EDGE):
            if place == ask.place:
                break  # the others are below it
            if place not in ask.waiting or place in ask.asked:
                continue
            expected = ask.round_trip[place]
            if expected is not None and ask.now - self._looked[place] > STALE:
                self._looked[place] = ask.now  # others wait for what this one finds
                return Decision(place, f"probe, not heard of for {STALE // 10**9} s")
            if (expected or 0) <= left:
                return Decision(place, f"in time, {_ms(expected or 0)} <= {_ms(left)}")
        if ask.place is None:
            return Decision(_above(ask), "late, and no answer yet")
        why = "in time" if left >= 0 else "late"
        return Decision(ask.place, f"{why}, {_ms(ask.elapsed + back)} of {_ms(self._deadline)}")


def _ms(time: int) -> str:
    return f"{time / 1e6:.4g} ms"


def _above(ask: Ask) -> str | None:
    """The next place that can still be asked."""
    for place in ask.waiting:
        if place not in ask.asked:
            return place
    return None


BUILT_IN: Mapping[str, Callable[[Mapping[str, Any]], Policy]] = {
    "device": OnDevice,
    "edge": AtEdge,
    "cloud": InCloud,
    "confidence": Confidence,
    "latency": Latency,
}
"""Policies by the word in a scenario."""


def make_policy(config: Mapping[str, Any], base: Path) -> Any:
    """The policy that a dispatcher's config asks for.

    Args:
        config: the scenario's `placement`, as its dispatcher gets it.
        base: the scenario's folder, where a policy of one's own lies.

    Raises:
        UsageError: there is no such file or class, or it lacks a method.
        ModelError: making it raised.
    """
    name = config["policy"]
    if name in BUILT_IN:
        return BUILT_IN[name](config)
    kind = load_object(name, base)
    for method in ("rule", "decide"):
        found = getattr(kind, method, None)
        if not callable(found) or getattr(found, "__isabstractmethod__", False):
            raise UsageError(f"the policy {name} has no method {method!r}")
    try:
        return kind(config.get("config", {}))
    except Exception as error:
        raise ModelError(f"the policy {name} raised {type(error).__name__}: {error}") from error
