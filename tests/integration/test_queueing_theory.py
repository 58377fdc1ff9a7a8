"""Links and services against queueing theory.

Poisson arrivals of rate l on a link (or a service) that serves at rate mu; r = l / mu. Each
figure is the mean of 20 independent replications with fixed seeds; the formula must lie in
their 99.9 % confidence interval.

    source --- link under test ---> sink
"""

from __future__ import annotations

import math

import pytest
from replications import confirm, replicate
from worlds import MS, play, world

SERVICE = MS
"""Mean time to transmit or compute, 1/mu (ns)."""


def poisson(load, number, exponential):
    """Messages whose mean size takes SERVICE to transmit at 8 Gbit/s (1 ns a byte)."""
    gap = SERVICE / load

    def source(node):
        sizes = node.stream("sizes")
        for _ in range(number):
            yield node.sleep(round(node.random.expovariate(1 / gap)))
            size = round(sizes.expovariate(1 / SERVICE)) if exponential else SERVICE
            node.send("sink", "x", size=size)

    return source


def link_figures(load, *, exponential, number=2500, queue=None):
    """Per replication: mean wait, time-average of those waiting, utilisation, share refused."""

    def run(seed):
        waits = []
        link = {"from": "source", "to": "sink", "delay": "1us", "rate": "8Gbit/s"}
        link |= {} if queue is None else {"queue": queue}
        nodes = {"source": poisson(load, number, exponential), "sink": None}
        span = round(number * SERVICE / load)
        scenario = world(nodes, [link], lasts=span, seed=seed)

        def drive(federation):
            federation.observe(lambda message: waits.append(message.queued))
            federation.env.run(until=span)

        (row,) = play(scenario, drive).federation.network.metrics(span)
        mean = sum(waits) / len(waits)
        return mean / SERVICE, row.queue_mean, row.busy / span, row.queue_full / row.entered

    return replicate(run)


def test_m_m_1():
    """Exponential sizes: W = r / (1 - r) / mu, L = r^2 / (1 - r), utilisation r.

    Kleinrock, Queueing Systems 1, 1975, section 3.2; Gross & Harris, Fundamentals of Queueing
    Theory, 3rd ed. 1998, section 2.2.
    """
    r = 0.6
    waits, queue, busy, refused = link_figures(r, exponential=True)
    confirm(r / (1 - r), waits, within=0.15)
    confirm(r * r / (1 - r), queue, within=0.18)
    confirm(r, busy, within=0.05)
    assert set(refused) == {0}


def test_m_d_1():
    """Constant sizes, Pollaczek-Khinchine: W = r / (2 (1 - r)) / mu, L = r^2 / (2 (1 - r)).

    Kleinrock, Queueing Systems 1, 1975, section 5.6.
    """
    r = 0.7
    waits, queue, busy, _ = link_figures(r, exponential=False)
    confirm(r / (2 * (1 - r)), waits, within=0.15)
    confirm(r * r / (2 * (1 - r)), queue, within=0.15)
    confirm(r, busy, within=0.05)


def blocking(r, places):
    """Share of arrivals that an M/D/1/K queue refuses, K counting the one in service.

    P = 1 - b / (1 + r b), b = sum over k < K of (-1)^k / k! (K-1-k)^k r^k exp((K-1-k) r).
    Brun & Garcia, Analytical solution of finite capacity M/D/1 queues, J. Appl. Prob. 37 (2000).
    """
    last = places - 1
    b = sum(
        (-1) ** k / math.factorial(k) * (last - k) ** k * r**k * math.exp((last - k) * r)
        for k in range(places)
    )
    return 1 - b / (1 + r * b)


def test_the_formula_for_one_and_two_places():
    """K = 1 is Erlang's loss formula; K = 2 follows from the chain at departures by hand."""
    assert blocking(0.8, 1) == pytest.approx(0.8 / 1.8)
    assert blocking(0.8, 2) == pytest.approx(1 - 1 / (math.exp(-0.8) + 0.8))


@pytest.mark.parametrize(("r", "queue"), [(0.8, 0), (0.9, 2), (1.3, 4)])
def test_m_d_1_k(r, queue):
    """`queue: n` is K = n + 1; the link is busy for what it lets through, r (1 - P)."""
    _, _, busy, refused = link_figures(r, exponential=False, queue=queue, number=2000)
    share = blocking(r, queue + 1)
    confirm(share, refused, within=0.15)
    confirm(r * (1 - share), busy, within=0.05)


def erlang_c(servers, offered):
    """Probability to wait in M/M/c (Gross & Harris, 3rd ed. 1998, section 2.3)."""
    terms = [offered**n / math.factorial(n) for n in range(servers)]
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("servers", "r"), [(1, 0.5), (2, 0.7), (5, 0.8)])
def test_m_m_c(servers, r):
    """`ctx.compute` with c workers: share that waits C, mean stay 1/mu + C / (c mu - l)."""
    number = 2000

    class Sink:
        def on_message(self, ctx, msg):
            end = ctx.compute({"exponential": "1ms"})
            ctx.record("stay", end - ctx.now)

    def run(seed):
        offered = r * servers
        nodes = {
            "source": poisson(offered, number, exponential=False),
            "sink": {"does": Sink, "workers": servers},
        }
        stays = play(world(nodes, lasts="10s", seed=seed)).measured("stay")
        assert len(stays) == number
        return (sum(stays) / number / SERVICE,)

    (stays,) = replicate(run)
    confirm(1 + erlang_c(servers, r * servers) / (servers * (1 - r)), stays, within=0.15)
