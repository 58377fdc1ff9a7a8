"""What ns-3 delivers through simcore, against formulas.

What is certain is compared to the nanosecond. What is random must lie within four standard errors
of the formula's mean; the standard deviation comes from the formula, too, so that the tolerance
follows from the number of samples. Means of queues, whose samples depend on each other, are those
of 20 independent replications: see `replications`.

Lengths: UDP has a header of 8 bytes (RFC 768), IPv4 one of 20 (RFC 791).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from ns3_native import require_ns3
from replications import N, confirm, interval
from simcore_netmodels.ns3 import wheel
from test_queueing_theory import blocking
from worlds import MS, S, Told, play, world

pytestmark = pytest.mark.ns3

US = 1000
STANDARD_ERRORS = 4.0
"""One in 16,000 right results of a test would lie further away; seeds are fixed."""

Play = Callable[..., Told]


@pytest.fixture(scope="module", autouse=True)
def _ns3() -> None:
    require_ns3()
    wheel.library()  # compiled here, if need be


@pytest.fixture
def run(tmp_path) -> Play:
    """Run nodes on segments; figures of devices are in the run's directory."""

    def run(nodes: Mapping[str, Any], *segments: Any, lasts: str = "10s", **keys: Any) -> Told:
        network = {"model": "ns3", "segments": list(segments), **keys}
        told = play(world(nodes, network=network, lasts=lasts), out=tmp_path / "run")
        assert told.federation.digest is not None
        return told

    return run


def burst(number: int, size: int):
    """As many messages as one likes, all at once."""

    def source(node):
        for _ in range(number):
            node.send("sink", "x", size=size)
        yield node.sleep("1ns")

    return source


def p2p(a: str, b: str, rate: str, delay: str, **keys: Any) -> dict[str, Any]:
    return {"kind": "p2p", "between": [a, b], "rate": rate, "delay": delay, **keys}


def figures(told: Told) -> dict[str, Any]:
    """What the devices of each node did."""
    return {row.source: row for row in told.federation.network.metrics(told.federation.end)}


def agree(theory: float, found: float, deviation: float, samples: int) -> None:
    """Whether the mean of independent samples is what a formula says."""
    error = deviation / math.sqrt(samples)
    assert 0 < error < 0.03 * theory, "too few samples to tell"
    assert abs(found - theory) <= STANDARD_ERRORS * error, (theory, found, error)


# -- p2p -------------------------------------------------------------------------------------------

PPP = 2
"""Bytes of PPP's protocol field (RFC 1661); ns-3 has nothing else of PPP's."""


def frames(size: int) -> list[int]:
    """Bytes of the frames of a datagram: fragments carry 1480 bytes (RFC 791, with 1500 bytes)."""
    left = size + 8
    found = []
    while left > 0:
        found.append(min(left, 1480) + 20 + PPP)
        left -= 1480
    return found


def store_and_forward(sizes: Sequence[int], hops: Sequence[tuple[int, int]]) -> list[int]:
    """When messages that are sent at once have arrived (ns).

    A hop takes L/R for each frame, one after the other, and d for propagation; a router sends a
    frame on when it has come in whole. Kurose & Ross, Computer Networking, 6th ed. 2013, 1.3.1 and
    1.4.1; Bertsekas & Gallager, Data Networks, 2nd ed. 1992, 2.8.1.

    Args:
        hops: time for a bit (ns), propagation (ns).
    """
    parts = [(number, length) for number, size in enumerate(sizes) for length in frames(size)]
    ready = [0] * len(parts)
    for bit, delay in hops:
        free = 0
        for i, (_, length) in enumerate(parts):
            free = max(free, ready[i]) + 8 * length * bit
            ready[i] = free + delay
    last = {number: at for (number, _), at in zip(parts, ready, strict=True)}
    return list(last.values())


@pytest.mark.parametrize("size", [0, 1, 1000, 1472, 1473, 9000, 65_507])
def test_delay_over_three_links(run: Play, size: int) -> None:
    """1 Mbit/s, 20 Mbit/s and 100 kbit/s: a bit takes 1000, 50 and 10,000 ns. To the nanosecond."""
    told = run(
        {"source": burst(1, size), "a": None, "b": None, "sink": None},
        p2p("source", "a", "1Mbit/s", "5ms"),
        p2p("a", "b", "20Mbit/s", "45ms"),
        p2p("b", "sink", "100kbit/s", "250us"),
    )
    hops = [(1000, 5 * MS), (50, 45 * MS), (10_000, 250 * US)]
    expected = store_and_forward([max(size, 1)], hops)  # one without content has one byte
    assert [at for at, _ in told.arrivals()] == expected


def test_throughput(run: Play) -> None:
    """Of a rate R, messages of s bytes get R s / (s + 30): Kurose & Ross, 1.4.4."""
    number, size = 500, 970
    told = run(
        {"source": burst(number, size), "router": None, "sink": None},
        p2p("source", "router", "10Mbit/s", "1ms", queue=number),
        p2p("router", "sink", "1Mbit/s", "30ms", queue=number),
    )
    at = [at for at, _ in told.arrivals()]
    assert at == store_and_forward([size] * number, [(100, MS), (1000, 30 * MS)])
    goodput = 8 * size * (number - 1) / ((at[-1] - at[0]) / S)
    assert goodput == pytest.approx(1e6 * size / (size + 30), rel=1e-12)
    router = figures(told)["router"]
    assert router.busy == 8 * (size + 30) * 1000 * number
    assert (router.delivered, router.queue_full) == (number, 0)


def test_throughput_of_a_window(run: Play) -> None:
    """TCP that waits for acknowledgements carries W / RTT: Kurose & Ross, 3.4.2 and 3.5.

    The window is what the sender may keep. The round trip is that of a segment of 536 bytes and of
    its acknowledgement; both have 20 bytes of IP, 20 of TCP and 12 of time stamps (RFC 7323). To
    within one segment of the window.
    """
    window, size, number = 131_072, 262_144, 40
    told = run(
        {"source": burst(number, size), "sink": None},
        p2p("source", "sink", "1Gbit/s", "50ms", queue=1000),
        tcp=[{"from": "source", "to": "sink"}],
        defaults={
            "ns3::TcpL4Protocol::SocketType": "ns3::TcpNewReno",
            "ns3::TcpSocket::SndBufSize": window,
            "ns3::TcpSocket::RcvBufSize": 2 * window,
        },
        give_up="60s",
    )
    at = [at for at, _ in told.arrivals()]
    assert len(at) == number
    half = number // 2  # slow start is over
    found = 8 * size * half / ((at[-1] - at[-1 - half]) / S)
    trip = 2 * 0.050 + 8 * (536 + 54 + 54) / 1e9
    assert found == pytest.approx(8 * window / trip, rel=536 / window)


@pytest.mark.parametrize(
    ("keys", "share"),
    [
        ({"loss": "10%"}, 0.1),
        ({"bit_errors": 2e-5}, 1 - (1 - 2e-5) ** (8 * 1000)),
    ],
)
def test_losses_are_binomial(run: Play, keys: Mapping[str, Any], share: float) -> None:
    """A frame of L bits survives with (1 - b)^L: Bertsekas & Gallager, 2.3."""
    number = 12_000 if share == 0.1 else 8000
    told = run(
        {"source": burst(number, 970), "sink": None},
        p2p("source", "sink", "1Gbit/s", "1ms", queue=number, **keys),
    )
    fates = Counter(message[-1] for message in told.messages())
    assert set(fates) == {"delivered", "loss"} and fates.total() == number
    agree(share, fates["loss"] / number, math.sqrt(share * (1 - share)), number)


# -- a bottleneck ----------------------------------------------------------------------------------

SIZE = 970
SERVICE = 8 * MS
"""Of a frame of 1000 bytes at 1 Mbit/s, ns."""
SOURCES = 3


def bottlenecks(run: Play, load: float, number: int, **keys: Any) -> dict[str, list[float]]:
    """N times: source x 3 --10 Gbit/s--> router --1 Mbit/s--> sink, with messages of Poisson's.

    All in one run, but nothing connects them: as good as N runs.
    """
    gap = SOURCES * SERVICE / load
    span = round(number * SERVICE / load)

    def source(node):
        sink = f"sink-{node.index // SOURCES}"
        while True:
            yield node.sleep(round(node.random.expovariate(1 / gap)))
            node.send(sink, "x", size=SIZE)

    segments = [
        p2p(f"source-{i}", f"router-{i // SOURCES}", "10Gbit/s", "1us", name=f"in-{i}")
        for i in range(N * SOURCES)
    ]
    segments += [
        p2p(f"router-{i}", f"sink-{i}", "1Mbit/s", "1ms", name=f"out-{i}", **keys) for i in range(N)
    ]
    nodes = {
        "source": {"does": source, "count": N * SOURCES},
        "router": {"does": None, "count": N},
        "sink": {"does": None, "count": N},
    }
    told = run(nodes, *segments, lasts=f"{span}ns")
    fastest = 800 + US + SERVICE + MS  # a frame at 10 Gbit/s, twice propagation
    waits: dict[str, list[int]] = {}
    refused: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for at, _, sink, _, _, _, sent, fate in told.messages():
        if fate == "delivered":
            waits.setdefault(sink, []).append(at - sent - fastest)
        if fate != "in_flight":
            total[sink] += 1
            refused[sink] += fate == "queue_full"
    assert min(map(min, waits.values())) == 0
    devices = figures(told)
    names = [f"sink-{i}" for i in range(N)]
    routers = [devices[f"router-{i}"] for i in range(N)]
    return {
        "wait": [sum(waits[name]) / len(waits[name]) / SERVICE for name in names],
        "refused": [refused[name] / total[name] for name in names],
        "queue": [row.queue_mean for row in routers],
        "busy": [row.busy / span for row in routers],
    }


def test_m_d_1(run: Play) -> None:
    """Pollaczek-Khinchine: W = r / (2 (1 - r)) / mu, L = r^2 / (2 (1 - r)), utilisation r.

    Kleinrock, Queueing Systems 1, 1975, section 5.6. What several sources send is Poisson's, too.
    """
    r = 0.6
    found = bottlenecks(run, r, 1200, queue=10_000)
    confirm(r / (2 * (1 - r)), found["wait"], within=0.15)
    confirm(r * r / (2 * (1 - r)), found["queue"], within=0.18)
    confirm(r, found["busy"], within=0.05)
    assert set(found["refused"]) == {0.0}


def test_m_d_1_k(run: Play) -> None:
    """A queue of n packets: K = n + 1 places; see `test_queueing_theory.blocking`."""
    r, queue = 0.9, 2
    found = bottlenecks(run, r, 700, queue=queue)
    share = blocking(r, queue + 1)
    confirm(share, found["refused"], within=0.15)
    confirm(r * (1 - share), found["busy"], within=0.05)


# -- csma ------------------------------------------------------------------------------------------

ETHERNET = 18
"""Bytes of header and checksum; what they enclose has at least 46 (IEEE 802.3, clause 3)."""
GAP = 96
"""Bits between two frames of one station (IEEE 802.3, 4.4.2: interPacketGap)."""
SLOT = US
"""Of ns-3's back-off, ns: not that of 802.3."""


def gaps(delay: int, gap: int) -> dict[int, float]:
    """How long a cable is silent between two frames of one station (ns), and how probable that is.

    The station looks after the gap and, while its own frame is still on the cable, backs off: at
    the k-th time by 1 to 2^k - 2 slots, each as probable (1 at the first). That is ns-3's form of
    truncated binary exponential back-off (IEEE 802.3, 4.2.3.2.5; ns3::Backoff).
    """
    found: dict[int, float] = {}

    def look(at: int, times: int, probability: float) -> None:
        if at >= delay:
            found[at] = found.get(at, 0.0) + probability
            return
        highest = max(1, 2 ** (times + 1) - 2)
        for slots in range(1, highest + 1):
            look(at + slots * SLOT, times + 1, probability / highest)

    look(gap, 0, 1.0)
    assert sum(found.values()) == pytest.approx(1)
    return found


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_csma_delay(run: Play, size: int) -> None:
    told = run(
        {"source": burst(1, size), "sink": None},
        {"kind": "csma", "nodes": ["source", "sink"], "rate": "10Mbit/s", "delay": "3us"},
    )
    length = max(max(size, 1) + 28, 46) + ETHERNET
    assert [at for at, _ in told.arrivals()] == [8 * length * 100 + 3 * US]


@pytest.mark.parametrize("delay", [0, 5, 15])
def test_utilisation_of_one_station_that_always_sends(run: Play, delay: int) -> None:
    """T / (T + E[gap]): renewal reward, Ross, Introduction to Probability Models, 10th ed., 7.4."""
    number, frame = 3000, 8 * (1000 + 28 + ETHERNET) * 10
    told = run(
        {"source": burst(number, 1000), "sink": None},
        {
            "kind": "csma", "nodes": ["source", "sink"], "rate": "100Mbit/s",
            "delay": f"{delay}us", "queue": number,
        },
    )  # fmt: skip
    at = [at for at, _ in told.arrivals()]
    between = [b - a - frame for a, b in pairwise(at)]
    expected = gaps(delay * US, GAP * 10)
    assert set(between) <= set(expected)
    mean = sum(gap * share for gap, share in expected.items())
    found = sum(between) / len(between)
    if delay == 0:
        assert found == mean == GAP * 10
        return
    variance = sum((gap - mean) ** 2 * share for gap, share in expected.items())
    agree(mean, found, math.sqrt(variance), len(between))
    busy = figures(told)["source"].busy
    assert busy == number * frame
    assert busy / (at[-1] - delay * US) == pytest.approx(frame / (frame + found), rel=2 / number)


def test_utilisation_of_many_stations(run: Play) -> None:
    """What Poisson's stations offer is carried, and their frames wait as in a queue.

    ns-3's csma has no collisions: a station that finds the cable busy looks again after at most
    its longest back-off. So frames are served one at a time, and in any order the mean wait is that
    of M/D/1 (Kleinrock, Queueing Systems 2, 1976, section 3.4), with a service that is at least a
    frame and at most a frame and that back-off.
    """
    stations, load, number = 8, 0.6, 700
    frame = 8 * (1000 + 28 + ETHERNET) * 2500  # at 400 kbit/s
    longest = 1000 * SLOT / frame
    gap = stations * frame / load
    span = round(number * frame / load)

    def station(node):
        sink = f"sink-{node.index // stations}"
        while True:
            yield node.sleep(round(node.random.expovariate(1 / gap)))
            node.send(sink, "x", size=1000)

    cables = [
        {
            "kind": "csma", "rate": "400kbit/s", "delay": "0s",
            "nodes": [f"station-{i * stations + j}" for j in range(stations)] + [f"sink-{i}"],
        }
        for i in range(N)
    ]  # fmt: skip
    nodes = {
        "station": {"does": station, "count": N * stations},
        "sink": {"does": None, "count": N},
    }
    told = run(nodes, *cables, lasts=f"{span}ns")
    devices = figures(told)
    busy, waits = [], []
    for i in range(N):
        busy.append(sum(devices[f"station-{i * stations + j}"].busy for j in range(stations)))
        here = told.messages(to=f"sink-{i}")
        waited = [m[0] - m[6] - frame for m in here if m[-1] == "delivered"]
        waits.append(sum(waited) / len(waited) / frame)
    confirm(load, [each / span for each in busy], within=0.05)

    def wait(service: float) -> float:
        r = load * service
        return r / (2 * (1 - r)) * service

    mean, half = interval(waits)
    assert half <= 0.15 * wait(1)
    assert wait(1) - half <= mean <= wait(1 + longest) + half
    assert wait(1 + longest) < 1.2 * wait(1), "bounds that tell something"


# -- 802.15.4 --------------------------------------------------------------------------------------

SYMBOL = 16 * US
"""At 2.4 GHz: 62.5 ksymbol/s, two of them a byte (IEEE 802.15.4-2011, 10.2)."""
MAC = 2 + 1 + 2 + 2 + 2 + 2
"""Frame control, number, PAN, two short addresses, checksum (IEEE 802.15.4-2011, 5.2)."""
SIXLOWPAN = (2 + 3 + 32) + (1 + 4)
"""IPHC with flow label and two whole addresses, UDP without its checksum (RFC 6282, 3.1, 4.3)."""


@pytest.mark.parametrize("size", [1, 20, 70])
def test_goodput_of_802_15_4(run: Play, size: int) -> None:
    """Unslotted CSMA-CA of one device whose frames are acknowledged.

    A frame takes back-off (0 to 7 periods of 20 symbols), assessment of the channel (8), turnaround
    (12), synchronisation and length (6 bytes), the frame, turnaround, acknowledgement (11 bytes) and
    the space behind it (40, or 12 behind at most 18 bytes).

    IEEE 802.15.4-2011, 5.1.1.3, 5.1.1.4 and 5.1.6.4; Latre, De Mil, Moerman, Dhoedt, Demeester:
    Throughput and delay analysis of unslotted IEEE 802.15.4, Journal of Networks 1 (2006) no. 1,
    which counts the assessment in with the back-off.
    """
    number = 2000
    told = run(
        {"source": burst(number, size), "sink": None},
        {"kind": "lrwpan", "nodes": ["source", "sink"]},
        positions={"sink": [3, 0]},
        give_up="60s",
        lasts="30s",
    )
    at = [at for at, _ in told.arrivals()]
    assert len(at) == number
    frame = size + MAC + SIXLOWPAN
    assert frame > 18
    fixed = (8 + 12 + 2 * (6 + frame) + 12 + 2 * 11 + 40) * SYMBOL
    period = 20 * SYMBOL
    between = [b - a for a, b in pairwise(at)]
    assert {round((each - fixed) / period, 3) for each in between} == set(range(8))
    cycle, deviation = fixed + 3.5 * period, period * math.sqrt((8**2 - 1) / 12)
    found = sum(between) / len(between)
    agree(cycle, found, deviation, number - 1)


# -- Wi-Fi -----------------------------------------------------------------------------------------


def test_goodput_of_wifi(run: Play) -> None:
    """DCF of one station: DIFS, back-off of 0 to 15 slots, frame, SIFS, acknowledgement.

    IEEE 802.11-2012, 9.3 and 18.3 (OFDM, 20 MHz: 4 us a symbol, 20 us before); Jun, Peddabachagari,
    Sichitiu: Theoretical maximum throughput of IEEE 802.11 and its applications, NCA 2003. Beacons
    are too rare to matter.
    """
    number, size, slot, sifs = 1500, 1000, 9 * US, 16 * US
    told = run(
        {"source": burst(number, size), "sink": None},
        {
            "kind": "wifi", "nodes": ["source"], "access_point": "sink", "standard": "802.11a",
            "mode": "OfdmRate24Mbps", "queue": number,
        },
        positions={"sink": [3, 0]},
        defaults={
            "ns3::ApWifiMac::BeaconInterval": "5120000us",
            "ns3::WifiMacQueue::MaxDelay": "10s",
        },
    )  # fmt: skip
    at = [at for at, _ in told.arrivals()]
    assert len(at) == number

    def air(length: int) -> int:
        bits_of_symbol = 96
        return 20 * US + 4 * US * math.ceil((16 + 8 * length + 6) / bits_of_symbol)

    data = size + 28 + 8 + 24 + 4  # UDP and IP, LLC and SNAP, MAC, checksum
    fixed = sifs + 2 * slot + air(data) + sifs + air(14) + 2 * 10  # 10 ns: 3 m, there and back
    between = [b - a for a, b in pairwise(at)]
    cycle, deviation = fixed + 7.5 * slot, slot * math.sqrt((16**2 - 1) / 12)
    agree(cycle, sum(between) / len(between), deviation, number - 1)
