"""Windows of free-running nodes: where they end, what they cost, and what a quantum costs."""

from __future__ import annotations

from random import Random

import pytest
from fakes import FreeRunning, Packets, Program, Reactive
from worlds import PLUGINS, Taking, both, one_way, play, world

from simcore import Federation, Plugins, UsageError
from simcore.errors import ModelError
from simcore.protocol.service import Done, Measure, Output


class Silent:
    """Remembers its windows and what it was given, and does nothing."""

    def __init__(self, born: int, windows: list, inputs: list) -> None:
        self.start = born
        self.windows = windows
        self.inputs = inputs

    def advance(self, until, inputs):
        self.windows.append((self.start, until))
        self.inputs += [(message.at, message.id) for message in inputs]
        self.start = until
        return Done([], [])


def silent(windows, inputs=None, grain=1):
    kept = [] if inputs is None else inputs
    return Taking("free_running", lambda name, life, born: Silent(born, windows, kept), grain)


def at(*times):
    """A model that sends to `f` at the given instants."""

    def model(node):
        for time in times:
            yield node.sleep(time - node.now)
            node.send("f", "x", size=1)

    return model


def test_windows_are_as_long_as_the_least_delay_and_end_with_the_run():
    windows: list = []
    links = [both("f", "a", "30ns"), both("f", "b", {"min": "25ns", "exponential": "1us"})]
    run = play(world({"f": silent(windows), "a": None, "b": None}, links, lasts=110))
    assert windows == [(0, 25), (25, 50), (50, 75), (75, 100), (100, 110)]
    assert run.federation.windows.count == 5


def test_links_of_others_do_not_shorten_windows():
    windows: list = []
    links = [both("f", "a", "40ns"), both("a", "b", "1ns")]
    play(world({"f": silent(windows), "a": None, "b": None}, links, lasts=100))
    assert windows == [(0, 40), (40, 80), (80, 100)]


def test_faults_cut_the_windows_of_all():
    first: list = []
    second: list = []
    nodes = {"f": silent(first), "g": silent(second), "a": None}
    links = [both("f", "a", "50ns"), both("g", "a", "60ns")]
    fault = {"at": "70ns", "for": "20ns", "link": ["g", "a"], "down": True}
    play(world(nodes, links, lasts=150, faults=[fault]))
    assert first == second == [(0, 50), (50, 70), (70, 90), (90, 140), (140, 150)]


def test_inputs_are_handed_over_before_they_arrive_and_recorded_when_they_do():
    inputs: list = []
    windows: list = []
    nodes = {"f": silent(windows, inputs), "a": at(3, 20, 47)}
    run = play(world(nodes, [both("f", "a", "50ns")], lasts=200))
    assert inputs == [(53, "a/1"), (70, "a/2"), (97, "a/3")]
    assert run.arrivals(to="f") == inputs
    assert windows[:2] == [(0, 50), (50, 100)]


def test_boundaries_lie_on_the_grain():
    windows: list = []
    links = [both("f", "a", "47ns")]
    fault = {"at": "63ns", "for": "40ns", "link": ["f", "a"], "down": True}
    play(world({"f": silent(windows, grain=10), "a": None}, links, lasts=135, faults=[fault]))
    # 63 and 103 are no boundaries: they wait at 60 and 100, and go on from there.
    assert windows == [(0, 40), (40, 60), (60, 100), (100, 130), (130, 140)]


@pytest.mark.parametrize("seed", range(25))
def test_faults_off_the_grain_come_at_the_grain_for_windows_of_any_length(seed):
    random = Random(seed)
    peers = {"f-0": ["a", "f-1"], "f-1": ["a", "f-0"], "a": ["f-0", "f-1"]}

    def free(name, life, born):
        return FreeRunning(Program(f"{seed} {name} {life}", peers[name]), born)

    def reactive(name, life, born):
        return Reactive(Program(f"{seed} {name} {life}", peers[name]))

    nodes = {
        "f": {"does": Taking("free_running", free, grain=10), "count": 2},
        "a": Taking("reactive", reactive),
    }
    links = [both("f", "a", "60ns", rate="8Gbit/s"), both("f", "f", "75ns", loss="10%")]
    faults = [
        {"at": f"{random.randrange(3000)}ns", "for": f"{random.randrange(1, 900)}ns", **what}
        for what in (
            {"link": ["f", "a"], "down": True},
            {"node": "f-1", "crash": True},
            {"link": ["f", "f"], "degraded": {"loss": "30%"}},
        )
    ]
    runs = [
        play(world(nodes, links, lasts=4000, seed=seed, faults=faults, window=window))
        for window in (None, "10ns", "25ns", "40ns")
    ]
    assert runs[0].lines
    assert len({run.digest for run in runs}) == 1


def test_grains_that_do_not_fit_are_refused():
    nodes = {"f": silent([], grain=10), "g": silent([], grain=15), "a": None}
    with pytest.raises(UsageError, match="grains 15 ns and 10 ns cannot share boundaries"):
        Federation(world(nodes, [both("f", "a"), both("g", "a")]), plugins=PLUGINS)


def test_without_a_least_delay_a_quantum_is_needed():
    nodes = {"f": silent([]), "a": None}
    for network in ({"links": [both("f", "a", {"exponential": "1ms"})]}, {}):
        with pytest.raises(UsageError, match="no window is possible.*or the scenario a quantum"):
            Federation(world(nodes, **network), plugins=PLUGINS)


def test_a_quantum_says_how_late_what_was():
    inputs: list = []
    windows: list = []
    nodes = {"f": silent(windows, inputs), "a": at(3, 20, 47, 200)}
    run = play(world(nodes, lasts=250, quantum="50ns"))
    assert windows == [(0, 50), (50, 100), (100, 150), (150, 200), (200, 250)]
    assert inputs == [(50, "a/1"), (50, "a/2"), (50, "a/3"), (200, "a/4")]
    assert run.arrivals(to="f") == inputs
    late = run.federation.windows.late
    assert (late.messages, late.worst, late.total) == (3, 47, 47 + 30 + 3)


def test_what_leaves_inside_a_window_of_a_quantum_arrives_at_its_end(tmp_path):
    def free(name, life, born):
        return Once()

    class Once:
        def advance(self, until, inputs):
            sent = Output(10, "a", "x", "null", 1, None, 0, 0)
            return Done([sent] if until == 50 else [], [])

    nodes = {"f": Taking("free_running", free), "a": None}
    run = play(world(nodes, lasts=100, quantum="50ns"), out=tmp_path / "run")
    assert run.messages() == [(50, "f/1", "a", "x", 1, "null", 10, "delivered")]
    late = run.federation.windows.late
    assert (late.messages, late.worst) == (1, 40)


def test_a_quantum_shorter_than_the_delay_costs_nothing():
    windows: list = []
    nodes = {"f": silent(windows), "a": at(3)}
    run = play(world(nodes, [both("f", "a", "50ns")], lasts=100, quantum="10ns"))
    assert windows == [(0, 50), (50, 100)]
    assert run.federation.windows.late.messages == 0


@pytest.mark.parametrize("seed", range(10))
def test_a_quantum_behind_a_packet_network_is_labelled(seed):
    peers = {"f": ["a"], "a": ["f"]}

    def free(name, life, born):
        return FreeRunning(Program(f"{seed} {name}", peers[name]), born)

    def reactive(name, life, born):
        return Reactive(Program(f"{seed} {name}", peers[name]))

    nodes = {"f": Taking("free_running", free), "a": Taking("reactive", reactive)}
    plugins = Plugins(extra={**PLUGINS.extra, "netmodels": {"packets": Packets()}})
    network = {"model": "packets", "seed": seed, "least": 5}
    scenario = world(nodes, lasts=4000, seed=seed, network=network, quantum="100ns")
    runs = [play(scenario, plugins=plugins) for _ in range(2)]
    assert runs[0].digest == runs[1].digest
    late = runs[0].federation.windows.late
    assert late.messages > 0
    assert late.worst <= 200


@pytest.mark.parametrize("at", [-1, 50])
@pytest.mark.parametrize("what", ["output", "measure"])
def test_an_answer_outside_its_window_is_refused(at, what):
    class Wrong:
        def advance(self, until, inputs):
            outputs = [Output(at, "a", "x", "null", 1, None, 0, 0)] if what == "output" else []
            return Done(outputs, [Measure(at, "m", 1)] if what == "measure" else [])

    nodes = {"f": Taking("free_running", lambda *_: Wrong()), "a": None}
    with pytest.raises(ModelError, match=rf"window from 0 to 50 ns .* at {at} ns, which is out"):
        play(world(nodes, [both("f", "a", "50ns")], lasts=100))


def test_a_change_inside_a_window_cannot_be_announced():
    seen = []

    def model(node):
        yield node.sleep(60)
        with pytest.raises(UsageError, match="free-running participants are on their way to 100"):
            node.federation.at(70, seen.append)
        node.federation.at(100, lambda: seen.append(node.now))
        yield node.sleep(100)

    play(world({"f": silent([]), "a": model}, [both("f", "a", "50ns")], lasts=200))
    assert seen == [100]


def test_one_participant_for_a_whole_group():
    given: list = []

    class Both:
        def advance(self, until, inputs):
            given.extend((message.at, message.destination) for message in inputs)
            if until != 50:
                return Done([], [])
            return Done(
                [
                    Output(12, "a", "x", "null", 1, None, 0, 0, "f-1"),
                    Output(11, "a", "x", "null", 1, None, 0, 0, "f-0"),
                ],
                [Measure(5, "m", 1, "f-1")],
            )

    def model(node):
        node.send("f-1", "y", size=1)
        node.send("f-0", "y", size=1)
        yield node.sleep(1)

    nodes = {"f": {"does": Taking("free_running", lambda *_: Both(), shared=True), "count": 2}}
    run = play(world(nodes | {"a": model}, [both("f", "a", "50ns")], lasts=100))
    assert run.arrivals(to="a") == [(61, "f-0/1"), (62, "f-1/1")]
    assert given == [(50, "f-1"), (50, "f-0")]
    assert run.measured("m") == [1]


def test_a_crash_in_a_shared_participant_cuts_off_one_node():
    given: list = []

    class Both:
        def advance(self, until, inputs):
            given.extend((message.at, message.destination) for message in inputs)
            return Done([Output(until - 1, "a", "x", "null", 1, None, 0, 0, "f-1")], [])

    def model(node):
        for _ in range(9):
            node.send("f-0", "y", size=1)
            node.send("f-1", "y", size=1)
            yield node.sleep(10)

    nodes = {"f": {"does": Taking("free_running", lambda *_: Both(), shared=True), "count": 2}}
    fault = {"at": "40ns", "for": "30ns", "node": "f-1", "crash": True}
    links = [one_way("a", "f", "20ns"), one_way("f", "a", "20ns")]
    run = play(world(nodes | {"a": model}, links, lasts=100, faults=[fault]))
    assert [at for at, to in given if to == "f-0"] == [20, 30, 40, 50, 60, 70, 80, 90]
    assert [at for at, to in given if to == "f-1"] == [20, 30, 70, 80, 90]
    sent = [message[6] for message in run.messages(to="a")]
    assert sent == [19, 39, 89, 99]
