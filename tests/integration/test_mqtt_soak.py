"""Whole runs of random troubles: what QoS promises holds whatever happens to links and clients.

    sensor (x 4) ---- broker ---- gateway (x 2)

Links lose, reorder and repeat by what the transport does about it; they go down for a while, long
enough for connections to end. One sensor crashes now and then. The broker lives.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from mqtt_worlds import run, texts
from simcore_backends import mqtt
from worlds import both

LAST = 120
"""Virtual time (s) until which there is trouble; then there is time to get over it."""


def sensor(node: Any) -> Any:
    yield node.sleep("30s")  # until then all have subscribed
    for number in range(60):
        yield node.sleep(round(node.random.expovariate(1 / 1.4e9)))
        qos = node.random.randrange(3)
        mqtt.publish(node, f"t/{node.name}", [node.lives, number], qos)
        node.record("sent", f"t/{node.name} [{node.lives}, {number}] {qos}")


def gateway(node: Any) -> Any:
    while True:
        message = yield node.receive("mqtt.message")
        found = message.payload
        node.record("got", f"{found['topic']} {found['payload']} {found['qos']}")


def trouble(rng: Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Links and faults."""
    delay = {"min": "5ms", "exponential": f"{rng.choice([1, 20, 150])}ms"}
    links = [
        both("sensor", "broker", delay, loss=rng.choice([0, 0.05, 0.25])),
        both("gateway", "broker", delay, loss=rng.choice([0, 0.05, 0.25]), ordered=True),
    ]
    faults: list[dict[str, Any]] = []
    for _ in range(rng.randrange(1, 5)):
        name = rng.choice(["sensor-0", "sensor-1", "gateway-0"])
        lasts = f"{rng.choice([300, 3000, 12_000, 25_000])}ms"
        at = f"{rng.randrange(31_000, LAST * 1000)}ms"
        faults.append({"at": at, "for": lasts, "link": [name, "broker"], "down": True})
    for _ in range(rng.randrange(2)):
        at = f"{rng.randrange(31_000, LAST * 1000)}ms"
        faults.append(
            {"at": at, "for": f"{rng.randrange(1, 20)}s", "node": "sensor-3", "crash": True}
        )
    return links, faults


@pytest.mark.parametrize("seed", range(12))
def test_what_is_promised_holds(seed: int) -> None:
    links, faults = trouble(Random(seed))
    keeps = {"clean": False, "keepalive": "6s", "reconnect": {"min": "1s", "max": "4s"}}
    told = run(
        {"sensor": {"does": sensor, "count": 4}, "gateway": {"does": gateway, "count": 2}},
        {"sensor": keeps, "gateway": {**keeps, "subscribe": [{"filter": "t/#", "qos": 2}]}},
        links=links,
        faults=faults,
        lasts=f"{LAST + 400}s",
        seed=seed,
    )
    # The counters of a life: what a client had not sent when it crashed is gone with it.
    crashed = any("node" in fault for fault in faults)
    sent = [
        text
        for name in ("sensor-0", "sensor-1", "sensor-2", "sensor-3")
        if not (crashed and name == "sensor-3")
        for text in texts(told, name, "sent")
    ]
    assert len(sent) >= 180
    for name in ("gateway-0", "gateway-1"):
        got = Counter(texts(told, name))
        for text in sent:
            qos = int(text[-1])
            if qos == 2:
                assert got[text] == 1, text
            elif qos == 1:
                assert got[text] >= 1, text
            else:
                assert got[text] <= 1, text
