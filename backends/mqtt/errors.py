"""What can go wrong with MQTT: a packet that is none, a broker that is not there."""

from __future__ import annotations

from simcore.errors import SimcoreError


class Malformed(ValueError):
    """Bytes that are no MQTT 3.1.1 packet, or a packet that may not be sent.

    Args:
        clause: the statement of the specification that is broken, as `MQTT-2.3.1-1`, or the
            section, as `MQTT-2.2.3`, where no statement has a number.
        what: what is wrong.
    """

    def __init__(self, clause: str, what: str) -> None:
        super().__init__(f"{what} [{clause}]")
        self.clause = clause


class UnknownLevel(Malformed):
    """A CONNECT of another version of MQTT."""


class BrokerError(SimcoreError):
    """A broker that takes part cannot be used any more: who, what came, what to do."""

    reason = "broker"


class Unanswered(BrokerError):
    """A broker that has not answered in time."""
