"""What devices spend on inferences: the radio by the bytes of each, computing in equal shares.

What a device draws while it does nothing belongs to no inference. What it draws beyond that is its
radio's, which is known message by message, and its processor's, which is known for the whole run
only. Computing is shared evenly among the inferences that the device has computed for, or among all
if it has computed for none; states of its own, such as that of a camera, among all.
"""

from __future__ import annotations

import sqlite3
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.results.energy import PARTS, NodeEnergy, node_energies
from simcore.results.split import Split


class Spent(NamedTuple):
    """Energies of each inference, J; NaN of a device whose energy is not counted.

    Attributes:
        energy: what its device drew for it, beyond being idle.
        drawn: all that its device drew in the run, shared evenly among its inferences.
    """

    energy: NDArray[np.float64]
    drawn: NDArray[np.float64]


def spent(
    connection: sqlite3.Connection,
    node: NDArray[np.int32],
    computed: NDArray[np.bool_],
    split: Split,
) -> Spent | None:
    """What devices spent on inferences; None if no device's energy is counted, or known yet.

    Args:
        connection: the run's database.
        node: id of the device of each inference.
        computed: whether the device has computed for it.
        split: of the same inferences.
    """
    known = node_energies(connection)
    names = [name for (name,) in connection.execute("SELECT name FROM node ORDER BY id")]
    of_node = [known.get(name) for name in names]
    if all(of_node[device] is None for device in np.unique(node)):
        return None

    def each(cost: str) -> NDArray[np.float64]:
        """A cost of its device, for each inference."""
        return np.array([nan if e is None else getattr(e.costs, cost) for e in of_node])[node]

    overhead = each("overhead")
    radio = each("tx") * (split.costs["uplink"] + overhead * split.sent)
    radio += each("rx") * (split.costs["downlink"] + overhead * split.received)
    count = np.bincount(node, minlength=len(names))
    computing = np.bincount(node, weights=computed, minlength=len(names))
    equal = 1 / count[node]
    weighted = np.where(computing[node] > 0, computed / np.maximum(computing, 1)[node], equal)
    active, states, total = (
        np.array([nan if e is None else joule(e) for e in of_node])[node]
        for joule in (_active, _states, lambda e: e.total)
    )
    return Spent(radio + active * weighted + states * equal, total * equal)


def _active(energy: NodeEnergy) -> float:
    """What a node's computing drew beyond being idle, J."""
    idle = energy.costs.idle * energy.times.get("active", 0) / 1e9
    return energy.parts.get("active", 0.0) - idle


def _states(energy: NodeEnergy) -> float:
    """What its own states drew beyond being idle, J."""
    names = [part for part in energy.parts if part not in PARTS]
    idle = energy.costs.idle * sum(energy.times[part] for part in names) / 1e9
    return sum(energy.parts[part] for part in names) - idle
