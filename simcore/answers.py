"""What participants are told and answer, checked against the run and made simcore's own.

A dialect writes ADVANCE and reads DONE. Whether a frame is well formed is known when it is read
against the run: the exchange that it answers, the times that were granted, the nodes and messages
that there are. What breaks a rule is named with its place in the frame; `docs/protocol.md` lists
the rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, Protocol

from msgspec import Raw

from simcore.message import Fate, Message
from simcore.participant import Delivery, Kind, NetworkDone
from simcore.payload import PayloadError, refreeze
from simcore.protocol import frames
from simcore.protocol.frames import Input, NetworkInput, ProtocolError, encode
from simcore.protocol.service import Done, Measure, Output
from simcore.units import MAX_TIME

CAUSES = 256
"""Inputs of earlier exchanges that may still be named as a cause."""

_NOTHING = (0, 0)
_FATES = {each.name.lower(): each for each in Fate}


class Dialect(Protocol):
    """How a participant is told to advance, and how its answer is to be understood."""

    def advance(self, seq: int, until: int, messages: Sequence[Message]) -> bytes:
        """The line of an ADVANCE.

        Raises:
            ProtocolError: it would be too long.
        """

    def decode(self, line: bytes) -> Any:
        """The frame of a line: a DONE with `seq` and `now`, or an ERROR.

        Raises:
            ProtocolError: it is neither.
        """

    def read(self, frame: Any, since: int, until: int) -> Done | NetworkDone:
        """What a DONE says.

        Args:
            frame: from `decode`.
            since: beginning of the window, ns.
            until: the instant, or the end of the window, that was granted, ns.

        Raises:
            ProtocolError: it breaks a rule.
        """

    def give_up(self, id: str) -> None:
        """A message's fate may come or not; see `Participant.give_up`."""

    def clear(self) -> None:
        """Let go of all messages."""


def wrong_in_ready(
    kind: Kind, following: int | None, grain: int, now: int
) -> Iterator[ProtocolError]:
    """What is wrong in a READY whose kind is right.

    Args:
        following: its `next`, ns.
        grain: its `grain`, ns.
        now: `time` of the INIT that it answers, ns.
    """
    if following is not None and kind == "free_running":
        yield ProtocolError("next", "READY: next must be null for a free-running participant")
    elif following is not None and following < now:
        yield ProtocolError("next", f"READY: next is {following}, before INIT.time ({now})")
    if grain != 1 and kind != "free_running":
        yield ProtocolError("grain", "READY: grain is for free-running participants only")


def check_ready(ready: frames.Ready | frames.Error, kind: Kind, now: int) -> tuple[int, int | None]:
    """The grain (ns) and the first `next` (ns) of a READY.

    Args:
        ready: what came.
        kind: what the scenario has the participant as.
        now: `time` of the INIT that it answers, ns.

    Raises:
        ProtocolError: it is none, or breaks a rule.
    """
    if isinstance(ready, frames.Error):
        raise given_up(ready)
    if ready.kind != kind:
        raise ProtocolError(
            "kind", f"READY: kind is {ready.kind!r}, the scenario has it as {kind!r}"
        )
    for wrong in wrong_in_ready(kind, ready.next, ready.grain, now):
        raise wrong
    return ready.grain, ready.next


def given_up(frame: frames.Error) -> ProtocolError:
    """What a participant says itself of its failure."""
    detail = "".join(f"\n    {line}" for line in frame.detail.splitlines())
    return ProtocolError("participant-error", frame.message + detail)


def wrong_sequence(found: int, expected: int) -> ProtocolError:
    """The rule that an answer to another ADVANCE breaks."""
    if found < expected:
        return ProtocolError(
            "unasked-frame", f"DONE: seq is {found}, which was answered before: it came unasked"
        )
    return ProtocolError("sequence", f"DONE: seq is {found}, that of the ADVANCE is {expected}")


def unasked(surplus: bytes) -> ProtocolError:
    """The rule that bytes behind an answer break."""
    return ProtocolError(
        "unasked-frame",
        f"{len(surplus)} bytes came unasked after the answer: {surplus[:60]!r}",
    )


class Answers:
    """The rules for one life of a reactive or free-running participant.

    Args:
        kind: reactive or free_running.
        nodes: names of the nodes that it hosts.
        known: all nodes of the run.
        hint: what a misspelt name of a node may mean, as text to append.
        find: the input that an id stands for in what is sent at a time (ns), or None; without, one
            of those that were handed over last.
        dismiss: told of an id that stands for none, and the time (ns); whether the message is to be
            sent without a cause. Without, it breaks a rule.
    """

    def __init__(
        self,
        kind: Kind,
        nodes: Sequence[str],
        known: Container[str],
        hint: Callable[[object], str],
        *,
        find: Callable[[str, int], Message | None] | None = None,
        dismiss: Callable[[str, int], bool] | None = None,
    ) -> None:
        self._find = find or self._find_input
        self._dismiss = dismiss or (lambda id, at: False)
        self._free = kind == "free_running"
        self._nodes = frozenset(nodes)
        self._several = len(nodes) > 1
        self._known = known
        self._hint = hint
        self._inputs: dict[str, Message] = {}
        self._ids: deque[str] = deque()

    decode = staticmethod(frames.done_decoder("reactive"))

    def advance(self, seq: int, until: int, messages: Sequence[Message]) -> bytes:
        """The line of an ADVANCE; each message may be named as a cause from now on."""
        self.note(messages)
        found = [
            Input(
                message.at,
                message.id,
                message.sender.name,
                message.receiver.name,
                message.kind,
                Raw(message.text),
                message.size,
                message.sent,
            )
            for message in messages
        ]
        return encode(frames.Advance(seq, until, found))

    def note(self, messages: Sequence[Message]) -> None:
        """Messages that were handed over: each may be named as a cause from now on."""
        known, ids = self._inputs, self._ids
        while len(ids) > CAUSES:
            del known[ids.popleft()]
        for message in messages:
            known[message.id] = message
            ids.append(message.id)

    def _find_input(self, id: str, at: int) -> Message | None:
        found = self._inputs.get(id)
        return None if found is not None and found.at > at else found

    def read(self, frame: frames.Done, since: int, until: int) -> Done:
        """What a DONE says; see `Dialect.read`."""
        if frame.now != until:
            raise ProtocolError(
                "now", f"DONE: now is {frame.now}, ADVANCE said until {until}: they must be equal"
            )
        if self._free:
            low, high = since, until - 1
            if frame.next is not None:
                raise ProtocolError(
                    "next", "DONE: next must be null: free-running participants get every window"
                )
        else:
            low, high = until, MAX_TIME
            if frame.next is not None and frame.next < until:
                raise ProtocolError("next", f"DONE: next is {frame.next}, before now ({until})")
        # The hot path: which rule is broken is looked into only when one is.
        known, ours, several = self._known, self._nodes, self._several
        outputs: list[Output] = []
        for each in frame.outputs:
            at, destination, source, cause = each.at, each.dst, each.src, None
            if (
                not low <= at <= high
                or destination not in known
                or ((several or source is not None) and source not in ours)
                or (
                    each.cause is not None
                    and (cause := self._find(each.cause, at)) is None
                    and not self._dismiss(each.cause, at)
                )
            ):
                raise self._wrong(each, low, high, len(outputs))
            try:
                payload = refreeze(each.payload)
            except PayloadError as error:
                raise ProtocolError("payload", f"DONE: outputs[{len(outputs)}]: {error}") from None
            waited, computed = each.spent or _NOTHING
            outputs.append(
                Output(
                    at, destination, each.kind, payload, each.size, cause, waited, computed, source
                )
            )
        measures = [self._measure(each, low, high, i) for i, each in enumerate(frame.measures)]
        return Done(outputs, measures, frame.next)

    def _wrong(self, given: frames.Output, low: int, high: int, index: int) -> ProtocolError:
        """The rule that an output breaks."""
        if not low <= given.at <= high:
            return _at_wrong_time("output-time", f"outputs[{index}]", given.at, low, high)
        if given.dst not in self._known:
            return ProtocolError(
                "unknown-destination",
                f"DONE: outputs[{index}].dst: there is no node {given.dst!r}"
                f"{self._hint(given.dst)}",
            )
        if (self._several or given.src is not None) and given.src not in self._nodes:
            return self._not_ours(f"outputs[{index}].src", given.src)
        cause = self._inputs.get(given.cause or "")
        if cause is not None:
            return ProtocolError(
                "unknown-cause",
                f"DONE: outputs[{index}].cause: {given.cause!r} arrives at {cause.at}, after what "
                f"it is to have led to, at {given.at}",
            )
        return ProtocolError(
            "unknown-cause",
            f"DONE: outputs[{index}].cause: {given.cause!r} is none of the inputs of this "
            f"ADVANCE, nor of the last {CAUSES} before it",
        )

    def _measure(self, given: frames.Measure, low: int, high: int, index: int) -> Measure:
        if not low <= given.at <= high:
            raise _at_wrong_time("measure-time", f"measures[{index}]", given.at, low, high)
        node = given.node
        if (self._several or node is not None) and node not in self._nodes:
            raise self._not_ours(f"measures[{index}].node", node)
        return Measure(given.at, given.name, given.value, node)

    def _not_ours(self, place: str, name: str | None) -> ProtocolError:
        hosted = sorted(self._nodes)
        listed = ", ".join(hosted[:5]) + (", ..." if len(hosted) > 5 else "")
        if name is None:
            text = f"DONE: {place} is missing: this participant hosts several nodes ({listed})"
        else:
            text = f"DONE: {place}: {name!r} is no node of this participant; it hosts {listed}"
        return ProtocolError("unknown-node", text)

    def give_up(self, id: str) -> None:
        """Of networks only."""

    def clear(self) -> None:
        """Let go of all messages."""
        self._inputs.clear()
        self._ids.clear()


class NetworkAnswers:
    """The rules for a network participant."""

    def __init__(self) -> None:
        self._inside: set[str] = set()
        self._patient = False
        self._last: dict[str, int] = {}
        self._clock = 0

    decode = staticmethod(frames.done_decoder("network"))

    def advance(self, seq: int, until: int, messages: Sequence[Message]) -> bytes:
        """The line of an ADVANCE."""
        return encode(frames.NetworkAdvance(seq, until, self.enter(messages)))

    def enter(self, messages: Sequence[Message]) -> list[NetworkInput]:
        """Messages that are in the network from now on, with all but what they contain."""
        entered = []
        for message in messages:
            source, number = message.sender.name, message.number
            id = f"{source}/{number}"
            self._inside.add(id)
            self._last[source] = number
            at, destination = message.entered, message.receiver.name
            entered.append(NetworkInput(at, id, source, destination, message.size, message.sent))
        return entered

    def read(self, frame: frames.NetworkDone, since: int, until: int) -> NetworkDone:
        """What a DONE says; see `Dialect.read`."""
        now = frame.now
        if not self._clock <= now < until:
            raise ProtocolError(
                "now",
                f"DONE: now is {now}: it must lie between the clock so far ({self._clock}) and "
                f"until ({until}), which does not belong to what was granted",
            )
        if frame.measures:
            raise ProtocolError("measures", "DONE: a network has no node that measures")
        deliveries = self._settled(frame.outputs, now)
        following = frame.next
        if following is not None and following < until:
            if all(each.fate is not Fate.DELIVERED for each in deliveries):
                raise ProtocolError(
                    "next",
                    f"DONE: next is {following}: without a delivery, everything before "
                    f"{until} is to be done",
                )
            if following < now:
                raise ProtocolError("next", f"DONE: next is {following}, before now ({now})")
        self._clock = now
        return NetworkDone(now, following, deliveries)

    def give_up(self, id: str) -> None:
        """Nobody waits for a message any more; it may have a fate all the same, or none."""
        self._inside.discard(id)
        self._patient = True

    def _given_up(self, id: str) -> bool:
        # Which ones is not kept: a network that loses messages in silence may do so for ever.
        source, _, number = id.rpartition("/")
        if not self._patient or not number.isdecimal() or len(number) > 16:
            return False
        return int(number) <= self._last.get(source, 0)

    def _settled(self, given: Iterable[frames.Delivery], now: int) -> list[Delivery]:
        deliveries: list[Delivery] = []
        inside = self._inside
        for each in given:
            id, at, fate = each.id, each.at, _FATES[each.fate]
            if id not in inside and not self._given_up(id):
                raise ProtocolError(
                    "unknown-message",
                    f"DONE: outputs[{len(deliveries)}].id: {id!r} is not in the network",
                )
            low = now if fate is Fate.DELIVERED else self._clock
            if not low <= at <= now:
                raise _at_wrong_time("output-time", f"outputs[{len(deliveries)}]", at, low, now)
            inside.discard(id)
            deliveries.append(Delivery(id, at, fate))
        return deliveries

    def clear(self) -> None:
        """Forget what is inside."""
        self._inside.clear()


def _at_wrong_time(rule: str, place: str, at: int, low: int, high: int) -> ProtocolError:
    allowed = f"{low}" if low == high else f"{low} to {high}"
    if high >= MAX_TIME:
        allowed = f"{low} or later"
    return ProtocolError(rule, f"DONE: {place}.at is {at}: it must be {allowed}")
