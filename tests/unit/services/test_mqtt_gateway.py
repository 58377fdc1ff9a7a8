"""The service between topics and nodes that speak no MQTT.

meter (x 2) ---- gateway ---- broker ---- display
"""

from __future__ import annotations

import pytest
from simcore_backends import mqtt
from simcore_backends.mqtt.service import MqttBroker
from simcore_backends.services import mqtt_gateway
from simcore_backends.services.mqtt_gateway import MqttGateway
from worlds import both, play, world

from simcore import Node


def meter(node):
    yield node.sleep("1s")
    node.send("gateway", "reading", {"value": node.index})
    node.send("gateway", "status", "well")
    message = yield node.receive()
    node.record("told", f"{message.kind} {message.payload} {message.size}")
    node.send("gateway", "thanks", cause=message)
    node.record("origin", message.origin)


def display(node: Node):
    mqtt.subscribe(node, "#", 2)
    while True:
        message = yield node.receive()
        found = message.payload
        node.record("got", f"{found['topic']} {found['payload']} {found['qos']}")
        if found["topic"] == "plant/meter-1/reading":
            mqtt.publish(node, "plant/meter-1/command/set/now", 7, 1, cause=message)


def run(config, **nodes):
    return play(
        world(
            {
                "meter": {"does": meter, "count": 2},
                "other": None,
                "gateway": {"does": MqttGateway, "config": config},
                "display": display,
                "hub": MqttBroker,
                **nodes,
            },
            [
                both("meter", "gateway"),
                both("other", "gateway"),
                both("gateway", "hub"),
                both("display", "hub"),
            ],
            lasts="3s",
            extensions={"mqtt": {"broker": "hub", "clients": {"gateway": {}, "display": {}}}},
        )
    )


@pytest.mark.parametrize(("size", "bytes_"), [({}, 1), ({"size": "16B"}, 16)])
def test_messages_go_from_nodes_to_topics_and_back(size, bytes_):
    order = {"filter": "plant/+/command/#", "to": "{1}", "kind": "order", "qos": 1}
    told = run(
        {
            "broker": "hub",
            "publish": [
                {"from": "meter-0", "kind": "status", "topic": "nobody"},
                {"from": "meter", "kind": "reading", "topic": "plant/{source}/{kind}", "qos": 2},
                {"kind": "status", "topic": "status/{source}", "retain": True},
            ],
            "subscribe": [order | size],
        }
    )
    assert sorted(told.measured("got")) == [
        "nobody well 0",  # the first entry that fits counts
        "plant/meter-0/reading {'value': 0} 2",
        "plant/meter-1/command/set/now 7 1",
        "plant/meter-1/reading {'value': 1} 2",
        "status/meter-1 well 0",
    ]
    assert told.measured("told") == [f"order 7 {bytes_}"]
    assert told.measured("origin") == [10**9]  # when the meter sent its reading
    assert told.measured("unexpected") == ["thanks"]


def test_what_no_entry_fits_is_recorded():
    told = run({"broker": "hub"})
    assert told.measured("got") == []
    assert told.measured("unexpected") == ["reading", "status"] * 2


@pytest.mark.parametrize(
    ("text", "topic", "found"),
    [
        ("a/+/b", "a/x/b", ["x"]),
        ("+/+/#", "a/b/c/d", ["a", "b", "c/d"]),
        ("#", "a/b", ["a/b"]),
        ("a/#", "a", [""]),
        ("a", "a", []),
    ],
)
def test_wildcards_stand_for_levels(text, topic, found):
    assert mqtt_gateway._found(text, topic) == found


@pytest.mark.parametrize(
    ("wanted", "source", "fits"),
    [
        (None, "anybody", True),
        ("meter", "meter", True),
        ("meter", "meter-12", True),
        ("meter-1", "meter-12", False),
        ("meter", "meter-main", False),
        ("meter", "other-1", False),
    ],
)
def test_a_group_stands_for_its_members(wanted, source, fits):
    assert mqtt_gateway._is_from(wanted, source) is fits
