"""What the latency of inferences was spent on, and what it took, by the messages of each.

A latency is the sum of

| part | time |
|---|---|
| sampling | from the picture to the device's message, but for what the device computed |
| radio | in transmission and propagation, over links with an end on a device |
| wan | the same, over other links with an end in the cloud |
| lan | the same, over all other links |
| queueing | in the queues of links, and waiting for a worker of a service |
| computing | of device, dispatcher and models, as they declare it |
| other | the rest: waits of protocols, such as MQTT's for a segment that is sent again |

An inference that the device has kept crossed nothing, so it has sampling, computing and queueing
only. What a device computes without declaring it, as firmware does, is part of its sampling, and so
is the time that firmware's line takes on its serial port.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.results.chains import LAN, RADIO, WAN, Ints, Messages

PARTS = ("sampling", "radio", "wan", "lan", "queueing", "computing", "other")
COSTS = ("messages", "size", "uplink", "downlink")
"""Messages, their bytes, and of these what the device sent and received."""

SHOWN = "shown"
"""Kind of the message with which a device says that it has acted on an answer."""


class Split(NamedTuple):
    """What inferences took.

    Attributes:
        parts: time (ns) of each of `PARTS`; 0 without an answer.
        costs: numbers of each of `COSTS`.
        sent: messages that the device sent.
        received: messages that the device received.
    """

    parts: dict[str, Ints]
    costs: dict[str, Ints]
    sent: Ints
    received: Ints


def split(rows: NDArray[np.void], messages: Messages, connection: sqlite3.Connection) -> Split:
    """Parts of the latency of each inference, and its costs.

    Args:
        rows: node, request, answer_source, answer_number, sampled, sent, ended of each; what there
            is none of is negative.
        messages: of the run.
        connection: the run's database.
    """
    request = messages.place(rows["node"].astype(np.int64), rows["request"])
    answer = messages.place(rows["answer_source"], rows["answer_number"])
    answered = rows["ended"] >= 0
    latency = np.where(answered, rows["ended"] - rows["sampled"], 0)
    parts = {part: np.zeros(len(rows), dtype=np.int64) for part in PARTS}
    costs = {cost: np.zeros(len(rows), dtype=np.int64) for cost in COSTS}
    for chains, places in messages.walk(answer, request):
        for part, medium in (("radio", RADIO), ("wan", WAN), ("lan", LAN)):
            parts[part][chains] += messages.crossing(medium, places)
        parts["queueing"][chains] += messages.queued[places]
        # What lies before the request is told below.
        after = places != request[chains]
        later, caused = chains[after], places[after]
        parts["queueing"][later] += messages.waited[caused]
        parts["computing"][later] += messages.computed[caused]
        costs["messages"][later] += 1
        costs["size"][later] += messages.size[caused]
    # Before the device sends, it takes the picture, and perhaps computes.
    before = np.where(answered, rows["sent"] - rows["sampled"], 0)
    computed, waited = (
        np.where(answered, np.minimum(column[request], before), 0)
        for column in (messages.computed, messages.waited)
    )
    waited = np.minimum(waited, before - computed)
    parts["computing"] += computed
    parts["queueing"] += waited
    parts["sampling"] += before - computed - waited
    parts["other"] += latency
    for part in PARTS[:-1]:
        parts["other"] -= parts[part]
    costs["messages"] += request > 0
    costs["size"] += messages.size[request]
    costs["uplink"] += messages.size[request]
    costs["downlink"] += messages.size[answer]
    shown = _acknowledgements(answer, messages, _shown(connection))
    costs["messages"] += shown > 0
    for cost in ("size", "uplink"):
        costs[cost] += messages.size[shown]
    sent = (request > 0).astype(np.int64) + (shown > 0)
    return Split(parts, costs, sent, (answer > 0).astype(np.int64))


def _acknowledgements(answer: Ints, messages: Messages, shown: NDArray[np.void]) -> Ints:
    """Places of the messages with which devices say that they have acted on answers; 0: none."""
    of_answer = np.zeros(len(messages.sent), dtype=np.int64)
    place = messages.place(shown["source"], shown["number"])
    of_answer[messages.cause[place]] = place
    of_answer[0] = 0
    found: Ints = of_answer[answer]
    return found


def _shown(connection: sqlite3.Connection) -> NDArray[np.void]:
    """The messages in which devices acknowledge an answer."""
    rows = connection.execute(
        "SELECT source, number FROM message WHERE kind IN (SELECT id FROM kind WHERE name = ?)",
        (SHOWN,),
    )
    return np.fromiter(rows, dtype=np.dtype([("source", "i8"), ("number", "i8")]))
