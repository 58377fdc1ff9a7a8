"""What became of each inference, told from the messages of devices.

An inference is over when its device has its final answer: its own, if it keeps that, or the result.
Where the question or the result is lost, it is left with its own answer, if it has one; likewise
where the policy decides that nobody is to answer, of which only the dispatcher tells.

What is measured depends on messages and their times alone. Of devices that run free, their messages
may be known in another order than they were sent.

Nodes that act as devices and are not named as such are not counted: a group may be so on purpose in
part. But it is easily forgotten, so the run warns of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from simcore.errors import ModelError, UsageError
from simcore.message import Message
from simcore.protocol.loading import load_object
from simcore.results.tables import NO_ANSWER, UNDER_WAY

from .policy import LEFT_ALONE
from .rules import MOST

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.node import Node

_log = logging.getLogger("simcore")
_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that a database can hold."""
_Number = Annotated[int, Meta(ge=1, le=MOST)]
Label = bool | int | float | str | None
_Label = bool | _Whole | float | str | None
NOBODY = "decided for nobody"
"""The reason of a policy that leaves a device alone and does not say why."""
_MOST_NAMED = 5
"""Nodes that a warning names."""
_LIFE = 2**40
"""Numbers of measurements of one life of a device; each image has two of them."""


class _Sample(msgspec.Struct, gc=False):
    """What a device says of an image: a `reading`, or an `image`."""

    n: _Number
    index: int
    at: int
    why: str = ""
    label: _Label = None
    confidence: float | None = None


class _Result(msgspec.Struct, gc=False):
    """What a dispatcher says."""

    n: _Number
    label: _Label
    confidence: float | None = None
    place: str | None = None
    why: str | None = None


class _Left(msgspec.Struct, gc=False):
    """What a dispatcher measures under the name `LEFT_ALONE`."""

    device: str
    n: _Number
    why: str


class Inference(NamedTuple):
    """A row of the table `inference`; times in ns."""

    node: int
    """Place of the device among all nodes."""
    n: int
    sampled: int
    sent: int
    ended: int | None
    """When the device had its final answer; None: never."""
    place: str | None
    reason: str
    label: Label
    confidence: float | None
    truth: Label
    own: Label
    request: int
    """Number of the message with which the device asked, or told what it has kept."""
    answer_source: int | None = None
    answer_number: int | None = None
    """The message that brought the final answer; None: the device's own."""


class _Device:
    """A device.

    Attributes:
        node: its node.
        began: when each of its lives did, ns.
        open: what it has asked and what is not answered, by life and n.
        left: why the policy wants nobody to answer, likewise.
    """

    __slots__ = ("began", "left", "node", "open")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.began = [0]
        self.open: dict[tuple[int, int], Inference] = {}
        self.left: dict[tuple[int, int], str] = {}

    def life(self, at: int) -> int:
        """Which life it was in at a virtual time (ns), from 0."""
        began = self.began
        life = len(began) - 1  # mostly 0
        while life and began[life] > at:
            life -= 1
        return life


class Account:
    """Watches the messages of one run.

    Args:
        federation: the run.
        devices: those that take samples.
        dispatcher: the name of the node that they ask.
        truth: gives the label of an image by its index, as file.py:function; None: not known.
    """

    def __init__(
        self, federation: Federation, devices: list[Node], dispatcher: str, truth: str | None
    ) -> None:
        self._recorder = federation.recorder
        self._federation = federation
        self._devices = {node.order: _Device(node) for node in devices}
        self._unnamed: set[int] = set()
        self._reference = truth
        self._truth: Callable[[int], Any] | None = None
        self._labels: dict[int, Label] = {}
        self._longest = 0
        if truth is not None:
            self._truth = load_object(truth, federation.scenario.base)
            if not callable(self._truth):
                raise UsageError(f"{truth} is not a function")
        self._samples = msgspec.json.Decoder(_Sample).decode
        self._results = msgspec.json.Decoder(_Result).decode
        self._lefts = msgspec.json.Decoder(_Left).decode
        self._handlers: Mapping[str, Callable[[Message], None]] = {
            "reading": self._reading,
            "image": self._image,
            "result": self._result,
        }
        federation.observe(self._observe)
        federation.observe_lives(self._live)
        federation.observe_end(self._end)
        federation.takers[dispatcher, LEFT_ALONE] = self._left

    def _observe(self, message: Message) -> None:
        handler = self._handlers.get(message.kind)
        if handler is not None:
            handler(message)

    def _live(self, node: Node) -> None:
        device = self._devices.get(node.order)
        if device is not None and not node.down:
            # Where it is down from the beginning, the first of them begins later.
            device.began[node.lives - 1 :] = [node.born]

    # -- messages

    def _reading(self, message: Message) -> None:
        """A device has kept its own answer, whatever becomes of the message."""
        device = self._devices.get(message.source_order)
        if device is None:
            self._not_named(message)
            return
        row = self._row(device, message)
        if row is not None:
            self._close(device, message.at, row)

    def _image(self, message: Message) -> None:
        """A device asks; if nobody hears that, it is left alone."""
        device = self._devices.get(message.source_order)
        if device is None:
            self._not_named(message)
            return
        row = self._row(device, message)
        if row is None:
            return
        if message.fate:
            self._close(device, message.at, _alone(row))
        else:
            device.open[device.life(message.sent), row.n] = row

    def _not_named(self, message: Message) -> None:
        """Another node sends what may be of a device, or of a model with words of its own."""
        if message.source_order not in self._unnamed:
            try:
                self._samples(message.text)
            except msgspec.MsgspecError:
                return
            self._unnamed.add(message.source_order)

    def _result(self, message: Message) -> None:
        """A result comes, or is lost."""
        device = self._devices.get(message.destination_order)
        if device is None:
            return
        try:
            result = self._results(message.text)
        except msgspec.MsgspecError:
            return
        key = (device.life(message.sent), result.n)
        row = device.open.get(key)
        if row is None or row.sent > message.sent:
            return
        del device.open[key]
        if message.fate:
            row = _alone(row)
        else:
            self._longest = max(self._longest, message.at - row.sent)
            row = Inference(
                row.node, row.n, row.sampled, row.sent, message.at, result.place,
                result.why or "", result.label, result.confidence, row.truth, row.own,
                row.request, message.source_order, message.number,
            )  # fmt: skip
        self._close(device, message.at, row)

    def _left(self, value: Any) -> None:
        """The policy has decided for nobody."""
        try:
            left = self._lefts(value)
        except (TypeError, msgspec.MsgspecError):
            return
        node = self._federation.nodes.get(left.device)
        device = None if node is None else self._devices.get(node.order)
        if device is None:
            return
        for life in reversed(range(len(device.began))):
            if (life, left.n) in device.open:
                device.left[life, left.n] = left.why or NOBODY
                return

    def _end(self, end: int) -> None:
        """The run ends (ns): what is still open stays without a result.

        What has not waited longer than the longest wait for a result is under way: to count it as
        unanswered would make places look worse the farther away they are.
        """
        for message in self._federation.in_flight():
            device = self._devices.get(message.source_order)
            if device is None or message.sent >= end:
                continue
            if message.kind == "image":
                self._image(message)
            elif message.kind == "reading":
                row = self._row(device, message)
                if row is not None:
                    self._recorder.inference(row)
        for device in self._devices.values():
            for key, row in device.open.items():
                left = device.left.get(key)
                young = left is None and end - row.sent <= self._longest
                self._recorder.inference(_cut_off(row) if young else _alone(row, left or NO_ANSWER))
            device.open.clear()
        if self._unnamed:
            self._warn()

    def _warn(self) -> None:
        nodes = self._federation.scenario.nodes
        names = [nodes[order].name for order in sorted(self._unnamed)]
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        _log.warning(
            "the inferences of %s%s are not counted: 'placement.devices' has to name them",
            ", ".join(names[:_MOST_NAMED]),
            more,
        )

    # -- what is known

    def _row(self, device: _Device, message: Message) -> Inference | None:
        """A row for an answer of the device's own, or without any; None if it makes no sense."""
        try:
            sample = self._samples(message.text)
        except msgspec.MsgspecError:
            return None
        label = sample.label
        began = device.began[device.life(message.sent)]
        # A clock that runs wrong does not take pictures before it starts, nor after it asks.
        sampled = min(max(began, began + sample.at * 1000), message.sent)
        known = label is not None
        return Inference(
            device.node.order, sample.n, sampled, message.sent, message.sent if known else None,
            "device" if known else None, sample.why, label, sample.confidence,
            self._label(sample.index), label, message.number,
        )  # fmt: skip

    def _close(self, device: _Device, at: int, row: Inference) -> None:
        """Record an inference that is over; what is measured of it, at `at` (ns)."""
        recorder = self._recorder
        recorder.inference(row)
        if row.place is not None:
            # The numbers depend on the image alone, and not on what became known before it.
            number = _LIFE * (1 + device.life(row.sent)) + 2 * row.n
            recorder.measure(at, device.node, number, "placement", row.place)
            if self._truth is not None:
                right = row.label == row.truth
                recorder.measure(at, device.node, number + 1, "accuracy", right)

    def _label(self, index: int) -> Label:
        """The right label of an image."""
        if self._truth is None:
            return None
        if index not in self._labels:
            try:
                label = self._truth(index)
            except Exception as error:
                raise self._wrong(index, f"raised {type(error).__name__}: {error}") from error
            if hasattr(label, "dtype") and hasattr(label, "item"):
                label = label.item()  # numpy scalars
            if not isinstance(label, (bool, int, float, str)):
                raise self._wrong(index, f"gave {label!r}, and that is no label")
            self._labels[index] = label
        return self._labels[index]

    def _wrong(self, index: int, what: str) -> ModelError:
        return ModelError(
            f"{self._reference} {what}, asked for the label of image {index}",
            None,
            self._federation.now,
        )


def _alone(row: Inference, why: str = NO_ANSWER) -> Inference:
    """The same inference without a result."""
    return row._replace(reason=why)


def _cut_off(row: Inference) -> Inference:
    """The same inference of which it is not known yet what becomes of it."""
    return row._replace(ended=None, place=None, reason=UNDER_WAY, label=None, confidence=None)
