"""A network that is a participant: its patience, its end, and others in the same environment."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any

import pytest
import simpy
from fakes import FakeNetwork, Frames, FreeRunning, Packets, Program, Reactive
from worlds import PLUGINS, S, Taking, play, world

from simcore import Federation, Plugins
from simcore.network_participant import ParticipantNetwork
from simcore.participant import NetworkDone

PEERS = {"a": ["b"], "b": ["a"]}


class Patient(Packets):
    """`model: patient`: frames that are given up."""

    name = "patient"

    def build(self, federation: Federation, scenario: Any) -> ParticipantNetwork:
        options: Mapping[str, Any] = scenario.network
        frames = Frames(options["seed"], options["least"])
        return ParticipantNetwork(
            federation, FakeNetwork(frames), least=frames.least, patience=options["patience"]
        )


WITH_PACKETS = Plugins(
    extra={**PLUGINS.extra, "netmodels": {"packets": Packets(), "patient": Patient()}}
)


def two(seed: int, *, free: bool, grain: int = 1, **options: Any) -> Any:
    """`a` reactive and `b` of either kind, who send to each other."""

    def program(name: str) -> Program:
        return Program(f"{seed} {name}", PEERS[name])

    reactive = Taking("reactive", lambda name, life, born: Reactive(program(name)))
    running_free = Taking(
        "free_running", lambda name, life, born: FreeRunning(program(name), born), grain
    )
    nodes = {"a": reactive, "b": running_free if free else reactive}
    options.setdefault("network", {"model": "packets", "seed": seed, "least": 40})
    return world(nodes, lasts=4000, seed=seed, **options)


def sending(*times: int) -> Any:
    """A model that sends to `b` at the given instants."""

    def model(node):
        for time in times:
            yield node.sleep(time - node.now)
            node.send("b", "x", size=20)

    return model


@pytest.mark.parametrize("patience", [5, 30, 90])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_given_up_does_not_depend_on_slices(seed, patience):
    network = {"model": "patient", "seed": seed, "least": 20, "patience": patience}
    scenario = world({"a": sending(*range(10, 700, 37)), "b": None}, lasts=4000, network=network)

    def slices(federation):
        for time in range(1, 4001, 7):
            federation.env.run(until=time)

    whole = play(scenario, plugins=WITH_PACKETS)
    assert play(scenario, slices, plugins=WITH_PACKETS).digest == whole.digest
    for at, _, _, _, _, _, sent, fate in whole.messages():
        assert at - sent < patience or (at - sent, fate) == (patience, "loss")


@pytest.mark.parametrize("patience", [5, 30, 90])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_given_up_does_not_depend_on_windows(seed, patience):
    network = {"model": "patient", "seed": seed, "least": 40, "patience": patience}

    def stop(federation):
        federation.env.run(until=1234)

    for drive in (None, stop):
        truth = play(two(seed, free=False, network=network), drive, plugins=WITH_PACKETS)
        for window in (None, "1ns", "13ns"):
            scenario = two(seed, free=True, network=network, window=window)
            assert play(scenario, drive, plugins=WITH_PACKETS).text == truth.text


@pytest.mark.parametrize("make", [lambda: None, simpy.Environment])
def test_what_is_sent_at_the_very_end_does_not_enter(make):
    network = {"model": "packets", "seed": 3, "least": 20}
    scenario = world({"a": sending(50), "b": None}, lasts=4000, network=network)

    def stop(federation):
        federation.env.run(until=50)

    assert play(scenario, stop, env=make(), plugins=WITH_PACKETS).lines == []


def test_what_is_sent_at_the_very_end_does_not_enter_within_a_window():
    scenario = two(1, free=True)
    sent = {message[6] for message in play(scenario, plugins=WITH_PACKETS).messages()}
    for end in sorted(sent)[:12]:
        run = play(
            scenario,
            lambda federation, end=end: federation.env.run(until=end),
            plugins=WITH_PACKETS,
        )
        assert all(message[6] < end for message in run.messages())


@pytest.mark.parametrize("seed", range(8))
def test_windows_on_a_grain_behind_a_network_are_labelled(seed):
    """The network has gone on within the grain, so what enters there is late, and counted."""
    runs = [
        play(two(seed, free=True, grain=10), env=env, plugins=WITH_PACKETS)
        for env in (None, simpy.Environment())
    ]
    assert runs[0].digest == runs[1].digest
    late = runs[0].federation.windows.late
    assert late.messages
    assert late.worst < 10


@pytest.mark.parametrize("own", [True, False])
def test_a_network_waits_for_another_run_in_its_environment(own):
    """Run 1 is woken without delay within an instant of its own, and sends in run 2."""

    def go(node):
        for _ in range(100):
            yield node.sleep(10)
            node.send("b", "go")

    def drive(node):
        while True:
            yield node.receive()
            second.nodes["a"].send("b", "x", size=1)

    network = {"model": "packets", "seed": 3, "least": 200}
    first = Federation(
        world({"a": go, "b": drive}, lasts=2000),
        None if own else simpy.Environment(),
        plugins=PLUGINS,
    )
    second = Federation(
        world({"a": None, "b": None}, lasts=2000, network=network), first.env, plugins=WITH_PACKETS
    )
    with first, second:
        first.env.run(until=2000)
    assert second.recorder.counts["messages"] == 100


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("end", [4000, 1000, 1111])
def test_a_run_with_a_network_is_freed(free, end):
    federation = Federation(two(1, free=free), plugins=WITH_PACKETS)
    with federation:
        federation.env.run(until=end)
    gone = weakref.ref(federation)
    del federation
    gc.collect()
    gc.collect()
    assert gone() is None


def test_nothing_is_kept_of_what_was_given_up():
    class Hole(FakeNetwork):
        def finish(self):
            return NetworkDone(self._until - 1, None, [])

    class Holes(Patient):
        def build(self, federation, scenario):
            network = ParticipantNetwork(federation, Hole(Frames(1, 1)), patience=15)
            sizes.append(lambda: len(network._inside) + len(network._oldest))
            return network

    def model(node):
        for _ in range(300):
            yield node.sleep(10)
            node.send("b", "x")
            most.append(sizes[0]())

    sizes: list = []
    most: list[int] = []
    plugins = Plugins(extra={**PLUGINS.extra, "netmodels": {"patient": Holes()}})
    scenario = world({"a": model, "b": None}, lasts=4000, network={"model": "patient"})
    run = play(scenario, plugins=plugins)
    assert {message[-1] for message in run.messages()} == {"loss"}
    assert max(most) <= 3


def test_a_network_that_waits_for_something_far_ahead_costs_nothing():
    instants: list[int] = []

    class Beacon(FakeNetwork):
        def ready(self, now):
            return 3600 * S

        def finish(self):
            return NetworkDone(self._until - 1, None, [])

    class Beacons(Patient):
        def build(self, federation, scenario):
            federation.attend = lambda: (instants.append(federation.calendar.now), busy())

            def busy() -> None:
                federation.calendar.busy = True

            busy()
            return ParticipantNetwork(federation, Beacon(Frames(1, 1), bounds.append))

    bounds: list[int] = []
    plugins = Plugins(extra={**PLUGINS.extra, "netmodels": {"patient": Beacons()}})
    scenario = world({"a": None, "b": None}, lasts="2h", network={"model": "patient"})
    play(scenario, plugins=plugins)
    assert bounds == [3601 * S + 1]
    assert len(instants) <= 3
