"""Losses against theory: independent, and in bursts by the Gilbert-Elliott model.

source --- lossy ---> sink
"""

from __future__ import annotations

from itertools import groupby, pairwise

import pytest
from replications import confirm, replicate
from worlds import play, world

NUMBER = 4000


def lost(loss, seed):
    """Whether each message, in the order of sending, was lost."""

    def source(node):
        for _ in range(NUMBER):
            node.send("sink", "x", size=1)
            yield node.sleep(1000)

    link = {"from": "source", "to": "sink", "delay": "100ns", "loss": loss}
    told = play(world({"source": source, "sink": None}, [link], seed=seed))
    fates = [m[-1] == "loss" for m in sorted(told.messages(), key=lambda m: m[6])]
    assert len(fates) == NUMBER
    return fates


def bursts(fates):
    return [len(list(run)) for gone, run in groupby(fates) if gone]


@pytest.mark.parametrize("p", [0.02, 0.3])
def test_independent_losses(p):
    """A share p is lost, in runs of mean length 1 / (1 - p) (geometric)."""

    def run(seed):
        fates = lost(p, seed)
        return sum(fates) / NUMBER, mean(bursts(fates))

    rate, length = replicate(run)
    confirm(p, rate, within=0.15)
    confirm(1 / (1 - p), length, within=0.05)


@pytest.mark.parametrize(("p", "r"), [(0.02, 0.2), (0.1, 0.4)])
def test_gilbert(p, r):
    """All lost while bad: a share p / (p + r), in bursts of mean length 1 / r.

    Gilbert, Capacity of a burst-noise channel, Bell Syst. Tech. J. 39 (1960).
    """

    def run(seed):
        fates = lost({"good_to_bad": p, "bad_to_good": r}, seed)
        return sum(fates) / NUMBER, mean(bursts(fates))

    rate, length = replicate(run)
    confirm(p / (p + r), rate, within=0.15)
    confirm(1 / r, length, within=0.10)


def test_gilbert_elliott():
    """Losses in both states: (r k + p h) / (p + r) with k lost while good and h while bad.

    Elliott, Estimates of error rates for codes on burst-noise channels, Bell Syst. Tech. J. 42
    (1963). Two messages in a row are lost with probability
    (pi_g k ((1-p) k + p h) + pi_b h (r k + (1-r) h)), pi being the stationary shares.
    """
    p, r, k, h = 0.05, 0.25, 0.02, 0.7
    good, bad = r / (p + r), p / (p + r)

    def run(seed):
        model = {"good_to_bad": p, "bad_to_good": r, "loss_good": k, "loss_bad": h}
        fates = lost(model, seed)
        pairs = sum(a and b for a, b in pairwise(fates))
        return sum(fates) / NUMBER, pairs / (NUMBER - 1)

    rate, pairs = replicate(run)
    confirm(good * k + bad * h, rate, within=0.10)
    confirm(good * k * ((1 - p) * k + p * h) + bad * h * (r * k + (1 - r) * h), pairs, within=0.15)


def mean(values):
    return sum(values) / len(values)
