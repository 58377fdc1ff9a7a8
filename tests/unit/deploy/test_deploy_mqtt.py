"""What a deployed service says to its scenario's broker, and what it hears of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployed import Connection, Said
from hypothesis import given
from hypothesis import strategies as st
from simcore_backends import mqtt as api
from simcore_backends.mqtt.options import bytes_of
from simcore_backends.services.deploy.mqtt import Given, Mqtt
from simcore_backends.services.deploy.node import MAX_PAYLOAD, Node, make_host
from simcore_backends.services.deploy.topics import Topics

from simcore.payload import PayloadError, refreeze, thaw
from simcore.protocol.service import Context, Incoming

GIVEN = Given("broker")


class World:
    """A node, and its service: does what it is told, and notes what it hears."""

    def __init__(
        self, at_start: Callable[[Context], None] = lambda ctx: None, given: Given = GIVEN
    ):
        world = self

        class Service:
            def start(self, ctx: Context) -> None:
                at_start(ctx)

            def on_message(self, ctx: Context, msg: Incoming) -> None:
                if msg.kind == "do":
                    world.todo(ctx)
                else:
                    world.heard.append(msg)

        self.heard: list[Incoming] = []
        self.todo: Callable[[Context], None] = lambda ctx: None
        self.connection = Connection()
        topics = Topics("simcore", "gateway")
        host = make_host(Service, "gateway", 1, 1, {}, Path())
        self.node = Node(
            host, topics, self.connection, Mqtt(given, topics, self.connection), lambda: 7
        )
        self.node.start()

    def do(self, todo: Callable[[Context], None]) -> list[Said]:
        """What the service says when it does something."""
        self.todo = todo
        self.node.receive("simcore/gateway/test/do", b"null")
        said, self.connection.said = self.connection.said, []
        return said


@pytest.mark.parametrize("value", [b"", b"\0\xff", "text", None, {"b": 1e-5, "a": [b"x"]}, 20])
def test_what_travels_are_the_bytes_of_a_simulation(value: Any) -> None:
    (said,) = World().do(lambda ctx: api.publish(ctx, "plant/level", value, 1, retain=True))
    assert said == Said("plant/level", bytes_of(value), 1, True)


def test_without_a_word_of_it_a_message_has_no_content_qos_0_and_is_not_kept() -> None:
    assert World().do(lambda ctx: ctx.send("hub", "mqtt.publish", {"topic": "t"})) == [
        Said("t", b"", 0, False)
    ]


def test_subscriptions_come_and_go() -> None:
    world = World(lambda ctx: api.subscribe(ctx, "plant/#", 2))
    assert world.connection.filters == {"plant/#": 2}
    world.do(lambda ctx: api.subscribe(ctx, "plant/#", 1))
    world.do(lambda ctx: api.subscribe(ctx, "$share/all/other/+"))
    assert world.connection.filters == {"plant/#": 1, "$share/all/other/+": 0}
    world.do(lambda ctx: api.unsubscribe(ctx, "plant/#"))
    assert world.connection.filters == {"$share/all/other/+": 0}


def test_what_arrives_is_what_arrives_in_a_simulation() -> None:
    world = World(lambda ctx: api.subscribe(ctx, "plant/+"), Given("hub"))
    world.node.receive("plant/7", b' {"a": 1e22} ', True, 2)
    world.node.receive("plant/7", b"{no json")
    first, second = world.heard
    assert (first.source, first.kind, first.id, first.size) == ("hub", "mqtt.message", "hub/1", 13)
    assert first.payload == {"topic": "plant/7", "payload": {"a": 1e22}, "qos": 2, "retain": True}
    assert second.id == "hub/2"
    assert second.payload == {
        "topic": "plant/7", "payload": b"{no json", "qos": 0, "retain": False
    }  # fmt: skip


@given(st.binary() | st.text(alphabet='0123456789.eE+-[]{}:," \\ntfu$b64=Aé').map(str.encode))
def test_bytes_are_taken_for_what_a_simulation_takes_them_for(data: bytes) -> None:
    world = World(given=Given("broker", (("#", 0),)))
    world.node.receive("t", data)
    try:
        expected = thaw(refreeze(data))
    except PayloadError:
        expected = data
    assert world.heard[0].payload["payload"] == expected


@pytest.mark.parametrize(
    ("text", "topic", "fits"),
    [
        ("plant/+/level", "plant/1/level", True),
        ("plant/+/level", "plant/1/state", False),
        ("$share/g/plant/#", "plant/1", True),
        ("#", "$SYS/broker/uptime", False),
        ("other", "plant", False),
    ],
)
def test_what_nobody_subscribed_to_is_not_handed_over(
    text: str, topic: str, fits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # The broker may still have a subscription of an earlier life.
    world = World(given=Given("broker", ((text, 0),)))
    world.node.receive(topic, b"1")
    assert bool(world.heard) == fits
    said = [record.getMessage() for record in caplog.records]
    refusal = f"{topic} refused: the service has not subscribed to it, in this life"
    assert said == ([] if fits else [refusal])


def test_messages_of_nodes_are_none_of_its_mqtt(caplog: pytest.LogCaptureFixture) -> None:
    world = World(given=Given("broker", (("#", 0),)))
    world.node.receive("simcore/cloud/gateway/result", b"1")  # its own, for another node
    world.node.receive("simcore", b"1")
    world.node.receive("simcore/gateway/status", b"online", True)
    assert world.heard == [] and caplog.records == []
    world.node.receive("simcore/gateway/meter/reading", b"1")
    assert [(msg.source, msg.kind) for msg in world.heard] == [("meter", "reading")]


def test_too_long_a_payload(caplog: pytest.LogCaptureFixture) -> None:
    world = World(given=Given("broker", (("#", 0),)))
    world.node.receive("t", bytes(MAX_PAYLOAD + 1))
    assert world.heard == []
    assert "16777217 bytes" in caplog.text


@pytest.mark.parametrize(
    ("kind", "payload", "why"),
    [
        ("mqtt.publish", {"topic": "a/#"}, "has no wildcard"),
        ("mqtt.publish", {"topic": "a", "qos": 3}, "QoS is 0, 1 or 2"),
        ("mqtt.publish", {"topic": "a", "qos": True}, "its 'qos' is True, and that is no number"),
        ("mqtt.publish", {"topic": "é" * 40_000}, "65535"),
        ("mqtt.publish", {"payload": 1}, "its payload lacks 'topic'"),
        ("mqtt.publish", {"topic": "simcore/gateway/status"}, "topics below simcore/ are those of"),
        ("mqtt.subscribe", {"filter": "a/#/b"}, "'#' is the last level"),
        ("mqtt.subscribe", {"filter": "a", "qos": 3}, "QoS is 0, 1 or 2"),
        ("mqtt.subscribe", {"filter": "simcore/+/status"}, "topics below simcore/ are those of"),
        ("mqtt.subscribe", {"filter": "$share/g/simcore/#"}, "topics below simcore/ are those of"),
        ("mqtt.subscribe", [], "its payload is to have the fields filter, qos"),
        ("mqtt.unsubscribe", {"filter": ""}, "one character at least"),
        ("mqtt.disconnect", None, "a deployed node stays connected"),
    ],
)
def test_what_cannot_be_done_is_logged_and_the_rest_is_done(
    kind: str, payload: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    def todo(ctx: Context) -> None:
        ctx.send("broker", kind, payload)
        api.publish(ctx, "after", 1)

    world = World()
    assert world.do(todo) == [Said("after", b"1", 0, False)]
    assert world.connection.filters == {}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("the service cannot send: ")
    assert why in record.getMessage()


def test_it_is_connected_anyway(caplog: pytest.LogCaptureFixture) -> None:
    assert World().do(api.connect) == []
    assert caplog.records == []


def test_events_are_for_those_who_want_them() -> None:
    for events in (True, False):
        world = World(given=Given("broker", events=events))
        world.node.connected(True)
        world.node.lost("it is gone")
        heard = [(msg.source, msg.kind, msg.payload) for msg in world.heard]
        assert (
            heard
            == [
                ("broker", "mqtt.connected", {"session_present": True}),
                ("broker", "mqtt.lost", {"final": False, "why": "it is gone"}),
            ]
            * events
        )


def test_a_message_that_the_service_cannot_bear_is_named_by_its_topic(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fragile:
        def on_message(self, ctx: Context, msg: Incoming) -> None:
            raise RuntimeError(json.dumps(msg.payload))

    topics, connection = Topics("simcore", "gateway"), Connection()
    own = Mqtt(Given("broker", (("plant/#", 0),)), topics, connection)
    node = Node(make_host(Fragile, "gateway", 1, 1, {}, Path()), topics, connection, own, lambda: 7)
    node.start()
    node.receive("plant/7", b"1")
    assert "the service raised at plant/7; what it was to send then is dropped" in caplog.text
