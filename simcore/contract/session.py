"""One start of the program that is examined: HELLO, INIT, exchanges, its end.

Simcore's own decoders and checks look at every answer. What breaks a rule is noted, and the
session goes on where that makes sense, for a program may break several rules.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from simcore.answers import Answers, NetworkAnswers, wrong_in_ready
from simcore.contract.conversation import GRACE, UNASKED, Conversation, loose
from simcore.contract.door import Ground
from simcore.contract.plan import Plan
from simcore.contract.rules import Finding
from simcore.contract.sending import Manner
from simcore.loops import MAX_DEPTH
from simcore.message import Fate, Message
from simcore.participant import Kind, NetworkDone
from simcore.payload import PayloadError, refreeze
from simcore.protocol import frames
from simcore.protocol.channel import ChannelError
from simcore.protocol.frames import ProtocolError
from simcore.protocol.service import Done

_KINDS = ("reactive", "free_running", "network")
_SECOND = 1.0
"""Seconds for which a second answer is waited for, when the first had an old number."""


@dataclass
class Exchange:
    """One ADVANCE and the answer.

    Attributes:
        sent: the line of the ADVANCE.
        came: the line of the answer, canonical.
        outcome: what it did, one text for each output, measurement or fate.
    """

    sent: str
    came: str
    outcome: list[str]


class Session(Conversation):
    """A program that is started and driven.

    Args:
        ground: where sessions take place.
        plan: how to examine.
        note: is told how a rule was broken; may raise.
        manner: how simcore behaves.
        where: what the session is for, as it stands in findings.

    Attributes:
        kind: what the program is.
        grain: of its windows, ns.
        now: virtual time that was reached, ns.
        next: when it is to be advanced, ns.
        inside: messages in a network.
        exchanges: all of them.
        begun: whether the program was started.
        ready: whether it has said what it is.
        wrong: whether an answer broke a rule, so that what was done is not known.
    """

    def __init__(
        self,
        ground: Ground,
        plan: Plan,
        note: Callable[[Finding], None],
        manner: Manner,
        where: str,
    ) -> None:
        super().__init__(ground, plan, note, manner, where)
        self.kind: Kind = plan.kind or "reactive"
        self.grain = 1
        self.now = 0
        self.next: int | None = None
        self.inside: dict[str, Message] = {}
        self.exchanges: list[Exchange] = []
        self.begun = self.ready = self.wrong = False
        self._answers: Any = None
        self._seq = 0
        self._rounds = 0

    # -- the beginning

    def begin(self, time: int = 0, life: int = 1) -> None:
        """Start the program, let it in, and wait until it is ready.

        Args:
            time: virtual time at which its life begins, ns.
            life: number of this life.
        """
        plan = self.plan
        self.begun = True
        self.now = time
        self._door.launch()
        with self._watched("it connected"):
            self._channel = self._door.let_in(self._idle)
        self._doing = "HELLO"
        with self._watched("it said HELLO"):
            line = self._receive(plan.start_timeout, frames.MAX_HELLO)
            self._check_hello(line)
        if self.manner.strict:
            self._expect_silence("HELLO")
        self._doing = "INIT"
        init = frames.Init(
            name=plan.name,
            nodes=list(plan.nodes),
            seed=plan.seed,
            time=time,
            end=time + 100 * plan.duration,
            config=dict(plan.config),
            life=life,
        )
        with self._watched("it was ready"):
            self._send(init)
            self._check_ready(self._receive(plan.start_timeout), time)
        if self.manner.strict:
            self._expect_silence("READY")

    def _check_hello(self, line: bytes) -> None:
        plan = self.plan
        try:
            frames.decode_hello(line)
        except ProtocolError as error:
            self._protocol(error, line, "HELLO")
        given = loose(line)
        if given.get("token") != self._door.token:
            self.note("token", f"HELLO: token is {given.get('token')!r:.80}: not SIMCORE_TOKEN")
        if given.get("name") != plan.name:
            self.note("name", f"HELLO: name is {given.get('name')!r:.80}, not {plan.name!r}")

    def _check_ready(self, line: bytes, now: int) -> None:
        try:
            frame = frames.decode_ready(line)
            if isinstance(frame, frames.Error):
                self._given_up(frame)
        except ProtocolError as error:
            self._protocol(error, line, "READY")
        given = loose(line)
        kind, following, grain = (given.get(key) for key in ("kind", "next", "grain"))
        if kind not in _KINDS:
            self._fail("frame-shape", "READY: its kind cannot be told")
        if self.plan.kind not in (None, kind):
            self.note("kind", f"READY: kind is {kind!r}, and {self.plan.kind!r} is asked for")
        self.kind, self.ready = kind, True
        # What is of no such type was noted with the frame's shape.
        following = following if type(following) is int else None
        grain = grain if type(grain) is int and grain > 0 else 1
        wrong = {error.rule: str(error) for error in wrong_in_ready(kind, following, grain, now)}
        for rule, text in wrong.items():
            self.note(rule, text)
        self.next = None if "next" in wrong else following
        self.grain = 1 if "grain" in wrong else grain
        if kind == "network":
            self._answers = NetworkAnswers()
        else:
            plan = self.plan
            known = dict.fromkeys((*plan.nodes, *plan.peers))
            self._answers = Answers(kind, plan.nodes, known, lambda _: "")

    # -- the exchange

    def advance(self, until: int, messages: Sequence[Message] = ()) -> Exchange:
        """Let the program act, and check its answer.

        Args:
            until: as in ADVANCE, ns.
            messages: its inputs.
        """
        network, since = self.kind == "network", self.now
        if self._seq in self.manner.pauses:
            time.sleep(self.plan.pause)
        self._seq += 1
        self._doing = f"ADVANCE {self._seq}"
        self._count_rounds(until)
        if network:
            self.inside.update((message.id, message) for message in messages)
        with self._watched("it answered"):
            self._send_line(self._answers.advance(self._seq, until, messages))
            line = self._receive(self.plan.timeout)
        frame = self._read(line)
        exchange = Exchange(self._sent.decode(), _canonical(line), [])
        following: int | None
        if frame is None:  # misshaped, which is noted: go on with what can be told
            found = loose(line).get("next")
            following = found if type(found) is int and found >= until else None
            self.now = until
            self.wrong = True
        else:
            following = self._check(frame, since, until, exchange)
        self.next = following
        self.exchanges.append(exchange)
        if self._surplus():
            self._fail("unasked-frame", f"more came after DONE: {self._surplus()[:60]!r}")
        return exchange

    def _count_rounds(self, until: int) -> None:
        again = self.kind == "reactive" and until == self.now and self.next == until
        self._rounds = self._rounds + 1 if again else 0
        if self._rounds > MAX_DEPTH + 1:
            self._fail("rounds", f"DONE: next was {until} more than {MAX_DEPTH} times in a row")

    def _read(self, line: bytes) -> frames.Done | frames.NetworkDone | None:
        """The DONE of a line; None if it breaks a rule."""
        try:
            frame: frames.Done | frames.NetworkDone | frames.Error = self._answers.decode(line)
        except ProtocolError as error:
            self._protocol(error, line, "DONE")
            found = loose(line).get("seq")
            if type(found) is int and found != self._seq:
                self._wrong_sequence(found)
            return None
        if isinstance(frame, frames.Error):
            self._given_up(frame)
        if frame.seq != self._seq:
            self._wrong_sequence(frame.seq)
        return frame

    def _wrong_sequence(self, found: int) -> NoReturn:
        """A number too low is an answer's that came twice, if the right one follows."""
        if found == self._seq - 1:
            with suppress(ChannelError, ProtocolError):
                channel = self._channel
                assert channel is not None
                again = frames.done_decoder(self.kind)(channel.receive(_SECOND))
                if not isinstance(again, frames.Error) and again.seq == self._seq:
                    self._fail("unasked-frame", f"DONE {found} came twice")
        self._fail("sequence", f"DONE: seq is {found}, that of the ADVANCE is {self._seq}")

    def _check(
        self, frame: frames.Done | frames.NetworkDone, since: int, until: int, exchange: Exchange
    ) -> int | None:
        """Hold an answer against the rules; returns when the program wants to be advanced."""
        following = frame.next
        try:
            done = self._answers.read(frame, since, until)
        except ProtocolError as error:
            self.wrong = True
            self.note(error.rule, str(error))
            done = self._read_rest(frame, since, until)
            if following is not None and following < until:
                following = None
        self.now = until
        if done is not None:
            check = self._check_network if self.kind == "network" else self._check_spent
            check(done, exchange)
        return None if self.kind == "free_running" else following

    def _read_rest(self, frame: Any, since: int, until: int) -> Any:
        """What an answer holds besides what is wrong in it: its outputs one by one."""
        if self.kind == "network":
            for each in frame.outputs:
                self.inside.pop(each.id, None)
            return None
        clean = replace_frame(frame, now=until, next=None)
        for key in ("outputs", "measures"):
            kept = []
            for each in getattr(clean, key):
                alone = replace_frame(clean, outputs=[], measures=[])
                with suppress(ProtocolError):
                    self._answers.read(replace_frame(alone, **{key: [each]}), since, until)
                    kept.append(each)
            clean = replace_frame(clean, **{key: kept})
        return self._answers.read(clean, since, until)

    def _check_spent(self, done: Done, exchange: Exchange) -> None:
        for index, each in enumerate(done.outputs):
            cause = each.cause
            spent = each.waited + each.computed
            if cause is not None and each.at - cause.at < spent:
                self.note(
                    "spent",
                    f"DONE: outputs[{index}].spent is {spent} ns in all, and its cause "
                    f"{cause.id} arrived {each.at - cause.at} ns before it",
                )
            fields = (each.source, each.destination, each.kind, each.payload, each.size)
            why = (cause and cause.id, each.waited, each.computed)
            exchange.outcome.append(_text(each.at, "output", *fields, *why))
        for measure in done.measures:
            exchange.outcome.append(_text(measure.at, "measure", *measure[1:]))

    def _check_network(self, done: NetworkDone, exchange: Exchange) -> None:
        self.now = done.now
        for delivery in done.deliveries:
            message = self.inside.pop(delivery.id)
            least = self.plan.least_delay if delivery.fate is Fate.DELIVERED else 0
            if delivery.at < message.entered + least:
                self.note(
                    "least-delay",
                    f"DONE: {delivery.id} came out at {delivery.at}: it entered at "
                    f"{message.entered}, and {least} ns is the least delay",
                )
            exchange.outcome.append(_text(delivery.at, delivery.fate.name.lower(), delivery.id))

    # -- the end

    def shut_down(self) -> None:
        """Send SHUTDOWN, and check how the program ends."""
        self._doing = "SHUTDOWN"
        if self.manner.strict and self._seq:
            self._expect_silence("DONE")
        with self._watched("it said BYE"):
            self._send(frames.Shutdown())
            line = self._receive(self.plan.timeout)
        try:
            bye = frames.decode_bye(line)
            if isinstance(bye, frames.Error):
                self._given_up(bye)
        except ProtocolError as error:
            self._protocol(error, line, "BYE")
        running = self._door.running
        if not running.wait(self.plan.timeout):
            self._fail("exit", f"it said BYE and did not end within {self.plan.timeout:g} s")
        status = running.status()
        if status.kind != "exited" or status.code != 0:
            self.note("exit", f"it said BYE and then {status.describe()}: code 0 is expected")
        channel = self._channel
        assert channel is not None
        with suppress(ChannelError):
            self._came = channel.receive(UNASKED)  # there already, or never
        if self._came is not line or channel.surplus:
            self.note("unasked-frame", f"more came after BYE: {self._came[:60]!r}")
        left = self._door.left_behind(min(self.plan.timeout, GRACE))
        if left:
            self.note("left-behind", f"it has exited, and this still runs: {', '.join(left)}")

    def leave(self) -> None:
        """Close the connection without a word; the program has to end."""
        channel = self._channel
        assert channel is not None
        self._doing = "the end of the connection"
        channel.close()
        if not self._door.running.wait(self.plan.timeout):
            self._fail(
                "end-of-connection",
                f"it did not end within {self.plan.timeout:g} s after simcore had gone",
            )


def replace_frame(frame: Any, **changes: Any) -> Any:
    """A copy of a frame with other fields."""
    fields = {name: getattr(frame, name) for name in frame.__struct_fields__}
    return type(frame)(**{**fields, **changes})


def _canonical(line: bytes) -> str:
    try:
        return refreeze(line)
    except PayloadError:
        return line.decode(errors="backslashreplace")


def _text(at: int, *fields: Any) -> str:
    """What was done at a time, so that texts sort like times."""
    return f"{at:016d} {json.dumps(fields)}"


def derived(finding: Finding, rule: str) -> Finding:
    """A finding of an act, in the name of the rule that the act examines."""
    says = finding.says if finding.rule == rule else f"{finding.says} (rule: {finding.rule})"
    return replace(finding, rule=rule, says=says)
