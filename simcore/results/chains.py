"""Where the time between two messages went, for very many chains of causes at once.

What one inference took is spread over the messages that led from its request to its answer: up to
some twenty of them with a broker in between, and a run may have a million inferences. So messages
are columns of integers here, one place for each, and all chains are walked at the same time, one
cause further with each step.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from simcore.results.tables import has_rows

Ints = NDArray[np.int64]

RADIO, WAN, LAN = range(3)
"""What a link or a message over one leads over: it has an end on a device; else in the cloud."""

_CHUNK = 100_000
_LONGEST = 10_000
"""Messages of one chain; only a damaged run, whose causes lead in a circle, has more."""

# Most of the time goes into making a Python number of each value, so two of them share one.
_NUMBER, _SIZE = 38, 32
"""Bits of a message's number, and of its size."""
_MESSAGE = f"(source << {_NUMBER}) | number, (destination << {_SIZE}) | size, sent, at"
_TRAIL = (
    f"(source << {_NUMBER}) | number, coalesce((cause_source << {_NUMBER}) | cause_number, 0), "
    "queued, waited, computed"
)


class Messages:
    """The messages of a run by place: those of one node side by side, by their numbers.

    Args:
        connection: the run's database.
        chosen: whether only those named in the temporary table `chosen` are wanted.

    Attributes:
        sent: when each left its source, ns.
        at: when its fate came, ns.
        size: bytes on the network.
        cause: place of the message that led to it; 0 if there is none.
        queued: time in the queues of links, ns.
        waited: time its computation waited for a worker before it was sent, ns.
        computed: time of that computation, ns.

    Place 0 is no message: it was never sent and weighs nothing.
    """

    def __init__(self, connection: sqlite3.Connection, *, chosen: bool = False) -> None:
        count = connection.execute("SELECT coalesce(max(id), -1) + 1 FROM node").fetchone()[0]
        most = np.zeros(count + 1, dtype=np.int64)
        for source, number in connection.execute(
            f"SELECT source, max(number) FROM {_of('message', chosen)} GROUP BY source"
        ):
            most[source + 1] = number
        self._before: Ints = np.cumsum(most)
        self._most = most[1:]
        length = int(self._before[-1]) + 1
        self.sent, self.at, self.queued, self.waited, self.computed = (
            np.zeros(length, dtype=np.int64) for _ in range(5)
        )
        # Half the memory; a message that weighs more than 2 GiB is no message.
        self.size, self.cause = (np.zeros(length, dtype=np.int32) for _ in range(2))
        self._medium = np.zeros(length, dtype=np.int8)
        self._read(connection, chosen)
        self._moved = self._read_hops(connection, chosen)

    def place(self, source: Ints, number: Ints) -> Ints:
        """Places of messages; 0 for those that the run does not have, or with a negative source."""
        if len(self._most) == 0:
            return np.zeros(len(source), dtype=np.int64)
        known = (source >= 0) & (source < len(self._most)) & (number > 0)
        safe = np.where(known, source, 0)
        known &= number <= self._most[safe]
        places: Ints = np.where(known, self._before[safe] + number, 0)
        return places

    def _place(self, keys: Ints) -> Ints:
        return self.place(keys >> _NUMBER, keys & ((1 << _NUMBER) - 1))

    def crossing(self, medium: int, places: Ints) -> Ints:
        """Time (ns) of messages in transmission and propagation over `RADIO`, `WAN` or `LAN`."""
        network = self.at[places] - self.sent[places] - self.queued[places]
        crossing: Ints = np.where(self._medium[places] == medium, network, 0)
        if self._moved is not None:
            crossing += self._moved[medium][places]
        return crossing

    def _read(self, connection: sqlite3.Connection, chosen: bool) -> None:
        device, cloud = _in_tier(connection, "device"), _in_tier(connection, "cloud")
        for keys, ends, sent, at in _columns(connection, _MESSAGE, _of("message", chosen)):
            place = self._place(keys)
            self.sent[place], self.at[place] = sent, at
            self.size[place] = ends & ((1 << _SIZE) - 1)
            source, destination = keys >> _NUMBER, ends >> _SIZE
            self._medium[place] = np.select(
                [device[source] | device[destination], cloud[source] | cloud[destination]],
                [RADIO, WAN],
                LAN,
            )
        trail = _columns(connection, _TRAIL, _of("trail", chosen))
        for keys, causes, queued, waited, computed in trail:
            place = self._place(keys)
            self.cause[place] = self._place(causes)
            self.queued[place], self.waited[place] = queued, waited
            self.computed[place] = computed
        # What is in the trail only belongs to a run that is being written.
        for column in (self.sent, self.at, self.queued, self.waited, self.computed):
            column[0] = 0
        self.cause[0] = self.size[0] = 0

    def _read_hops(self, connection: sqlite3.Connection, chosen: bool) -> list[Ints] | None:
        """For each medium, what the hops of messages over several links add to it or take away."""
        if not has_rows(connection, "hop"):
            return None
        length = len(self.sent)
        moved = [np.zeros(length, dtype=np.int64) for _ in (RADIO, WAN, LAN)]
        for keys, over, time in _columns(connection, *_hops(_of("hop", chosen))):
            place = self._place(keys)
            for medium in (RADIO, WAN, LAN):
                gain = np.where(over == medium, time, 0)
                loss = np.where(self._medium[place] == medium, time, 0)
                # Sums of times are below 2^53, which floating-point numbers hold exactly.
                moved[medium] += np.bincount(place, gain - loss, length).astype(np.int64)
        for column in moved:
            column[0] = 0
        return moved

    def walk(self, answers: Ints, requests: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Follow chains from their last messages back to their first ones, both included.

        A chain ends early where a message has no cause, or one from before the request.

        Args:
            answers: place of the last message of each chain; 0 if it has none.
            requests: place of its first message.

        Yields:
            For each step, which chains go on and the place of their message. A chain occurs once
            in a step at most.
        """
        chains = np.flatnonzero(answers)
        places = answers[chains]
        for _ in range(_LONGEST):
            if len(chains) == 0:
                return
            yield chains, places
            goes_on = places != requests[chains]
            chains, places = chains[goes_on], places[goes_on]
            before = self.cause[places].astype(np.int64)
            goes_on = (before > 0) & (self.sent[before] >= self.sent[requests[chains]])
            chains, places = chains[goes_on], before[goes_on]


def _in_tier(connection: sqlite3.Connection, tier: str) -> NDArray[np.bool_]:
    """Which nodes are in a tier, by their ids."""
    rows = connection.execute("SELECT tier = ? FROM node ORDER BY id", (tier,))
    return np.fromiter((bool(is_in) for (is_in,) in rows), dtype=bool)


def _of(table: str, chosen: bool) -> str:
    """A table, or those of its rows that were chosen."""
    # CROSS JOIN fixes the order of the loops: an unfinished run has no index on messages.
    return f"{table} CROSS JOIN temp.chosen USING (source, number)" if chosen else table


def _hops(table: str) -> tuple[str, str]:
    """Message, medium and time of each hop: what to select, and from what."""
    arrow = "instr(link, '->')"
    return (
        f"(source << {_NUMBER}) | number, "
        f"CASE WHEN 'device' IN (a.tier, b.tier) THEN {RADIO} "
        f"WHEN 'cloud' IN (a.tier, b.tier) THEN {WAN} ELSE {LAN} END, arrived - entered - queued",
        f"{table} JOIN node a ON a.name = substr(link, 1, {arrow} - 1) "
        f"JOIN node b ON b.name = substr(link, {arrow} + 2) WHERE arrived IS NOT NULL",
    )


def _columns(
    connection: sqlite3.Connection, columns: str, table: str
) -> Iterator[tuple[Ints, ...]]:
    """Columns of integers of a table, some rows at a time."""
    cursor = connection.execute(f"SELECT {columns} FROM {table}")
    width = len(cursor.description)
    while True:
        some = itertools.chain.from_iterable(itertools.islice(cursor, _CHUNK))
        values = np.fromiter(some, dtype=np.int64)
        if len(values) == 0:
            return
        yield tuple(values.reshape(-1, width).T)
