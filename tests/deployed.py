"""What tests of deploy mode share: a connection that goes nowhere, and a simulated node's life as
that of a deployed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from simcore_backends.mqtt import packets

import simcore
from simcore.protocol.peer import restore


class Said(NamedTuple):
    """A message of MQTT; without a QoS, it has that of the deployed node's messages."""

    topic: str
    payload: bytes
    qos: int | None = None
    retain: bool = False


class Connection:
    """Keeps what is said, and goes nowhere."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.filters: dict[str, int] = {}

    def publish(
        self, topic: str, payload: bytes, qos: int | None = None, *, retain: bool = False
    ) -> None:
        """Keep a message."""
        self.said.append(Said(topic, payload, qos, retain))

    def subscribe(self, text: str, qos: int) -> None:
        """Keep a filter."""
        self.filters[text] = qos

    def unsubscribe(self, text: str) -> None:
        """Forget it."""
        del self.filters[text]


class Life(NamedTuple):
    """What a node was sent and sent itself, in order, as it is on the topics of its deployment."""

    heard: list[Said]
    said: list[Said]


def life_of(run_folder: Path, node: str, deployed: str) -> Life:
    """The life of a node in a run.

    Args:
        run_folder: the run's.
        node: its name.
        deployed: what it is called on the device.
    """
    with simcore.open_run(run_folder) as run:
        columns = "source, destination, kind, payload"
        heard = run.connection.execute(
            f"SELECT {columns} FROM messages WHERE destination = ? AND fate = 'delivered' "
            "ORDER BY at, sent",
            (node,),
        ).fetchall()
        said = run.connection.execute(
            f"SELECT {columns} FROM messages WHERE source = ? ORDER BY number", (node,)
        ).fetchall()
    return Life(*(_as_mqtt(rows, node, deployed) for rows in (heard, said)))


def _as_mqtt(rows: list[tuple[str, str, str, str]], node: str, deployed: str) -> list[Said]:
    found = []
    for source, destination, kind, payload in rows:
        if kind == "mqtt.publish":
            packet = packets.decode(_packet(payload))
            assert isinstance(packet, packets.Publish)
            found.append(Said(packet.topic, packet.payload, packet.qos, packet.retain))
        elif not kind.startswith(("mqtt.", "tcp.")):
            ends = [deployed if each == node else each for each in (destination, source)]
            found.append(Said(f"simcore/{ends[0]}/{ends[1]}/{kind}", payload.encode()))
    return found


def _packet(payload: str) -> bytes:
    data = restore(json.loads(payload))["d"]
    assert isinstance(data, bytes)
    return data
