"""When a segment is sent again: the retransmission timer of TCP (RFC 6298), in whole nanoseconds.

The timeout (RTO) follows the round trips that are measured: their mean and their variation. That of
a segment which was sent twice is no measurement, as nobody knows which copy was answered (Karn). A
timeout that has passed is doubled until something new is acknowledged. So do lwIP, the stack of
many small devices, and Linux, whose segments carry time stamps; by the RFC it would stay doubled
until a round trip is measured again, and with 20 % loss nothing but the longest timeout would
bound the mean delay.
"""

from __future__ import annotations

from typing import NamedTuple

MS = 1_000_000
SECOND = 1_000_000_000
GRANULARITY = MS
"""The G of RFC 6298: what is added to the mean at least."""


class Tuning(NamedTuple):
    """What a connection's timer is set to; times in ns.

    The least timeout and the retries are those of Linux, the rest those of RFC 6298, which asks
    for a second at least. Where Linux differs otherwise (it bounds the variation, not the sum), the
    RFC is followed.
    """

    rto_min: int = 200 * MS
    rto_initial: int = SECOND
    rto_max: int = 60 * SECOND
    retries: int = 15
    """How often a segment is sent again before the connection is given up."""
    syn_retries: int = 6
    """The same of the first one, which opens the connection."""


class Estimator:
    """The timeout of one end of a connection.

    Attributes:
        rto: the present timeout, ns.
    """

    __slots__ = ("_mean", "_settled", "_tuning", "_variation", "rto")

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._mean: int | None = None
        self._variation = 0
        self._settled = self.rto = self._bounded(tuning.rto_initial)

    def measured(self, round_trip: int) -> None:
        """Take a round trip, in ns, of a segment that was sent once (section 2)."""
        if self._mean is None:
            self._mean, self._variation = round_trip, round_trip // 2
        else:
            self._variation = (3 * self._variation + abs(self._mean - round_trip)) // 4
            self._mean = (7 * self._mean + round_trip) // 8
        self._settled = self._bounded(self._mean + max(GRANULARITY, 4 * self._variation))

    def acknowledged(self) -> None:
        """Something new has been acknowledged; what it measures was noted before."""
        self.rto = self._settled

    def back_off(self) -> None:
        """A timeout has passed (5.5)."""
        self.rto = self._bounded(2 * self.rto)

    def opened_late(self) -> None:
        """The connection is open, and the segment that opened it was sent more than once (5.7)."""
        if self._mean is None:
            self._settled = self._bounded(max(3 * SECOND, self._tuning.rto_initial))

    def _bounded(self, timeout: int) -> int:
        return min(max(timeout, self._tuning.rto_min), self._tuning.rto_max)
