"""The participants of `participants.py`, each with one thing wrong.

    python broken.py MODE

`breaks` says which rules a mode breaks. A function changes, or replaces, frames of a type on
their way out; a class is a participant that is wrong inside.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time

from participants import KINDS, MS, Clerk, Meter, Wire

from peer import Peer, Refused  # isort: skip

AT = 3
"""Number of the DONE at which many go wrong."""


class Mode:
    """A way to be wrong.

    Attributes:
        rules: what it breaks.
        participant: what it is built on.
        on: type of the frames that `change` is called for.
        peer: what it speaks through.
        options: of the plan, beside the defaults.
    """

    change = peer = None

    def __init__(self, rules, participant, on, options):
        self.rules = frozenset(rules)
        self.participant = participant
        self.on = on
        self.options = options


MODES = {}


def breaks(*rules, on="", kind="reactive", **options):
    def register(thing):
        mode = Mode(rules, KINDS[kind], on, options)
        if isinstance(thing, type) and issubclass(thing, Peer):
            mode.peer = thing
        elif isinstance(thing, type):
            mode.participant = thing
        else:
            mode.change = thing
        assert thing.__name__ not in MODES
        MODES[thing.__name__] = mode
        return thing

    return register


class Crooked(Peer):
    """Changes frames before they are written; tampered ones may be bytes."""

    mode: Mode
    count = 0

    def _send_line(self, text):
        frame = json.loads(text)
        self.count += frame["type"] == "DONE"
        frames = [frame]
        if frame["type"] == self.mode.on:
            frames = self.mode.change(frame, self) or frames
        for each in frames:
            data = each if isinstance(each, bytes) else line(each)
            while data:
                data = data[os.write(self._out, data) :]


def line(frame, **options):
    return json.dumps(frame, **options).encode() + b"\n"


def delivered(outputs):
    return any(each["fate"] == "delivered" for each in outputs)


def hang():
    while True:
        signal.pause()


# -- HELLO


@breaks("connect", on="start", start_timeout=0.5)
def never_connects(frame, peer):
    hang()


@breaks("process-ended", on="start")
def exits_at_once(frame, peer):
    sys.exit(7)


@breaks("deadline", on="HELLO", start_timeout=15.0)
def says_nothing(frame, peer):
    hang()


@breaks("process-ended", on="HELLO")
def leaves_before_hello(frame, peer):
    sys.exit(0)


@breaks("token", on="HELLO")
def wrong_token(frame, peer):
    frame["token"] = "0" * 32


@breaks("name", on="HELLO")
def wrong_name(frame, peer):
    frame["name"] = "somebody"


@breaks("protocol-version", on="HELLO")
def other_version(frame, peer):
    frame["protocol"] = 2


@breaks("token", "name", on="HELLO")
def wrong_token_and_name(frame, peer):
    frame["token"] = frame["name"] = "?"


@breaks("line-too-long", on="HELLO")
def long_hello(frame, peer):
    return [line(frame).replace(b"{", b"{" + b" " * 5000)]


@breaks("frame-shape", on="HELLO")
def boastful_hello(frame, peer):
    frame["version"] = "1.2.3"


@breaks("invalid-json", on="HELLO")
def hello_in_words(frame, peer):
    return [b"hello " + frame["name"].encode() + b"\n"]


@breaks("frame-order", on="HELLO")
def ready_instead_of_hello(frame, peer):
    return [{"type": "READY", "kind": "reactive"}]


@breaks("unasked-frame", on="HELLO")
def hello_twice(frame, peer):
    return [frame, frame]


# -- READY


@breaks("deadline", on="READY", start_timeout=15.0)
def never_ready(frame, peer):
    hang()


@breaks("unasked-frame", on="READY")
def ready_twice(frame, peer):
    return [frame, frame]


@breaks("unasked-frame", on="READY")
def begins_by_itself(frame, peer):
    return [line(frame) + line({"type": "DONE", "seq": 1, "now": 0})]


@breaks("frame-order", on="READY")
def done_instead_of_ready(frame, peer):
    return [{"type": "DONE", "seq": 1, "now": 0}]


@breaks("kind", kind="free_running")
class AnotherKind(Meter):
    pass


MODES["AnotherKind"].options = {"kind": "reactive"}


@breaks("frame-shape", on="READY")
def unknown_kind(frame, peer):
    frame["kind"] = "proactive"


@breaks("grain", on="READY")
def grain_of_a_reactive(frame, peer):
    frame["grain"] = 1000


@breaks("frame-shape", on="READY", kind="free_running")
def grain_of_zero(frame, peer):
    frame["grain"] = 0


@breaks("next", on="READY", kind="free_running")
def next_of_a_free_running(frame, peer):
    frame["next"] = 5


@breaks("participant-error")
class CannotBegin(Clerk):
    def start(self, peer):
        super().start(peer)
        self.due = peer.time + peer.config["first"]
        return self.due


# -- DONE: the frame


@breaks("invalid-json", on="DONE")
def not_json(frame, peer):
    return [b"{now: soon}\n"] if peer.count == AT else None


@breaks("invalid-json", on="DONE")
def not_utf8(frame, peer):
    return [line(frame).replace(b"DONE", b"DONE\xff")] if peer.count == AT else None


@breaks("invalid-json", on="DONE")
def empty_line(frame, peer):
    return [b"\n", frame]


@breaks("invalid-json", on="DONE")
def several_lines(frame, peer):
    return [line(frame, indent=2)]


@breaks("invalid-json", on="DONE")
def not_a_number(frame, peer):
    frame["measures"] = [{"at": frame["now"], "name": "heat", "value": float("nan")}]


@breaks("invalid-json", on="DONE", transport="stdio")
def prints(frame, peer):
    return [b"ADVANCE 3: all is well\n", frame] if peer.count == AT else None


@breaks("line-too-long", on="DONE")
def long_line(frame, peer):
    if peer.count == AT:
        frame["measures"] = [{"at": frame["now"], "name": "x", "value": "x" * (17 * 2**20)}]


@breaks("frame-shape", on="DONE")
def misspelt(frame, peer):
    for each in frame["outputs"]:
        each["dest"] = each.pop("dst")


@breaks("frame-shape", on="DONE")
def time_in_seconds(frame, peer):
    for each in frame["outputs"]:
        each["at"] = each["at"] / 1e9


@breaks("frame-shape", on="DONE")
def time_as_text(frame, peer):
    frame["now"] = str(frame["now"])


@breaks("frame-shape", on="DONE")
def negative_spent(frame, peer):
    for each in frame["outputs"]:
        each["spent"] = [-1, 1]


@breaks("frame-shape", on="DONE")
def no_type(frame, peer):
    if peer.count == AT:
        del frame["type"]
        return [line(frame)]
    return None


@breaks("frame-order", on="DONE")
def bye_instead_of_done(frame, peer):
    return [{"type": "BYE"}] if peer.count == AT else None


@breaks("sequence", on="DONE")
def counts_from_elsewhere(frame, peer):
    frame["seq"] += 16


@breaks("sequence", on="DONE")
def does_not_count(frame, peer):
    frame["seq"] = 1


@breaks("unasked-frame", on="DONE")
def done_twice(frame, peer):
    return [line(frame) + line(frame)] if peer.count == AT else None


@breaks("unasked-frame", on="DONE")
def done_twice_one_after_the_other(frame, peer):
    return [frame, frame] if peer.count == AT else None


# -- DONE: what it says


@breaks("now", on="DONE")
def another_now(frame, peer):
    frame["now"] += 1


@breaks("now", on="DONE", kind="free_running")
def now_within_the_window(frame, peer):
    frame["now"] -= 1


@breaks("now", on="DONE", kind="network")
def network_at_until(frame, peer):
    if not delivered(frame["outputs"]):
        frame["now"] = peer._advance.until


@breaks("next", on="DONE")
def next_in_the_past(frame, peer):
    if peer.count == AT:
        frame["next"] = frame["now"] - 1


@breaks("next", on="DONE", kind="free_running")
def next_after_a_window(frame, peer):
    frame["next"] = frame["now"]


@breaks("next", on="DONE", kind="network")
def network_leaves_something_undone(frame, peer):
    if not delivered(frame["outputs"]):
        frame["next"] = frame["now"]


@breaks("output-time", on="DONE")
def output_in_the_past(frame, peer):
    for each in frame["outputs"]:
        each["at"] = frame["now"] - 1


@breaks("output-time", on="DONE", kind="free_running")
def output_behind_the_window(frame, peer):
    for each in frame["outputs"]:
        each["at"] = frame["now"]


@breaks("output-time", kind="free_running")
class OutputBeforeTheWindow(Meter):
    def advance(self, peer, until, inputs):
        super().advance(peer, until, inputs)
        for each in peer._outputs[1:]:
            each["at"] = peer.now - 1


@breaks("output-time", on="DONE", kind="network")
def runs_past_its_delivery(frame, peer):
    if delivered(frame["outputs"]):
        frame["now"] = peer._advance.until - 1
        frame["next"] = None


@breaks("measure-time", on="DONE")
def measure_in_the_past(frame, peer):
    for each in frame["measures"]:
        each["at"] -= 1


@breaks("measure-time", on="DONE", kind="free_running")
def measure_behind_the_window(frame, peer):
    for each in frame["measures"]:
        each["at"] = frame["now"]


@breaks("unknown-destination", on="DONE")
def unknown_destination(frame, peer):
    for each in frame["outputs"]:
        each["dst"] = "pear"


@breaks("unknown-node", on="DONE")
def foreign_source(frame, peer):
    for each in frame["outputs"]:
        each["src"] = "peer"


@breaks("unknown-node", on="DONE", nodes=("a", "b"))
def missing_source(frame, peer):
    for each in frame["outputs"]:
        del each["src"]


@breaks("unknown-node", on="DONE")
def foreign_measure(frame, peer):
    for each in frame["measures"]:
        each["node"] = "peer"


@breaks("unknown-cause", on="DONE")
def unknown_cause(frame, peer):
    for each in frame["outputs"]:
        each["cause"] += "0"


@breaks("payload", on="DONE")
def no_base64(frame, peer):
    for each in frame["outputs"]:
        each["payload"] = {"image": {"$b64": "no base64!"}}


@breaks("payload", on="DONE")
def deep_payload(frame, peer):
    for each in frame["outputs"]:
        for _ in range(70):
            each["payload"] = [each["payload"]]


@breaks("spent", on="DONE")
def spends_what_it_has_not(frame, peer):
    for each in frame["outputs"]:
        each["spent"] = [1, each["spent"][1]]


@breaks("output-time", "unknown-destination", on="DONE")
def two_things_at_once(frame, peer):
    for number, each in enumerate(frame["outputs"]):
        each.update({"at": 0} if (peer.count + number) % 2 else {"dst": "pear"})


@breaks("rounds")
class NeverGoesOn(Clerk):
    def advance(self, peer, until, inputs):
        super().advance(peer, until, inputs)
        return until


@breaks("measures", on="DONE", kind="network")
def network_measures(frame, peer):
    frame["measures"] = [{"at": frame["now"], "name": "load", "value": 1}]


@breaks("unknown-message", on="DONE", kind="network")
def unknown_message(frame, peer):
    for each in frame["outputs"]:
        each["id"] += "0"


@breaks("unknown-message", kind="network")
class DeliversTwice(Wire):
    last = None

    def advance(self, peer, until, inputs):
        following = super().advance(peer, until, inputs)
        if delivered(peer._outputs):
            self.last = peer._outputs[-1]["id"]
        elif self.last is not None:
            peer.settle(self.last, until - 1)
        return following


@breaks("fate", kind="network")
class Forgets(Wire):
    def advance(self, peer, until, inputs):
        return super().advance(peer, until, [each for each in inputs if each.id[-1] != "2"])


@breaks("least-delay", kind="network")
class FasterThanItself(Wire):
    def takes(self, message, lost):
        return -1


@breaks("least-delay", kind="network", least_delay=4 * MS)
class FasterThanPromised(Wire):
    pass


# -- while it runs


@breaks("deadline", on="DONE", timeout=3.0)
def hangs(frame, peer):
    if peer.count == AT:
        hang()


@breaks("deadline", on="DONE", timeout=3.0)
def half_a_line(frame, peer):
    return [line(frame)[:-1]] if peer.count == AT else None


@breaks("process-ended", on="DONE")
def exits(frame, peer):
    if peer.count == AT:
        sys.exit(3)


@breaks("process-ended", on="DONE")
def is_killed(frame, peer):
    if peer.count == AT:
        os.kill(os.getpid(), signal.SIGKILL)


@breaks("participant-error")
class Raises(Clerk):
    def answer(self, peer, message):
        super().answer(peer, message)
        assert self.served < AT


@breaks("connection", on="DONE")
def closes(frame, peer):
    if peer.count == AT:
        os.close(peer._out)
        hang()


@breaks("connection", on="DONE")
def stops_sending(frame, peer):
    if peer.count == AT:
        socket.socket(fileno=peer._out).shutdown(socket.SHUT_WR)
        hang()


# -- the end


@breaks("exit", on="BYE")
def ends_badly(frame, peer):
    os.write(peer._out, line(frame))
    os._exit(4)


@breaks("exit", on="BYE", timeout=3.0)
def never_ends(frame, peer):
    os.write(peer._out, line(frame))
    hang()


@breaks("process-ended", on="BYE")
def no_bye(frame, peer):
    os._exit(0)


@breaks("deadline", on="BYE", timeout=3.0)
def ignores_shutdown(frame, peer):
    hang()


@breaks("unasked-frame", on="BYE")
def speaks_after_bye(frame, peer):
    return [frame, {"type": "ERROR", "message": "one more thing"}]


@breaks("unasked-frame", on="BYE")
def last_words(frame, peer):
    return [{"type": "DONE", "seq": peer.count, "now": peer.now}, frame]


@breaks("left-behind", on="BYE", timeout=3.0)
def leaves_a_child(frame, peer):
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 100)
        hang()


# -- conduct


@breaks("repeatable")
class RollsItsOwnDice(Clerk):
    def start(self, peer):
        super().start(peer)
        self.random = random.Random()
        return self.due


@breaks("repeatable", kind="free_running")
class TellsTheTime(Meter):
    def advance(self, peer, until, inputs):
        super().advance(peer, until, inputs)
        peer.record("clock", time.monotonic_ns(), at=until - 1)


@breaks("pace", pause=6.0)
class GrowsImpatient(Clerk):
    def start(self, peer):
        self.answered = time.monotonic()
        return super().start(peer)

    def advance(self, peer, until, inputs):
        waited = time.monotonic() - self.answered
        following = super().advance(peer, until, inputs)
        peer.record("timeouts", int(waited / 5))
        self.answered = time.monotonic()
        return following


@breaks("pieces")
class OneReadIsOneFrame(Crooked):
    def _read(self):
        data = super()._read()
        assert data.endswith(b"\n") or len(data) > 1000
        return data


@breaks("unknown-field")
class KnowsAllFields(Crooked):
    known = frozenset(
        ("type", "protocol", "name", "nodes", "seed", "time", "end", "life", "config",
         "seq", "until", "inputs")
    )  # fmt: skip

    def _frame(self, *expected):
        frame = super()._frame(*expected)
        assert self.known.issuperset(frame)
        return frame


@breaks("empty-advance")
class ExpectsInput(Clerk):
    def advance(self, peer, until, inputs):
        assert inputs[0]
        return super().advance(peer, until, inputs)


@breaks("empty-advance", kind="free_running")
class ExpectsInputInEachWindow(Meter):
    def advance(self, peer, until, inputs):
        assert inputs[0]
        super().advance(peer, until, inputs)


@breaks("same-instant")
class TimeMovesOn(Clerk):
    last = -1

    def advance(self, peer, until, inputs):
        assert until > self.last
        self.last = until
        return super().advance(peer, until, inputs)


@breaks("keeps-next")
class ForgetsItsTimer(Clerk):
    def advance(self, peer, until, inputs):
        following = super().advance(peer, until, inputs)
        while self.due <= until:
            self.due = following = self.due + self.period
        return following if any(each.kind == "message" for each in inputs) else None


@breaks("window-edges", kind="free_running")
class MissesTheFirstInstant(Meter):
    def advance(self, peer, until, inputs):
        assert all(peer.now < each.at for each in inputs)
        super().advance(peer, until, inputs)


@breaks("window-edges", kind="free_running")
class MissesTheLastInstant(Meter):
    def advance(self, peer, until, inputs):
        assert all(each.at < until - 1 for each in inputs)
        super().advance(peer, until, inputs)


@breaks("text")
class SpeaksAscii(Clerk):
    def answer(self, peer, message):
        assert str(message.payload).isascii()
        super().answer(peer, message)


@breaks("text", kind="free_running")
class SplitsAtBraces(Crooked):
    def _line(self):
        text = super()._line()
        assert text.count("{") == text.count("}")
        return text


@breaks("numbers")
class CountsIn32Bits(Clerk):
    def answer(self, peer, message):
        for number in message.payload.get("contract", ()):
            assert not isinstance(number, int) or abs(number) < 2**31
        super().answer(peer, message)


@breaks("nesting")
class StaysShallow(Clerk):
    def answer(self, peer, message):
        assert depth(message.payload) < 20
        super().answer(peer, message)


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@breaks("bytes")
class ThinksInJson(Clerk):
    def answer(self, peer, message):
        json.dumps(message.payload)
        super().answer(peer, message)


@breaks("long-line")
class SmallBuffer(Crooked):
    def _line(self):
        text = super()._line()
        assert len(text) < 2**19
        return text


@breaks("many-inputs")
class SmallTable(Clerk):
    def advance(self, peer, until, inputs):
        assert len(inputs) < 100
        return super().advance(peer, until, inputs)


@breaks("many-inputs", kind="network")
class SmallQueue(Wire):
    def advance(self, peer, until, inputs):
        assert len(self.events) < 100
        return super().advance(peer, until, inputs)


@breaks("many-inputs")
class RemembersTheFirst(Clerk):
    first = None

    def answer(self, peer, message):
        self.first = self.first or message
        super().answer(peer, message)
        peer._outputs[-1]["cause"] = self.first.id
        peer._outputs[-1].pop("spent")


@breaks("later-life")
class BeginsAtZero(Clerk):
    def start(self, peer):
        super().start(peer)
        self.due = self.period
        return self.due


@breaks("later-life", kind="free_running")
class CountsFromZero(Meter):
    def start(self, peer):
        super().start(peer)
        self.tick = self.period


@breaks("large-times")
class SmallClock(Clerk):
    def advance(self, peer, until, inputs):
        assert until < 2**48
        return super().advance(peer, until, inputs)


@breaks("split-window", kind="free_running")
class ReportsAtTheEnd(Meter):
    def advance(self, peer, until, inputs):
        super().advance(peer, until, inputs)
        peer.record("windows", 1, at=until - 1)


@breaks("split-window", kind="network")
class CountsItsGrants(Wire):
    grants = 0

    def advance(self, peer, until, inputs):
        self.grants += 1
        self.delay = Wire.delay + self.grants
        return super().advance(peer, until, inputs)


@breaks("keeps-inputs", kind="network")
class ForgetsWhatEntersLater(Wire):
    def advance(self, peer, until, inputs):
        super().advance(peer, until, inputs)
        if peer._outputs:
            stop = peer._outputs[-1]["at"]
            self.events = [each for each in self.events if each[2].at <= stop - self.delay // 2]
        return self.events[0][0] if self.events else None


@breaks("early-shutdown")
class ExpectsWork(Crooked):
    def _frame(self, *expected):
        frame = super()._frame(*expected)
        assert frame["type"] != "SHUTDOWN" or self.count
        return frame


@breaks("end-of-connection", timeout=3.0)
class WaitsForever(Crooked):
    def _read(self):
        try:
            return super()._read()
        except SystemExit:
            hang()


def main(name):
    mode = MODES[name]
    Crooked.mode = mode
    if mode.on == "start":
        mode.change(None, None)
    participant = mode.participant()
    try:
        with (mode.peer or Crooked).connect() as peer:
            begin = participant.start(peer)
            peer.ready(participant.kind, begin, getattr(participant, "grain", 1))
            for advance in peer.advances():
                peer.done(next=participant.advance(peer, advance.until, advance.inputs))
    except Refused as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1])
