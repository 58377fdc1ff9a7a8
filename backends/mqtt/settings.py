"""What a broker is set to, the model and Mosquitto alike; and which Mosquitto is modelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .fields import MOST

_LIMITLESS = 1_000_000_000
"""Mosquitto's queue in messages. Not 0, which means the same: until 2.0.22 a broker without a limit
closes the connection of a client that writes to `$SYS`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a broker is set to.

    Args:
        window: messages with QoS 1 and 2 that may be on their way to a client, and with QoS 2 from
            one, before more have to wait; 0 means any number.
        copies: whether a message comes once for each of several subscriptions that match, and not
            only once, with the QoS of the first (`allow_duplicate_messages`).
        connections: how many there may be at a time; None means any number.
        packet: the greatest packet that is taken, in bytes.
    """

    window: int = 20
    copies: bool = False
    connections: int | None = None
    packet: int = MOST


def configuration(settings: Settings, listener: str = "0 mqtt.sock") -> str:
    """The file that sets Mosquitto so.

    Connections and sizes are limited before packets get to the broker, for each version of
    Mosquitto counts in its own way.

    Args:
        settings: what it is set to.
        listener: where it listens: `0` and a path, or a port and an address.
    """
    lines = {
        "listener": listener,
        "allow_anonymous": "true",
        "set_tcp_nodelay": "true",
        "persistence": "false",
        "sys_interval": "0",
        "max_inflight_messages": settings.window,
        "max_queued_messages": _LIMITLESS,
        "max_packet_size": MOST,
        "allow_duplicate_messages": "true" if settings.copies else "false",
        "log_dest": "stderr",
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())


@dataclass(frozen=True, slots=True)
class Dialect:
    """In what versions of Mosquitto differ, as far as a client can see it.

    Args:
        fills_window: whether what was queued is sent only as far as the window is free. Before
            2.0.21, an acknowledgement lets go as many messages as came before it in the window.
        forgets: which topics have lost their place among retained messages, and come behind all
            others when they are back: `none` (before 2.0.16), those that were `deleted`, or `all`
            that an empty message was published on (until 2.0.22).
        parting_will: whether a client that has subscribed to its own will is sent it before its
            connection is closed (since 2.0.13).
        shared_retained: whether a shared subscription is sent retained messages (before 2.0.13).
        heeds_early: whether what acknowledges a message that still waits in the queue counts
            (since 2.1).
    """

    fills_window: bool = True
    forgets: Literal["none", "deleted", "all"] = "deleted"
    parting_will: bool = True
    shared_retained: bool = False
    heeds_early: bool = True


MOSQUITTO_2_1 = Dialect()
"""Mosquitto 2.1. What it says to those who write to `$CONTROL` is not modelled."""
MOSQUITTO_2_0_21 = Dialect(forgets="all", heeds_early=False)
"""Mosquitto 2.0.21 and 2.0.22."""
MOSQUITTO_2_0_11 = Dialect(
    fills_window=False,
    forgets="none",
    parting_will=False,
    shared_retained=True,
    heeds_early=False,
)
"""Mosquitto 2.0.11 and 2.0.12, as in Debian 12 and Ubuntu 22.04."""


DIALECTS = {"2.0.11": MOSQUITTO_2_0_11, "2.0.21": MOSQUITTO_2_0_21, "2.1": MOSQUITTO_2_1}
"""By the first version that is like this."""
MODELLED = MOSQUITTO_2_1
"""The one that a model stands for unless it is said otherwise."""


def dialect_of(version: str) -> Dialect | None:
    """What a version of Mosquitto is like, as `2.0.11`; None for those that are not modelled."""
    parts = tuple(int(part) for part in version.split("."))
    if parts >= (2, 1):
        return MOSQUITTO_2_1
    if parts >= (2, 0, 21):
        return MOSQUITTO_2_0_21
    if parts in ((2, 0, 11), (2, 0, 12)):
        return MOSQUITTO_2_0_11
    return None
