"""No participant ever runs past what it could still receive: shown on random topologies.

    f (free-running, 1-3)   r (reactive, 1-3)   m (models, 0-2)   x, y (relays)

Links of random delays, rates and losses connect them, some over relays, some shared, some without
delay; faults come at random instants. The same programs are hosted as reactive participants (the
sequential truth) and as free-running ones, with windows of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
import simpy
from fakes import FreeRunning, Packets, Program, Reactive
from worlds import PLUGINS, Taking, Told, both, play, world

from simcore import Plugins
from simcore.errors import LookaheadError
from simcore.scenario.model import Scenario
from simcore.windows import Windows

LASTS = 4000
SEEDS = range(60)
WITH_PACKETS = Plugins(extra={**PLUGINS.extra, "netmodels": {"packets": Packets()}})


def sensor(period: int, peers: Sequence[str]) -> Any:
    """A model that sends by itself and answers what it gets."""

    def model(node):
        def listen():
            while True:
                message = yield node.receive()
                if node.random.random() < 0.5:
                    node.reply(message, "echo", size=5)

        node.process(listen())
        while True:
            yield node.sleep(node.random.randrange(1, period))
            node.send(node.random.choice(peers), "sample", size=node.random.randrange(1, 40))

    return model


class Topology:
    """One random world; `scenario` makes it with one or the other way of hosting.

    Args:
        tight: links of free-running nodes take exactly their least delay, and are busy.
    """

    def __init__(self, seed: int, tight: bool = False) -> None:
        random = Random(seed)
        self.seed = seed
        self.tight = tight
        self.counts = {
            "f": random.randrange(1, 4),
            "r": random.randrange(1, 4),
            "m": random.randrange(3),
        }
        ends = [f"{g}-{i}" for g, count in self.counts.items() for i in range(count)]
        self.peers = {name: [other for other in ends if other != name] for name in ends}
        self.links: list[dict[str, Any]] = []
        self.linked: list[tuple[str, str]] = []
        groups = [group for group, count in self.counts.items() if count]
        for group in groups:  # everything reaches everything over the relays x and y
            self._link(random, group, "x", least=1)
        for a in groups:
            for b in groups:
                if random.random() < 0.4 and (a != b or self.counts[a] > 1):
                    free = "f" in (a, b)
                    self._link(random, a, b, least=1 if free or random.random() < 0.6 else 0)
        if random.random() < 0.5:
            self._link(random, "x", "y", least=0)
            self._link(random, "y", random.choice(["f", "r"]), least=1)
        self.faults = [self._fault(random) for _ in range(random.choice([0, 0, 1, 2, 3]))]

    def _link(self, random: Random, a: str, b: str, least: int) -> None:
        if (a, b) in self.linked or (b, a) in self.linked:
            return
        self.linked.append((a, b))
        if self.tight and "f" in (a, b):
            self.links.append(both(a, b, "20ns"))
            return
        delay: Any = (
            f"{random.randrange(least, 120)}ns" if least or random.random() < 0.5 else "0ns"
        )
        if random.random() < 0.4:
            delay = {"min": delay, "exponential": "30ns"}
        keys: dict[str, Any] = {}
        if random.random() < 0.5:
            keys["rate"] = f"{random.choice([8, 4, 2])}Gbit/s"
            if random.random() < 0.4:
                keys["queue"] = random.randrange(1, 4)
            if random.random() < 0.4:
                keys["shared"] = True
        elif random.random() < 0.3:
            keys["ordered"] = True
        if random.random() < 0.3:
            keys["loss"] = "10%"
        self.links.append(both(a, b, delay, **keys))

    def _fault(self, random: Random) -> dict[str, Any]:
        fault: dict[str, Any] = {
            "at": f"{random.randrange(LASTS)}ns",
            "for": f"{random.randrange(1, LASTS // 3)}ns",
        }
        sort = random.randrange(3)
        if sort == 0:
            group = random.choice(["f", "r"])
            return fault | {
                "node": f"{group}-{random.randrange(self.counts[group])}",
                "crash": True,
            }
        fault["link"] = list(random.choice(self.linked))
        return fault | (
            {"down": True} if sort == 1 else {"degraded": {"loss": "40%", "delay": "7ns"}}
        )

    def scenario(self, free: bool, **options: Any) -> Scenario:
        def program(name: str, life: int) -> Program:
            period = 40 if self.tight else 400
            return Program(f"{self.seed} {name} {life}", self.peers[name], period)

        def running_free(name: str, life: int, born: int) -> FreeRunning:
            return FreeRunning(program(name, life), born)

        def reactive(name: str, life: int, born: int) -> Reactive:
            return Reactive(program(name, life))

        tested = Taking("free_running", running_free) if free else Taking("reactive", reactive)
        nodes = {
            "f": {"does": tested, "count": self.counts["f"]},
            "r": {"does": Taking("reactive", reactive), "count": self.counts["r"]},
        }
        if self.counts["m"]:
            model = sensor(500, [f"f-{i}" for i in range(self.counts["f"])])
            nodes["m"] = {"does": model, "count": self.counts["m"]}
        options.setdefault("links", self.links)
        if options.get("network"):
            options["links"] = None
            faults = [fault for fault in self.faults if "node" in fault]
        else:
            nodes |= {"x": None, "y": None}
            faults = self.faults
        return world(nodes, lasts=LASTS, seed=self.seed, faults=faults, **options)

    def truth(self) -> Told:
        return play(self.scenario(free=False))


def told(run: Told) -> list[str]:
    """The trace, to be compared: pytest shows the first difference."""
    return run.text.splitlines()


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_of_any_length_give_the_sequential_run(seed):
    topology = Topology(seed)
    truth = topology.truth()
    assert truth.lines
    for window in (None, "1ns", "7ns", f"{Random(seed).randrange(1, 90)}ns"):
        run = play(topology.scenario(free=True, window=window))
        assert told(run) == told(truth), f"window {window}"
        assert run.digest == truth.digest


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_the_environment_does_not_matter(seed):
    topology = Topology(seed)
    truth = topology.truth()
    run = play(topology.scenario(free=True), env=simpy.Environment())
    assert run.digest == truth.digest
    run = play(topology.scenario(free=True), env=simpy.Environment(3.5), unit="1us")
    assert run.digest == truth.digest

    def slices(federation):
        for time in sorted(Random(seed).sample(range(1, LASTS), 25)):
            federation.env.run(until=time)
        federation.env.run(until=LASTS)

    for env in (None, simpy.Environment()):
        assert play(topology.scenario(free=True), slices, env=env).digest == truth.digest


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_a_run_that_ends_early_ends_alike(seed):
    topology = Topology(seed)
    end = Random(seed).randrange(1, LASTS)

    def stop(federation):
        federation.env.run(until=end)

    truth = play(topology.scenario(free=False), stop)
    for window in (None, "5ns"):
        run = play(topology.scenario(free=True, window=window), stop)
        assert told(run) == told(truth)


def test_a_window_one_nanosecond_too_long_is_noticed(monkeypatch):
    def longer(self: Windows) -> None:
        original(self)
        self.length += 1

    original = Windows.open
    worlds = [Topology(seed, tight=True) for seed in SEEDS[:20]]
    truths = [each.truth().digest for each in worlds]
    assert [play(each.scenario(free=True)).digest for each in worlds] == truths
    monkeypatch.setattr(Windows, "open", longer)
    for each in worlds:
        with pytest.raises(LookaheadError, match="comes 1 ns too soon"):
            play(each.scenario(free=True))


def test_without_that_check_a_longer_window_gives_another_run(monkeypatch):
    """The check is not what makes runs equal: with it gone, the digests differ."""

    def longer(self: Windows) -> None:
        original(self)
        self.length += 1
        self._quantum = 1  # what comes too soon is handed over late

    original = Windows.open
    worlds = [Topology(seed, tight=True) for seed in SEEDS[:20]]
    truths = [each.truth().digest for each in worlds]
    monkeypatch.setattr(Windows, "open", longer)
    runs = [play(each.scenario(free=True)) for each in worlds]
    assert all(run.digest != truth for run, truth in zip(runs, truths, strict=True))
    assert all(run.federation.windows.late.messages for run in runs)
    assert all(run.federation.windows.late.worst == 1 for run in runs)


# -- behind a packet network


def behind_packets(seed: int, free: bool, **options: Any) -> Scenario:
    random = Random(seed)
    network = {"model": "packets", "seed": seed, "least": random.randrange(1, 60)}
    network |= options.pop("network", {})
    return Topology(seed).scenario(free=free, network=network, **options)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_participant_gives_the_native_run(seed):
    truth = play(behind_packets(seed, free=False, network={"native": True}), plugins=WITH_PACKETS)
    assert truth.lines
    run = play(behind_packets(seed, free=False), plugins=WITH_PACKETS)
    assert told(run) == told(truth)
    for window in (None, "1ns", "13ns"):
        run = play(behind_packets(seed, free=True, window=window), plugins=WITH_PACKETS)
        assert told(run) == told(truth), f"window {window}"
    assert run.digest == truth.digest


@pytest.mark.parametrize("seed", SEEDS[:15])
def test_a_network_participant_in_any_environment(seed):
    truth = play(behind_packets(seed, free=False, network={"native": True}), plugins=WITH_PACKETS)

    def slices(federation):
        for time in sorted(Random(seed).sample(range(1, LASTS), 25)):
            federation.env.run(until=time)
        federation.env.run(until=LASTS)

    for free in (False, True):
        scenario = behind_packets(seed, free=free)
        for env in (None, simpy.Environment()):
            assert play(scenario, slices, env=env, plugins=WITH_PACKETS).digest == truth.digest
        run = play(scenario, env=simpy.Environment(), plugins=WITH_PACKETS)
        assert run.digest == truth.digest


def test_an_idle_network_is_not_asked():
    bounds: list[int] = []

    def model(node):
        yield node.sleep(50)
        node.send("b", "x", size=1)
        for _ in range(1000):
            yield node.sleep(1)

    network = {"model": "packets", "seed": 3, "least": 20, "on_go": bounds.append}
    scenario = world({"a": model, "b": None}, lasts=LASTS, network=network)
    play(scenario, plugins=WITH_PACKETS)
    assert 1 <= len(bounds) <= 5  # once to enter, then per event of its own
