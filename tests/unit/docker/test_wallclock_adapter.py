"""The adapter of an unmodified container: windows, and what is told and said in them.

test, as simcore --frames--> adapter --> freezer that notes what it is told
                             |    `----> talk that notes what it is handed, and answers
                             `---------- a clock that goes when the test has nothing to do
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simcore_backends.docker.engine import EngineError
from simcore_backends.docker.freezer import FreezeError, Gone
from simcore_backends.docker.wallclock.adapter import GRAIN, Adapter
from simcore_backends.docker.wallclock.clock import RunningClock
from simcore_backends.docker.wallclock.outbox import Outbox
from simcore_backends.docker.wallclock.web import NotOpen

from simcore.launch import LaunchError, Status
from simcore.protocol.channel import Channel, ChannelClosed
from simcore.protocol.peer import Message
from simcore.protocol.pipes import Pipes

MS = 1_000_000
TEN = 10 * MS


class Box:
    """A container, its freezer and who speaks with it, in one."""

    pid = None
    name = "of the test"

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.started = threading.Event()
        self.started.set()
        self.ended = False
        self.closed = False
        self.failing: dict[str, Exception] = {}
        self.on_hand: Callable[[Message], None] = lambda message: None
        self.outbox: Outbox | None = None

    def _note(self, what: str) -> None:
        self.log.append(what)
        if what in self.failing:
            raise self.failing[what]

    # -- the container

    def await_start(self, timeout_s: float) -> bool:
        if "start" in self.failing:
            raise self.failing["start"]
        return self.started.wait(timeout_s)

    def status(self) -> Status:
        return Status("exited", 3) if self.ended else Status("running")

    def wait(self, timeout_s: float) -> bool:
        self.log.append("wait")
        return True

    def describe(self) -> str:
        return ""

    def tail(self, lines: int = 10) -> list[str]:
        return []

    def end(self, grace_s: float = 0.0) -> Status:
        return self.status()

    kill = status

    # -- its freezer

    def freeze(self) -> None:
        self._note("freeze")

    def thaw(self) -> None:
        self._note("thaw")

    # -- who speaks with it

    def make_talk(self, outbox: Outbox) -> Box:
        self.outbox = outbox
        return self

    def open(self, deadline: float, check: Callable[[], None]) -> None:
        self._note("open")
        while self.closed:
            check()

    def hand(self, message: Message) -> None:
        self.log.append(message.payload)
        self.on_hand(message)

    def close(self) -> None:
        self.log.append("close")


class Simcore:
    """The side of the wire that the test has."""

    def __init__(self, box: Box) -> None:
        ours, its = Pipes.pair()
        self.box = box
        environment = {"SIMCORE_TOKEN": "token", "SIMCORE_NAME": "sink"}
        self.adapter = Adapter(box, its, environment, box.make_talk, self._freezer, 1.0)
        self.adapter.start()
        its.close()
        self.channel = Channel(ours, "sink")
        self.seq = 0
        hello = self.hear()
        assert hello == {"type": "HELLO", "protocol": 1, "token": "token", "name": "sink"}

    def _freezer(self) -> Box:
        self.box._note("find")
        return self.box

    def hear(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.channel.receive(60))
        return found

    def tell(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}).encode() + b"\n", 60)

    def init(self, time: int = 0) -> None:
        self.tell(
            "INIT", name="sink", nodes=["sink"], seed=1, time=time, end=10**9, life=1, config={}
        )

    def ready(self, time: int = 0) -> None:
        self.init(time)
        expected = {"type": "READY", "kind": "free_running", "next": None, "grain": GRAIN}
        assert self.hear() == expected

    def advance(self, until: int, *inputs: tuple[int, Any]) -> dict[str, Any]:
        """One window; returns the answer."""
        self.seq += 1
        given = [
            {
                "at": at, "id": f"sensor/{at}", "src": "sensor", "dst": "sink", "kind": "reading",
                "payload": payload, "size": 1, "sent": 0,
            }
            for at, payload in inputs
        ]  # fmt: skip
        self.tell("ADVANCE", seq=self.seq, until=until, inputs=given)
        return self.hear()


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Wall time (ns) that passes while the adapter waits, and then by exactly what it wanted."""
    now = [5]

    class Wake(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += round((timeout or 0) * 1e9)
            return self.is_set()

    module = "simcore_backends.docker.wallclock.adapter"
    monkeypatch.setattr(f"{module}.RunningClock", lambda begin: RunningClock(begin, lambda: now[0]))
    monkeypatch.setattr(f"{module}.Event", Wake)
    return now


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def simcore(box: Box, wall: list[int]) -> Iterator[Simcore]:
    made = Simcore(box)
    yield made
    made.adapter.stop()
    made.channel.close()


def test_windows(box: Box, simcore: Simcore) -> None:
    def answer(message: Message) -> None:
        assert box.outbox is not None
        box.outbox.answer(message, "answer", [message.payload], 3)

    box.on_hand = answer
    simcore.ready()
    assert box.log == ["find", "open", "freeze"]
    done = simcore.advance(TEN, (2 * MS, "a"), (2 * MS, "b"), (9 * MS, "c"))
    assert box.log[3:] == ["thaw", "a", "b", "c", "freeze"]
    assert (done["seq"], done["now"], done["next"]) == (1, TEN, None)
    assert [(each["at"], each["cause"], each["payload"]) for each in done["outputs"]] == [
        (2 * MS, "sensor/2000000", ["a"]),
        (2 * MS, "sensor/2000000", ["b"]),
        (9 * MS, "sensor/9000000", ["c"]),
    ]
    [output, *_] = done["outputs"]
    assert (output["dst"], output["kind"], output["size"]) == ("sensor", "answer", 3)
    assert output["spent"] == [0, 0]
    assert done["measures"] == [{"at": TEN - 1, "name": "overrun_ms", "value": 0.0}]
    done = simcore.advance(2 * TEN)
    assert box.log[8:] == ["thaw", "freeze"]
    assert done["outputs"] == []
    simcore.tell("SHUTDOWN")
    assert simcore.hear() == {"type": "BYE"}
    assert str(simcore.adapter.pace) == (
        "2 windows, overrun by 0.000 ms on average, 0.000 ms at worst; "
        "3 messages, handed over late by 0.000 ms on average, 0.000 ms at worst"
    )


def test_what_a_window_is_overrun_by_is_taken_from_the_next(
    box: Box, simcore: Simcore, wall: list[int]
) -> None:
    """
    window      |0        10|10       20|20       30|
    runs        |--------------|   |-----|  |---------|
    wall        0              13       20
    """
    freeze = box.freeze

    def slow() -> None:
        wall[0] += 3 * MS
        assert box.outbox is not None
        box.outbox.say("panel", "word", "late", 4)  # in time that it should not have
        freeze()

    simcore.ready()
    box.freeze = slow  # type: ignore[method-assign]
    began = wall[0]
    done = simcore.advance(TEN, (1 * MS, "a"))
    assert done["outputs"] == []
    assert wall[0] - began == 13 * MS
    assert done["measures"][0]["value"] == 3.0
    box.freeze = freeze  # type: ignore[method-assign]
    done = simcore.advance(2 * TEN, (11 * MS, "b"), (12 * MS, "c"))
    assert wall[0] - began == 20 * MS
    assert done["measures"][0]["value"] == 0.0
    # It said so at 13 ms of its own time, which lies in this window.
    assert [(each["at"], each["payload"]) for each in done["outputs"]] == [(13 * MS, "late")]
    assert str(simcore.adapter.pace) == (
        "2 windows, overrun by 1.500 ms on average, 3.000 ms at worst; "
        "3 messages, handed over late by 1.000 ms on average, 2.000 ms at worst"
    )


def test_a_window_that_the_last_one_has_used_up(
    box: Box, simcore: Simcore, wall: list[int]
) -> None:
    freeze = box.freeze

    def slow() -> None:
        wall[0] += 25 * MS
        freeze()

    simcore.ready()
    box.freeze = slow  # type: ignore[method-assign]
    simcore.advance(TEN)
    box.freeze = freeze  # type: ignore[method-assign]
    log = list(box.log)
    done = simcore.advance(2 * TEN, (15 * MS, "a"))
    assert box.log == log  # it is not let run, and is handed nothing
    assert done["measures"] == []
    simcore.advance(3 * TEN)
    assert simcore.advance(4 * TEN)["measures"][0]["value"] == 0.0
    assert "a" in box.log


def test_a_life_that_begins_later(box: Box, simcore: Simcore) -> None:
    simcore.ready(time=7 * TEN)
    assert box.outbox is not None
    box.outbox.say("panel", "word", "early", 5)
    done = simcore.advance(8 * TEN)
    assert [each["at"] for each in done["outputs"]] == [7 * TEN]


FAILING = {
    "open": (NotOpen("nobody listens"), "sink: nobody listens within 1 s"),
    "find": (EngineError("the engine is busy"), "sink: the engine is busy"),
    "freeze": (
        FreezeError("the kernel did not"),
        "sink: it cannot be held between two windows: the kernel did not",
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_what_fails_before_it_is_ready(box: Box, simcore: Simcore, what: str) -> None:
    error, says = FAILING[what]
    box.failing[what] = error
    simcore.init()
    assert simcore.hear() == {"type": "ERROR", "message": says, "detail": ""}
    with pytest.raises(ChannelClosed):
        simcore.channel.receive(60)
    assert box.log[-1] == "close"


@pytest.mark.parametrize("how", ["stopped", "ended"])
def test_what_is_waited_for_in_vain(box: Box, simcore: Simcore, how: str) -> None:
    """It never can be spoken with, and then it is no longer wanted, or has ended."""
    box.closed = True
    simcore.init()
    if how == "stopped":
        simcore.adapter.stop()
    else:
        box.ended = True
    with pytest.raises(ChannelClosed):
        simcore.channel.receive(60)
    assert box.log[-1] == "close"


def test_what_it_says_without_end(box: Box, simcore: Simcore) -> None:
    def prattle(message: Message) -> None:
        assert box.outbox is not None
        for _ in range(10_001):
            box.outbox.say("panel", "word", 1, 1)

    box.on_hand = prattle
    simcore.ready()
    found = simcore.advance(TEN, (0, "a"))
    assert found["type"] == "ERROR"
    assert found["message"].startswith("sink: it printed or answered more than 10,000 times")


@pytest.mark.parametrize("when", ["start", "thaw", "freeze", "ended"])
def test_a_container_that_ends_is_not_spoken_of(box: Box, simcore: Simcore, when: str) -> None:
    """The connection closes, and simcore says how the container has ended."""
    if when == "start":
        box.failing["start"] = LaunchError("docker", "no such image")
        simcore.init()
    else:
        simcore.ready()
        if when == "ended":
            box.ended = True
        else:
            box.failing[when] = Gone()
        simcore.tell("ADVANCE", seq=1, until=TEN, inputs=[])
    with pytest.raises(ChannelClosed):
        simcore.channel.receive(60)
    assert box.log[-1] == "close"
    assert ("wait" in box.log) is (when in ("thaw", "freeze"))


def test_a_defect_is_told(box: Box, simcore: Simcore) -> None:
    simcore.ready()
    box.failing["thaw"] = ZeroDivisionError("of the test")
    found = simcore.advance(TEN)
    assert found["message"] == "ZeroDivisionError: of the test"
    assert found["detail"].startswith("Traceback")


def test_stopped_while_a_window_is_open(box: Box) -> None:
    """On the clock on the wall: a window of ten minutes ends as soon as nobody wants it."""
    handed = threading.Event()
    box.on_hand = lambda message: handed.set()
    simcore = Simcore(box)
    simcore.ready()
    simcore.tell(
        "ADVANCE", seq=1, until=600 * 10**9,
        inputs=[
            {"at": 0, "id": "a/1", "src": "a", "dst": "sink", "kind": "k", "payload": 1,
             "size": 1, "sent": 0}
        ],
    )  # fmt: skip
    assert handed.wait(60)
    simcore.adapter.stop()
    with pytest.raises(ChannelClosed):
        simcore.channel.receive(60)
    assert box.log[-2:] == [1, "close"]  # and it was not held once more
    simcore.channel.close()


def test_simcore_is_gone(box: Box) -> None:
    threads, files = set(threading.enumerate()), set(os.listdir("/proc/self/fd"))
    simcore = Simcore(box)
    [thread] = set(threading.enumerate()) - threads
    simcore.channel.close()
    thread.join(60)
    assert box.log == ["close"]
    assert set(os.listdir("/proc/self/fd")) <= files
