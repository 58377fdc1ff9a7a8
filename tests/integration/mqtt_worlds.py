"""Runs with MQTT, as the tests of several files have them.

    sensor (x n) ---- broker ---- gateway

All nodes are clients; the links take 10 ms and 2 ms unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import worlds
from simcore_backends.mqtt.service import MqttBroker
from worlds import Told, both, world

from simcore import Node

MS = 10**6
S = 10**9


def listener(node: Node) -> Any:
    """Measures what arrives, as topic, payload, QoS and whether it was kept."""
    while True:
        message = yield node.receive()
        if message.kind == "mqtt.message":
            found = message.payload
            kept = " kept" if found["retain"] else ""
            node.record("got", f"{found['topic']} {found['payload']} {found['qos']}{kept}")
        else:
            node.record("event", f"{message.kind} {message.payload}")


def run(
    nodes: Mapping[str, Any],
    clients: Mapping[str, Any] | None = None,
    *,
    links: Sequence[Mapping[str, Any]] | None = None,
    broker: Any = MqttBroker,
    transport: Mapping[str, Any] | None = None,
    out: Path | None = None,
    drive: worlds.Drive | None = None,
    **keys: Any,
) -> Told:
    """Run a world with a broker; all other nodes are clients unless it is said who is."""
    does = {**nodes, "broker": broker}
    if links is None and "network" not in keys:
        links = [both(name, "broker", "10ms") for name in nodes]
    value: dict[str, Any] = {"broker": "broker", "clients": clients or {name: {} for name in nodes}}
    if transport is not None:
        value["transport"] = transport
    return worlds.play(world(does, links, extensions={"mqtt": value}, **keys), drive, out=out)


def segments(told: Told, source: str, destination: str) -> list[str]:
    """What went from one node to another: time in ms, kind, and its fate unless it arrived."""
    found = []
    for at, id, to, kind, *_, sent, fate in told.messages(to=destination):
        del at, to
        if id.startswith(f"{source}/"):
            found.append(f"{sent / MS:g} {kind}" + ("" if fate == "delivered" else f" {fate}"))
    return found


def got(told: Told, node: str, name: str = "got") -> list[tuple[int, Any]]:
    """What a node measured, and when."""
    return [
        (line[0], line[6])
        for line in told.lines
        if line[1] == "measurement" and line[2] == node and line[4] == name
    ]


def texts(told: Told, node: str, name: str = "got") -> list[Any]:
    """What a node measured."""
    return [value for _, value in got(told, node, name)]
