"""What a dispatcher knows of devices, and of images that it waits for an answer to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simcore.extensions.placement.policy import CLOUD, DEVICE, EDGE, Answer
from simcore.extensions.placement.rules import MOST, OUTSTANDING

SAME = 100_000_000
"""Time (ns) by which the clock of one life may seem to begin later: what `boot` takes to leave."""
_ABOVE = {None: 0, DEVICE: 1, EDGE: 2, CLOUD: 3}


def is_label(value: Any) -> bool:
    """Whether results can tell how often an answer is given, and whether it is right."""
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, (bool, float, str))


class Image:
    """An image that a device asks about.

    Attributes:
        n: which of the device's, from 1.
        index: which picture it is.
        at: when it was taken, by the device's clock, us.
        data: the picture.
        answers: so far, by place.
        best: the highest place that has answered.
        asked: places that were asked.
        asking: the last of them.
        since: when that was, ns.
        taken: when it was taken, virtual ns.
    """

    __slots__ = (
        "answers", "asked", "asking", "at", "best", "data", "index", "n", "since", "taken"
    )  # fmt: skip

    def __init__(self, n: int, index: int, at: int, data: Any) -> None:
        self.n = n
        self.index = index
        self.at = at
        self.data = data
        self.answers: dict[str, Answer] = {}
        self.best: str | None = None
        self.asked: tuple[str, ...] = ()
        self.asking = ""
        self.since = 0
        self.taken = 0

    @classmethod
    def read(cls, payload: Any) -> Image | None:
        """What a message holds; None if that makes no sense."""
        if not isinstance(payload, dict):
            return None
        n, index, at = payload.get("n"), payload.get("index"), payload.get("at")
        if type(n) is not int or type(index) is not int or type(at) is not int:
            return None
        if "image" not in payload or not 0 < n <= MOST or at < 0:
            return None
        image = cls(n, index, at, payload["image"])
        if "label" in payload:
            confidence = payload.get("confidence")
            if not isinstance(confidence, (int, float)) or not is_label(payload["label"]):
                return None
            image.answer(DEVICE, Answer(payload["label"], confidence))
        return image

    def answer(self, place: str, answer: Answer) -> None:
        """Note an answer."""
        self.answers[place] = answer
        if _ABOVE[place] > _ABOVE[self.best]:
            self.best = place

    def ask(self, place: str, now: int) -> None:
        """Note that a place is asked at `now` (ns)."""
        self.asked += (place,)
        self.asking, self.since = place, now


class Client:
    """A device, as its dispatcher knows it.

    Attributes:
        rule: what it keeps to, as far as is known: what it was set up with, or has acknowledged.
        started: when its clock began, virtual ns; 0, with the run, until it says otherwise.
        trip: smoothed time from a result to its acknowledgement, ns; None until one came.
        results: those that it has not acknowledged, by n: when they were sent (ns), and the rule
            that it keeps to since.
        images: those that some place was asked about, in the order in which that was.
    """

    __slots__ = ("images", "results", "rule", "started", "trip")

    def __init__(self) -> None:
        self.rule = ""
        self.started = 0
        self.trip: int | None = None
        self.results: dict[int, tuple[int, str]] = {}
        self.images: dict[int, Image] = {}

    def began(self, latest: int) -> list[Image]:
        """Its clock began at `latest` (ns), or somewhat before; the images of a life that is over.

        A message leaves, and tells of the clock, after that was read, so that each life seems to
        begin late, and not always by the same time. What is later by more is another life. A clock
        that began before the dispatcher's own, at 0, is that of a device that is none of a
        simulation.
        """
        if latest < 0 and not self.started:
            self.started = latest
        if latest <= self.started + SAME:
            return []
        self.started = latest
        self.results.clear()
        images, self.images = list(self.images.values()), {}
        return images

    def tell(self, n: int, now: int, rule: str) -> None:
        """A result is sent at `now` (ns), with a rule unless that is the device's already."""
        if len(self.results) >= OUTSTANDING:
            del self.results[next(iter(self.results))]
        self.results[n] = (now, rule)

    def overdue(self, since: int) -> Iterator[Image]:
        """Forget images that some place was asked about before a virtual time (ns)."""
        images = self.images
        while images:
            n, first = next(iter(images.items()))
            if first.since >= since:
                return
            del images[n]
            yield first
