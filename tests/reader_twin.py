"""What the firmware `reader` has to say and show, told by Python: its rules, and the device's model.

Times are those of a device whose code takes no time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from placed import models, unseen

from simcore.extensions.placement.rules import BadRule, Keeper, read_setup
from simcore.payload import freeze

PICTURES = 128
US = 1000

Said = tuple[str, str, str, int | None, str | None]
"""Destination, kind, payload, size, and the message that it answers."""

IMAGES = unseen()[0][:PICTURES]
OWN = [models.Tiny().classify(image) for image in IMAGES]


def boot(at: int = 0) -> Said:
    """What it says while it has no rule, when its clock shows `at` (us)."""
    payload = freeze({"firmware": "reader", "version": 1, "at": at})
    return "gateway", "boot", payload, None, None


class Twin:
    """A reader, from its reset on.

    Attributes:
        said: all messages that it has sent.
        shown: all that it has shown.
        next: when its next sample or boot is due, ns.
        asked: called with each image that it sends: its number, and when (ns).
    """

    def __init__(self, asked: Callable[[int, int], None] = lambda n, now: None) -> None:
        self.said: list[Said] = [boot()]
        self.shown: list[int] = []
        self.next = self._period = 10**9
        self.keeper: Keeper | None = None
        self._asked = asked
        self._n = self._index = 0
        self._quiet = False

    def wake(self, now: int | None = None) -> None:
        """What is due is done: in time, or at `now` (ns)."""
        now = self.next if now is None else now
        if self.keeper is None:
            self.said.append(boot(now // US))
        else:
            self._sample(self.keeper, now)
        self.next += self._period

    def _sample(self, keeper: Keeper, now: int) -> None:
        self._n += 1
        at = now // US
        keeper.sample(at)
        label, confidence = OWN[self._index]
        verdict = keeper.decide(confidence)
        payload: dict[str, Any] = {"n": self._n, "index": self._index, "at": at, "why": verdict.why}
        size = 72 if verdict.asks else 16
        if keeper.rule.computes:
            payload |= {"label": label, "confidence": confidence / 1000}
            size += 4 * verdict.asks
            self.shown.append(label)
        if verdict.asks:
            payload["image"] = IMAGES[self._index]
            keeper.asked(self._n, at)
            self._asked(self._n, now)
        kind = "image" if verdict.asks else "reading"
        self.said.append(("gateway", kind, freeze(payload), size, None))
        self._index = (self._index + 1) % PICTURES

    def set_up(self, text: str, now: int) -> None:
        """A setup has come at `now` (ns)."""
        setup = read_setup(text)
        if setup is None or self.keeper is not None:
            return
        self.keeper = Keeper(setup.rule)
        self._index, self._quiet = setup.next % PICTURES, setup.quiet
        self._period = setup.period * 1_000_000
        first = self._period if setup.first is None else setup.first * 1_000_000
        self.next = now + first

    def act(self, result: dict[str, Any], now: int, source: str, id: str) -> None:
        """A result has come at `now` (ns)."""
        assert self.keeper is not None
        self.keeper.answered(result["n"], now // US)
        if "rule" in result:
            with suppress(BadRule):
                self.keeper.take(result["rule"])
        self.shown.append(result["label"])
        if not self._quiet:
            payload = freeze({"n": result["n"], "label": result["label"]})
            self.said.append((source, "shown", payload, 8, id))
