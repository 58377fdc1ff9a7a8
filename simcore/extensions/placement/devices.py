"""A device in Python that takes images, and keeps to the rule that its dispatcher gives it.

It sends and answers what the firmware `reader` does. In a model::

    def meter(node):
        yield from placement.device(node, IMAGES, classify, cost="12ms")
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from operator import index
from typing import TYPE_CHECKING, Any

from simcore.errors import ModelError, UsageError
from simcore.extensions import energy
from simcore.units import duration

from .rules import BadRule, Keeper, read_setup

if TYPE_CHECKING:
    from simpy.events import Event

    from simcore.message import Message
    from simcore.node import Node

BOOT = {"firmware": "reader", "version": 1}
AGAIN = 1_000_000_000
"""Time (ns) after which a device that has no rule asks for one again."""

Classify = Callable[[Any], tuple[Any, int]]
"""Label and confidence (per mille, a whole number from 0 to 1000) of an image."""


def device(
    node: Node,
    images: Sequence[Any],
    classify: Classify | None = None,
    *,
    cost: str | int = 0,
    to: str | None = None,
    show: Callable[[Any], None] | None = None,
) -> Generator[Event, Any, None]:
    """Be a device for the rest of the node's life.

    Args:
        node: the model's.
        images: what it takes samples of, in turn: bytes each, or other JSON values.
        classify: what it computes of one of them itself; it is called for each sample, so let it
            remember (`functools.cache`) if that takes long. None: the device cannot compute, and
            its rule may only be `remote`.
        cost: virtual time of that.
        to: the node that it talks to; by default the scenario's dispatcher or, if that is reached
            over MQTT, the node `gateway`.
        show: called with each label that the device shows.

    Raises:
        UsageError: the scenario has no `placement`, or the device no images.
        ModelError: `classify` raised, or what it says is no label and confidence.
    """
    if len(images) == 0:
        raise UsageError(f"{node.name} has no images: give placement.device at least one")
    Device(node, images, classify, duration(cost), to or _destination(node), show).start()
    yield node.env.event()  # all that follows is timers and messages, and ends with the node


def _destination(node: Node) -> str:
    value = node.federation.scenario.extensions.get("placement")
    if value is None:
        raise UsageError(f"{node.name} is a device, and the scenario has no 'placement'")
    return "gateway" if "mqtt" in value else str(value["dispatcher"])


class Device:
    """One life of a device. Arguments as for `device`.

    It has no process of its own: a timer for each sample, and a call for each message.
    """

    __slots__ = (
        "_began", "_classify", "_cost", "_images", "_index", "_keeper", "_n", "_next", "_node",
        "_period", "_quiet", "_show", "_to",
    )  # fmt: skip

    def __init__(
        self,
        node: Node,
        images: Sequence[Any],
        classify: Classify | None,
        cost: int,
        to: str,
        show: Callable[[Any], None] | None,
    ) -> None:
        self._node = node
        self._images = images
        self._classify = classify
        self._cost = cost
        self._to = to
        self._show = show
        self._began = node.born  # a model may do other things first
        self._keeper: Keeper | None = None
        self._n = self._index = self._next = self._period = 0
        self._quiet = False

    def start(self) -> None:
        """Ask for a rule, and listen."""
        self._listen()
        self._boot()

    def _boot(self) -> None:
        if self._keeper is None:
            node = self._node
            node.send(self._to, "boot", {**BOOT, "at": self._clock()})
            node.at(node.now + AGAIN, self._boot)

    def _clock(self) -> int:
        """Time since it started, us."""
        return (self._node.now - self._began) // 1000

    # -- samples

    def _sample(self) -> None:
        """Take an image."""
        keeper = self._keeper
        assert keeper is not None
        self._n += 1
        node = self._node
        now = node.now
        at = (now - self._began) // 1000
        keeper.sample(at)
        if not keeper.rule.computes:
            self._ask(at, "rule", None)
        elif self._cost:
            energy.enter(node, "active", self._cost)
            node.at(now + self._cost, lambda: self._computed(at))
        else:
            self._computed(at)

    def _computed(self, at: int) -> None:
        """Keep one's own answer, or ask."""
        keeper, classify = self._keeper, self._classify
        assert keeper is not None
        if classify is None:
            raise UsageError(
                f"{self._node.name} cannot compute, and its rule is {keeper.text!r}: give "
                "placement.device what it classifies with"
            )
        label, confidence = self._answer(classify)
        verdict = keeper.decide(confidence)
        if self._show is not None:
            self._show(label)
        if verdict.asks:
            self._ask(at, verdict.why, (label, confidence))
            return
        reading = {
            "n": self._n, "index": self._index, "at": at, "label": label,
            "confidence": confidence / 1000, "why": verdict.why,
        }  # fmt: skip
        self._note(self._node.send(self._to, "reading", reading, size=16))
        self._go_on()

    def _answer(self, classify: Classify) -> tuple[Any, int]:
        """What it says of the image, if that makes sense; it is code of the user's."""
        try:
            answer = classify(self._images[self._index])
        except Exception as error:
            raise self._senseless(f"raised {type(error).__name__}: {error}") from error
        try:
            label, confidence = answer
            confidence = index(confidence)
        except (TypeError, ValueError):
            pass
        else:
            if 0 <= confidence <= 1000:
                return label, confidence
        raise self._senseless(
            f"said {answer!r}: a label and how sure it is are needed, per mille, a whole number "
            "from 0 to 1000"
        )

    def _senseless(self, what: str) -> ModelError:
        name = self._node.name
        return ModelError(f"what {name} classifies with {what}", node=name, now=self._node.now)

    def _ask(self, at: int, why: str, own: tuple[Any, int] | None) -> None:
        index = self._index
        image = {"n": self._n, "index": index, "at": at, "why": why, "image": self._images[index]}
        size = 72
        if own is not None:
            image["label"], image["confidence"], size = own[0], own[1] / 1000, 76
        message = self._node.send(self._to, "image", image, size=size)
        if own is not None:
            self._note(message)
        assert self._keeper is not None
        self._keeper.asked(self._n, self._clock())
        self._go_on()

    def _note(self, message: Message) -> None:
        """Have results tell the time of computing; its energy is counted while it lasts."""
        if self._cost:
            message.took(self._cost)

    def _go_on(self) -> None:
        """Wait for the next sample; those that were missed are not made up for."""
        self._index = (self._index + 1) % len(self._images)
        now, period = self._node.now, self._period
        self._next += period
        if self._next <= now:
            self._next += (now - self._next) // period * period + period
        self._node.at(self._next, self._sample)

    # -- messages

    def _listen(self) -> None:
        while True:
            moment = self._node.receive()
            if moment.callbacks is not None:
                moment.callbacks.append(self._take)
                return
            message: Any = moment.value
            self._handle(message)

    def _take(self, moment: Event) -> None:
        message: Any = moment.value
        self._handle(message)
        self._listen()

    def _handle(self, message: Message) -> None:
        if message.kind == "setup":
            self._set_up(message.payload)
        elif message.kind == "result":
            self._act(message, message.payload)

    def _set_up(self, text: Any) -> None:
        setup = read_setup(text) if isinstance(text, str) else None
        if setup is None or self._keeper is not None:
            return
        self._keeper = Keeper(setup.rule)
        self._index = setup.next % len(self._images)
        self._period = setup.period * 1_000_000
        self._quiet = setup.quiet
        first = setup.period if setup.first is None else setup.first
        self._next = self._node.now + first * 1_000_000
        self._node.at(self._next, self._sample)

    def _act(self, message: Message, result: Any) -> None:
        """Act on a result, and say so."""
        keeper = self._keeper
        if keeper is None or not isinstance(result, dict):
            return
        n, label = result.get("n"), result.get("label")
        if type(n) is int:
            keeper.answered(n, self._clock())
        if "rule" in result:
            with suppress(BadRule):
                keeper.take(result["rule"])
        if self._show is not None:
            self._show(label)
        if not self._quiet:
            self._node.reply(message, "shown", {"n": n, "label": label}, size=8)
