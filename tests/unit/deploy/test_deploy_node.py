"""A deployed node on a clock and a broker that the test holds in its hands."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from simcore_backends.services.deploy.mqtt import Given, Mqtt
from simcore_backends.services.deploy.node import MAX_PAYLOAD, Node, make_host
from simcore_backends.services.deploy.topics import Topics
from simcore_backends.services.echo import Echo

from simcore.payload import freeze
from simcore.protocol.service import Context, Incoming, ServiceHost

MQTT = Given("broker")


class World:
    """A node, its clock, and what it has published."""

    def __init__(
        self, service: type, config: Mapping[str, Any] = {}, mqtt: Given = MQTT, **options: Any
    ) -> None:
        self.now = 1_000_000_000_000
        self.published: list[tuple[str, Any]] = []
        options = {"seed": 1, "life": 1, "base": Path(), **options}
        host = make_host(service, "gateway", config=config, **options)
        topics = Topics("simcore", "gateway")
        own = Mqtt(mqtt, topics, self)
        self.node = Node(host, topics, self, own, lambda: self.now)
        self.node.start()

    def publish(
        self, topic: str, payload: bytes, qos: int | None = None, *, retain: bool = False
    ) -> None:
        assert (qos, retain) == (None, False)  # the node's own messages
        self.published.append((topic, json.loads(payload)))

    def subscribe(self, text: str, qos: int) -> None:
        raise AssertionError((text, qos))

    def unsubscribe(self, text: str) -> None:
        raise AssertionError(text)

    def say(self, value: Any, source: str = "meter", kind: str = "reading") -> None:
        self.node.receive(f"simcore/gateway/{source}/{kind}", json.dumps(value).encode())

    def heard(self) -> list[tuple[str, Any]]:
        """What was published since the last time."""
        found, self.published = self.published, []
        return found


def test_answers_go_to_the_topic_of_the_sender() -> None:
    world = World(Echo)
    world.say({"b": 1, "a": {"$b64": "AAE="}})
    world.say([1.5], source="meter-2")
    assert world.heard() == [
        ("simcore/meter/gateway/echo", {"a": {"$b64": "AAE="}, "b": 1}),
        ("simcore/meter-2/gateway/echo", [1.5]),
    ]


class Curious:
    def on_message(self, ctx: Context, msg: Incoming) -> None:
        assert isinstance(msg.payload, bytes)
        ctx.reply(msg, "seen", [msg.id, msg.source, msg.kind, msg.size, msg.sent, ctx.now])


def test_what_a_service_sees_of_a_message() -> None:
    world = World(Curious)
    for _ in range(2):
        world.now += 5
        world.say({"$b64": "AAE="}, kind="image")
    world.say({"$b64": "AAE="}, source="other")
    assert [value for _, value in world.heard()] == [
        ["meter/1", "meter", "image", 16, 5, 5],
        ["meter/2", "meter", "image", 16, 10, 10],
        ["other/1", "other", "reading", 16, 10, 10],
    ]


class Clock:
    def start(self, ctx: Context) -> None:
        ctx.set_timer("tick", "250ms")

    def on_timer(self, ctx: Context, name: str) -> None:
        ctx.send("cloud", name, ctx.now)
        ctx.set_timer("tick", "250ms")


def test_timers_keep_to_the_clock() -> None:
    world = World(Clock)
    assert world.node.due == 0.25
    world.now += 249_999_999
    world.node.tick()
    assert world.heard() == []
    assert world.node.due == 1e-9
    world.now += 51  # the machine is late
    world.node.tick()
    assert world.heard() == [("simcore/cloud/gateway/tick", 250_000_050)]
    world.now += 10**9
    assert world.node.due == 0
    world.node.tick()
    assert len(world.heard()) == 1  # what was slept through is not made up for


def test_without_timers_nothing_is_due() -> None:
    assert World(Echo).node.due is None


class Worker:
    def on_message(self, ctx: Context, msg: Incoming) -> None:
        drawn = ctx.random.random()
        end = ctx.compute({"min": "1s", "exponential": "10s"})
        ctx.record("load", 0.5)
        ctx.reply(msg, "done", [drawn, end == ctx.now, ctx.stream("compute").random()])


def test_declared_computing_is_not_waited_for() -> None:
    world = World(Worker)
    world.now += 7
    world.say(None)
    (topic, (_, at_once, _)), measure = world.heard()
    assert (topic, at_once) == ("simcore/meter/gateway/done", True)
    assert measure == ("simcore/gateway/measures", {"at": 7, "name": "load", "value": 0.5})


@pytest.mark.parametrize("life", [1, 2])
def test_random_numbers_are_those_of_a_simulation(life: int) -> None:
    simulated = ServiceHost(
        Worker(), name="gateway", seed=42, config={}, base=Path(), freeze=freeze, life=life
    )
    simulated.advance(0, [])
    world = World(Worker, seed=42, life=life)
    for _ in range(3):
        world.say(None)
        (output,) = simulated.advance(0, [_Plain()]).outputs
        drawn, _, after = json.loads(output.payload)
        assert world.heard()[0][1] == [drawn, True, after]


class _Plain:
    id, source, kind, payload, size, sent = "meter/1", "meter", "reading", None, 4, 0


class Fragile:
    def start(self, ctx: Context) -> None:
        ctx.set_timer("bad", "1s")
        ctx.set_timer("good", "1s")

    def on_message(self, ctx: Context, msg: Incoming) -> None:
        ctx.reply(msg, "half", 1)
        ctx.record("half", 1)
        ctx.reply(msg, "answer", 1 / msg.payload)

    def on_timer(self, ctx: Context, name: str) -> None:
        if name == "bad":
            raise RuntimeError("the timer is bad")
        ctx.send("cloud", name)


def test_after_an_exception_the_service_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Fragile)
    world.say(0)
    assert world.heard() == []
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "the service raised at 'reading' of meter; what it was to send then is dropped"
    )
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError
    world.say(2)
    assert world.heard()[1] == ("simcore/meter/gateway/answer", 0.5)


def test_after_an_exception_other_timers_are_still_due(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Fragile)
    world.now += 10**9
    world.node.tick()
    assert world.heard() == []
    assert world.node.due == 0
    world.node.tick()
    assert world.heard() == [("simcore/cloud/gateway/good", None)]
    assert world.node.due is None
    assert [record.getMessage()[:35] for record in caplog.records] == [
        "the service raised at a timer; what"
    ]


@pytest.mark.parametrize(
    ("topic", "payload", "retained", "reason"),
    [
        ("simcore/gateway/meter/reading", b"{", False, "no JSON"),
        ("simcore/gateway/meter/reading", b"", False, "no JSON"),
        ("simcore/gateway/meter/reading", b"1", True, "retained"),
        ("simcore/gateway/meter", b"1", False, "SOURCE/KIND"),
        ("simcore/gateway/meter/reading/x", b"1", False, "SOURCE/KIND"),
        ("simcore/gateway/meter/reading", b"0" * (MAX_PAYLOAD + 1), False, "16777217 bytes"),
    ],
)
def test_what_is_no_message_is_logged_and_survived(
    topic: str, payload: bytes, retained: bool, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(Echo)
    world.node.receive(topic, payload, retained)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{topic} refused: ")
    assert reason in record.getMessage()
    world.say("still here")
    assert world.heard() == [("simcore/meter/gateway/echo", "still here")]


@pytest.mark.parametrize("own", ["status", "measures"])
def test_its_own_words_come_back_from_the_broker_and_are_no_message(
    own: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(Echo)
    world.node.receive(f"simcore/gateway/{own}", b"online", True)
    assert world.heard() == []
    assert caplog.records == []


class Careless:
    def on_message(self, ctx: Context, msg: Incoming) -> None:
        ctx.send("no/node", "x")
        ctx.record("nothing", float("nan"))
        ctx.reply(msg, "answer")


def test_what_cannot_be_sent_is_logged_and_the_rest_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(Careless)
    world.say(1)
    assert world.heard() == [("simcore/meter/gateway/answer", None)]
    assert [record.getMessage() for record in caplog.records] == [
        "the service cannot send: 'no/node' is no name of a node",
        "the service cannot record 'nothing': payload.value is nan: "
        "JSON has no such number; send None or a string",
    ]


class Broken:
    def start(self, ctx: Context) -> None:
        raise OSError("no model")


def test_a_service_that_cannot_start_is_the_callers_business() -> None:
    with pytest.raises(OSError, match="no model"):
        World(Broken)
